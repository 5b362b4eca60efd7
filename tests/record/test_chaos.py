"""What became of the faults of a session, told from its record alone."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_pipeline.errors import FailureKind
from pytest_pipeline.record.chaos import foreseen, read, reckon, told
from pytest_pipeline.record.criterion import judge
from pytest_pipeline.record.model import AttemptRecord, Outcome, RunRecord, TaskRunKey, TaskRunRecord
from tests.record.conftest import at

PASSED, FAILED, INTERRUPTED = Outcome.PASSED, Outcome.FAILED, Outcome.INTERRUPTED
AGENT, FORGE = FailureKind.AGENT, FailureKind.FORGE


def attempt(outcome: Outcome, kind: FailureKind | None = None, **faults: str) -> AttemptRecord:
    facts = {"chaos": told({name.replace("_", "-"): kind for name, kind in faults.items()})} if faults else {}
    return AttemptRecord(1, at(0), outcome, at(1), kind, "", facts)


def task_run(*attempts: AttemptRecord) -> TaskRunRecord:
    return TaskRunRecord(TaskRunKey("S", 1, "p.md", "1", "1.1"), "T", attempts[-1].outcome, "", attempts)


@settings(max_examples=30)
@given(
    st.dictionaries(
        st.sampled_from(["agent-killed", "github-502", "store-slow", "x"]), st.sampled_from(["absorbed", "agent"])
    )
)
def test_what_is_told_is_read(faults: Mapping[str, str]) -> None:
    assert read(told(faults)) == faults


def test_a_failure_is_foreseen_by_a_fault_of_its_kind_alone() -> None:
    facts = {"chaos": "store-slow (absorbed), agent-killed (agent)"}

    assert foreseen(facts, AGENT) == "agent-killed"
    assert foreseen(facts, FORGE) == ""
    assert foreseen({"chaos": "store-slow (absorbed)"}, "absorbed") == ""
    assert foreseen({}, None) == ""


@pytest.mark.parametrize(
    ("attempts", "counts"),
    [
        ([attempt(PASSED)], (0, 0)),
        ([attempt(PASSED, store_slow="absorbed", clock_jump="absorbed")], (2, 0)),
        ([attempt(FAILED, AGENT, agent_killed="agent", store_slow="absorbed")], (1, 1)),
        ([attempt(FAILED, FailureKind.INFRASTRUCTURE, agent_overloaded="absorbed"), attempt(PASSED)], (1, 0)),
        ([attempt(FAILED, AGENT, agent_killed="agent"), attempt(PASSED)], (0, 1)),  # by --fresh-failures
        ([attempt(INTERRUPTED, agent_killed="agent"), attempt(PASSED)], (0, 1)),
        ([attempt(INTERRUPTED, agent_killed="agent")], (0, 0)),
        ([attempt(Outcome.RUNNING, store_slow="absorbed")], (0, 0)),
    ],
)
def test_what_comes_as_it_has_to_is_no_surprise(attempts: list[AttemptRecord], counts: tuple[int, int]) -> None:
    found = reckon([task_run(*attempts)])

    assert (found.absorbed, found.failed, found.surprises) == (*counts, ())


@pytest.mark.parametrize(
    ("attempts", "why"),
    [
        ([attempt(FAILED, AGENT)], "it failed with agent, which no fault explains"),
        ([attempt(FAILED, AGENT, store_slow="absorbed")], "it failed with agent, which no fault explains"),
        ([attempt(PASSED, agent_killed="agent")], "agent-killed had to make it fail with agent, but it passed"),
        (
            [attempt(FAILED, FORGE, agent_killed="agent")],
            "agent-killed had to make it fail with agent, but it failed with forge",
        ),
        (
            [attempt(FAILED, FORGE, agent_killed="agent"), attempt(PASSED)],
            "agent-killed had to make it fail with agent, but it failed with forge",
        ),
        ([attempt(PASSED), attempt(FAILED, FORGE)], "it failed with forge, which no fault explains"),
    ],
)
def test_what_does_not_come_as_it_has_to_is_a_surprise(attempts: list[AttemptRecord], why: str) -> None:
    found = reckon([task_run(*attempts)])

    assert [each.why for each in found.surprises] == [why]
    assert (found.absorbed, found.failed) == (0, 0)


def test_faults_are_counted_by_name() -> None:
    slow = task_run(attempt(PASSED, store_slow="absorbed"))

    assert reckon([slow, slow, task_run(attempt(FAILED, FORGE, answer_lost="absorbed"))]).injected == {
        "answer-lost": 1,
        "store-slow": 2,
    }


def test_a_session_under_chaos_never_meets_a_criterion() -> None:
    runs = [RunRecord("S", 1, 1, at(0), PASSED, at(1))]

    assert judge(runs, 1, 1).met
    assert not judge(runs, 1, 1, chaos=True).met
    assert judge(runs, 1, 1, chaos=True).streak == 1
