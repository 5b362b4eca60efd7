"""A task whose agent is to misbehave: what counts as its refusal, and how its agent must have ended."""

from __future__ import annotations

import itertools

import pytest

from pytest_pipeline.agents.base import AgentRequest, AgentResult, AgentStatus
from pytest_pipeline.errors import FailureKind, HostError, TaskFailure
from pytest_pipeline.execution.task_run import TaskRun
from tests.e2e.world import plan, task
from tests.execution.stage import Act, Stage

REFUSED = [FailureKind.PLAN, FailureKind.AGENT, FailureKind.VERIFICATION, FailureKind.OUTCOME]


def troubled(*lines: str, expect: str = "failure", file: str = "a.txt") -> str:
    """A plan whose only task is to make a file, amid such trouble."""
    block = "\n".join(("```yaml rehearsal", *lines, "```", ""))
    return plan(task(files=[f"Create: `{file}`"], expect=expect) + block)


def ends(status: AgentStatus, *files: str) -> Act:
    """An agent that writes files and ends like this."""

    def act(request: AgentRequest) -> AgentResult:
        for name in files:
            (request.workspace / name).write_text("made\n")
        return AgentResult(status, "So it was.", output="last words")

    return act


def attempt(stage: Stage, text: str, act: Act, *, rehearses: str = "scripted") -> TaskRun:
    stage.rehearses = rehearses
    return stage.attempt(stage.open(text), act=act)


def kind(attempt: TaskRun) -> FailureKind | None:
    return attempt.failure.kind if attempt.failure is not None else None


def test_an_agent_that_is_unavailable_is_the_refusal_that_was_asked_for(stage: Stage) -> None:
    made = attempt(stage, troubled("trouble: 429"), ends(AgentStatus.UNAVAILABLE))

    assert made.failure is None
    told = {name: made.facts[name] for name in ("agent_status", "refused_as", "refusal")}
    assert told == {
        "agent_status": "unavailable",
        "refused_as": "infrastructure",
        "refusal": "The agent ended as unavailable: So it was.",
    }


def test_without_the_wish_for_failure_it_is_a_failure_as_ever(stage: Stage) -> None:
    made = attempt(stage, troubled("trouble: 429", expect=""), ends(AgentStatus.UNAVAILABLE))

    assert kind(made) is FailureKind.INFRASTRUCTURE


def test_without_trouble_it_is_no_refusal(stage: Stage) -> None:
    text = plan(task(files=["Create: `a.txt`"], expect="failure"))

    assert kind(attempt(stage, text, ends(AgentStatus.UNAVAILABLE))) is FailureKind.INFRASTRUCTURE


def test_a_broken_machine_is_no_refusal_amid_trouble_either(stage: Stage) -> None:
    def breaks(_request: AgentRequest) -> None:
        raise HostError("The disk is full. Make room.")

    made = attempt(stage, troubled("trouble: 429", "ends: unavailable"), breaks)

    assert kind(made) is FailureKind.INFRASTRUCTURE
    assert "agent_status" not in made.facts


def test_only_the_agent_can_be_unavailable_on_purpose(stage: Stage) -> None:
    def breaks() -> None:
        raise TaskFailure(FailureKind.INFRASTRUCTURE, step="verify", expected="that it works", found="It broke.")

    stage.onlooker.after["agent"] = breaks

    made = attempt(stage, troubled("trouble: nothing"), ends(AgentStatus.OK, "b.txt"))

    assert kind(made) is FailureKind.INFRASTRUCTURE


@pytest.mark.parametrize(
    ("status", "wanted"),
    [*((each, each) for each in AgentStatus), *itertools.pairwise([*AgentStatus, AgentStatus.OK])],
)
def test_where_failure_is_expected_the_agent_must_have_ended_as_the_plan_says(
    stage: Stage, status: AgentStatus, wanted: AgentStatus
) -> None:
    made = attempt(stage, troubled("trouble: drop", f"ends: {wanted}"), ends(status))

    if status is wanted:
        assert made.failure is None
        assert made.facts["agent_status"] == wanted
    else:
        assert made.failure is not None
        assert made.failure.kind is FailureKind.OUTCOME
        assert made.failure.expected == f"that the agent ends as {wanted}, as the plan says on line 16"
        assert made.failure.found == f"The agent ended as {status}: So it was."
        assert made.failure.output == "last words"
        assert "refused_as" not in made.facts


@pytest.mark.parametrize(
    ("status", "wanted", "fails"),
    [
        (AgentStatus.OK, "ok", None),
        (AgentStatus.OK, "timeout", FailureKind.OUTCOME),
        (AgentStatus.UNAVAILABLE, "ok", FailureKind.OUTCOME),
        (AgentStatus.FAILED, "ok", FailureKind.OUTCOME),
        (AgentStatus.FAILED, "failed", FailureKind.AGENT),
    ],
)
def test_where_the_task_is_to_succeed_it_must_too(
    stage: Stage, status: AgentStatus, wanted: str, fails: FailureKind | None
) -> None:
    made = attempt(stage, troubled("trouble: 500", "times: 1", f"ends: {wanted}", expect=""), ends(status, "a.txt"))

    assert kind(made) is fails
    assert ("pull_request" in made.facts) is (fails is None), "nothing is pushed that ended otherwise"
    if fails is FailureKind.OUTCOME:
        assert made.failure is not None
        assert made.failure.found.startswith(f"The agent ended as {status}: ")


def test_work_that_is_fine_is_no_refusal_whatever_the_end(stage: Stage) -> None:
    made = attempt(stage, troubled("trouble: nothing", "ends: ok"), ends(AgentStatus.OK, "a.txt"))

    assert made.failure is not None
    assert made.failure.kind is FailureKind.OUTCOME
    assert made.failure.found.startswith("Everything passed")


def test_an_agent_that_was_never_started_has_not_ended_as_the_plan_says(stage: Stage) -> None:
    made = attempt(stage, troubled("trouble: nothing", "ends: ok", file="../a.txt"), ends(AgentStatus.OK))

    assert made.failure is not None
    assert (made.failure.kind, made.failure.found) == (FailureKind.OUTCOME, "The agent was not started.")


# Agents that play no script


@pytest.mark.parametrize("rehearses", ["", "cassette"])
def test_an_agent_that_plays_no_script_is_not_asked_for_trouble(stage: Stage, rehearses: str) -> None:
    asked: list[object] = []

    def act(request: AgentRequest) -> AgentResult:
        asked.append(request.trouble)
        return ends(AgentStatus.OK, "a.txt")(request)  # type: ignore[return-value]

    made = attempt(stage, troubled("trouble: 429", "ends: timeout", expect=""), act, rehearses=rehearses)

    assert made.failure is None
    assert asked == [None]
    assert made.warnings == ["the trouble of line 14 was left out, because the agent player plays no script"]


def test_and_its_absence_is_no_refusal(stage: Stage) -> None:
    made = attempt(stage, troubled("trouble: 429", "ends: unavailable"), ends(AgentStatus.UNAVAILABLE), rehearses="")

    assert kind(made) is FailureKind.INFRASTRUCTURE


def test_a_refusal_does_not_hide_that_the_trouble_was_left_out(stage: Stage) -> None:
    made = attempt(stage, troubled("trouble: nothing"), ends(AgentStatus.OK), rehearses="")

    assert made.failure is None
    assert len(made.warnings) == 1
    assert made.facts["refused_as"] in REFUSED


def test_a_scripted_agent_is_told_of_its_trouble(stage: Stage) -> None:
    asked: list[AgentRequest] = []

    made = attempt(stage, troubled("trouble: 429", "retry_after: 7"), asked.append)

    assert made.failure is None
    assert asked[0].trouble is not None
    assert (asked[0].trouble.status, asked[0].trouble.retry_after) == (429, 7)
