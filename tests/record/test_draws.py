"""A second attempt after a model had begun is a second chance, and is told as one."""

from __future__ import annotations

import pytest

from pytest_pipeline.errors import FailureKind
from pytest_pipeline.record import junit
from pytest_pipeline.record.draws import draws, redrawn_runs
from pytest_pipeline.record.model import AttemptRecord, Outcome, SessionRecord, StepRecord, TaskRunKey, TaskRunRecord
from pytest_pipeline.record.store import Store
from tests.record.conftest import at


def attempt(*steps: str, **facts: str) -> AttemptRecord:
    made = tuple(StepRecord(name, at(1)) for name in steps)
    return AttemptRecord(1, at(1), Outcome.INTERRUPTED, steps=made, properties=facts)


@pytest.mark.parametrize(
    ("one", "begun"),
    [
        (attempt("prepare"), False),
        (attempt("push", "merge", commit="abc"), False),
        (attempt("prepare", "agent"), True),
        (attempt("prepare", "agent", agent_status="failed"), True),
        (attempt("prepare", "agent", agent_status="unavailable"), False),
        (attempt("prepare", "agent", agent_status="unavailable", cost_usd="0", turns="0"), False),
        (attempt("prepare", "agent", agent_status="unavailable", cost_usd="0.01"), True),
        (attempt("prepare", "agent", agent_status="unavailable", turns="1"), True),
    ],
)
def test_an_agent_had_begun_unless_it_is_known_that_it_had_not(one: AttemptRecord, begun: bool) -> None:
    assert draws([one]) == begun
    assert draws([one, attempt("agent")]) == begun + 1


def test_the_runs_in_which_a_task_was_drawn_anew_are_known() -> None:
    def tried(run: int, task: str, *attempts: AttemptRecord) -> TaskRunRecord:
        return TaskRunRecord(TaskRunKey("S", run, "p.md", "1", task), "T", Outcome.PASSED, "", attempts)

    begun, not_begun = attempt("agent"), attempt("prepare")
    assert redrawn_runs([tried(1, "a", begun), tried(2, "a", begun), tried(2, "b", begun, begun)]) == {2}
    assert redrawn_runs([tried(1, "a", not_begun, begun)]) == set()


def test_the_store_tells_them(store: Store) -> None:
    for run in (2, 3):
        store.admit_run("S", run, at(1))
    for run, step in ((1, "agent"), (2, "prepare"), (3, "agent")):
        key = TaskRunKey("S", run, "p.md", "1", "a")
        for number in range(2 if run < 3 else 1):
            made = store.admit_attempt(key, "T", at(2))
            store.begin_step(made, step, at(2))
            store.end_step(made, step, Outcome.PASSED, "", at(3))
            store.finish_attempt(made, Outcome.FAILED, FailureKind.AGENT, f"{number}", {}, at(4))

    assert store.redrawn("S") == {1}
    assert store.redrawn("T") == set()


def test_a_test_case_of_several_attempts_tells_the_draws() -> None:
    session = SessionRecord("S", at(1), 1, 1)
    key = TaskRunKey("S", 1, "p.md", "1", "1.1")

    def told(*attempts: AttemptRecord) -> str | None:
        return dict(junit.testcase_properties(session, TaskRunRecord(key, "T", Outcome.PASSED, "", attempts))).get(
            "pipeline.draws"
        )

    assert told(attempt("agent"), attempt("prepare", "agent")) == "2"
    assert told(attempt("prepare"), attempt("prepare", "agent")) == "1"
    assert told(attempt("agent")) is None
