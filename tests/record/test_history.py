"""Which sessions can be compared, and what their runs say together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from pytest_pipeline.record.criterion import judge
from pytest_pipeline.record.history import History, look_back
from pytest_pipeline.record.model import Outcome, RunRecord, SessionRecord
from tests.record.conftest import at

FACTS = {
    "plans": "plans/a.md 0123456789abcdef, plans/b, c.md fedcba9876543210",
    "repository": "octo/example",
    "tasks": "t",
    "agent": "claude",
    "agent_version": "2.1.330",
    "model": "m",
    "conditions": "c",
    "versions": "pytest-pipeline 0.1.0, pytest 9.2.0",
}


def session(number: int, facts: Mapping[str, str] | None = None) -> SessionRecord:
    return SessionRecord(f"S{number}", at(100 * number), 1, 1, {**FACTS, **(facts or {})})


def history(outcomes: Mapping[int, str], *others: SessionRecord) -> History:
    """Sessions 1, 2, ... whose runs ended like the letters say, and others in their places."""
    ends = {"p": Outcome.PASSED, "f": Outcome.FAILED, "r": Outcome.RUNNING}
    sessions = {number: session(number) for number in outcomes} | {int(each.id[1:]): each for each in others}
    runs = {
        f"S{number}": [
            RunRecord(f"S{number}", place, place, at(100 * number + place), ends[end])
            for place, end in enumerate(letters, 1)
        ]
        for number, letters in outcomes.items()
    }
    return look_back(list(sessions.values()), f"S{max(outcomes)}", lambda name: runs[name])


def test_runs_of_sessions_that_are_alike_make_one_streak() -> None:
    found = history({1: "f", 2: "pp", 3: "p"})

    assert [each.id for each in found.sessions] == ["S1", "S2", "S3"]
    assert [run.number for run in found.runs] == [1, 2, 3, 4]
    verdict = found.verdict(3, judge((), 1, 1))
    assert (verdict.streak, verdict.met, verdict.fixed_in_advance) == (3, True, False)
    assert found.told() == "history: streak 3, longest 3; 3 of 4 runs succeeded in 3 sessions since 2026-01-01"


def test_a_run_that_never_ended_breaks_the_streak() -> None:
    assert history({1: "p", 2: "r", 3: "p"}).verdict(2, judge((), 1, 1)).streak == 1


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("plans", "plans/a.md 9999999999999999, plans/b, c.md fedcba9876543210", "another plan text"),
        ("tasks", "u", "other tasks selected"),
        ("agent", "reference", "another agent"),
        ("agent_version", "2.1.330; 2.1.331", "another version of the agent"),
        ("model", "n", "another model"),
        ("rehearsal", "scripted", "another kind of rehearsal"),
        ("conditions", "d", "other options"),
        ("versions", "pytest-pipeline 0.2.0, pytest 9.2.0", "another version of pytest-pipeline"),
    ],
)
def test_a_session_of_another_experiment_ends_the_look_back_and_is_named(name: str, value: str, what: str) -> None:
    found = history({1: "p", 2: "p", 3: "p"}, session(2, {name: value}))

    assert [each.id for each in found.sessions] == ["S3"]
    assert found.told().endswith(f"in this session alone; the session before them, S2, had {what}")


def test_versions_of_other_programs_may_change() -> None:
    found = history({1: "p", 2: "p"}, session(1, {"versions": "pytest-pipeline 0.1.0, pytest 8.4.2"}))
    assert [each.id for each in found.sessions] == ["S1", "S2"]


@pytest.mark.parametrize(
    "facts",
    [
        {"repository": "octo/other"},
        {"plans": "plans/a.md 0123456789abcdef"},
        {"chaos": "seed 1", "conditions": "d"},
    ],
)
def test_sessions_about_something_else_or_under_chaos_count_for_nothing(facts: Mapping[str, str]) -> None:
    found = history({1: "p", 2: "f", 3: "p"}, session(2, facts))

    assert [each.id for each in found.sessions] == ["S1", "S3"]
    assert found.ended_by == ""


def test_later_sessions_are_not_looked_at() -> None:
    later = replace(session(9), id="S9")
    assert [each.id for each in history({1: "p", 2: "p"}, later).sessions] == ["S1", "S2"]


def test_runs_are_named_as_in_their_own_session() -> None:
    own = judge([RunRecord("S3", 1, 1, at(0), Outcome.FAILED)], 1, 1)
    verdict = history({1: "p", 2: "p", 3: "f"}).verdict(3, own)
    assert (verdict.broken_by, verdict.order, verdict.admitted) == (1, (1,), 3)
