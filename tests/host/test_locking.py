"""One holder at a time among all processes, and the death of a holder frees the lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_pipeline.errors import HostError
from pytest_pipeline.host.locking import held, holder, is_held

HOLDER = """
import sys, time
from pathlib import Path
from pytest_pipeline.host.locking import held, is_held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
print("free", flush=True)
"""

COUNTER = """
import sys
from pathlib import Path
from pytest_pipeline.host.locking import held, is_held
number = Path(sys.argv[2])
for _ in range(200):
    with held(Path(sys.argv[1])):
        number.write_text(str(int(number.read_text()) + 1))
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_nobody_else_holds_it_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("0")
    processes = [start(COUNTER, tmp_path / "locks/a.lock", tmp_path / "number") for _ in range(3)]

    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert (tmp_path / "number").read_text() == "600"
    for process in processes:
        process.communicate()


def test_the_death_of_its_holder_frees_it(tmp_path: Path) -> None:
    holder = start(HOLDER, tmp_path / "a.lock")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waiter = start(HOLDER, tmp_path / "a.lock")

    holder.send_signal(signal.SIGKILL)
    holder.communicate()

    assert waiter.communicate("\n", timeout=30)[0] == "held\nfree\n"


def test_it_is_held_until_the_context_ends_and_then_free(tmp_path: Path) -> None:
    with held(tmp_path / "a.lock"):
        waiter = start(HOLDER, tmp_path / "a.lock")
        with pytest.raises(subprocess.TimeoutExpired):
            waiter.wait(0.5)
    assert waiter.communicate("\n", timeout=30)[0] == "held\nfree\n"


def test_an_error_within_is_that_error_and_frees_it(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="mine"), held(tmp_path / "a.lock"):
        raise OSError("mine")
    with held(tmp_path / "a.lock"):
        pass


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(HostError, match=r"a\.lock cannot be taken: .*\. Make its directory writable"),
        held(tmp_path / "file" / "a.lock"),
    ):
        raise AssertionError("not reached")


def test_the_file_names_the_process_that_took_it_last(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert holder(path) is None
    path.write_text("9" * 30)
    with held(path):
        assert holder(path) == os.getpid()
    assert holder(path) == os.getpid()
    path.write_text("nobody")
    assert holder(path) is None


def test_that_a_lock_is_held_can_be_seen_without_taking_it(tmp_path: Path) -> None:
    path = tmp_path / "below" / "lock"
    assert not is_held(path)
    assert not path.parent.exists()
    with held(path):
        assert is_held(path)
        assert is_held(path)
    assert not is_held(path)
    with held(path):
        pass


def test_that_it_cannot_be_looked_at_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot be taken"):
        is_held(tmp_path)
