"""Which sessions can be compared, and what their runs say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from pytest_pipeline.record.criterion import Verdict
from pytest_pipeline.record.history import History, look_back, verdict_of
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


def ended(session: str, letters: str) -> list[RunRecord]:
    """Runs that ended like the letters say; ``P`` is a success by a new draw."""
    ends = {"p": Outcome.PASSED, "P": Outcome.PASSED, "f": Outcome.FAILED, "r": Outcome.RUNNING}
    return [RunRecord(session, place, place, at(place), ends[end]) for place, end in enumerate(letters, 1)]


@dataclass(frozen=True)
class Kept:
    """A store: the runs of each session ended like the letters say, and its agents used these models."""

    ends: Mapping[str, str]
    used: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def runs(self, session: str) -> list[RunRecord]:
        return ended(session, self.ends[session])

    def redrawn(self, session: str) -> set[int]:
        return {place for place, end in enumerate(self.ends[session], 1) if end in "Pf"}

    def models(self, session: str) -> Sequence[str]:
        return self.used.get(session, ())


def history(outcomes: Mapping[int, str], *others: SessionRecord, models: Mapping[int, str] | None = None) -> History:
    """Sessions 1, 2, ... whose runs ended like the letters say, and others in their places."""
    sessions = {number: session(number) for number in outcomes} | {int(each.id[1:]): each for each in others}
    runs = {f"S{number}": letters for number, letters in outcomes.items()}
    used = {f"S{number}": names.split() for number, names in (models or {}).items()}
    return look_back(list(sessions.values()), f"S{max(outcomes)}", Kept(runs, used))


def test_runs_of_sessions_that_are_alike_make_one_streak() -> None:
    found = history({1: "f", 2: "pp", 3: "p"})

    assert [each.id for each in found.sessions] == ["S1", "S2", "S3"]
    assert [run.number for run in found.runs] == [1, 2, 3, 4]
    assert found.told() == "history: streak 3, longest 3; 3 of 4 runs succeeded in 3 sessions since 2026-01-01"


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


@pytest.mark.parametrize(
    ("outcomes", "models", "compared"),
    [
        ({1: "p", 2: "p", 3: "p"}, {1: "m", 2: "m", 3: "m"}, 3),
        ({1: "p", 2: "p", 3: "p"}, {1: "m", 2: "n", 3: "m"}, 1),
        ({1: "p", 2: "p", 3: "p"}, {1: "m", 2: "m n", 3: "m"}, 1),  # another one for some of the tasks
        ({1: "p", 2: "p", 3: "p"}, {1: "m", 2: "m", 3: "m n"}, 1),
        ({1: "p", 2: "p", 3: "p"}, {1: "m", 3: "m"}, 1),
        ({1: "p", 2: "f", 3: "p"}, {1: "m n", 2: "m", 3: "m n"}, 3),  # it failed before n's turn came
        ({1: "p", 2: "f", 3: "p"}, {1: "m n", 2: "o", 3: "m n"}, 1),
        ({1: "p", 2: "f", 3: "p"}, {1: "m n o", 2: "m", 3: "m n"}, 2),
        ({1: "p", 2: "p", 3: "f"}, {1: "m n", 2: "m n", 3: "m"}, 3),
        ({1: "p", 2: "p", 3: "f"}, {1: "m", 2: "n"}, 2),  # it failed before any model's turn
        ({1: "p", 2: "f", 3: "f"}, {1: "m n", 2: "m", 3: "m"}, 3),
    ],
)
def test_another_model_that_nobody_had_asked_for_ends_the_look_back(
    outcomes: Mapping[int, str], models: Mapping[int, str], compared: int
) -> None:
    found = history(outcomes, models=models)
    assert len(found.sessions) == compared
    named = f"the session before them, S{3 - compared}, had another model used"
    assert found.ended_by == (named if compared < 3 else "")


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


def test_sessions_that_were_opened_later_are_not_looked_at() -> None:
    later = replace(session(9), id="S9")
    assert [each.id for each in history({1: "p", 2: "p"}, later).sessions] == ["S1", "S2"]


def test_a_clock_that_was_set_back_hides_no_failure() -> None:
    ahead = replace(session(2), started=at(9000))
    found = history({1: "p", 2: "f", 3: "p"}, ahead)
    assert [each.id for each in found.sessions] == ["S1", "S2", "S3"]
    assert found.told().startswith("history: streak 1, longest 1; 2 of 3 runs succeeded in 3 sessions")


def counted(ends: Mapping[str, str], required: int, *, alive: bool = False, **facts: str) -> Verdict:
    """What the last of these sessions says, which counts the runs of all."""
    last = [*ends][-1]
    known = SessionRecord(last, at(0), required, 1, {"history": ", ".join(ends), **facts})
    return verdict_of(Kept(ends), known, alive=alive)


def test_a_session_that_names_a_history_is_judged_with_the_runs_of_all_its_sessions() -> None:
    verdict = counted({"A": "f", "B": "pp", "C": "p"}, 3)
    assert (verdict.streak, verdict.met, verdict.admitted, verdict.successful) == (3, True, 4, 3)
    assert (verdict.count, verdict.fixed_in_advance) == (None, False)
    assert not counted({"A": "pp", "B": "p"}, 3, chaos="seed 7").met


def test_new_draws_are_counted_in_all_its_sessions_where_their_runs_succeeded() -> None:
    assert counted({"A": "Pf", "B": "pP", "C": "P"}, 3).redrawn == 3
    assert verdict_of(Kept({"A": "Pp"}), SessionRecord("A", at(0), 2, 2)).proving == 1


def test_one_that_names_none_is_judged_alone() -> None:
    verdict = verdict_of(Kept({"A": "pp"}), SessionRecord("A", at(0), 2, 2, {}))
    assert (verdict.streak, verdict.met, verdict.fixed_in_advance) == (2, True, True)
    assert not verdict_of(Kept({"A": "p"}), SessionRecord("A", at(0), 1, 1, {"chaos": "seed 7"})).met


def test_one_that_was_taken_up_again_counts_what_it_named_last() -> None:
    known = SessionRecord("C", at(0), 3, 1, {"history": "A, C; B, C"})
    assert verdict_of(Kept({"A": "f", "B": "p", "C": "p"}), known).admitted == 2


def test_a_run_that_an_earlier_session_left_under_way_breaks_the_streak() -> None:
    for alive in (False, True):
        assert counted({"A": "p", "B": "r", "C": "p"}, 2, alive=alive).streak == 1


def test_a_run_of_a_session_that_goes_on_breaks_no_streak_yet() -> None:
    verdict = counted({"A": "p", "B": "pr"}, 2, alive=True)
    assert (verdict.streak, verdict.met) == (2, False)


def test_runs_are_named_as_in_their_own_session() -> None:
    verdict = counted({"A": "pp", "B": "f"}, 3)
    assert (verdict.broken_by, verdict.order, verdict.admitted) == (1, (1,), 3)
