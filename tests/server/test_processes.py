"""The processes of executions."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from pytest_pipeline.errors import HostError
from pytest_pipeline.host.locking import Lock
from pytest_pipeline.server.processes import BusyError
from tests.server.serving import Project, until


def pid_of(project: Project, plan: str) -> int:
    return int(project.book.lock_of(plan).read_text().split()[1])


def test_one_lives_until_it_and_its_children_are_interrupted_and_any_server_can_tell(project: Project) -> None:
    project.process = ("sh", "-c", "sleep 60; true")
    execution = project.execution()
    project.processes.start(execution, is_new=False, arguments=())
    assert project.processes.alive(execution)
    assert project.processes.interrupt(execution)
    until(lambda: not project.processes.interrupt(execution))  # a shell that just starts its child may miss one
    assert not project.processes.alive(execution)


def test_one_that_was_killed_lives_no_more(project: Project) -> None:
    execution = project.execution()
    project.processes.start(execution, is_new=False, arguments=())
    os.kill(pid_of(project, execution.plan), signal.SIGKILL)
    until(lambda: not project.processes.alive(execution))


def test_one_that_was_never_started_does_not_live(project: Project) -> None:
    execution = project.execution()
    assert not project.processes.alive(execution)
    assert not project.processes.interrupt(execution)


def test_a_plan_is_executed_once_at_a_time_whoever_asks(project: Project) -> None:
    first, second, other = project.execution(), project.execution(), project.execution(plan="other.md")
    project.processes.start(first, is_new=False, arguments=())
    with pytest.raises(BusyError, match=f"is being executed by {first.id}") as busy:
        project.processes.start(second, is_new=False, arguments=())
    assert busy.value.execution == first.id
    assert project.book.last_launch(second.id) is None
    assert not project.processes.alive(second)
    project.processes.start(other, is_new=False, arguments=())


def test_it_is_written_down_before_it_is_started(project: Project) -> None:
    execution = project.execution()
    project.process = ("ls", str(project.state / "executions" / execution.id))
    project.processes.start(execution, is_new=False, arguments=())
    launch = project.book.last_launch(execution.id)
    assert launch is not None
    until(lambda: "launch-001.json" in launch.log.read_text())


def test_it_gets_a_session_of_its_own_and_its_output_is_kept(project: Project) -> None:
    project.process = ("sh", "-c", "ps -o sid= -p $$; echo to-stderr >&2; pwd; exec sleep 60")
    execution = project.execution()
    project.processes.start(execution, is_new=False, arguments=("--count=2",))
    launch = project.book.last_launch(execution.id)
    assert launch is not None
    until(lambda: len(launch.log.read_text().splitlines()) == 3)
    session, errors, directory = launch.log.read_text().splitlines()
    assert int(session) == pid_of(project, execution.plan)
    assert (errors, Path(directory)) == ("to-stderr", project.path)
    assert project.started == [(("--count=2",), execution.plan)]


def test_a_program_that_is_missing_is_told_and_leaves_the_plan_free(project: Project) -> None:
    project.process = (str(project.path / "nothing"),)
    execution = project.execution()
    with pytest.raises(HostError, match="pytest cannot be started"):
        project.processes.start(execution, is_new=False, arguments=())
    project.process = ("sleep", "60")
    project.processes.start(execution, is_new=False, arguments=())


def test_a_server_that_only_looks_is_in_nobodys_way(project: Project) -> None:
    execution = project.execution()
    path = project.book.lock_of(execution.plan)
    looking = Lock.take(path, shared=True)
    assert looking is not None
    timer = threading.Timer(0.1, looking.close)
    timer.start()
    project.processes.start(execution, is_new=False, arguments=())
    timer.join()
    assert project.processes.alive(execution)
