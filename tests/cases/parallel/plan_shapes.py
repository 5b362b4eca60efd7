"""Random sessions: plans as graphs, repeated, with deselected items and Python tests in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from pytest_pipeline.cases.order import CaseKey, needs_first
from pytest_pipeline.cases.parallel.units import Scheduled

Items = tuple[Scheduled | None, ...]


@dataclass(frozen=True)
class Shape:
    """A batch: its number of tasks, whether they may run side by side, and the batches and tasks that it needs."""

    tasks: int
    parallel: bool
    needs: tuple[int, ...]


def task(run: int, plan: str, batch: str, name: str, *needs: CaseKey, parallel: bool = False) -> Scheduled:
    return Scheduled(CaseKey(run, plan, batch, name), needs, parallel)


def final(run: int, plan: str) -> Scheduled:
    return Scheduled(CaseKey(run, plan, "", "final-state"))


def of_plan(plan: str, run: int, shapes: Sequence[Shape], crossing: Sequence[tuple[int, int]]) -> list[Scheduled]:
    """The items of a plan in a run. Crossing are further needs between tasks: a later one in rank needs an earlier one.

    Tasks are ranked column by column (all first tasks, all second tasks, ...), so that crossing needs may make batches
    need one another in a circle, while tasks do not.
    """
    keys = [CaseKey(run, plan, f"{b}", f"{b}.{t}") for b, shape in enumerate(shapes) for t in range(shape.tasks)]
    ranked = sorted(keys, key=lambda key: (key.task.split(".")[1], int(key.batch)))
    needs: dict[CaseKey, list[CaseKey]] = {key: [] for key in keys}
    circles = any(a % len(ranked) != b % len(ranked) for a, b in crossing)
    for one, other in crossing:
        low, high = sorted((one % len(ranked), other % len(ranked)))
        if low != high:
            needs[ranked[high]].append(ranked[low])
    for key in keys:
        if not circles:  # needs of whole batches, and needs against the columns, together could be a circle of tasks
            needs[key] += [each for each in keys if int(each.batch) in shapes[int(key.batch)].needs]
    return [Scheduled(key, tuple(dict.fromkeys(needs[key])), shapes[int(key.batch)].parallel) for key in keys] + [
        final(run, plan)
    ]


@st.composite
def shapes(draw: st.DrawFn) -> list[Shape]:
    found = []
    for number in range(draw(st.integers(1, 12))):
        needs = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        found.append(Shape(draw(st.integers(1, 3)), draw(st.booleans()), tuple(sorted(needs))))
    return found


@st.composite
def sessions(draw: st.DrawFn) -> Items:
    """A collection as xdist's workers report it: needs stand before what needs them, as our own ordering makes sure."""
    runs = draw(st.integers(1, 3))
    items: list[Scheduled] = []
    for plan in range(draw(st.integers(1, 2))):
        batches = draw(shapes())
        crossing = draw(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=4))
        for run in range(1, runs + 1):
            items += of_plan(f"{plan}.md", run, batches, crossing)
    items = draw(st.permutations(items)) if draw(st.booleans()) else items
    ordered = put_in_order([item for item in items if draw(st.integers(0, 9)) > 0])
    tests = draw(st.lists(st.integers(0, len(ordered)), max_size=6))
    mixed: list[Scheduled | None] = list(ordered)
    for place in sorted(tests, reverse=True):
        mixed.insert(place, None)
    return tuple(mixed)


def put_in_order(items: Sequence[Scheduled]) -> list[Scheduled]:
    """What ``arranging.put_needs_first`` does: needs, and in a batch the order of its tasks; final states last."""

    def needs(item: Scheduled) -> Sequence[CaseKey]:
        return predecessors(item, items)

    return needs_first(items, needs, lambda item: item.case)


def predecessors(item: Scheduled, items: Sequence[Scheduled]) -> list[CaseKey]:
    """What must have ended before an item, among those that are selected: said once more, in other words."""
    run = [other for other in items if other.case.run == item.case.run]
    if item.is_final_state:
        return [other.case for other in run if not other.is_final_state]
    selected = {other.case for other in run}
    found = [need for need in item.needs if need in selected]
    if not item.batch_parallel:
        found += [
            other.case
            for other in run
            if (other.case.plan, other.case.batch) == (item.case.plan, item.case.batch)
            and other.case.task < item.case.task
        ]
    return found
