"""Several real processes at one gate: what each wrote down proves that they took turns."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.forges.gate_worker import SPACING

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, order=True)
class Line:
    """One call of the log."""

    start: float
    end: float
    kind: str
    who: str
    answer: str


@contextmanager
def worker(tmp_path: Path, name: str, calls: int, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is ready to call; killed at the end if it still runs."""
    places = (str(tmp_path / "gates"), str(tmp_path / "log"))
    command = [sys.executable, "-m", "tests.forges.gate_worker", *places, name, str(calls), *more]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            hears(process, "ready")
            yield process
        finally:
            process.kill()


def hears(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == f"{word}\n"


def say_go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def read_log(tmp_path: Path) -> list[Line]:
    """All calls in the order of their starts; no two of them overlap and no change comes early."""
    words = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    calls = sorted(Line(float(start), float(end), *rest) for start, end, *rest in words)
    for before, after in itertools.pairwise(calls):
        assert before.end <= after.start
    changes = [call for call in calls if call.kind != "read"]
    for before, after in itertools.pairwise(changes):
        assert after.start - before.end >= SPACING
    return calls


def test_four_processes_take_turns_and_keep_their_distance(tmp_path: Path) -> None:
    names = ("a", "b", "c", "d")
    with ExitStack() as stack:
        processes = [stack.enter_context(worker(tmp_path, name, 18)) for name in names]
        for process in processes:
            say_go(process)
        assert [process.wait(timeout=120) for process in processes] == [0] * 4
    calls = read_log(tmp_path)
    assert {name: sum(1 for call in calls if call.who == name) for name in names} == dict.fromkeys(names, 18)


def test_a_limit_that_one_process_meets_holds_back_the_others(tmp_path: Path) -> None:
    with ExitStack() as stack:
        limited = stack.enter_context(worker(tmp_path, "limited", 3, "content"))
        others = [stack.enter_context(worker(tmp_path, name, 6)) for name in ("a", "b")]
        say_go(limited)
        hears(limited, "in")
        for process in (*others, limited):
            say_go(process)
        assert [process.wait(timeout=120) for process in (limited, *others)] == [0] * 3
    calls = read_log(tmp_path)
    assert [call.who for call in calls[:3]] == ["limited"] * 3
    assert calls[2].answer == "limited"
    assert len(calls) == 3 + 12
    assert calls[3].start - calls[2].start >= 1


def test_others_go_on_after_a_holder_was_killed_and_keep_the_distance_from_that(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stuck = stack.enter_context(worker(tmp_path, "stuck", 9, "write"))
        others = [stack.enter_context(worker(tmp_path, name, 9)) for name in ("a", "b", "c")]
        say_go(stuck)
        hears(stuck, "in")
        for process in others:
            say_go(process)
        killed = time.monotonic()
        stuck.kill()
        stuck.wait(timeout=60)
        assert [process.wait(timeout=120) for process in others] == [0] * 3
    calls = [call for call in read_log(tmp_path) if call.who != "stuck"]
    assert len(calls) == 27
    assert calls[0].start >= killed
    assert next(call for call in calls if call.kind != "read").start >= killed + SPACING
