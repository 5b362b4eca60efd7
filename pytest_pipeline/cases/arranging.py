"""The order of plan items among all items: ours change places with one another, everybody else's stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pytest

from pytest_pipeline.cases.nodes import CaseItem, TaskItem
from pytest_pipeline.cases.order import SCOPES, CaseKey, needs_first


def plan_items(items: Sequence[pytest.Item]) -> list[CaseItem]:
    """Those items that belong to plans."""
    return [item for item in items if isinstance(item, CaseItem)]


def repeat_by(scope: str, items: list[pytest.Item]) -> None:
    """Put the items of plans into the order of ``--repeat-scope``, in place.

    A case that stands twice stays once: until 9.0, pytest collects a file anew for every time that it is named.
    """
    key = SCOPES[scope]
    seen: set[CaseKey] = set()
    items[:] = [item for item in items if not isinstance(item, CaseItem) or _is_new(item.case, seen)]
    _place(items, sorted(plan_items(items), key=lambda item: key(item.place)))


def _is_new(case: CaseKey, seen: set[CaseKey]) -> bool:
    new = case not in seen
    seen.add(case)
    return new


def put_needs_first(items: list[pytest.Item]) -> None:
    """Put what is needed before what needs it, in place, whatever order others have made."""
    ours = plan_items(items)
    _place(items, needs_first(ours, _stands_behind(ours), lambda item: item.case))


def _place(items: list[pytest.Item], ours: list[CaseItem]) -> None:
    """Put our items, in this order, into the places that our items have."""
    places = [index for index, item in enumerate(items) if isinstance(item, CaseItem)]
    for index, item in zip(places, ours, strict=True):
        items[index] = item


def _stands_behind(ours: list[CaseItem]) -> Callable[[CaseItem], Iterable[CaseKey]]:
    """What an item must follow: its needs, and whatever stands before it in a batch whose tasks run in order.

    The final state follows all tasks of its plan and run.
    """
    tasks: dict[tuple[int, str], list[CaseKey]] = {}
    before: dict[CaseKey, CaseKey] = {}
    latest: dict[tuple[int, str, str], CaseKey] = {}
    for item in sorted(ours, key=lambda item: item.place.task):
        case = item.case
        if isinstance(item, TaskItem):
            tasks.setdefault((case.run, case.plan), []).append(case)
            if not item.batch.parallel:
                batch = case.run, case.plan, case.batch
                if batch in latest:
                    before[case] = latest[batch]
                latest[batch] = case

    def needs(item: CaseItem) -> Iterable[CaseKey]:
        if not isinstance(item, TaskItem):
            return tasks.get((item.case.run, item.case.plan), [])
        return (*item.needs, before[item.case]) if item.case in before else item.needs

    return needs
