"""However it ends: nobody is left, and the record tells what was begun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_pipeline.events import StepStarted
from pytest_pipeline.host.descent import proc_rows
from tests.e2e.world import Project, Ran, plan, task
from tests.host.conftest import DAEMON, PATIENCE, entries, until
from tests.host.git_world import git

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
TWO = plan(task("1.1", files=["Create: `a.txt`"]), task("1.2", files=["Create: `b.txt`"]))


def alive(project: Project) -> list[int]:
    """Processes that were given this project's outside directory: agents and what they left."""
    name = str(project.outside).encode()
    return [row.pid for row in proc_rows() if any(name in each for each in entries(row.pid, "cmdline"))]


def leaves(project: Project, end: str) -> str:
    """An agent that leaves a background job and a daemon, once it is asked for the second task."""
    (project.outside / "daemon.py").write_text(DAEMON)
    (project.outside / "pids").mkdir(exist_ok=True)
    daemon = f'"{sys.executable}" -IS $OUTSIDE/daemon.py $OUTSIDE/pids'
    return project.agent(
        f"""
        if grep -q '^# Task 1.1'; then echo made > a.txt; exit; fi
        {daemon}
        (setsid sh -c 'sleep 600; : $OUTSIDE' &)
        sh -c 'while :; do sleep 0.1; done; : $OUTSIDE' &
        until test -n "$(ls $OUTSIDE/pids)"; do sleep 0.02; done
        echo made > b.txt
        touch $OUTSIDE/ready
        {end}
        """
    )


@linux
def test_what_an_agent_leaves_running_is_gone_when_it_has_ended(project: Project) -> None:
    project.write({"plans/p.md": TWO})

    ran = project.run(agent=leaves(project, "exit 0")).passed()

    assert alive(project) == []
    assert int(ran.last("1.2").properties["agent_survivors"]) >= 3


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
def test_pytest_is_ended_in_the_middle(project: Project, number: signal.Signals) -> None:
    project.write({"plans/p.md": TWO})
    process = project.start("plans", "--count", "3", agent=leaves(project, "sleep 600"))
    until((project.outside / "ready").exists)

    process.send_signal(number)
    text, _ = process.communicate(timeout=PATIENCE)

    until(lambda: not alive(project))
    ran = Ran(process.returncode, text, project.state)
    first, second = ran.task_run("1.1"), ran.task_run("1.2")
    assert str(first.outcome) == "passed"
    assert git(ran.forge, "fsck", "--strict", "--no-dangling") == ""
    assert ran.commits() == ["Do 1.1"]
    steps = {step.name: step.finished is not None for step in second.attempts[0].steps}
    if number == signal.SIGINT:
        assert process.returncode == 2
        assert str(second.outcome) == "interrupted"
        assert str(second.attempts[0].failure_kind) == "interrupted"
        assert project.left() == []
    else:
        assert process.returncode == -number
        assert str(second.outcome) == "running", "it was admitted, and nothing says how it ended"
        assert steps == {"prepare": True, "agent": False}
    again = project.run_apart(agent=leaves(project, "exit 0")).passed()
    assert again.session != first.key.session
    assert alive(project) == []


class Looks:
    """A plugin that looks into the store when a step begins, as who finds it after a death would."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.known: dict[str, set[str]] = {}

    def pytest_pipeline_step_started(self, event: StepStarted) -> None:
        if event.task.task == "1.1":
            self.known[event.step] = set(Ran(0, "", self.project.state).last("1.1").properties)


def test_who_dies_after_a_merge_has_told_of_it(project: Project) -> None:
    project.write({"plans/p.md": plan(task(files=["Create: `a.txt`"], does="echo a > a.txt"))})
    looks = Looks(project)

    project.run(plugins=[looks]).passed()

    assert "pull_request" not in looks.known["pull request"]
    assert {"pull_request", "pull_request_url", "commit"} <= looks.known["merge"]
    assert "merge_commit" not in looks.known["merge"]
    assert "merge_commit" in looks.known["outcome"]


@linux
def test_two_sessions_at_once_in_one_project_do_not_meet(project: Project) -> None:
    tasks = [task(f"1.{name}", files=[f"Create: `{name}.txt`"], does=f"echo > {name}.txt") for name in (1, 2)]
    project.write({"plans/p.md": plan(*tasks)})

    both = [project.start("plans", "--count", "2") for _ in range(2)]
    texts = [each.communicate(timeout=120)[0] for each in both]

    assert [each.returncode for each in both] == [0, 0], texts
    ran = Ran(0, "", project.state)
    assert git(ran.forge, "fsck", "--strict", "--no-dangling") == ""
    assert len(git(ran.forge, "for-each-ref").splitlines()) == 4


def test_a_file_that_cannot_grow_is_told_and_not_a_traceback(project: Project) -> None:
    """As on a full disk: no file of pytest may become larger than a few blocks."""
    project.write({"plans/p.md": plan(task(files=["Create: `a.txt`"], does="echo a > a.txt"))})
    limited = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); " + (
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); import pytest; "
        "sys.exit(pytest.main(['plans', '--agent=reference', '-p', 'no:cacheprovider']))"
    )

    done = subprocess.run(
        [sys.executable, "-c", limited],
        cwd=project.path,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(project.temporary), "PYTHONDONTWRITEBYTECODE": "1"},  # cut files
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 4, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "state.db" in done.stderr
    assert project.left() == []


def test_the_state_directory_may_be_removed_between_two_sessions(project: Project) -> None:
    project.write({"plans/p.md": plan(task(files=["Create: `a.txt`"], does="echo a > a.txt"))})
    project.run().passed()
    Path(project.state / "forge.db").unlink()
    subprocess.run(["rm", "-rf", str(project.state)], check=True)

    assert project.run().passed().commits() == ["Do 1.1"]
