"""Events that can be taken up again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_pipeline.record.model import Outcome, StepRecord, TaskRunKey
from pytest_pipeline.server.following import Cursor, events_of, rendered
from tests.record.conftest import at

KEY = TaskRunKey("S", 2, "plans/two.md", "1", "1.1")


@given(st.lists(st.tuples(st.integers(1, 12), st.booleans()), max_size=60), st.integers(0, 60))
def test_whoever_comes_back_with_the_id_of_an_event_is_told_exactly_the_rest(
    happenings: list[tuple[int, bool]], cut: int
) -> None:
    whole = told(Cursor(), happenings)
    before = told(Cursor(), happenings[:cut])
    resumed = Cursor.read(str(before[1]))
    after = told(resumed, happenings)
    assert before[0] + after[0] == whole[0]
    assert after[1] == whole[1]


def told(cursor: Cursor, happenings: list[tuple[int, bool]]) -> tuple[list[tuple[int, bool]], Cursor]:
    """What one is told of steps that begin and end; rows begin in their order, as the store gives them."""
    begun: set[int] = set()
    found = []
    for row, ended in [(min(row, len(begun) + 1), ended) for row, ended in happenings]:
        if not ended and row == len(begun) + 1:
            begun.add(row)
        if row in begun and (new := cursor.advance(row, ended=ended)) is not None:
            cursor = new
            found.append((row, ended))
    return found, cursor


def test_nothing_is_told_twice() -> None:
    cursor = Cursor().advance(1, ended=False)
    assert cursor is not None
    assert cursor.advance(1, ended=False) is None
    ended = cursor.advance(1, ended=True)
    assert ended == Cursor(1)
    assert ended.advance(1, ended=True) is None


@pytest.mark.parametrize(
    "text",
    [None, "", "x", "-1", "1:", "1:2:3", "1,2", "1:2,", "9" * 19, "1 2", "1\n2", "\u0661", "1:" + "1," * 1000 + "1"],
)
def test_what_is_no_id_of_an_event_means_the_beginning(text: str | None) -> None:
    assert Cursor.read(text) == Cursor()


def test_a_step_that_cannot_have_been_seen_is_not_believed() -> None:
    assert Cursor.read("3:2,9") == Cursor(3, frozenset({2}))


def test_a_step_under_way_has_begun_and_one_that_has_ended_did_both() -> None:
    under_way = list(events_of(7, KEY, StepRecord("agent", at(1)), str))
    over = list(events_of(7, KEY, StepRecord("agent", at(1), at(2), Outcome.FAILED, "no\nway"), str))
    assert [(each.row, each.ended) for each in under_way] == [(7, False)]
    assert [(each.row, each.ended) for each in over] == [(7, False), (7, True)]
    assert json.loads(over[1].data) == {
        "run": 2,
        "plan": "plans/two.md",
        "batch": "1",
        "task": "1.1",
        "step": "agent",
        "state": "finished",
        "at": "2026-01-01T00:00:02+00:00",
        "outcome": "failed",
        "detail": "no\nway",
    }


def test_a_text_cannot_end_an_event() -> None:
    (hostile,) = events_of(1, KEY, StepRecord("a\n\nid: 9", at(1)), str)
    assert rendered("step", hostile.data, Cursor(1, frozenset({1}))).count(b"\n") == 4
