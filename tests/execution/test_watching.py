"""What an agent tells while it works: its lines, what it has cost so far, what it was denied."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from pytest_pipeline.agents.base import AgentRequest, AgentResult, AgentStatus
from pytest_pipeline.errors import FailureKind, HostError, StoreError
from pytest_pipeline.record.model import AttemptRecord, Outcome
from pytest_pipeline.record.store import Store
from tests.e2e.world import plan, task
from tests.execution.stage import Stage

MAKE_A = plan(task(files=["Create: `a.txt`"], verification=["test -e a.txt"]))


def spends(*costs: str, then: Callable[[], object] = lambda: None, result: AgentResult) -> Callable[..., AgentResult]:
    """An agent that tells these costs one after the other, and does something then."""

    def act(request: AgentRequest) -> AgentResult:
        (request.workspace / "a.txt").write_text("made\n")
        for cost in costs:
            request.on_cost(Decimal(cost))
        then()
        return result

    return act


def done(**known: object) -> AgentResult:
    return AgentResult(AgentStatus.OK, "Done.", **known)  # type: ignore[arg-type]


def recorded(stage: Stage) -> AttemptRecord:
    """The last attempt in the store, as another process reads it."""
    with Store.open(f"sqlite:///{stage.path}/.pipeline/state.db") as store:
        (record,) = store.task_runs(store.sessions()[-1].id)
        return record.attempts[-1]


def test_what_it_has_cost_so_far_is_in_the_store_while_it_works(stage: Stage) -> None:
    seen: list[AttemptRecord] = []

    stage.attempt(
        stage.open(MAKE_A), act=spends("0.5", "0.75", then=lambda: seen.append(recorded(stage)), result=done())
    )

    (attempt,) = seen
    assert attempt.outcome is Outcome.RUNNING
    assert (attempt.properties["cost_usd"], attempt.properties["cost_estimated"]) == ("0.75", "yes")
    assert attempt.properties["agent"] == "player"


@pytest.mark.parametrize(
    ("known", "cost", "estimated"),
    [
        ({}, "0.5", "yes"),
        ({"cost_usd": Decimal("0.61")}, "0.61", None),
        ({"cost_usd": Decimal("0.61"), "cost_estimated": True}, "0.61", "yes"),
        ({"cost_usd": Decimal(0)}, "0", None),
    ],
)
def test_what_it_says_at_its_end_replaces_the_estimate(
    stage: Stage, known: dict[str, object], cost: str, estimated: str | None
) -> None:
    facts = stage.attempt(stage.open(MAKE_A), act=spends("0.5", result=done(**known))).facts

    assert (facts["cost_usd"], facts.get("cost_estimated")) == (cost, estimated)


def test_an_agent_that_tells_no_cost_has_none(stage: Stage) -> None:
    facts = stage.attempt(stage.open(MAKE_A), act=spends(result=done())).facts

    assert facts.keys() & {"cost_usd", "cost_estimated", "denied_tools"} == set()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), HostError("The machine gave up.")])
def test_the_cost_of_a_run_that_was_broken_off_is_known(stage: Stage, error: BaseException) -> None:
    def broken() -> None:
        raise error

    pipeline = stage.open(MAKE_A)
    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            stage.attempt(pipeline, act=spends("0.5", then=broken, result=done()))
    else:
        stage.attempt(pipeline, act=spends("0.5", then=broken, result=done()))

    attempt = recorded(stage)
    assert (attempt.properties["cost_usd"], attempt.properties["cost_estimated"]) == ("0.5", "yes")
    assert pipeline.store.cost(pipeline.session) == Decimal("0.5")


def test_the_cost_is_known_to_other_tasks_before_the_attempt_has_ended(stage: Stage) -> None:
    seen: list[Decimal] = []
    pipeline = stage.open(MAKE_A)
    stage.onlooker.after["agent"] = lambda: seen.append(pipeline.store.cost(pipeline.session))

    stage.attempt(pipeline, act=spends(result=done(cost_usd=Decimal("1.5"))))

    assert seen == [Decimal("1.5")]


def test_denied_tools_are_counted_and_named(stage: Stage) -> None:
    facts = stage.attempt(stage.open(MAKE_A), act=spends(result=done(denied=("Bash", "Write", "Write")))).facts

    assert facts["denied_tools"] == "Write 2, Bash 1"


def test_its_lines_are_told_with_the_task_that_they_are_about(stage: Stage) -> None:
    pipeline = stage.open(MAKE_A)

    attempt = stage.attempt(pipeline, act=spends(result=done()))

    (event,) = stage.onlooker.lines
    assert (event.task, event.line) == (attempt.reference, "acts")


def test_an_onlooker_who_fails_does_not_disturb_the_agent_and_fails_the_task_afterwards(stage: Stage) -> None:
    def fails() -> None:
        raise StoreError("The onlooker failed. Mend it.")

    stage.onlooker.after["acts"] = fails
    ended: list[str] = []

    attempt = stage.attempt(
        stage.open(MAKE_A), act=spends("0.5", then=lambda: ended.append("yes"), result=done(turns=3))
    )

    assert ended == ["yes"]
    assert attempt.failure is not None
    assert (attempt.failure.kind, attempt.failure.found) == (
        FailureKind.INFRASTRUCTURE,
        "The onlooker failed. Mend it.",
    )
    assert (attempt.facts["cost_usd"], attempt.facts["turns"]) == ("0.5", "3")
    assert stage.onlooker.steps[-2:] == ["agent failed", "cleanup passed"]


@pytest.mark.parametrize(
    ("status", "retryable", "worth"),
    [
        (AgentStatus.UNAVAILABLE, True, True),
        (AgentStatus.UNAVAILABLE, False, False),
        (AgentStatus.FAILED, True, False),
        (AgentStatus.OK, True, False),
    ],
)
def test_only_an_agent_that_may_be_there_soon_is_worth_another_try(
    stage: Stage, status: AgentStatus, retryable: bool, worth: bool
) -> None:
    result = AgentResult(status, "So it is.", retryable=retryable)

    assert stage.attempt(stage.open(MAKE_A), act=spends(result=result)).worth_retrying is worth
