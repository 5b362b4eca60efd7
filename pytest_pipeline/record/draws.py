"""How often a model was drawn from: an attempt after the first turn of an earlier one is a second chance.

What failed before a model had begun proves nothing about it; what failed, or was cut off, afterwards is a draw that
counts, and a record that hides it claims more than it proves.
"""

from __future__ import annotations

from collections.abc import Iterable

from pytest_pipeline.record.costs import cost_of
from pytest_pipeline.record.model import AttemptRecord, TaskRunRecord


def draws(attempts: Iterable[AttemptRecord]) -> int:
    """The attempts in which an agent had begun.

    Where it is not known whether it had, for example because it was killed, it had. Only an agent that says itself that
    it was not available, and tells of no turn and no cost, had not.
    """
    return sum(map(_had_begun, attempts))


def redrawn_runs(task_runs: Iterable[TaskRunRecord]) -> frozenset[int]:
    """Numbers of the runs in which an agent had begun more than once on a task."""
    return frozenset(each.key.run for each in task_runs if draws(each.attempts) > 1)


def _had_begun(attempt: AttemptRecord) -> bool:
    told = attempt.properties
    if cost_of(told) or told.get("turns", "0") != "0":
        return True
    return any(step.name == "agent" for step in attempt.steps) and told.get("agent_status") != "unavailable"
