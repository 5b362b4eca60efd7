"""``--max-cost``: once the session has cost so much, no further task starts."""

from __future__ import annotations

from pytest_pipeline.cases.nodes import CaseItem, FinalStateItem
from pytest_pipeline.execution.pipeline import Pipeline
from pytest_pipeline.record.costs import limit, why_not_started
from pytest_pipeline.record.model import Outcome


class CostLimit:
    """Looks what the session has cost, in all its processes, before anything starts.

    Args:
        pipeline: the open session.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._allowed = None if pipeline.settings.max_cost is None else limit(pipeline.settings.max_cost)
        self._refused: set[tuple[int, str]] = set()  # runs and plans that lack a task because of the limit

    @property
    def reached(self) -> bool:
        """Whether the session has cost that much."""
        return self._allowed is not None and self._pipeline.store.cost(self._pipeline.session) >= self._allowed

    def refuses(self, item: CaseItem, skipped: Outcome | None) -> str:
        """Why an item must not start; empty where it may.

        In a run that has begun, a final state is looked at all the same unless a task of its plan was refused: it
        costs nothing, and without it what was paid for would prove nothing. A run that has not begun never begins.

        Args:
            item: the item.
            skipped: how it would be skipped anyway, or None.
        """
        if not self.reached:
            return ""
        plan = item.case.run, item.case.plan
        free = isinstance(item, FinalStateItem) and plan not in self._refused
        if self.has_begun(item) and (free or skipped is Outcome.COMPLETED):
            return ""
        self._refused.add(plan)
        assert self._allowed is not None
        return why_not_started(self._pipeline.store.cost(self._pipeline.session), self._allowed)

    def has_begun(self, item: CaseItem) -> bool:
        """Whether the run of an item was admitted."""
        runs = self._pipeline.store.runs(self._pipeline.session)
        return any(run.number == item.case.run for run in runs)
