"""Faults strike at single attempts: each is real, is written down before it happens, and ends as the catalogue says."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pytest_pipeline.agents.base import AgentRequest
from pytest_pipeline.errors import FailureKind
from pytest_pipeline.execution.attempt import Attempt
from pytest_pipeline.execution.chaos import agents, store
from pytest_pipeline.execution.chaos.boundaries import ChaoticObserver
from pytest_pipeline.execution.chaos.faults import CATALOGUE, Fault, Need, possible
from pytest_pipeline.execution.pipeline import Pipeline
from pytest_pipeline.execution.steps import now, shift_clock
from pytest_pipeline.execution.task_run import TaskRun
from pytest_pipeline.plans.model import Batch, Plan, Task
from pytest_pipeline.record.chaos import read
from pytest_pipeline.record.model import AttemptRecord, Outcome
from tests.e2e.world import plan, task
from tests.execution.chaos.conftest import Load
from tests.execution.stage import Stage
from tests.host.git_world import git

MAKE_A = plan(task(files=["Create: `a.txt`"], verification=["test -e a.txt"]))
(WORKER_KILLED,) = [fault for fault in CATALOGUE if fault.name == "worker-killed"]
LOCAL = [fault for fault in CATALOGUE if not fault.needs & {Need.GITHUB, Need.WORKER}]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "_FLOODS", "sh -c 'head -c 300000 /dev/zero | tr \"\\\\0\" x'")


def makes_a(request: AgentRequest) -> None:
    (request.workspace / "a.txt").write_text("made\n")


def record(pipeline: Pipeline, attempt: Attempt) -> AttemptRecord:
    return pipeline.store.attempts(attempt.key)[0]


@pytest.mark.parametrize("fault", LOCAL, ids=lambda fault: fault.name)
def test_every_fault_of_the_embedded_forge_ends_as_the_catalogue_says(stage: Stage, load: Load, fault: Fault) -> None:
    load(fault.name)
    pipeline = stage.open(MAKE_A, chaos=1)

    attempt = stage.attempt(pipeline, act=makes_a)

    found = record(pipeline, attempt)
    assert found.failure_kind == fault.kind, found.message
    assert read(found.properties["chaos"]) == {fault.name: str(fault.kind or "absorbed")}
    base = f"pipeline/{pipeline.session}/run-01/base"
    assert git(pipeline.layout.forge, "for-each-ref", "--format=%(refname:lstrip=2)").split() == [base]
    assert list(pipeline.layout.forge.rglob("*.lock")) == []
    assert shift(pipeline) < timedelta(minutes=1)


def shift(pipeline: Pipeline) -> timedelta:
    """How wrong the clock goes."""
    return abs(now() - pipeline.store.session(pipeline.session).started)


def test_an_agent_that_is_killed_has_left_half_a_file(stage: Stage, load: Load) -> None:
    load("agent-killed")
    attempt = stage.attempt(stage.open(MAKE_A, chaos=1, keep_workspaces="always"), act=makes_a)

    assert attempt.failure is not None
    assert "signal 9" in attempt.failure.found
    assert attempt.kept is not None
    assert [path.name for path in Path(attempt.kept).glob("[ah]*.txt")] == ["half-written.txt"]


def test_a_flood_is_cut_in_the_transcript_and_the_agent_works_all_the_same(stage: Stage, load: Load) -> None:
    load("agent-floods")
    pipeline = stage.open(MAKE_A, {"max_transcript": "100 KiB"}, chaos=1)

    attempt = stage.attempt(pipeline, act=makes_a)

    facts = record(pipeline, attempt).properties
    assert facts["transcript_truncated"] == "yes"
    assert (stage.path / facts["transcript"]).stat().st_size < 110 * 1024
    assert facts["pull_request_state"] == "merged"


def test_an_overloaded_agent_is_absorbed_where_it_may_be_tried_again(stage: Stage, load: Load) -> None:
    load("agent-overloaded")
    pipeline = stage.open(MAKE_A, chaos=1, agent_retries=1)

    first, second = (stage.attempt(pipeline, act=makes_a) for _ in range(2))

    assert first.worth_retrying
    assert first.facts["chaos"] == "agent-overloaded (absorbed)"
    assert second.outcome is Outcome.PASSED
    assert "chaos" not in second.facts  # only the first attempt meets faults


def test_a_task_that_is_to_fail_or_to_change_nothing_meets_no_fault_of_its_agent(stage: Stage) -> None:
    text = plan(
        task("1.1", files=["Create: `a.txt`"], expect="failure"),
        task("1.2", files=["Read: `kept.txt`"], expect="no changes"),
        task("1.3", files=["Create: `a.txt`"]),
    )
    pipeline = stage.open(text, chaos=1, chaos_rate=1.0)

    met = [stage.attempt(pipeline, number).facts["chaos"] for number in ("1.1", "1.2", "1.3")]

    assert ["agent-" in each for each in met] == [False, False, True] or "push-rejected" in met[2]
    assert "agent-" not in met[0] + met[1]


def test_the_base_is_locked_while_it_is_merged_and_a_git_waits_for_it(stage: Stage, load: Load) -> None:
    load("git-lock-held")
    pipeline = stage.open(MAKE_A, chaos=1)
    seen: list[bool] = []
    observer = pipeline.observer
    assert isinstance(observer, ChaoticObserver)
    base = pipeline.layout.forge / "refs/heads" / f"pipeline/{pipeline.session}/run-01/base.lock"
    inner = stage.onlooker.step_started
    stage.onlooker.step_started = lambda event: seen.append(base.exists()) or inner(event)  # type: ignore[method-assign,func-returns-value]

    attempt = stage.attempt(pipeline, act=makes_a)

    assert attempt.outcome is Outcome.PASSED
    assert seen.count(True) == 1
    assert not base.exists()


def test_the_forge_is_asked_twice_for_the_change_whose_answer_is_lost(
    stage: Stage, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, method in enumerate(("push", "ensure_pull_request", "merge", "delete_branch")):
        load("answer-lost", numbers={"answer-lost": number})
        pipeline = stage.open(MAKE_A, chaos=1)
        asked = counted(monkeypatch, pipeline)

        assert stage.attempt(pipeline, act=makes_a).outcome is Outcome.PASSED

        assert {name for name, times in asked.items() if times == 2} == {method}
        merged = git(pipeline.layout.forge, "rev-list", "--count", f"pipeline/{pipeline.session}/run-01/base")
        assert int(merged) == 2


def counted(monkeypatch: pytest.MonkeyPatch, pipeline: Pipeline) -> dict[str, int]:
    """How often each change is asked of the forge that is behind the forgetful one."""
    asked: dict[str, int] = {}
    forge = pipeline.forge.inner  # type: ignore[attr-defined] # what chaos has put before it

    def watched(name: str, method: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            asked[name] = asked.get(name, 0) + 1
            return method(*arguments)

        return call

    for name in ("push", "ensure_pull_request", "merge", "delete_branch"):
        monkeypatch.setattr(forge, name, watched(name, getattr(forge, name)))
    return asked


def test_the_store_is_locked_by_somebody_else_for_as_long_as_the_dice_say(stage: Stage, load: Load) -> None:
    load("store-busy", numbers={"store-busy": 2, "seconds": 4})
    pipeline = stage.open(MAKE_A, chaos=1)
    since = time.monotonic()

    assert stage.attempt(pipeline, act=makes_a).outcome is Outcome.PASSED

    assert time.monotonic() - since >= 0.45


def test_a_slow_store_is_so_at_every_step_of_its_task_and_of_no_other(
    stage: Stage, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("store-slow")
    pipeline = stage.open(MAKE_A, chaos=1)
    held: list[Path] = []
    monkeypatch.setattr(
        "pytest_pipeline.execution.chaos.boundaries.occupy_store", lambda chaos, file, seconds: held.append(file)
    )

    stage.attempt(pipeline, act=makes_a)
    assert held == [pipeline.layout.state / "state.db"] * 20
    stage.attempt(pipeline, act=makes_a)
    assert len(held) == 20


def test_who_finds_the_store_held_already_adds_nothing_to_that(stage: Stage, load: Load) -> None:
    load()
    pipeline = stage.open(MAKE_A, chaos=1)
    file = pipeline.layout.state / "state.db"
    assert pipeline.chaos is not None

    store.occupy_store(pipeline.chaos, file, 30)
    store.occupy_store(pipeline.chaos, file, 30)
    pipeline.chaos.let_go()

    pipeline.store.fact(pipeline.session, "written", "at once")


@pytest.mark.parametrize("boundary", [0, 7, 15, 19])
def test_a_worker_dies_at_the_boundary_of_the_dice_and_helps_the_record_in_nothing_but_the_fault(
    stage: Stage, load: Load, boundary: int
) -> None:
    load("worker-killed", numbers={"worker-killed": boundary})
    pipeline = stage.open(MAKE_A, chaos=1)
    observer, found = pipeline.observer, list[AttemptRecord]()
    assert isinstance(observer, ChaoticObserver)
    observer.die = lambda: found.extend(record.attempts[0] for record in pipeline.store.task_runs(pipeline.session))

    stage.attempt(pipeline, act=makes_a)

    (then,) = found
    assert 2 * len(then.steps) - 1 + (then.steps[-1].finished is not None) == boundary + 1
    assert then.properties["chaos"] == "worker-killed (infrastructure)"
    assert ("merge_commit" in then.properties) == (boundary >= 15)
    assert ("commit" in then.properties) == (boundary >= 7)


def test_a_worker_that_dies_leaves_nothing_locked_that_only_chaos_would_unlock(stage: Stage, load: Load) -> None:
    load("worker-killed", "store-slow", numbers={"worker-killed": 3})
    pipeline = stage.open(MAKE_A, chaos=1)
    observer, given = pipeline.observer, list[str]()
    assert isinstance(observer, ChaoticObserver)
    observer.chaos.hold(lambda: given.append("back"), 60)
    seen: list[list[str]] = []

    def die() -> None:
        seen.append(list(given))

    observer.die = die
    observer.chaos.attend = lambda attempt, task: None  # type: ignore[method-assign] # which gives everything back
    attempt = TaskRun(pipeline, 1, *first_task(pipeline))
    attempt.admit()
    observer.chaos._attempt, observer.chaos._due = attempt, {"worker-killed": WORKER_KILLED}
    for _ in range(4):
        observer._at_a_boundary(first=False)

    assert seen == [["back"]]
    attempt.finish(Outcome.INTERRUPTED)


def test_the_clock_of_the_record_jumps_after_preparation_and_is_right_again_at_the_end(
    stage: Stage, load: Load
) -> None:
    for number, jump in enumerate((timedelta(hours=1), timedelta(hours=-1))):
        load("clock-jump", numbers={"clock-jump": number})
        pipeline = stage.open(MAKE_A, chaos=1)

        attempt = stage.attempt(pipeline, act=makes_a)

        found = record(pipeline, attempt)
        assert found.outcome is Outcome.PASSED
        steps = {step.name: step.started - found.started for step in found.steps}
        assert abs(steps["prepare"]) < timedelta(minutes=1)
        assert abs(steps["agent"] - jump) < timedelta(minutes=1)
        assert found.finished is not None
        assert abs(found.finished - found.started) < timedelta(minutes=1)


def test_a_clock_that_was_shifted_is_shifted_back() -> None:
    before = now()
    shift_clock(timedelta(hours=2))
    shifted = now()
    shift_clock(timedelta())

    assert timedelta(hours=2) <= shifted - before < timedelta(hours=2, minutes=1)
    assert now() - before < timedelta(minutes=1)


def test_a_fault_that_was_met_before_a_session_was_taken_up_is_not_met_again(stage: Stage, load: Load) -> None:
    load("push-rejected")
    pipeline = stage.open(MAKE_A, chaos=1)
    attempt = TaskRun(pipeline, 1, *first_task(pipeline))
    attempt.facts["chaos"] = "push-rejected (forge)"

    attempt.admit()

    assert pipeline.chaos is not None
    assert not pipeline.chaos.due("push-rejected")
    attempt.finish(Outcome.INTERRUPTED)


def first_task(pipeline: Pipeline) -> tuple[Plan, Batch, Task]:
    plan = pipeline.plans["plans/p.md"]
    return plan, plan.batches[0], plan.batches[0].tasks[0]


def test_a_final_state_meets_no_fault(stage: Stage, load: Load) -> None:
    load()
    pipeline = stage.open(MAKE_A, chaos=1)
    stage.attempt(pipeline, act=makes_a)
    load("clock-jump", "store-slow")

    end = stage.final_state(pipeline)

    assert end.outcome is Outcome.PASSED
    assert "chaos" not in end.facts


def test_a_final_state_knows_a_merge_that_its_task_did_not_live_to_tell_of(stage: Stage) -> None:
    pipeline = stage.open(MAKE_A)
    attempt = TaskRun(pipeline, 1, *first_task(pipeline))
    stage._act = makes_a
    attempt.admit()
    attempt.prepare()
    attempt.perform()
    attempt.cleanup()
    assert attempt._admitted is not None
    untold = {name: value for name, value in attempt.facts.items() if name != "merge_commit"}
    pipeline.store.note_attempt(attempt._admitted, untold)
    pipeline.store.abandon(attempt.key, FailureKind.INFRASTRUCTURE, "It died.", now())
    assert "merge_commit" not in record(pipeline, attempt).properties

    end = stage.final_state(pipeline)

    assert end.failure is None
    assert end.facts["merges"] == "1"


def test_without_chaos_nothing_stands_between(stage: Stage) -> None:
    pipeline = stage.open(MAKE_A)

    assert pipeline.chaos is None
    assert pipeline.observer is stage.onlooker
    assert "chaos" not in pipeline.store.session(pipeline.session).facts


def test_the_record_of_a_session_says_that_it_suffers_chaos(stage: Stage) -> None:
    pipeline = stage.open(MAKE_A, chaos=7, chaos_rate=0.5)

    assert pipeline.store.session(pipeline.session).facts["chaos"] == "seed 7, rate 0.5"


def test_what_is_held_when_a_session_ends_is_given_back(stage: Stage, load: Load) -> None:
    load()
    pipeline = stage.open(MAKE_A, chaos=1)
    given: list[str] = []
    assert pipeline.chaos is not None
    pipeline.chaos.hold(lambda: given.append("back"), 60)

    pipeline.close()

    assert given == ["back"]


def test_a_fault_needs_all_that_it_needs() -> None:
    assert {fault.name for fault in possible(())} == {"answer-lost", "clock-jump"}
    assert set(possible(list(Need))) == set(CATALOGUE)
