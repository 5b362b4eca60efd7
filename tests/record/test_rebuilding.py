"""A record made again from what the store holds of a session, however that ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from pytest_pipeline.errors import FailureKind, StoreError
from pytest_pipeline.record.criterion import judge
from pytest_pipeline.record.junit import REPORT
from pytest_pipeline.record.model import (
    AttemptRecord,
    Outcome,
    RunRecord,
    SessionRecord,
    StepRecord,
    TaskRunKey,
    TaskRunRecord,
)
from pytest_pipeline.record.rebuilding import Case, Rebuilt, rebuild
from pytest_pipeline.record.reported import Reported
from pytest_pipeline.record.selection import Selection
from tests.record.conftest import at

TITLES = {("p.md", "1", name): (f"Do {name}", line) for line, name in enumerate(("a", "b"), 3)}


def session(count: int = 1, *, finished: bool = True, required: int = 0, **facts: str) -> SessionRecord:
    nodes = {
        f"p.md::run-{run:02d}::batch-1::{task}": TaskRunKey("S", run, "p.md", "1", task)
        for run in range(1, count + 1)
        for _, _, task in TITLES
    }
    if count == 1:
        nodes = {node.replace("run-01::", ""): key for node, key in nodes.items()}
    told = Selection.of(nodes, TITLES, count=count).facts(len(nodes))
    return SessionRecord("S", at(0), required or count, count, {**told, **facts}, at(9) if finished else None)


def run(number: int = 1, outcome: Outcome = Outcome.PASSED) -> RunRecord:
    return RunRecord("S", number, number, at(1), outcome, at(8))


def tried(task: str, *attempts: AttemptRecord, run: int = 1) -> TaskRunRecord:
    return TaskRunRecord(TaskRunKey("S", run, "p.md", "1", task), f"Do {task}", attempts[-1].outcome, "", attempts)


def attempt(outcome: Outcome, number: int = 1, values: Mapping[str, str] | None = None) -> AttemptRecord:
    kind = FailureKind.AGENT if outcome is Outcome.FAILED else None
    return AttemptRecord(number, at(2), outcome, at(4.5), kind, "it broke", values or {})


def reported(text: str) -> dict[str, str]:
    return {REPORT: Reported("call", "failed", text).fact()}


def made(
    of: SessionRecord, task_runs: Iterable[TaskRunRecord], runs: Iterable[RunRecord] = (), spent: str = "0"
) -> Rebuilt:
    verdict = judge([*runs], of.required, of.count, chaos="chaos" in of.facts)
    return rebuild(of, verdict, [*task_runs], Decimal(spent))


def told(case: Case) -> Mapping[str, str]:
    return {name.removeprefix("pipeline."): value for name, value in case.properties}


PASSED = attempt(Outcome.PASSED)


def test_what_passed_and_what_was_reported_come_back_as_they_were() -> None:
    failed = attempt(Outcome.FAILED, values=reported("agent: it broke\n  and how"))

    first, second = made(session(), [tried("a", PASSED), tried("b", failed)], [run()]).cases

    assert (first.node, first.reported, first.seconds) == ("p.md::batch-1::a", None, 2.5)
    assert second.reported == Reported("call", "failed", "agent: it broke\n  and how")
    assert (told(second)["outcome"], told(second)["failure_kind"]) == ("failed", "agent")
    assert "report" not in told(second)


def test_a_failure_that_came_after_the_last_report_is_an_error_of_the_teardown() -> None:
    (case, _) = made(session(), [tried("a", attempt(Outcome.FAILED)), tried("b", PASSED)], [run()]).cases
    assert case.reported == Reported("teardown", "failed", "agent: it broke")


def test_attempts_within_a_test_case_share_one_and_those_of_reruns_have_their_own() -> None:
    unavailable = attempt(Outcome.FAILED, values={"cost_usd": "1"})
    repeated = attempt(Outcome.FAILED, 2, {"cost_usd": "2", **reported("first")})
    last = attempt(Outcome.PASSED, 3, {"cost_usd": "4"})

    first, second, _ = made(session(), [tried("a", unavailable, repeated, last), tried("b", PASSED)], [run()]).cases

    assert (told(first)["attempt"], told(first)["outcome"], first.reported) == ("2", "failed", None)
    assert (told(second)["attempt"], told(second)["outcome"]) == ("3", "passed")
    assert [told(each)["cost_usd_all_attempts"] for each in (first, second)] == ["3", "7"]
    assert not first.passed


def test_of_a_killed_session_every_item_appears_once_with_what_became_of_it() -> None:
    running = AttemptRecord(1, at(2), steps=(StepRecord("prepare", at(2), at(3)), StepRecord("agent", at(3))))

    record = made(session(2, finished=False), [tried("a", running)], [run(1, Outcome.RUNNING)])

    assert [(each.node, told(each)["outcome"]) for each in record.cases] == [
        ("p.md::run-01::batch-1::a", "interrupted"),
        ("p.md::run-01::batch-1::b", "skipped"),
        ("p.md::run-02::batch-1::a", "skipped"),
        ("p.md::run-02::batch-1::b", "skipped"),
    ]
    first, *others = record.cases
    ended = "interrupted: The process that carried it out ended before it did in step agent."
    assert first.reported == Reported("setup", "failed", ended)
    assert {each.reported.text for each in others if each.reported} == {
        "It was not run: the session ended before its turn came."
    }
    assert dict(record.properties)["pipeline.criterion.streak"] == "0"


def test_what_was_skipped_says_why() -> None:
    skipped = TaskRunRecord(TaskRunKey("S", 1, "p.md", "1", "a"), "Do a", Outcome.SKIPPED, "It needs b.")
    case, _ = made(session(), [skipped, tried("b", PASSED)], [run()]).cases
    assert case.reported == Reported("setup", "skipped", "It needs b.")


def test_what_an_attempt_that_was_skipped_in_the_middle_says_is_kept() -> None:
    case, _ = made(session(), [tried("a", attempt(Outcome.SKIPPED)), tried("b", PASSED)], [run()]).cases
    assert case.reported == Reported("setup", "skipped", "it broke")


def test_runs_that_nobody_paid_for_are_skipped_with_that_reason() -> None:
    done = [tried("a", PASSED), tried("b", PASSED)]
    record = made(session(2, required=1, max_cost="5"), done, [run()], spent="5")
    assert [each.reported.text for each in record.cases if each.reported] == [
        "The session has cost 5.00 USD, and --max-cost allows 5. Raise it to go on."
    ] * 2


def test_runs_that_were_not_needed_any_more_are_no_test_cases() -> None:
    done = [tried("a", PASSED), tried("b", PASSED)]
    assert len(made(session(5, required=1, max_cost="5"), done, [run()], spent="4").cases) == 2
    unfinished = replace(session(5, required=1), finished=None)
    assert len(made(unfinished, done, [run()]).cases) == 10


def test_a_session_that_does_not_say_what_was_selected_is_refused() -> None:
    with pytest.raises(StoreError, match="does not say which items session S had selected"):
        made(SessionRecord("S", at(0), 1, 1, {}), [])
