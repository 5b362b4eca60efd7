"""A picture as lines."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from pytest_pipeline.cases.status.drawing import clock, draw
from pytest_pipeline.cases.status.picture import Picture, Row
from pytest_pipeline.record.columns import width

WORKS = Row("gw0", 3, "plans/hello.md", "1.1", "agent", "", 65.0, Decimal("0.42"))
WAITS = Row("gw1", 4, "plans/hello.md", "2.1", "merge", "waits for its turn", 3.0)
FREE = Row("gw10", cost=Decimal("1.5"))
TESTS = Row("gw2", task="tests/test_a.py::test_b", seconds=1.0)
PICTURE = Picture(10, 2, 2, 40, 12, 0, 0, Decimal("1.92"), 3725.0, (WORKS, WAITS, FREE, TESTS))


def shown(picture: Picture, columns: int = 100, lines: int = 20) -> list[str]:
    return [line.rstrip() for line in draw(picture, columns, lines, coloured=False)]


def test_the_page_shows_what_is_drawn() -> None:
    page = (Path(__file__).parents[3] / "docs" / "parallel.md").read_text("utf-8")
    assert "```text\n" + "\n".join(shown(PICTURE)) + "\n```" in page


def test_it_tells_of_the_session_and_of_each_worker() -> None:
    assert shown(PICTURE) == [
        "pipeline  12 passed of 40 tasks  2 of 10 runs ended, streak 2  1.92 USD  1:02:05",
        "gw0   1:05  run 3, 1.1 of plans/hello.md  agent                      0.42 USD",
        "gw1   0:03  run 4, 2.1 of plans/hello.md  merge, waits for its turn",
        "gw10        free                                                     1.50 USD",
        "gw2   0:01  tests/test_a.py::test_b",
    ]


def test_what_has_not_happened_is_not_told() -> None:
    begun = replace(PICTURE, cost=Decimal(), passed=0, seconds=0.0, rows=())
    assert shown(begun)[0] == "pipeline  0 passed of 40 tasks  2 of 10 runs ended, streak 2  0:00"
    bad = replace(PICTURE, failed=1, skipped=3)
    assert "  12 passed, 1 failed, 3 skipped of 40 tasks  " in shown(bad)[0]


@pytest.mark.parametrize("columns", [1, 5, 20, 40, 79])
def test_no_line_is_longer_than_a_narrow_terminal(columns: int) -> None:
    lines = draw(PICTURE, columns, 20, coloured=False)
    assert len(lines) == 5
    assert max(width(line) for line in lines) <= columns


def test_workers_that_do_not_fit_are_counted() -> None:
    many = replace(PICTURE, rows=tuple(replace(WORKS, worker=f"gw{number}") for number in range(8)))
    assert [line.split()[0] for line in shown(many, lines=5)] == ["pipeline", "gw0", "gw1", "gw2", "and"]
    assert shown(many, lines=5)[-1] == "and 5 more workers"
    assert len(shown(many, lines=9)) == 9


@pytest.mark.parametrize(("columns", "lines"), [(0, 0), (0, 20), (80, 1)])
def test_where_there_is_no_room_there_is_nothing(columns: int, lines: int) -> None:
    assert shown(PICTURE, columns, lines) == []


def test_there_is_no_escape_sequence_without_colours() -> None:
    assert "\x1b" not in "".join(draw(PICTURE, 100, 20, coloured=False))
    assert "\x1b[" in "".join(draw(PICTURE, 100, 20, coloured=True))


def test_nothing_in_it_steers_the_terminal_or_is_markup() -> None:
    hostile = replace(WORKS, plan="a\x1b[2J\n[red]b.md", waits="\x1b]0;x\x07\r")
    text = "".join(shown(replace(PICTURE, rows=(hostile,))))
    assert "\x1b" not in text
    assert "\r" not in text
    assert "[red]b.md" in text


@pytest.mark.parametrize(("seconds", "told"), [(0.9, "0:00"), (65, "1:05"), (3599, "59:59"), (7207, "2:00:07")])
def test_times_are_those_of_a_clock(seconds: float, told: str) -> None:
    assert clock(seconds) == told
