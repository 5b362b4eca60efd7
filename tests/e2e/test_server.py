"""A server in a process of its own, from its start over its sudden death to the record, with real sessions."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.commands.running import command_here
from tests.conftest import LEAN
from tests.e2e.world import Project, plan, task

API = "/api/v1/autonomous"
QUIET = ("-p", "no:cacheprovider", "-p", "no:random_order", "-p", "no:hypothesispytest", "--agent", "reference")
WAITS = "while ! test -e $OUTSIDE/go-on; do sleep 0.05; done\n"


@contextmanager
def serve(project: Project, *arguments: str) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """``python -m pytest_pipeline serve`` in the project, and a client that has the token which it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_pipeline", "serve", "--port", "0", *arguments, *QUIET],
        cwd=project.path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "TMPDIR": str(project.temporary),
            "PYTEST_ADDOPTS": LEAN,
            "GH_TOKEN": "ghp_a_secret_of_the_forge",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if line.startswith("Ctrl-C"):
                break
        address, token = re.search(r"http://\S+\d", printed), re.search(r"kept nowhere: (\S+)", printed)
        assert address, printed
        assert token, printed
        headers = {"Authorization": f"Bearer {token[1]}"}
        with httpx.Client(base_url=address[0], headers=headers, timeout=60) as client:
            yield client, process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def until(ask: Callable[[], Any], wanted: object) -> None:
    deadline = time.monotonic() + 120
    while (found := ask()) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def waiting_plan(project: Project, *, then: str = "") -> str:
    """A plan of two batches; the second task waits until it may go on."""
    script = f"{WAITS}{then}echo b > b.txt".replace("$OUTSIDE", str(project.outside))
    return (
        plan(task("1.1", files=["Create: a.txt"], does="echo a > a.txt"))
        + "\n## Batch 2: Next\n\n**Dependencies:** Batch 1\n\n"
        + task("2.1", files=["Create: b.txt"], does=script)
    )


def test_a_server_that_is_killed_in_the_middle_loses_nothing(project: Project) -> None:
    project.write({"plans/wait.md": waiting_plan(project)})
    with serve(project) as (client, server):
        answer = client.post(f"{API}/start", json={"plan_path": "plans/wait.md", "start_batch": 1, "end_batch": 6})
        assert answer.json()["batches_scheduled"] == [1, 2]
        execution = answer.json()["execution_id"]
        until(lambda: client.get(f"{API}/{execution}/status").json()["current_batch"], 2)
        server.kill()
        server.wait()

    with serve(project) as (client, _):
        status = client.get(f"{API}/{execution}/status").json()
        assert (status["status"], status["tasks_completed"]) == ("executing", 1)
        assert client.post(f"{API}/start", json={"plan_path": "plans/wait.md"}).status_code == 409

        # the execution itself dies with its agent, as if with the machine
        kill_all(project, execution)
        until(lambda: client.get(f"{API}/{execution}/status").json()["status"], "interrupted")
        tasks = client.get(f"{API}/{execution}/batches").json()["batches"]
        assert [each["status"] for each in tasks] == ["complete", "interrupted"]
        before = tasks[0]["tasks"][0]["commits"]

        assert client.post(f"{API}/{execution}/resume").status_code == 200
        (project.outside / "go-on").touch()
        until(lambda: client.get(f"{API}/{execution}/status").json()["status"], "complete")
        batches = client.get(f"{API}/{execution}/batches").json()["batches"]
        assert [each["status"] for each in batches] == ["complete", "complete"]
        assert batches[0]["tasks"][0]["commits"] == before
        status = client.get(f"{API}/{execution}/status").json()
        assert (status["tasks_completed"], status["tasks_total"], status["runs"]["met"]) == (2, 2, True)
        assert status["completed_at"] is not None
        told = client.get(f"{API}/{execution}/events").text
        assert told.count('"step": "merge", "state": "finished"') == 2
        record = client.get(f"{API}/{execution}/record.xml")
        assert record.status_code == 200, record.text
        assert 'tests="3"' in record.text


def test_cancelling_ends_agents_as_ctrl_c_does_and_closes_the_record(project: Project) -> None:
    project.write({"plans/wait.md": waiting_plan(project)})
    with serve(project) as (client, _):
        request = {"plan_path": "plans/wait.md", "start_batch": 2, "workers": 2, "agent": "reference"}
        execution = client.post(f"{API}/start", json=request).json()["execution_id"]
        until(lambda: client.get(f"{API}/{execution}/status").json()["current_batch"], 2)
        assert client.post(f"{API}/{execution}/cancel").status_code == 200
        until(lambda: client.get(f"{API}/{execution}/status").json()["status"], "interrupted")
        (found,) = client.get(f"{API}/{execution}/batches").json()["batches"]
        assert (found["status"], found["tasks"][0]["failure_kind"]) == ("interrupted", "interrupted")
        assert client.get(f"{API}/{execution}/status").json()["completed_at"] is not None
    assert project.left() == []


def test_what_pytest_refuses_is_told(project: Project) -> None:
    project.write({"plans/wait.md": waiting_plan(project)})
    with serve(project) as (client, _):
        request = {"plan_path": "plans/wait.md", "agent": "nobody"}
        execution = client.post(f"{API}/start", json=request).json()["execution_id"]
        until(lambda: client.get(f"{API}/{execution}/status").json()["status"], "failed")
        status = client.get(f"{API}/{execution}/status").json()
        assert "There is no agent" in status["message"]
        assert status["session"] is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--host", "0.0.0.0"), "--host 0.0.0.0 can be reached from other machines."),
        (("--plan-root", "nowhere"), "is no directory. Name one that is there."),
        (("--api-token-file", "nowhere"), "The token file nowhere cannot be read"),
        (("--host", "192.0.2.1", "--api-token-file", "token"), "The server cannot listen on 192.0.2.1, port 8642"),
        (("--port", "x"), "argument --port: invalid int value"),
        (("--port", "99999"), "--port must be a number from 0 to 65535"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_sentence(project: Project, arguments: tuple[str, ...], told: str) -> None:
    project.write({"plans/wait.md": waiting_plan(project), "token": "a-token-of-more-than-32-characters"})
    (project.path / "token").chmod(0o600)
    said = command_here(project, "serve", *arguments, *QUIET)
    assert said.exit_code in (1, 4)
    assert told.lower() in said.errors.lower()


def kill_all(project: Project, execution: str) -> None:
    """Kill the process of an execution; its reaper ends what it had started."""
    (lock,) = (
        each for each in Path(project.state, "executions", "plans").glob("*.lock") if execution in each.read_text()
    )
    os.killpg(int(lock.read_text().split()[1]), signal.SIGKILL)
