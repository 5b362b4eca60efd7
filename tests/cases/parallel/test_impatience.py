from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_pipeline.cases.parallel.impatience import impatient, interrupted_once, signal_to, told_by


def ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_impatient_hurry_and_interrupt_nothing() -> None:
    hurried: list[int] = []
    with impatient(lambda: hurried.append(1)):
        ctrl_c()
        ctrl_c()
    assert hurried == [1, 1]
    with pytest.raises(KeyboardInterrupt):
        ctrl_c()


def test_a_worker_is_interrupted_once_and_its_children_as_ever() -> None:
    interrupted_once()
    with pytest.raises(KeyboardInterrupt):
        ctrl_c()
    ctrl_c()
    ctrl_c()
    raises = "import signal; signal.raise_signal(signal.SIGINT)"
    assert subprocess.run([sys.executable, "-c", raises], capture_output=True).returncode == -signal.SIGINT


def test_where_nobody_can_be_interrupted_nothing_happens() -> None:
    done: list[str] = []

    def elsewhere() -> None:
        interrupted_once()
        with impatient(lambda: None):
            done.append("done")

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert done == ["done"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_reaches_those_who_are_there(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    there = subprocess.Popen(["sleep", "600"])
    told = {"gone": str(gone.pid), "torn": "", "there": str(there.pid)}
    for name, text in told.items():
        (tmp_path / name).write_text(text)
    signal_to(told_by([tmp_path / name for name in ("missing", *told)]), signal.SIGKILL)
    assert there.wait() == -signal.SIGKILL
