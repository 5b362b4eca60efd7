"""Shapes: what is pinned here, other systems rely on."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_pipeline.record.model import Outcome, RunRecord
from pytest_pipeline.server.shapes import Progress, Status
from pytest_pipeline.server.snapshots import Snapshot, Standing
from pytest_pipeline.server.views import batches_answer, number_of, status_answer
from tests.server.serving import Project, Told, now, telling

MERGED = {
    "branch": "pipeline/S/run-01/two/batch-1-task-1-1",
    "commit": "c" * 40,
    "merge_commit": "d" * 40,
    "pull_request": "1",
    "pull_request_state": "merged",
    "pull_request_url": "https://localhost/pull/1",
    "cost_usd": "0.25",
}
OPEN = {"pull_request": "2", "pull_request_url": "https://localhost/pull/2"}


def snapshot(project: Project, told: Told, count: int = 1, *, alive: bool = True) -> Snapshot:
    store, session = told.store, told.session
    execution = next(project.book.after(None))
    standing = Standing(Status.EXECUTING, store.session(session), alive)
    return Snapshot(execution, standing, store.runs(session), store.task_runs(session), store.cost(session))


def test_the_status_has_this_shape(project: Project) -> None:
    execution = project.execution(count=2)
    with telling(project, execution) as told:
        told.task("1.1", facts=MERGED)
        told.task("1.2", Outcome.FAILED, message="It did nothing.")
        told.task("2.1", Outcome.RUNNING, facts=OPEN)
        found = json.loads(status_answer(snapshot(project, told)).model_dump_json())
    assert found.pop("started_at") == execution.created.isoformat().replace("+00:00", "Z")
    assert found == {
        "execution_id": execution.id,
        "status": "executing",
        "current_batch": 2,
        "batches": [1, 2],
        "tasks_completed": 1,
        "tasks_failed": 1,
        "tasks_total": 6,
        "active_pull_requests": [
            {"task": "2.1", "run": 1, "number": 2, "state": "open", "url": "https://localhost/pull/2"}
        ],
        "runs": {
            "count": 2,
            "admitted": 1,
            "successful": 0,
            "failed": 0,
            "required": 1,
            "streak": 0,
            "met": False,
        },
        "cost_usd": 0.25,
        "completed_at": None,
        "plan_path": "plans/two.md",
        "session": "S",
        "message": None,
    }


def test_while_it_runs_the_streak_is_that_of_the_runs_that_have_ended(project: Project) -> None:
    execution = project.execution(count=2)
    with telling(project, execution) as told:
        standing = snapshot(project, told)
        ended = RunRecord("S", 1, 1, now(), Outcome.PASSED, now())
        runs = (ended, RunRecord("S", 2, 2, now(), Outcome.RUNNING))
        found = status_answer(replace(standing, runs=runs)).runs
    assert (found.admitted, found.successful, found.streak) == (2, 1, 1)


def test_once_it_has_ended_the_criterion_is_as_it_was_decided(project: Project) -> None:
    """With --count-history runs of earlier sessions count too, of which the snapshot knows nothing."""
    with telling(project, project.execution()) as told:
        told.store.close_session("S", streak=3, met=True, exit_code=0, finished=now())
        found = status_answer(snapshot(project, told, alive=False)).runs
    assert (found.streak, found.met) == (3, True)


def test_the_batches_have_this_shape(project: Project) -> None:
    with telling(project, project.execution()) as told:
        told.task("1.1", facts=MERGED)
        told.task("1.2", Outcome.RUNNING, facts=OPEN)
        answer = batches_answer(snapshot(project, told), None)
        times = {each.key.task: each.attempts[0] for each in told.store.task_runs("S")}
    assert answer is not None
    found = json.loads(answer.model_dump_json())
    assert found["run"] == 1
    first, second = found["batches"]
    began, ended = (
        each.isoformat().replace("+00:00", "Z") for each in (times["1.1"].started, times["1.1"].finished) if each
    )
    assert {name: value for name, value in first.items() if name != "tasks"} == {
        "number": 1,
        "title": "First",
        "status": "executing",
        "started_at": began,
        "completed_at": None,
    }
    assert first["tasks"][0] == {
        "id": "1/1.1",
        "number": "1.1",
        "title": "Write",
        "branch": MERGED["branch"],
        "pull_request": {"number": 1, "state": "merged", "url": "https://localhost/pull/1"},
        "status": "complete",
        "commits": ["c" * 40, "d" * 40],
        "error": None,
        "failure_kind": None,
        "attempts": 1,
        "started_at": began,
        "completed_at": ended,
    }
    assert first["tasks"][1]["status"] == "executing"
    assert second["status"] == "pending"
    assert second["tasks"][0] == {
        "id": "2/2.1",
        "number": "2.1",
        "title": "Write again",
        "branch": None,
        "pull_request": None,
        "status": "pending",
        "commits": [],
        "error": None,
        "failure_kind": None,
        "attempts": 0,
        "started_at": None,
        "completed_at": None,
    }


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (Outcome.PASSED, Outcome.PASSED, Progress.COMPLETE),
        (Outcome.PASSED, Outcome.FAILED, Progress.FAILED),
        (Outcome.FAILED, Outcome.INTERRUPTED, Progress.FAILED),
        (Outcome.PASSED, Outcome.INTERRUPTED, Progress.INTERRUPTED),
        (Outcome.PASSED, Outcome.RUNNING, Progress.EXECUTING),
    ],
)
def test_a_batch_stands_as_its_tasks_do(project: Project, first: Outcome, second: Outcome, status: Progress) -> None:
    with telling(project, project.execution()) as told:
        told.task("1.1", first)
        told.task("1.2", second)
        answer = batches_answer(snapshot(project, told), None)
    assert answer is not None
    batch = answer.batches[0]
    assert batch.status is status
    assert (batch.completed_at is None) == (status is Progress.EXECUTING)


def test_what_nobody_carries_on_any_more_is_interrupted(project: Project) -> None:
    with telling(project, project.execution()) as told:
        told.task("1.1", Outcome.RUNNING)
        dead = snapshot(project, told, alive=False)
        answer = batches_answer(dead, None)
    assert answer is not None
    assert answer.batches[0].tasks[0].status is Progress.INTERRUPTED
    assert status_answer(dead).current_batch is None


def test_the_last_run_is_shown_unless_another_one_is_asked_for(project: Project) -> None:
    with telling(project, project.execution(count=3)) as told:
        told.task("1.1", run=1)
        told.task("1.1", Outcome.FAILED, run=2)
        found = snapshot(project, told)
    shown = {run: batches_answer(found, run) for run in (None, 1, 3, 4)}
    assert [(each.run, each.batches[0].tasks[0].status.value) if each else None for each in shown.values()] == [
        (2, "failed"),
        (1, "complete"),
        (3, "pending"),
        None,
    ]


def test_a_task_that_was_tried_again_began_with_the_first_attempt_and_ended_with_the_last(project: Project) -> None:
    with telling(project, project.execution()) as told:
        told.task("1.1", Outcome.FAILED, message="Not yet.")
        told.task("1.1")
        answer = batches_answer(snapshot(project, told), None)
        first, last = told.store.attempts(told.key("1.1"))
    assert answer is not None
    task = answer.batches[0].tasks[0]
    assert (task.attempts, task.started_at, task.completed_at) == (2, first.started, last.finished)
    assert (task.status, task.error) == (Progress.COMPLETE, None)


def test_final_states_are_no_tasks(project: Project) -> None:
    with telling(project, project.execution()) as told:
        told.task("1.1")
        told.task("final-state")
        assert status_answer(snapshot(project, told)).tasks_completed == 1


@pytest.mark.parametrize(("text", "number"), [("2", 2), ("2.1", "2.1"), ("A", "A"), ("\u0661", "\u0661")])
def test_numbers_of_batches_are_numbers_where_they_can_be(text: str, number: object) -> None:
    assert number_of(text) == number
