"""In which order things run: dependencies first, then the plan's own order, repeated by scope. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pytest_pipeline.plans.model import Batch, Plan, Task

TaskKey = tuple[str, str]
"""Batch number and task id: what a task is called within its plan."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class CaseKey:
    """One item of a plan in one run, within a session; ``batch`` is empty for the final state."""

    run: int
    plan: str
    batch: str
    task: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands: number of its plan in the session, run, and rank of batch and task in the plan."""

    plan: int
    run: int
    batch: int
    task: int


SCOPES: Mapping[str, Callable[[Place], tuple[int, ...]]] = {
    "session": lambda place: (place.run, place.plan, place.task),
    "module": lambda place: (place.plan, place.run, place.task),
    "class": lambda place: (place.plan, place.batch, place.run, place.task),
    "function": lambda place: (place.plan, place.task, place.run),
}
"""What ``--repeat-scope`` repeats as a block, as a sort key: everything, a plan, a batch, a task."""


def needs_of(plan: Plan, batch: Batch, task: Task) -> tuple[TaskKey, ...]:
    """The tasks of a plan that must have passed before this one: its own needs, and all of the needed batches.

    Args:
        plan: a plan whose dependencies have been checked.
        batch: the batch of the task.
        task: the task.
    """
    before = [
        (other.number, each.id)
        for number in batch.needs
        for other in plan.batches
        if other.number == number
        for each in other.tasks
    ]
    return tuple(dict.fromkeys([*before, *(_resolve(plan, batch, need.batch, need.task) for need in task.needs)]))


def _resolve(plan: Plan, batch: Batch, number: str | None, task: str) -> TaskKey:
    own_first = sorted(plan.batches, key=lambda other: other is not batch)
    for other in own_first:
        if number in (None, other.number) and any(each.id == task for each in other.tasks):
            return other.number, task
    raise KeyError(f"task {task} of batch {number}")


@dataclass(frozen=True)
class Order:
    """The order within a plan: dependencies go first, and the order of the file decides everything else.

    Args:
        needs: what must have passed before a task.
        ranks: the place of each task in that order.
    """

    needs: Mapping[TaskKey, tuple[TaskKey, ...]]
    ranks: Mapping[TaskKey, int]

    @classmethod
    def of(cls, plan: Plan) -> Order:
        """The order of a plan whose dependencies have been checked."""
        needs = {(batch.number, task.id): needs_of(plan, batch, task) for batch in plan.batches for task in batch.tasks}
        ordered = needs_first(list(needs), needs.__getitem__, lambda key: key)
        return cls(needs, {key: rank for rank, key in enumerate(ordered)})

    def places(self, plan: int, run: int, batch: Batch) -> list[Place]:
        """The places of a batch's tasks, in the order of the file.

        Args:
            plan: number of the plan in the session.
            run: number of the run.
            batch: the batch.
        """
        ranks = [self.ranks[batch.number, task.id] for task in batch.tasks]
        first = min(ranks)
        return [Place(plan, run, first, rank) for rank in ranks]


def needs_first(
    items: Sequence[Item], needs: Callable[[Item], Iterable[Hashable]], key: Callable[[Item], Hashable]
) -> list[Item]:
    """The same items, each behind those that it needs, otherwise in the given order.

    Args:
        items: in the order that is wanted.
        needs: keys of the items that must stand before an item; unknown ones are ignored, and circles broken.
        key: the key of an item.
    """
    known = {key(item): item for item in items}
    placed: dict[Hashable, Item] = {}
    asked: set[Hashable] = set()
    for item in items:
        waiting = [item]
        while waiting:  # no recursion: a plan may be one chain of a thousand tasks
            current = waiting[-1]
            name = key(current)
            if name in placed or name in asked:
                placed.setdefault(name, current)
                waiting.pop()
            else:
                asked.add(name)
                missing = [need for need in needs(current) if need in known and need not in placed]
                waiting.extend(known[need] for need in reversed(missing))
    return list(placed.values())
