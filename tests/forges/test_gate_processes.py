"""Several real processes at one gate: what each wrote down proves that they took turns.

They meet in files, as the processes of one machine, and in a database, as those of machines that share nothing else.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

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


@dataclass(frozen=True)
class Meeting:
    """Where the workers meet: a directory or the URL of a database. Their log is a file of the test in any case."""

    place: str
    log: Path


@pytest.fixture(params=["files", "database"])
def meeting(request: pytest.FixtureRequest, tmp_path: Path) -> Meeting:
    in_files = request.param == "files"
    return Meeting(
        str(tmp_path / "gates") if in_files else request.getfixturevalue("postgres_url"),
        tmp_path / "log",
    )


@contextmanager
def worker(meeting: Meeting, name: str, calls: int, *more: str, wrong: float = 0.0) -> Iterator[subprocess.Popen[str]]:
    """A process that is ready to call; killed at the end if it still runs."""
    where = (meeting.place, str(meeting.log), name, str(calls), str(wrong))
    command = [sys.executable, "-m", "tests.forges.gate_worker", *where, *more]
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


def read_log(meeting: Meeting) -> list[Line]:
    """All calls in the order of their starts; no two of them overlap and no change comes early."""
    words = [line.split() for line in meeting.log.read_text().splitlines()]
    calls = sorted(Line(float(start), float(end), *rest) for start, end, *rest in words)
    for before, after in itertools.pairwise(calls):
        assert before.end <= after.start
    changes = [call for call in calls if call.kind != "read"]
    for before, after in itertools.pairwise(changes):
        assert after.start - before.end >= SPACING
    return calls


def test_four_processes_take_turns_and_keep_their_distance_whatever_the_clocks_of_their_machines_say(
    meeting: Meeting,
) -> None:
    clocks = {"a": 0.0, "b": 0.0, "c": -3600.0, "d": 7200.0}
    with ExitStack() as stack:
        processes = [stack.enter_context(worker(meeting, name, 18, wrong=wrong)) for name, wrong in clocks.items()]
        for process in processes:
            say_go(process)
        assert [process.wait(timeout=120) for process in processes] == [0] * 4
    calls = read_log(meeting)
    assert {name: sum(1 for call in calls if call.who == name) for name in clocks} == dict.fromkeys(clocks, 18)


def test_a_limit_that_one_process_meets_holds_back_the_others(meeting: Meeting) -> None:
    with ExitStack() as stack:
        limited = stack.enter_context(worker(meeting, "limited", 3, "content"))
        others = [stack.enter_context(worker(meeting, name, 6)) for name in ("a", "b")]
        say_go(limited)
        hears(limited, "in")
        for process in (*others, limited):
            say_go(process)
        assert [process.wait(timeout=120) for process in (limited, *others)] == [0] * 3
    calls = read_log(meeting)
    assert [call.who for call in calls[:3]] == ["limited"] * 3
    assert calls[2].answer == "limited"
    assert len(calls) == 3 + 12
    assert calls[3].start - calls[2].start >= 1


def test_others_go_on_after_a_holder_was_killed_and_keep_the_distance_from_that(meeting: Meeting) -> None:
    with ExitStack() as stack:
        stuck = stack.enter_context(worker(meeting, "stuck", 9, "write"))
        others = [stack.enter_context(worker(meeting, name, 9)) for name in ("a", "b", "c")]
        say_go(stuck)
        hears(stuck, "in")
        for process in others:
            say_go(process)
        killed = time.monotonic()
        stuck.kill()
        stuck.wait(timeout=60)
        assert [process.wait(timeout=120) for process in others] == [0] * 3
    calls = [call for call in read_log(meeting) if call.who != "stuck"]
    assert len(calls) == 27
    assert calls[0].start >= killed
    assert next(call for call in calls if call.kind != "read").start >= killed + SPACING
