"""``--batches``: only some batches of each plan, by their numbers."""

from __future__ import annotations

import pytest

from pytest_pipeline.cases.nodes import CaseItem
from pytest_pipeline.plans.needs import within
from pytest_pipeline.record.model import FINAL_STATE


def deselect_other_batches(config: pytest.Config, span: str, items: list[pytest.Item]) -> None:
    """Deselect the tasks of all other batches, in place, and the final state of a plan that keeps no task.

    Args:
        config: tells its plugins of what was deselected.
        span: a range of batch numbers as :func:`~pytest_pipeline.values.span` writes it.
        items: all items; those of no plan stay.
    """
    ours = [item for item in items if isinstance(item, CaseItem)]
    inside = [item.case for item in ours if item.case.task != FINAL_STATE and within(span, item.case.batch)]
    kept = {*inside, *((case.run, case.plan) for case in inside)}

    def stays(item: pytest.Item) -> bool:
        if not isinstance(item, CaseItem):
            return True
        case = item.case
        return case in kept or (case.task == FINAL_STATE and (case.run, case.plan) in kept)

    dropped = [item for item in ours if not stays(item)]
    if dropped:
        items[:] = [item for item in items if stays(item)]
        config.hook.pytest_deselected(items=dropped)
