"""Several workers, and the session is ended from outside or from within: at once, in order, with nobody left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from pytest_pipeline.host.descent import proc_rows
from tests.e2e.test_parallel import workers_of
from tests.e2e.world import Project, Ran, plan, task
from tests.host.conftest import PATIENCE, entries, until

Begin = Callable[[str], subprocess.Popen[str]]
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
TWO = plan(task("1.1", files=["Create: `a.txt`"])) + "\n## Batch 2: More\n\n" + task("2.1", files=["Create: `b.txt`"])
STUBBORN = "trap 'touch $OUTSIDE/asked-$$' TERM INT; touch $OUTSIDE/ready-$$; while :; do sleep 0.1; done"


def alive(project: Project) -> list[int]:
    """Agents, and whatever pytest left."""
    names = [str(project.outside).encode(), str(project.temporary).encode()]
    return [
        row.pid
        for row in proc_rows()
        if any(name in each for name in names for kind in ("cmdline", "environ") for each in entries(row.pid, kind))
    ]


@pytest.fixture
def begin(project: Project) -> Iterator[Begin]:
    """Start two workers with such an agent, and wait until each of them has one at work."""
    begun: list[subprocess.Popen[str]] = []

    def start(agent: str) -> subprocess.Popen[str]:
        project.write({"plans/p.md": TWO})
        begun.append(project.start("plans", "-n", "2", agent=project.agent(agent)))
        until(lambda: len(list(project.outside.glob("ready-*"))) == 2)
        return begun[-1]

    yield start
    for process in begun:
        if process.poll() is None:  # a test that fails leaves nobody behind either
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def to_all(process: subprocess.Popen[str]) -> None:
    """As a terminal does it."""
    os.killpg(process.pid, signal.SIGINT)


def to_controller(process: subprocess.Popen[str]) -> None:
    """As ``kill`` does it, and many a CI."""
    process.send_signal(signal.SIGINT)


FIRST_ASKS = """
import pathlib, time
from xdist.workermanage import NodeManager

teardown = NodeManager.teardown_nodes

def when_agents_are_asked(self):
    while not any(pathlib.Path("OUTSIDE").glob("asked-*")):
        time.sleep(0.01)
    teardown(self)

NodeManager.teardown_nodes = when_agents_are_asked
"""
"""What xdist itself does to workers at the end interrupts them, too, but only after five seconds."""


@linux
@pytest.mark.parametrize("interrupt", [to_all, to_controller])
def test_ctrl_c_lets_workers_end_their_agents_before_the_session_is_judged(
    project: Project, begin: Begin, interrupt: Callable[[subprocess.Popen[str]], None]
) -> None:
    project.write({"conftest.py": FIRST_ASKS.replace("OUTSIDE", str(project.outside))})
    process = begin(STUBBORN)

    interrupt(process)
    text, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == pytest.ExitCode.INTERRUPTED, text
    assert alive(project) == []
    assert "criterion not met" in text
    assert "Traceback" not in text
    found = Ran(2, text, project.state).task_runs
    assert {str(each.outcome) for each in found} == {"interrupted"}
    assert {each.attempts[-1].message for each in found} == {"The session was interrupted."}, "said by workers"
    assert project.left() == []


WAITS_FOR_EVER = "import xdist.workermanage\nxdist.workermanage.NodeManager.EXIT_TIMEOUT = 600\n"


@linux
def test_ctrl_c_twice_waits_for_no_worker_and_leaves_nobody(project: Project, begin: Begin) -> None:
    project.write({"conftest.py": WAITS_FOR_EVER})
    process = begin(STUBBORN)
    workers = workers_of(process.pid)

    to_all(process)
    until(lambda: any(project.outside.glob("asked-*")))
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)  # they would never end of themselves
    to_all(process)
    text, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == pytest.ExitCode.INTERRUPTED, text
    assert "criterion not met" in text
    assert "Traceback" not in text
    until(lambda: not alive(project))
    assert project.left() == []


EXITS = """
import pytest

@pytest.fixture(autouse=True)
def enough(request):
    if request.node.name.startswith("1.2"):
        pytest.exit("that is enough"CODE)
"""


@pytest.mark.parametrize("code", [None, 42])
def test_pytest_exit_in_a_worker_ends_as_it_does_in_one_process(project: Project, code: int | None) -> None:
    tasks = [task(f"1.{number}", files=[f"Create: `{number}`"], does=f"echo > {number}") for number in (1, 2, 3)]
    exits = EXITS.replace("CODE", "" if code is None else f", {code}")
    project.write({"plans/p.md": plan(*tasks), "conftest.py": exits})

    ran = project.run_apart("plans", "-n", "2")

    assert ran.exit_code == (code or pytest.ExitCode.INTERRUPTED), ran.text
    assert "_pytest.outcomes.Exit: that is enough" in ran.text
    assert "INTERNALERROR" not in ran.text
    ends = {each.key.task: str(each.outcome) for each in ran.task_runs}
    assert ends == {"1.1": "passed", "1.2": "interrupted"}


CANNOT_JOIN = """
import os

def pytest_pipeline_forge(config, settings):
    if os.environ.get("PYTEST_XDIST_WORKER") == "gw1":
        raise ValueError("not from here")
"""


def test_a_worker_that_cannot_take_part_ends_the_session_and_takes_no_task(project: Project) -> None:
    one, other = (task(f"{batch}.1", files=[f"Create: `{batch}`"], does=f"echo > {batch}") for batch in (1, 2))
    project.write({"plans/p.md": plan(one) + f"\n## Batch 2: More\n\n{other}", "conftest.py": CANNOT_JOIN})

    ran = project.run_apart("plans", "-n", "2")

    assert ran.exit_code == pytest.ExitCode.USAGE_ERROR, ran.text
    assert ran.text.count("The hook pytest_pipeline_forge failed with ValueError: not from here") == 1
    assert "Traceback" not in ran.text
    assert "criterion not met: 0 of 1" in ran.text
    assert len(ran.task_runs) <= 1, "at most what the other one was at"
    assert project.left() == []
