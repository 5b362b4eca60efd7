"""What became of each item so far, which decides what may run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pytest_pipeline.cases.nodes import CaseItem, TaskItem
from pytest_pipeline.cases.order import CaseKey
from pytest_pipeline.plans.model import Status
from pytest_pipeline.record.model import FINAL_STATE, Outcome


class Ledger:
    """The outcomes of the selected items of one process.

    Args:
        items: the selected items.
    """

    def __init__(self, items: Iterable[CaseItem]) -> None:
        self._items = {item.case: item for item in items}
        self._outcomes: dict[CaseKey, Outcome] = {}
        self._of_plan: dict[tuple[int, str], dict[CaseKey, Outcome]] = {}  # the same by run and plan, without ends
        self._unmerged: set[CaseKey] = set()
        self._ask: Callable[[int], Mapping[CaseKey, tuple[Outcome, bool]]] | None = None

    def ask_others(self, ask: Callable[[int], Mapping[CaseKey, tuple[Outcome, bool]]]) -> None:
        """Other processes carry out items too: ask for their outcomes before anything is decided.

        Args:
            ask: tells of a run how its items ended so far, and of each whether it left no open pull request.
        """
        self._ask = ask

    def note(self, case: CaseKey, outcome: Outcome, *, merged: bool = True) -> None:
        """Write down how an item ended; a later attempt overwrites an earlier one.

        Args:
            case: the item.
            outcome: how it ended.
            merged: False when its pull request was left open, as asked.
        """
        self._outcomes[case] = outcome
        if case.task != FINAL_STATE:
            self._of_plan.setdefault((case.run, case.plan), {})[case] = outcome
        self._unmerged.discard(case)
        if not merged:
            self._unmerged.add(case)

    def unselected_needs(self, item: CaseItem) -> list[str]:
        """What an item needs that is not selected, and therefore counts as met."""
        return [need.task for need in item.needs if need not in self._items]

    def reason_to_skip(self, item: CaseItem) -> tuple[Outcome, str] | None:
        """Why an item must not run now, or None.

        Returns:
            COMPLETED where the plan says that it is done, SKIPPED where a dependency is not met; and the reason.
        """
        self._learn(item)
        if isinstance(item, TaskItem):
            if item.task.status is Status.COMPLETED:
                return Outcome.COMPLETED, "The plan says that it is completed."
            for need in item.needs:
                reason = self._unmet(need)
                if reason:
                    return Outcome.SKIPPED, f"It needs task {need.task} of batch {need.batch}, which {reason}."
            return None
        return self._reason_without_end(item)

    def _learn(self, item: CaseItem) -> None:
        if self._ask is None or (isinstance(item, TaskItem) and not item.needs):
            return
        for case, (outcome, merged) in self._ask(item.case.run).items():
            if outcome is not Outcome.RUNNING:
                self.note(case, outcome, merged=merged)

    def _unmet(self, need: CaseKey) -> str:
        if need not in self._items:
            return ""
        outcome = self._outcomes.get(need, Outcome.RUNNING)
        if outcome is Outcome.RUNNING:
            return "has not run"
        if need in self._unmerged:
            return "was left as an open pull request, not merged"
        return "" if outcome.successful else f"{'was' if outcome is Outcome.SKIPPED else 'has'} {outcome}"

    def _reason_without_end(self, item: CaseItem) -> tuple[Outcome, str] | None:
        """The final state of a plan is looked at when one of its tasks has passed."""
        tasks = self._of_plan.get((item.case.run, item.case.plan), {}).values()
        if Outcome.PASSED in tasks:
            return None
        if tasks and all(outcome is Outcome.COMPLETED for outcome in tasks):
            return Outcome.COMPLETED, "All tasks of the plan are completed."
        return Outcome.SKIPPED, "No task of the plan has passed in this run."
