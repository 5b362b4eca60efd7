"""What is selected of the plans, told to the record when the session opens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_pipeline.plans.model import Plan
from pytest_pipeline.record.model import FINAL_STATE, TaskRunKey
from pytest_pipeline.record.selection import Selection


def selection_facts(keys: Mapping[str, TaskRunKey], plans: Iterable[Plan], count: int) -> dict[str, str]:
    """Facts for the session.

    Args:
        keys: the selected items by node id.
        plans: the plans that something is selected of.
        count: planned runs.
    """
    titles = {name: told for plan in plans for name, told in _titles(plan).items()}
    return Selection.of(keys, titles, count=count).facts(len(titles) * count)


def _titles(plan: Plan) -> dict[tuple[str, str, str], tuple[str, int]]:
    tasks = {
        (plan.path, batch.number, task.id): (task.title, task.line) for batch in plan.batches for task in batch.tasks
    }
    return {**tasks, (plan.path, "", FINAL_STATE): ("final state", 1)}
