"""Which attempts ended between a verified commit and its merge for a reason that is not the task's."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_pipeline.errors import FailureKind
from pytest_pipeline.record.model import AttemptRecord, Outcome

_NOT_THE_TASKS_FAULT = (FailureKind.INFRASTRUCTURE, FailureKind.FORGE)


def unlanded(attempts: Sequence[AttemptRecord]) -> AttemptRecord | None:
    """The attempt at a task run whose commit may still be landed by whoever takes the session up; None: there is none.

    It need not be the last one: a worker that dies right after it has finished a task leaves a failed attempt in which
    nothing was done, and the task may be merged already.

    Args:
        attempts: all attempts at the task run, the first one first.
    """
    if not attempts or attempts[-1].outcome is Outcome.PASSED:
        return None
    for attempt in reversed(attempts):
        blameless = attempt.outcome is Outcome.INTERRUPTED or attempt.failure_kind in _NOT_THE_TASKS_FAULT
        if {"commit", "branch", "parent_commit"} <= attempt.properties.keys():
            return attempt if blameless or attempt.outcome is Outcome.PASSED else None
        if not blameless or any(step.name == "agent" for step in attempt.steps):
            return None
    return None
