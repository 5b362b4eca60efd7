"""Which attempts ended between a verified commit and its merge for a reason that is not the task's."""

from __future__ import annotations

from pytest_pipeline.errors import FailureKind
from pytest_pipeline.record.model import AttemptRecord, Outcome

_NOT_THE_TASKS_FAULT = (FailureKind.INFRASTRUCTURE, FailureKind.FORGE)


def is_unlanded(last: AttemptRecord) -> bool:
    """Whether the commit of the last attempt at a task run may still be landed by whoever takes the session up."""
    blameless = last.outcome is Outcome.INTERRUPTED or (
        last.outcome is Outcome.FAILED and last.failure_kind in _NOT_THE_TASKS_FAULT
    )
    return blameless and {"commit", "branch", "parent_commit"} <= last.properties.keys()
