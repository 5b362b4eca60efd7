from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
import sqlalchemy as sa

from pytest_pipeline.errors import FailureKind, StoreError
from pytest_pipeline.record.model import (
    AttemptId,
    AttemptRecord,
    Outcome,
    RunRecord,
    SessionRecord,
    StepRecord,
    TaskRunKey,
)
from pytest_pipeline.record.store import Store
from tests.record.conftest import at

KEY = TaskRunKey("S", 1, "plans/hello.md", "batch-1", "1.1")
OTHER = TaskRunKey("S", 1, "plans/hello.md", "batch-1", "1.2")


def test_a_session_comes_back_as_it_was_told(store: Store) -> None:
    assert store.session("S") == SessionRecord("S", at(0), 10, 10, {"agent": "reference"})


def test_a_closed_session_knows_its_result(store: Store) -> None:
    store.close_session("S", streak=3, met=False, exit_code=1, finished=at(9))
    found = store.session("S")
    assert (found.streak, found.met, found.exit_code, found.finished) == (3, False, 1, at(9))


def test_opening_the_same_session_twice_changes_nothing(store: Store) -> None:
    store.open_session(store.session("S"))
    assert len(store.sessions()) == 1
    assert store.session("S").facts == {"agent": "reference"}


def test_a_session_cannot_take_the_id_of_another(store: Store) -> None:
    with pytest.raises(StoreError, match="another session has the id S"):
        store.open_session(SessionRecord("S", at(1), 10, 10))


def test_a_fact_that_changes_in_a_session_keeps_each_change(store: Store) -> None:
    for version in ("2.1.197", "2.1.198", "2.1.198", "2.1.197"):
        store.fact("S", "agent_version", version)
    assert store.session("S").facts["agent_version"] == "2.1.197; 2.1.198; 2.1.197"


def test_a_fact_that_another_session_knows_is_told_to_this_one_too(store: Store) -> None:
    store.open_session(SessionRecord("T", at(1), 1, 1))
    store.fact("T", "agent", "reference")
    assert store.session("T").facts == {"agent": "reference"}


def test_runs_are_counted_in_the_order_of_admission(store: Store) -> None:
    store.admit_run("S", 3, at(2))
    store.admit_run("S", 2, at(3))
    assert [(run.admitted, run.number) for run in store.runs("S")] == [(1, 1), (2, 3), (3, 2)]


def test_admitting_a_run_again_gives_the_first_admission(store: Store) -> None:
    store.finish_run("S", 1, Outcome.PASSED, at(5))
    assert store.admit_run("S", 1, at(100)) == RunRecord("S", 1, 1, at(1), Outcome.PASSED, at(5))
    assert len(store.runs("S")) == 1


def test_each_session_counts_its_own_runs(store: Store) -> None:
    store.open_session(SessionRecord("T", at(0), 1, 1))
    assert store.admit_run("T", 7, at(1)).admitted == 1


def test_attempts_are_numbered_and_the_last_one_decides(store: Store) -> None:
    first = store.admit_attempt(KEY, "Create it", at(2))
    store.finish_attempt(first, Outcome.FAILED, FailureKind.AGENT, "it did nothing", {"branch": "b1"}, at(3))
    second = store.admit_attempt(KEY, "Create it", at(4))
    store.finish_attempt(second, Outcome.PASSED, None, "", {"branch": "b2"}, at(5))
    (found,) = store.task_runs("S")
    assert (found.key, found.title, found.outcome) == (KEY, "Create it", Outcome.PASSED)
    assert found.attempts == store.attempts(KEY)
    assert found.attempts == (
        AttemptRecord(1, at(2), Outcome.FAILED, at(3), FailureKind.AGENT, "it did nothing", {"branch": "b1"}),
        AttemptRecord(2, at(4), Outcome.PASSED, at(5), None, "", {"branch": "b2"}),
    )


def test_a_retry_that_is_under_way_takes_back_the_verdict_of_the_first_attempt(store: Store) -> None:
    first = store.admit_attempt(KEY, "Create it", at(2))
    store.finish_attempt(first, Outcome.PASSED, None, "", {}, at(3))
    assert store.admit_attempt(KEY, "Create it", at(4)).number == 2
    assert store.task_runs("S")[0].outcome is Outcome.RUNNING


def test_steps_come_in_the_order_in_which_they_began(store: Store) -> None:
    attempt = store.admit_attempt(KEY, "Create it", at(2))
    store.begin_step(attempt, "agent", at(3))
    store.end_step(attempt, "agent", Outcome.PASSED, "did it", at(4))
    store.begin_step(attempt, "push", at(5))
    assert store.attempts(KEY)[0].steps == (
        StepRecord("agent", at(3), at(4), Outcome.PASSED, "did it"),
        StepRecord("push", at(5)),
    )


def test_a_step_that_was_begun_twice_ends_once_the_later_one_first(store: Store) -> None:
    attempt = store.admit_attempt(KEY, "Create it", at(2))
    store.begin_step(attempt, "push", at(3))
    store.begin_step(attempt, "push", at(4))
    store.end_step(attempt, "push", Outcome.PASSED, "", at(5))
    assert [step.finished for step in store.attempts(KEY)[0].steps] == [None, at(5)]


def test_a_task_run_that_is_skipped_says_why(store: Store) -> None:
    store.skip_task_run(KEY, "Create it", Outcome.SKIPPED, "task 1.0 failed")
    store.skip_task_run(OTHER, "Done before", Outcome.COMPLETED, "its status is completed")
    found = store.task_runs("S")
    assert [(each.outcome, each.reason, each.attempts) for each in found] == [
        (Outcome.SKIPPED, "task 1.0 failed", ()),
        (Outcome.COMPLETED, "its status is completed", ()),
    ]


def test_task_runs_can_be_asked_for_by_run(store: Store) -> None:
    store.admit_run("S", 2, at(3))
    in_run_2 = TaskRunKey("S", 2, KEY.plan, KEY.batch, KEY.task)
    store.admit_attempt(in_run_2, "Create it", at(4))
    store.admit_attempt(KEY, "Create it", at(5))
    assert [each.key for each in store.task_runs("S")] == [KEY, in_run_2]
    assert [each.key for each in store.task_runs("S", 2)] == [in_run_2]
    assert store.task_runs("S", 3) == ()
    assert store.attempts(OTHER) == ()


def test_everything_is_there_after_the_store_was_closed_and_opened(store: Store, url: str) -> None:
    attempt = store.admit_attempt(KEY, "Create it", at(2))
    store.begin_step(attempt, "agent", at(3))
    before = (store.sessions(), store.runs("S"), store.task_runs("S"))
    store.close()
    with Store.open(url) as again:
        assert (again.sessions(), again.runs("S"), again.task_runs("S")) == before


def test_times_of_any_zone_come_back_as_the_same_moment_in_utc(store: Store) -> None:
    local = datetime(2026, 1, 1, 14, 30, 0, 123456, timezone(timedelta(hours=5, minutes=30)))
    found = store.admit_run("S", 2, local).started
    assert found == local
    assert found.tzinfo is timezone.utc


def test_a_time_without_zone_is_a_defect_of_the_caller(store: Store) -> None:
    with pytest.raises(sa.exc.StatementError, match="has no time zone"):
        store.admit_run("S", 2, datetime(2026, 1, 1))


def test_texts_that_databases_refuse_are_escaped_and_found_again(store: Store) -> None:
    key = TaskRunKey("S", 1, "plans/\udcff.md", "batch\0", "1")
    attempt = store.admit_attempt(key, "nul \0", at(2))
    properties = {"branch": "\udcff", "model": "\0", "cost_usd": "0.5"}
    store.finish_attempt(attempt, Outcome.FAILED, FailureKind.AGENT, "\ud800", properties, at(3))
    assert store.cost("S") == Decimal("0.5")
    assert len(store.outcomes("S", 1)) == 1
    assert store.admit_attempt(key, "nul \0", at(4)).number == 2
    (found,) = store.task_runs("S")
    assert (found.key.plan, found.key.batch, found.title) == ("plans/\\udcff.md", "batch\\x00", "nul \\x00")
    assert found.attempts[0].message == "\\ud800"
    assert found.attempts[0].properties == {"branch": "\\udcff", "model": "\\x00", "cost_usd": "0.5"}


ENDINGS = [
    pytest.param(lambda store, _, outcome: store.finish_run("S", 1, outcome, at(9)), id="run"),
    pytest.param(
        lambda store, attempt, outcome: store.finish_attempt(attempt, outcome, None, "", {}, at(9)), id="attempt"
    ),
]
End = Callable[[Store, AttemptId, Outcome], None]


@pytest.mark.parametrize("end", ENDINGS)
@pytest.mark.parametrize(
    ("first", "second"), list(itertools.permutations([Outcome.PASSED, Outcome.FAILED, Outcome.INTERRUPTED], 2))
)
def test_what_has_ended_cannot_end_in_another_way(store: Store, end: End, first: Outcome, second: Outcome) -> None:
    attempt = store.admit_attempt(KEY, "Create it", at(2))
    end(store, attempt, first)
    before = (store.runs("S"), store.task_runs("S"))
    end(store, attempt, first)
    with pytest.raises(StoreError, match=f"has ended as {first} and cannot end as {second}"):
        end(store, attempt, second)
    assert (store.runs("S"), store.task_runs("S")) == before


@pytest.mark.parametrize("end", ENDINGS)
def test_nothing_ends_as_running(store: Store, end: End) -> None:
    attempt = store.admit_attempt(KEY, "Create it", at(2))
    with pytest.raises(ValueError, match="cannot end as running"):
        end(store, attempt, Outcome.RUNNING)


def test_a_session_cannot_be_closed_with_another_result(store: Store) -> None:
    store.close_session("S", streak=3, met=False, exit_code=1, finished=at(9))
    store.close_session("S", streak=3, met=False, exit_code=1, finished=at(10))
    with pytest.raises(StoreError, match="has ended already"):
        store.close_session("S", streak=10, met=True, exit_code=0, finished=at(10))
    assert store.session("S").finished == at(9)


NOWHERE = AttemptId(999, 1)
REFUSED = {
    "a run of an unknown session": lambda store: store.admit_run("X", 1, at(1)),
    "the end of an unknown run": lambda store: store.finish_run("S", 9, Outcome.PASSED, at(1)),
    "an attempt in an unknown run": lambda store: store.admit_attempt(TaskRunKey("S", 9, "p", "b", "t"), "", at(1)),
    "the end of an unknown attempt": lambda store: store.finish_attempt(NOWHERE, Outcome.PASSED, None, "", {}, at(1)),
    "a step of an unknown attempt": lambda store: store.begin_step(NOWHERE, "agent", at(1)),
    "the end of a step that did not begin": lambda store: store.end_step(NOWHERE, "agent", Outcome.PASSED, "", at(1)),
    "a fact about an unknown session": lambda store: store.fact("X", "agent", "claude"),
    "a skip in an unknown run": lambda store: store.skip_task_run(
        TaskRunKey("S", 9, "p", "b", "t"), "", Outcome.SKIPPED, ""
    ),
}


@pytest.mark.parametrize("said", REFUSED.values(), ids=REFUSED.keys())
def test_what_refers_to_nothing_is_refused(store: Store, said: Callable[[Store], object]) -> None:
    with pytest.raises(StoreError, match=r"^The store \S+ refused an entry"):
        said(store)


def test_an_unknown_session_cannot_be_read(store: Store) -> None:
    with pytest.raises(StoreError, match="holds no session X"):
        store.session("X")


def test_a_failed_task_run_cannot_be_made_a_completed_one(store: Store) -> None:
    attempt = store.admit_attempt(KEY, "Create it", at(2))
    store.finish_attempt(attempt, Outcome.FAILED, FailureKind.AGENT, "", {}, at(3))
    with pytest.raises(StoreError, match="has been tried or skipped already"):
        store.skip_task_run(KEY, "Create it", Outcome.COMPLETED, "")
    assert store.task_runs("S")[0].outcome is Outcome.FAILED


def test_a_skipped_task_run_stays_skipped_in_the_same_way(store: Store) -> None:
    store.skip_task_run(KEY, "Create it", Outcome.SKIPPED, "task 1.0 failed")
    store.skip_task_run(KEY, "Create it", Outcome.SKIPPED, "told twice")
    with pytest.raises(StoreError, match="has been tried or skipped already"):
        store.skip_task_run(KEY, "Create it", Outcome.COMPLETED, "")
    assert store.task_runs("S")[0].reason == "task 1.0 failed"


def test_only_what_is_a_skip_can_be_skipped_as(store: Store) -> None:
    with pytest.raises(ValueError, match="not skipped as passed"):
        store.skip_task_run(KEY, "Create it", Outcome.PASSED, "")


@pytest.mark.parametrize("url", ["sqlite_url"], indirect=True)
def test_admissions_are_synced_to_the_disk_and_steps_are_not(store: Store) -> None:
    said: list[str] = []

    def hear(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        said.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", hear)
    try:
        attempt = store.admit_attempt(KEY, "Create it", at(2))
        admission = list(said)
        said.clear()
        store.begin_step(attempt, "agent", at(3))
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", hear)
    assert admission[:2] == ["PRAGMA synchronous=FULL", "BEGIN IMMEDIATE"]
    assert said[:2] == ["PRAGMA synchronous=NORMAL", "BEGIN IMMEDIATE"]


def test_the_store_has_no_way_to_forget() -> None:
    names = {name for name in vars(Store) if not name.startswith("_")}
    assert not {name for name in names if name.startswith(("delete", "remove", "clear", "drop", "reset"))}


def test_a_session_has_cost_what_all_its_attempts_have_cost_also_those_under_way(store: Store) -> None:
    store.open_session(SessionRecord("T", at(0), 1, 1))
    store.admit_run("T", 1, at(1))
    for session, task, costs in (("S", "1.1", ("0.10", "0.20")), ("S", "1.2", ("unknown",)), ("T", "1.1", ("5",))):
        for cost in costs:
            attempt = store.admit_attempt(TaskRunKey(session, 1, "p.md", "1", task), "", at(2))
            store.finish_attempt(attempt, Outcome.FAILED, None, "", {"cost_usd": cost, "turns": "3"}, at(3))
    store.note_attempt(store.admit_attempt(OTHER, "", at(4)), {"cost_usd": "0.7"})
    store.admit_attempt(TaskRunKey("S", 1, "p.md", "1", "2.1"), "", at(4))

    assert store.cost("S") == Decimal("1.00")
    assert store.cost("T") == 5
    assert store.costs("S") == {
        TaskRunKey("S", 1, "p.md", "1", "1.1"): Decimal("0.30"),
        OTHER: Decimal("0.7"),
    }


def test_ten_times_ten_cents_are_a_dollar(store: Store) -> None:
    for number in range(10):
        attempt = store.admit_attempt(TaskRunKey("S", 1, "p.md", "1", str(number)), "", at(2))
        store.finish_attempt(attempt, Outcome.PASSED, None, "", {"cost_usd": "0.1"}, at(3))

    assert store.cost("S") == 1


def test_a_session_without_attempts_has_cost_nothing(store: Store) -> None:
    assert store.cost("S") == 0


def test_what_is_noted_of_an_attempt_is_there_while_it_is_under_way(store: Store) -> None:
    attempt = store.admit_attempt(KEY, "", at(2))

    store.note_attempt(attempt, {"cost_usd": "0.1", "agent": "own"})
    store.note_attempt(attempt, {"cost_usd": "0.2"})

    (found,) = store.attempts(KEY)
    assert (found.outcome, dict(found.properties)) == (Outcome.RUNNING, {"cost_usd": "0.2"})


def test_nothing_is_noted_of_an_attempt_that_has_ended_or_never_was(store: Store) -> None:
    attempt = store.admit_attempt(KEY, "", at(2))
    store.finish_attempt(attempt, Outcome.FAILED, None, "", {"cost_usd": "0.1"}, at(3))

    for wrong in (attempt, AttemptId(attempt.row + 1, 1)):
        with pytest.raises(StoreError, match="was not admitted, or has ended"):
            store.note_attempt(wrong, {})

    assert store.attempts(KEY)[0].properties == {"cost_usd": "0.1"}


def test_sessions_come_in_the_order_in_which_they_were_opened(store: Store) -> None:
    store.open_session(SessionRecord("R", at(9), 1, 1, {"agent": "reference"}))
    store.open_session(SessionRecord("Q", at(-9), 1, 1, {"agent": "reference"}))  # a clock that was set back
    store.fact("S", "note", "later")
    store.open_session(SessionRecord("without facts", at(5), 1, 1))
    store.open_session(SessionRecord("earlier without facts", at(-5), 1, 1))
    assert [each.id for each in store.sessions()] == ["S", "R", "Q", "earlier without facts", "without facts"]


def test_the_models_that_agents_used_are_told_once_each(store: Store) -> None:
    assert store.models("S") == frozenset()
    for task, model in (("1.1", "m-1"), ("1.2", "m-2"), ("1.3", "m-1")):
        store.admit_attempt(TaskRunKey("S", 1, "p.md", "1", task), "T", at(2), {"model": model})
    store.admit_attempt(TaskRunKey("S", 1, "p.md", "1", "1.4"), "T", at(2), {"cost_usd": "1"})
    store.open_session(SessionRecord("T", at(9), 1, 1))

    assert store.models("S") == {"m-1", "m-2"}
    assert store.models("T") == frozenset()
