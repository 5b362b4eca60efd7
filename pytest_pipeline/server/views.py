"""A snapshot becomes the answers of the interface. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pytest_pipeline.record.criterion import judge
from pytest_pipeline.record.model import FINAL_STATE, AttemptRecord, Outcome, RunRecord, TaskRunRecord
from pytest_pipeline.server.books import Execution, PlannedBatch, PlannedTask
from pytest_pipeline.server.shapes import (
    ActivePull,
    BatchAnswer,
    BatchesAnswer,
    BatchNumber,
    ListedExecution,
    Progress,
    Pull,
    RunsAnswer,
    StatusAnswer,
    TaskAnswer,
)
from pytest_pipeline.server.snapshots import Snapshot, Standing

_PROGRESS: Mapping[Outcome, Progress] = {
    Outcome.RUNNING: Progress.EXECUTING,
    Outcome.PASSED: Progress.COMPLETE,
    Outcome.COMPLETED: Progress.COMPLETE,
    Outcome.FAILED: Progress.FAILED,
    Outcome.SKIPPED: Progress.SKIPPED,
    Outcome.INTERRUPTED: Progress.INTERRUPTED,
}
_WORST_FIRST = (Progress.FAILED, Progress.INTERRUPTED, Progress.SKIPPED)
_OPEN = "open"


def number_of(batch: str) -> BatchNumber:
    """A batch's number as JSON: a number where it is one."""
    return int(batch) if batch.isascii() and batch.isdigit() else batch


def numbers_of(execution: Execution) -> list[BatchNumber]:
    """The numbers of the batches that are scheduled."""
    return [number_of(each.number) for each in execution.batches]


def status_answer(snapshot: Snapshot) -> StatusAnswer:
    """How an execution stands."""
    execution, standing = snapshot.execution, snapshot.standing
    tasks = _tasks(snapshot)
    progress = [progress_of(each, standing.alive) for each in tasks]
    return StatusAnswer(
        execution_id=execution.id,
        status=standing.status,
        current_batch=_current_batch(snapshot, tasks),
        batches=numbers_of(execution),
        tasks_completed=progress.count(Progress.COMPLETE),
        tasks_failed=progress.count(Progress.FAILED),
        tasks_total=sum(len(each.tasks) for each in execution.batches) * execution.count,
        active_pull_requests=list(_active_pulls(tasks)),
        runs=_runs_answer(snapshot),
        cost_usd=float(snapshot.cost),
        started_at=execution.created,
        completed_at=standing.ended,
        plan_path=execution.shown,
        session=standing.session.id if standing.session else None,
        message=standing.message or None,
    )


def listed(execution: Execution, standing: Standing) -> ListedExecution:
    """An execution in short."""
    return ListedExecution(
        execution_id=execution.id,
        status=standing.status,
        plan_path=execution.shown,
        batches=numbers_of(execution),
        session=standing.session.id if standing.session else None,
        started_at=execution.created,
        completed_at=standing.ended,
    )


def batches_answer(snapshot: Snapshot, run: int | None) -> BatchesAnswer | None:
    """The batches of a run; None: there is no such run.

    Args:
        snapshot: the execution.
        run: its number; None: the one that began last.
    """
    begun = [each.number for each in snapshot.runs]
    chosen = run if run is not None else (begun[-1] if begun else 1)
    if chosen not in begun and not 1 <= chosen <= snapshot.execution.count:
        return None
    found = {(each.key.batch, each.key.task): each for each in _tasks(snapshot) if each.key.run == chosen}
    alive = snapshot.standing.alive
    batches = [_batch_answer(each, found, alive) for each in snapshot.execution.batches]
    return BatchesAnswer(execution_id=snapshot.execution.id, run=chosen, batches=batches)


def progress_of(task_run: TaskRunRecord, alive: bool) -> Progress:
    """How a task stands; what nobody carries on any more is interrupted."""
    if task_run.outcome is Outcome.RUNNING and not alive:
        return Progress.INTERRUPTED
    return _PROGRESS[task_run.outcome]


def pull_of(attempt: AttemptRecord) -> Pull | None:
    """The pull request of an attempt; None: it has opened none."""
    facts = attempt.properties
    number = facts.get("pull_request", "")
    if not number.isdecimal():
        return None
    state = facts.get("pull_request_state", _OPEN)
    return Pull(number=int(number), state=state, url=facts.get("pull_request_url", ""))


def _tasks(snapshot: Snapshot) -> list[TaskRunRecord]:
    return [each for each in snapshot.task_runs if each.key.task != FINAL_STATE]


def _current_batch(snapshot: Snapshot, tasks: Sequence[TaskRunRecord]) -> BatchNumber | None:
    """The batch of the task that began last among those under way; None: nothing is under way."""
    if not snapshot.standing.alive:
        return None
    under_way = [each for each in tasks if each.outcome is Outcome.RUNNING and each.attempts]
    if not under_way:
        return None
    return number_of(max(under_way, key=lambda each: each.attempts[-1].started).key.batch)


def _active_pulls(tasks: Iterable[TaskRunRecord]) -> Iterable[ActivePull]:
    for each in tasks:
        pull = pull_of(each.attempts[-1]) if each.attempts else None
        if pull is not None and pull.state == _OPEN:
            yield ActivePull(task=each.key.task, run=each.key.run, **pull.model_dump())


def _runs_answer(snapshot: Snapshot) -> RunsAnswer:
    session, count = snapshot.standing.session, snapshot.execution.count
    required = session.required if session else count
    chaos = session is not None and "chaos" in session.facts
    verdict = judge(snapshot.runs, required, count, chaos=chaos, alive=snapshot.standing.alive)
    streak, met = verdict.streak, verdict.met
    if session is not None and session.met is not None and session.streak is not None:
        streak, met = session.streak, session.met  # as decided: the runs of earlier sessions may count too
    return RunsAnswer(
        count=count,
        admitted=verdict.admitted,
        successful=verdict.successful,
        failed=verdict.failed,
        required=required,
        streak=streak,
        met=met,
    )


def _batch_answer(batch: PlannedBatch, found: Mapping[tuple[str, str], TaskRunRecord], alive: bool) -> BatchAnswer:
    tasks = [_task_answer(batch.number, each, found.get((batch.number, each.id)), alive) for each in batch.tasks]
    status = _status_of_batch([each.status for each in tasks])
    began = [each.started_at for each in tasks if each.started_at]
    ended = [each.completed_at for each in tasks if each.completed_at]
    is_over = status not in (Progress.PENDING, Progress.EXECUTING)
    return BatchAnswer(
        number=number_of(batch.number),
        title=batch.title,
        status=status,
        started_at=min(began, default=None),
        completed_at=max(ended, default=None) if is_over else None,
        tasks=tasks,
    )


def _status_of_batch(tasks: Sequence[Progress]) -> Progress:
    seen = set(tasks)
    if seen <= {Progress.PENDING}:
        return Progress.PENDING
    if seen & {Progress.PENDING, Progress.EXECUTING}:
        return Progress.EXECUTING
    return next((each for each in _WORST_FIRST if each in seen), Progress.COMPLETE)


def _task_answer(batch: str, task: PlannedTask, found: TaskRunRecord | None, alive: bool) -> TaskAnswer:
    tries = found.attempts if found else ()
    last = tries[-1] if tries else None
    facts = last.properties if last else {}
    kind = last.failure_kind if last else None
    return TaskAnswer(
        id=f"{batch}/{task.id}",
        number=task.id,
        title=task.title,
        branch=facts.get("branch"),
        pull_request=pull_of(last) if last else None,
        status=progress_of(found, alive) if found else Progress.PENDING,
        commits=[facts[name] for name in ("commit", "merge_commit") if name in facts],
        error=(last.message if last else found.reason if found else "") or None,
        failure_kind=str(kind) if kind else None,
        attempts=len(tries),
        started_at=tries[0].started if tries else None,
        completed_at=last.finished if last else None,
    )


def run_of(runs: Sequence[RunRecord], wanted: int | None) -> int | None:
    """The number of a run that was begun, by default of the last one; None: there is none."""
    begun = [each.number for each in runs]
    if wanted is None:
        return begun[-1] if begun else None
    return wanted if wanted in begun else None
