"""Sessions as plain values for programs: the keys are documented, and stay.

Times are ISO 8601 in UTC, durations seconds, amounts US dollars as texts; what is not known is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pytest_pipeline.record.junit import NO_PROPERTIES, REPORT
from pytest_pipeline.record.model import AttemptRecord, RunRecord, StepRecord, TaskRunRecord
from pytest_pipeline.record.standing import Standing, age

Value = str | int | float | bool | None | dict[str, "Value"] | list["Value"]


def short(standing: Standing, now: datetime) -> dict[str, Value]:
    """A session as an element of the list.

    Args:
        standing: how it stands.
        now: the time.
    """
    session, verdict = standing.session, standing.verdict
    return {
        "id": session.id,
        "state": str(standing.state),
        "started": _time(session.started),
        "finished": _time(session.finished),
        "age": round(age(standing, now), 3),
        "seconds": standing.seconds,
        "required": session.required,
        "count": session.count,
        "admitted": verdict.admitted,
        "successful": verdict.successful,
        "streak": verdict.streak,
        "met": standing.met,
        "exit_code": session.exit_code,
        "cost_usd": str(standing.cost),
        "facts": {name: value for name, value in session.facts.items() if name not in NO_PROPERTIES},
    }


def full(
    standing: Standing, runs: Sequence[RunRecord], task_runs: Sequence[TaskRunRecord], now: datetime
) -> dict[str, Value]:
    """A session with everything that the store has of it.

    Args:
        standing: how it stands.
        runs: its runs.
        task_runs: its task runs.
        now: the time.
    """
    return {
        **short(standing, now),
        "runs": [_run(each) for each in runs],
        "task_runs": [_task_run(each) for each in task_runs],
    }


def _run(run: RunRecord) -> dict[str, Value]:
    return {
        "number": run.number,
        "admitted": run.admitted,
        "outcome": str(run.outcome),
        "started": _time(run.started),
        "finished": _time(run.finished),
    }


def _task_run(task_run: TaskRunRecord) -> dict[str, Value]:
    key = task_run.key
    return {
        "run": key.run,
        "plan": key.plan,
        "batch": key.batch,
        "task": key.task,
        "title": task_run.title,
        "outcome": str(task_run.outcome),
        "reason": task_run.reason or None,
        "attempts": [_attempt(each) for each in task_run.attempts],
    }


def _attempt(attempt: AttemptRecord) -> dict[str, Value]:
    return {
        "number": attempt.number,
        "outcome": str(attempt.outcome),
        "started": _time(attempt.started),
        "finished": _time(attempt.finished),
        "failure_kind": None if attempt.failure_kind is None else str(attempt.failure_kind),
        "message": attempt.message or None,
        "properties": {name: value for name, value in attempt.properties.items() if name != REPORT},
        "steps": [_step(each) for each in attempt.steps],
    }


def _step(step: StepRecord) -> dict[str, Value]:
    return {
        "name": step.name,
        "outcome": str(step.outcome),
        "started": _time(step.started),
        "finished": _time(step.finished),
        "detail": step.detail or None,
    }


def _time(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()
