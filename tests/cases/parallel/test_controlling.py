"""What the controller knows of processes: sessions with real workers prove the rest of it."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from pytest_pipeline.cases.order import CaseKey
from pytest_pipeline.cases.parallel.controlling import Controller
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.execution.opening import Prepared
from pytest_pipeline.settings import Settings
from tests.cases.parallel.fake_xdist import FakeNode, Happened
from tests.host.conftest import PATIENCE


@pytest.fixture
def controller(pytestconfig: pytest.Config, tmp_path: Path) -> Controller:
    found = Controller(pytestconfig, Settings(), tmp_path / "p.md")
    found._prepared = Prepared(Layout(tmp_path, "session", tmp_path), None)
    return found


def test_a_worker_that_is_gone_is_sent_no_signal_whoever_has_its_number_now(
    controller: Controller, tmp_path: Path
) -> None:
    (tmp_path / "gw0.pid").write_text("1")
    controller.pytest_testnodedown(FakeNode("gw0", [], Happened()))
    controller.pytest_testnodedown(FakeNode("gw1", [], Happened()))  # which never began
    assert list(tmp_path.iterdir()) == []


def test_an_impatient_controller_kills_every_worker(controller: Controller, tmp_path: Path) -> None:
    workers = [subprocess.Popen(["sleep", "600"]) for _ in range(2)]
    for number, worker in enumerate(workers):
        (tmp_path / f"gw{number}.pid").write_text(str(worker.pid))
    controller._kill()
    assert [worker.wait() for worker in workers] == [-signal.SIGKILL] * 2


def test_a_worker_can_be_interrupted_as_soon_as_it_is_there(controller: Controller) -> None:
    worker = subprocess.Popen(["sleep", "600"])
    controller.pytest_testnodeready(FakeNode("gw0", [], Happened(), pid=worker.pid))
    controller._interrupt({"gw0"})
    assert worker.wait(PATIENCE) == -signal.SIGINT


def test_a_run_has_begun_of_which_a_worker_was_sent_something(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = {f"p.md::run-0{run}::1.1": CaseKey(run, "p.md", "1", "1.1") for run in (1, 2, 3)}
    monkeypatch.setattr(controller.conductor, "case", cases.get)
    monkeypatch.setattr(controller.conductor, "admitted", lambda: {1})
    for nodeid in ("test_a.py::test_a", "p.md::run-02::1.1"):
        controller.on_sent("gw0", nodeid)
    assert controller._begun() == {1, 2}, "else its other items would be dropped, and it could not succeed"
