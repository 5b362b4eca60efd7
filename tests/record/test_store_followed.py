"""What other processes ask of a session that is under way, and what is written for those that have died."""

from __future__ import annotations

from pytest_pipeline.errors import FailureKind
from pytest_pipeline.record.model import Ended, Outcome, SessionRecord, TaskRunKey
from pytest_pipeline.record.store import Store
from tests.record.conftest import at

KEY = TaskRunKey("S", 1, "plans/hello.md", "1", "1.1")
OTHER = TaskRunKey("S", 1, "plans/hello.md", "1", "1.2")
THIRD = TaskRunKey("S", 1, "plans/hello.md", "2", "1.1")


def test_the_last_attempt_says_how_a_task_run_stands(store: Store) -> None:
    first = store.admit_attempt(KEY, "One", at(1))
    store.finish_attempt(first, Outcome.FAILED, FailureKind.AGENT, "no", {}, at(2))
    second = store.admit_attempt(KEY, "One", at(3))
    store.skip_task_run(OTHER, "Two", Outcome.COMPLETED, "The plan says so.")
    assert store.outcomes("S", 1) == {
        KEY: Ended(Outcome.RUNNING, merged=True),
        OTHER: Ended(Outcome.COMPLETED, merged=True),
    }

    store.finish_attempt(second, Outcome.PASSED, None, "", {"pull_request_state": "open"}, at(4))

    assert store.outcomes("S", 1)[KEY] == Ended(Outcome.PASSED, merged=False)
    assert store.outcomes("S", 2) == {}
    assert store.outcomes("T", 1) == {}


def test_the_attempt_of_a_worker_that_died_fails_with_its_steps_and_keeps_what_was_noted(store: Store) -> None:
    dead, alive = store.admit_attempt(KEY, "One", at(1)), store.admit_attempt(THIRD, "Three", at(1))
    store.note_attempt(dead, {"cost_usd": "0.50"})
    store.begin_step(dead, "agent", at(2))
    store.begin_step(alive, "agent", at(2))

    assert store.abandon(KEY, FailureKind.INFRASTRUCTURE, "The worker died.", at(5))

    (attempt,) = store.attempts(KEY)
    assert (attempt.outcome, attempt.failure_kind, attempt.message, attempt.finished) == (
        Outcome.FAILED,
        FailureKind.INFRASTRUCTURE,
        "The worker died.",
        at(5),
    )
    assert attempt.properties == {"cost_usd": "0.50"}
    assert [(step.outcome, step.finished) for step in attempt.steps] == [(Outcome.INTERRUPTED, at(5))]
    (other,) = store.attempts(THIRD)
    assert other.outcome is Outcome.RUNNING
    assert other.steps[0].finished is None
    assert not store.abandon(KEY, FailureKind.INFRASTRUCTURE, "Again.", at(6)), "nothing of it is under way"
    assert not store.abandon(OTHER, FailureKind.INFRASTRUCTURE, "Never begun.", at(6))


def test_whatever_is_under_way_at_the_end_of_a_session_was_interrupted(store: Store) -> None:
    ended, running = store.admit_attempt(KEY, "One", at(1)), store.admit_attempt(OTHER, "Two", at(1))
    store.finish_attempt(ended, Outcome.PASSED, None, "", {}, at(2))
    store.begin_step(running, "agent", at(2))

    store.interrupt("S", "The session ended.", at(3))
    store.interrupt("S", "The session ended.", at(4))

    assert store.attempts(KEY)[0].outcome is Outcome.PASSED
    (attempt,) = store.attempts(OTHER)
    assert (attempt.outcome, attempt.failure_kind, attempt.finished) == (
        Outcome.INTERRUPTED,
        FailureKind.INTERRUPTED,
        at(3),
    )


def test_steps_are_told_in_the_order_in_which_they_began_and_from_a_row_on(store: Store) -> None:
    one, two = store.admit_attempt(KEY, "One", at(1)), store.admit_attempt(OTHER, "Two", at(1))
    store.begin_step(one, "prepare", at(2))
    store.begin_step(two, "prepare", at(3))
    store.end_step(one, "prepare", Outcome.PASSED, "", at(4))

    steps = store.steps_after("S", 0)

    assert [(key.task, step.name, step.finished) for _, key, step in steps] == [
        ("1.1", "prepare", at(4)),
        ("1.2", "prepare", None),
    ]
    assert [key.task for _, key, _ in store.steps_after("S", steps[0][0])] == ["1.2"]
    assert store.steps_after("S", steps[1][0]) == []
    assert store.steps_after("T", 0) == []


def test_of_steps_that_had_not_ended_the_ends_are_told_and_only_so_many_at_once(store: Store) -> None:
    one, two = store.admit_attempt(KEY, "One", at(1)), store.admit_attempt(OTHER, "Two", at(1))
    for attempt in (one, two, one):
        store.begin_step(attempt, "agent", at(2))
    first, second, third = (row for row, _, _ in store.steps_after("S", 0))
    store.end_step(two, "agent", Outcome.PASSED, "", at(4))

    assert [row for row, _, _ in store.steps_after("S", third, unended=[first, second])] == [second]
    assert [row for row, _, _ in store.steps_after("S", first, unended=[first], most=1)] == [second]
    assert store.steps_after("T", third, unended=[second]) == []


def test_a_session_is_found_by_a_fact(store: Store) -> None:
    for name in ("T", "U"):
        store.open_session(SessionRecord(name, at(1), 1, 1, {"execution": "same"}))

    assert store.session_with("execution", "same") == "U"
    assert store.session_with("agent", "reference") == "S"
    assert store.session_with("agent", "same") is None
