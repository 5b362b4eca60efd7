"""What was verified before a process ended is landed by the next one; everything else is done anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_pipeline.agents.base import AgentRequest
from pytest_pipeline.errors import FailureKind
from pytest_pipeline.execution.pipeline import Pipeline
from pytest_pipeline.execution.steps import now
from pytest_pipeline.execution.task_run import TaskRun
from pytest_pipeline.forges.local import LocalForge
from pytest_pipeline.forges.local_ledger import Intent, Row
from pytest_pipeline.host.git import RefUpdate, Repository
from pytest_pipeline.record.model import Outcome, TaskRunRecord
from tests.e2e.world import plan, task
from tests.execution.stage import Stage
from tests.host.git_world import git

PLAN = plan(task("1.1", "Make a", files=["Create: `a.txt`"]))
STEPS = ("commit", "push", "pull request", "checks", "merge", "outcome")


class Dies(BaseException):
    """The process is gone: nothing of ours may catch it."""


def works(request: AgentRequest) -> None:
    (request.workspace / "a.txt").write_text("a\n")


def must_not(request: AgentRequest) -> None:
    raise AssertionError("an agent was asked again")


def die() -> None:
    raise Dies


def died(stage: Stage, *, after: str, auto_merge: bool = True) -> Pipeline:
    """A session whose process died right after a step of its only task."""
    pipeline = stage.open(PLAN, auto_merge=auto_merge)
    die_in(stage, pipeline, after)
    return pipeline


def die_in(stage: Stage, pipeline: Pipeline, step: str, act: Callable[[AgentRequest], object] = works) -> None:
    stage.onlooker.after[step] = die
    with pytest.raises(Dies):
        stage.attempt(pipeline, "1.1", act)
    stage.kill(pipeline)


def record(pipeline: Pipeline) -> TaskRunRecord:
    (found,) = pipeline.store.task_runs(pipeline.session)
    return found


def merges(pipeline: Pipeline) -> list[str]:
    base = f"pipeline/{pipeline.session}/run-01/base"
    return git(Path(pipeline.forge.push_url), "log", "--format=%s", f"{pipeline.base}..{base}").splitlines()


def branches(pipeline: Pipeline) -> list[str]:
    names = git(Path(pipeline.forge.push_url), "for-each-ref", "--format=%(refname:lstrip=4)").splitlines()
    return [name for name in names if name != "run-01/base"]


@pytest.mark.parametrize("step", STEPS)
def test_a_verified_commit_is_landed_once_and_no_agent_is_asked_again(stage: Stage, step: str) -> None:
    died(stage, after=step)

    again = stage.resume(PLAN).pipeline
    made = stage.attempt(again, "1.1", must_not)

    assert made.failure is None
    assert (merges(again), branches(again)) == (["Make a"], [])
    found = record(again)
    assert (found.outcome, len(found.attempts)) == (Outcome.PASSED, 1), "it is the same attempt that goes on"
    assert found.attempts[0].properties["merge_commit"]
    assert all(each.finished is not None for each in found.attempts[0].steps)


@pytest.mark.parametrize("step", ["prepare", "agent", "verify"])
def test_before_the_commit_nothing_is_trusted_and_all_is_done_anew(stage: Stage, step: str) -> None:
    died(stage, after=step)

    again = stage.resume(PLAN).pipeline
    made = stage.attempt(again, "1.1", works)

    assert made.failure is None
    first, second = record(again).attempts
    assert (first.outcome, first.failure_kind) == (Outcome.INTERRUPTED, FailureKind.INTERRUPTED)
    assert second.outcome is Outcome.PASSED
    assert merges(again) == ["Make a"]


@pytest.mark.parametrize("first", ["commit", "pull request", "merge"])
def test_it_may_die_again_and_again(stage: Stage, first: str) -> None:
    died(stage, after=first)
    for step in ("push", "merge") if first != "merge" else ("merge", "outcome"):
        again = stage.resume(PLAN).pipeline
        die_in(stage, again, step, must_not)

    last = stage.resume(PLAN).pipeline
    assert stage.attempt(last, "1.1", must_not).failure is None
    assert (merges(last), len(record(last).attempts)) == (["Make a"], 1)


def test_what_the_machine_failed_after_the_commit_is_landed_by_a_fresh_attempt(stage: Stage) -> None:
    """As when a worker died: the attempt has failed, and its agent's cost is told there alone."""
    died(stage, after="merge")
    failed = stage.resume(PLAN).pipeline
    attempt = failed.store.readmit_attempt(record(failed).key)
    facts = {**record(failed).attempts[0].properties, "cost_usd": "1.5", "turns": "7"}
    failed.store.finish_attempt(attempt, Outcome.FAILED, FailureKind.INFRASTRUCTURE, "The worker died.", facts, now())
    stage.kill(failed)

    # and the process of the fresh attempt dies before it has done anything
    again = stage.resume(PLAN, fresh_failures=True).pipeline
    TaskRun(
        again,
        1,
        again.plans["plans/p.md"],
        again.plans["plans/p.md"].batches[0],
        again.plans["plans/p.md"].batches[0].tasks[0],
    ).admit()
    stage.kill(again)

    last = stage.resume(PLAN, fresh_failures=True).pipeline
    assert stage.attempt(last, "1.1", must_not).failure is None
    one, two = record(last).attempts
    assert (one.outcome, two.outcome) == (Outcome.FAILED, Outcome.PASSED)
    assert "cost_usd" not in two.properties
    assert "turns" not in two.properties
    assert merges(last) == ["Make a"]


@pytest.mark.parametrize("kind", [FailureKind.VERIFICATION, FailureKind.CHECKS, FailureKind.OUTCOME])
def test_what_the_task_is_to_blame_for_is_done_anew(stage: Stage, kind: FailureKind) -> None:
    died(stage, after="commit")
    failed = stage.resume(PLAN).pipeline
    attempt = failed.store.readmit_attempt(record(failed).key)
    facts = record(failed).attempts[0].properties
    failed.store.finish_attempt(attempt, Outcome.FAILED, kind, "It is wrong.", facts, now())
    stage.kill(failed)

    again = stage.resume(PLAN, fresh_failures=True).pipeline
    made = stage.attempt(again, "1.1", works)

    assert made.failure is None
    assert made.facts["branch"].endswith("-attempt-2")
    assert merges(again) == ["Make a"]


def lost_objects(pipeline: Pipeline) -> None:
    for store in pipeline.layout.run_stores():
        store.rename(store.with_name("gone"))


@pytest.mark.parametrize(("step", "agents"), [("commit", 1), ("push", 0), ("checks", 0), ("merge", 0)])
def test_objects_that_are_gone_here_are_taken_from_the_forge(stage: Stage, step: str, agents: int) -> None:
    lost_objects(died(stage, after=step))
    asked: list[AgentRequest] = []

    def works_again(request: AgentRequest) -> None:
        asked.append(request)
        works(request)

    again = stage.resume(PLAN).pipeline
    made = stage.attempt(again, "1.1", works_again)

    assert made.failure is None
    assert len(asked) == agents, "what is nowhere any more cannot be landed"
    assert merges(again) == ["Make a"]


def foreign_head(pipeline: Pipeline) -> str:
    """Somebody pushes to the branch of the task."""
    forge = Repository(Path(pipeline.forge.push_url))
    name = f"refs/heads/pipeline/{pipeline.session}/run-01/plans.p/batch-1-task-1-1"
    old = forge.read_ref(name)
    assert old is not None
    new = forge.commit_tree(forge.commit(old).tree, [old], "Somebody else", author="Else <e@example.org>")
    assert forge.update_refs([RefUpdate(name, new, old)])
    return new


def test_a_branch_that_somebody_has_moved_is_never_merged(stage: Stage) -> None:
    new = foreign_head(died(stage, after="pull request"))

    again = stage.resume(PLAN).pipeline
    made = stage.attempt(again, "1.1", must_not)

    assert made.failure is not None
    assert made.failure.kind is FailureKind.FORGE
    assert new in made.failure.found
    assert merges(again) == []


def test_a_pull_request_that_somebody_has_closed_is_told(stage: Stage) -> None:
    pipeline = died(stage, after="pull request")
    branch = f"pipeline/{pipeline.session}/run-01/plans.p/batch-1-task-1-1"
    head = pipeline.forge.branch_head(branch)
    assert head is not None
    pipeline.forge.delete_branch(branch, head)

    again = stage.resume(PLAN).pipeline
    made = stage.attempt(again, "1.1", must_not)

    assert made.failure is not None
    assert "was closed meanwhile" in made.failure.found
    assert merges(again) == []


def test_what_is_to_stay_open_stays_open(stage: Stage) -> None:
    died(stage, after="pull request", auto_merge=False)

    again = stage.resume(PLAN).pipeline
    made = stage.attempt(again, "1.1", must_not)

    assert made.failure is None
    assert made.facts["pull_request_state"] == "open"
    assert branches(again) == ["run-01/plans.p/batch-1-task-1-1"]


def test_a_failed_run_keeps_its_end_until_something_is_tried_in_it(stage: Stage) -> None:
    pipeline = stage.open(PLAN)
    assert stage.attempt(pipeline, "1.1", lambda request: None).failure is not None
    pipeline.finish_run(1, Outcome.FAILED)
    (ended,) = pipeline.store.runs(pipeline.session)
    stage.kill(pipeline)

    again = stage.resume(PLAN).pipeline
    assert again.store.runs(again.session) == (ended,)
    assert again.finish_run(1, Outcome.FAILED) is False, "it is not told a second time"

    stage.attempt(again, "1.1", works)
    (run,) = again.store.runs(again.session)
    assert (run.outcome, run.finished) == (Outcome.RUNNING, None)
    assert again.finish_run(1, Outcome.PASSED) is True


@pytest.mark.parametrize("kind", [FailureKind.FORGE, FailureKind.AGENT])
def test_a_verified_commit_outlives_the_end_of_a_session_that_could_not_land_it(
    stage: Stage, kind: FailureKind
) -> None:
    """As when the forge does not answer: what an agent was paid for is not lost, and not paid for again."""
    died(stage, after="commit")
    ends = stage.resume(PLAN).pipeline
    attempt, facts = ends.store.readmit_attempt(record(ends).key), record(ends).attempts[0].properties
    ends.store.finish_attempt(attempt, Outcome.FAILED, kind, "It does not answer.", facts, now())
    ends.finish_run(1, Outcome.FAILED)
    ends.close()
    stage._opened.remove(ends)
    asked = []

    def works_again(request: AgentRequest) -> None:
        asked.append(request)
        works(request)

    again = stage.resume(PLAN, fresh_failures=True).pipeline
    made = stage.attempt(again, "1.1", works_again)
    again.finish_run(1, Outcome.PASSED)

    assert made.failure is None
    assert len(asked) == (0 if kind is FailureKind.FORGE else 1)
    assert again.layout.run_stores() == []


@pytest.mark.parametrize("steps", [(), ("prepare",)])
def test_a_worker_that_dies_after_the_end_of_a_task_does_not_make_it_twice(
    stage: Stage, steps: tuple[str, ...]
) -> None:
    """Its death is a failed attempt in which nothing was done; what was merged is merged."""
    pipeline = stage.open(PLAN)
    assert stage.attempt(pipeline, "1.1", works).failure is None
    nothing = pipeline.store.admit_attempt(record(pipeline).key, "Make a", now())
    for step in steps:
        pipeline.store.begin_step(nothing, step, now())
    pipeline.store.finish_attempt(nothing, Outcome.FAILED, FailureKind.INFRASTRUCTURE, "It died.", {}, now())
    stage.kill(pipeline)

    again = stage.resume(PLAN, fresh_failures=True).pipeline
    made = stage.attempt(again, "1.1", must_not)

    assert made.failure is None
    assert merges(again) == ["Make a"]
    assert [each.outcome for each in record(again).attempts] == [Outcome.PASSED, Outcome.FAILED, Outcome.PASSED]


def test_what_a_later_agent_was_asked_for_is_not_replaced_by_an_earlier_commit(stage: Stage) -> None:
    died(stage, after="commit")
    failed = stage.resume(PLAN).pipeline
    attempt, facts = failed.store.readmit_attempt(record(failed).key), record(failed).attempts[0].properties
    failed.store.finish_attempt(attempt, Outcome.FAILED, FailureKind.CHECKS, "It is wrong.", facts, now())
    stage.kill(failed)
    anew = stage.resume(PLAN, fresh_failures=True).pipeline
    die_in(stage, anew, "agent")

    last = stage.resume(PLAN).pipeline
    made = stage.attempt(last, "1.1", works)

    assert made.number == 3
    assert made.facts["branch"].endswith("-attempt-3")


def test_a_merge_is_in_the_record_as_soon_as_it_is_made(stage: Stage) -> None:
    """Where the attempt then fails because its worker dies, the run's final state knows the merge all the same."""
    died(stage, after="merge")

    again = stage.resume(PLAN).pipeline

    head = again.forge.branch_head(f"pipeline/{again.session}/run-01/base")
    assert record(again).attempts[0].properties["merge_commit"] == head


def test_a_merge_that_nobody_lived_to_write_down_is_known_by_the_forge(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, merged = stage.open(PLAN), LocalForge._merged

    def dies(forge: LocalForge, row: Row, intent: Intent) -> None:
        merged(forge, row, intent)
        raise Dies

    with monkeypatch.context() as patch:
        patch.setattr(LocalForge, "_merged", dies)
        with pytest.raises(Dies):
            stage.attempt(pipeline, "1.1", works)
    assert "merge_commit" not in record(pipeline).attempts[0].properties
    stage.kill(pipeline)

    again = stage.resume(PLAN).pipeline
    assert stage.attempt(again, "1.1", must_not).failure is None
    assert merges(again) == ["Make a"]
