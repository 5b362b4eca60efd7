"""Which process a worker is, so that a signal reaches it and nobody else."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_pipeline.cases.parallel.processes import Processes
from pytest_pipeline.execution.layout import Layout
from tests.cases.parallel.fake_xdist import FakeNode, Happened
from tests.host.conftest import PATIENCE

Sleeper = subprocess.Popen[bytes]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, "session", tmp_path)


@pytest.fixture
def sleepers() -> Iterator[list[Sleeper]]:
    begun = [subprocess.Popen(["sleep", "600"]) for _ in range(2)]
    yield begun
    for each in begun:
        each.kill()
        each.wait()


def worker(name: str, process: Sleeper, spec: str = "popen") -> FakeNode:
    return FakeNode(name, [], Happened(), spec, process.pid)


def undisturbed(process: Sleeper) -> bool:
    """Whether no signal was sent to it before; of several the one with the smallest number ends it."""
    process.terminate()
    return process.wait(PATIENCE) == -signal.SIGTERM


def test_a_worker_is_interrupted_that_has_not_begun_with_plans(layout: Layout, sleepers: list[Sleeper]) -> None:
    processes = Processes()
    for number, sleeper in enumerate(sleepers):
        processes.arrive(worker(f"gw{number}", sleeper))
    processes.interrupt(["gw1"], layout)
    assert sleepers[1].wait(PATIENCE) == -signal.SIGINT
    processes.kill(layout)
    assert sleepers[0].wait(PATIENCE) == -signal.SIGKILL


@pytest.mark.parametrize("spec", ["popen//python=unshare", "ssh=elsewhere", "popen//via=gw0"])
def test_a_number_that_may_be_one_of_another_world_is_not_used(
    layout: Layout, sleepers: list[Sleeper], spec: str
) -> None:
    stranger, own = sleepers
    processes = Processes()
    processes.arrive(worker("gw0", stranger, spec))
    processes.interrupt(["gw0"], layout)
    processes.kill(layout)
    layout.pid_file("gw0").write_text(str(own.pid))
    processes.interrupt(["gw0"], layout)
    assert own.wait(PATIENCE) == -signal.SIGINT, "which it says itself as soon as it takes part"
    assert undisturbed(stranger)


def test_a_worker_that_is_gone_is_sent_no_signal_whoever_has_its_number_now(
    layout: Layout, sleepers: list[Sleeper]
) -> None:
    processes = Processes()
    processes.arrive(worker("gw0", sleepers[0]))
    layout.pid_file("gw1").write_text(str(sleepers[1].pid))
    for name in ("gw0", "gw1", "gw2"):
        processes.leave(name, layout)
    processes.interrupt(["gw0", "gw1"], layout)
    processes.kill(layout)
    assert list(layout.scratch.iterdir()) == []
    assert all(map(undisturbed, sleepers))
