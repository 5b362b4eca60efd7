"""Which case is behind a node id: xdist's controller collects nothing, and its workers report ids alone."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_pipeline.cases.describe import batch_name, item_name, run_name
from pytest_pipeline.cases.order import CaseKey, Order
from pytest_pipeline.cases.parallel.units import Scheduled
from pytest_pipeline.plans.model import Plan
from pytest_pipeline.record.model import FINAL_STATE


def cases_of(plan: Plan, path_id: str, count: int) -> dict[str, Scheduled]:
    """What is known of each item of a plan, by node id; named by the functions that collection names items with.

    Args:
        plan: a plan whose dependencies have been checked.
        path_id: the node id of its file.
        count: the number of runs.
    """
    order = Order.of(plan)
    found: dict[str, Scheduled] = {}
    for run in range(1, count + 1):
        parents = [name for name in (path_id, run_name(run, count)) if name]
        found.update(("::".join([*parents, *names]), item) for names, item in _of_run(plan, order, run))
    return found


def _of_run(plan: Plan, order: Order, run: int) -> Iterator[tuple[tuple[str, ...], Scheduled]]:
    for batch in plan.batches:
        for task in batch.tasks:
            needs = tuple(CaseKey(run, plan.path, *key) for key in order.needs[batch.number, task.id])
            case = CaseKey(run, plan.path, batch.number, task.id)
            yield (batch_name(batch), item_name(task)), Scheduled(case, needs, batch.parallel)
    yield (FINAL_STATE,), Scheduled(CaseKey(run, plan.path, "", FINAL_STATE))
