"""Which items of the plans a session has selected, as a fact of the session.

Only who was there at the collection can say that; without it nobody could tell afterwards what a killed session still
had before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_pipeline.record.model import SessionRecord, TaskRunKey

ITEMS = "items"
"""Name of the fact that lists them; it is no property of JUnit, being as long as the plans."""

SELECTED = "selected"
"""Name of the fact that says whether they are all items of their plans."""

ALL = "all"

_ANY_RUN = "*"  # stands for the run in a node id; no name of ours is that


@dataclass(frozen=True)
class Item:
    """One item of a plan, in all runs for which it was selected.

    Args:
        plan: path of the plan.
        batch: number of the batch; empty for the final state.
        task: the task's id, or ``final-state``.
        title: what the record calls it.
        line: where it stands in the plan.
        node: its node id, with ``*`` in the place of the run's name where there is one.
        runs: the numbers of the runs.
    """

    plan: str
    batch: str
    task: str
    title: str
    line: int
    node: str
    runs: tuple[int, ...]

    def key(self, session: str, run: int) -> TaskRunKey:
        """The item in one run, as the store knows it."""
        return TaskRunKey(session, run, self.plan, self.batch, self.task)

    def node_id(self, run: int, width: int) -> str:
        """Its node id in one run; ``width`` is that of run numbers."""
        return self.node.replace(f"::{_ANY_RUN}", f"::run-{run:0{width}d}", 1)


@dataclass(frozen=True)
class Selection:
    """All selected items. ``width``: digits of a run's number in node ids."""

    items: tuple[Item, ...]
    width: int = 2

    @classmethod
    def of(
        cls, keys: Mapping[str, TaskRunKey], titles: Mapping[tuple[str, str, str], tuple[str, int]], *, count: int
    ) -> Selection:
        """Gather items over runs.

        Args:
            keys: the selected items by node id.
            titles: title and line of each item by plan, batch and task.
            count: planned runs.
        """
        width = max(2, len(str(count)))
        gathered: dict[tuple[str, str, str], tuple[str, list[int]]] = {}
        for node, key in keys.items():
            same = node.replace(f"::run-{key.run:0{width}d}", f"::{_ANY_RUN}", 1)
            gathered.setdefault((key.plan, key.batch, key.task), (same, []))[1].append(key.run)
        items = (
            Item(*name, *titles[name], node=node, runs=tuple(sorted(runs))) for name, (node, runs) in gathered.items()
        )
        return cls(tuple(items), width)

    @classmethod
    def read(cls, session: SessionRecord) -> Selection | None:
        """What a session says; None where it does not, being older than this fact."""
        told = session.facts.get(ITEMS)
        if told is None:
            return None
        content = json.loads(told)
        items = (
            Item(plan, batch, task, title, line, node, tuple(_expand(runs)))
            for plan, batch, task, title, line, node, runs in content["items"]
        )
        return cls(tuple(items), content["width"])

    def facts(self, items_of_plans: int) -> dict[str, str]:
        """The facts for the session.

        Args:
            items_of_plans: how many items its plans have in all runs together.
        """
        rows = [
            (each.plan, each.batch, each.task, each.title, each.line, each.node, ",".join(_ranges(each.runs)))
            for each in self.items
        ]
        count = sum(len(each.runs) for each in self.items)
        part = ALL if count == items_of_plans else f"{count} of {items_of_plans}"
        return {ITEMS: json.dumps({"width": self.width, "items": rows}), SELECTED: part}

    def nodes(self, session: str) -> Iterator[tuple[TaskRunKey, Item, str]]:
        """Each item in each run, with its node id; run by run."""
        by_run: dict[int, list[Item]] = {}
        for item in self.items:
            for run in item.runs:
                by_run.setdefault(run, []).append(item)
        for run, items in sorted(by_run.items()):
            for item in items:
                yield item.key(session, run), item, item.node_id(run, self.width)


def _ranges(numbers: Sequence[int]) -> Iterator[str]:
    """Ascending numbers as ``1-3``, ``5``."""
    start = last = None
    for number in [*numbers, None]:
        if last is not None and number != last + 1:
            yield f"{start}" if start == last else f"{start}-{last}"
            start = None
        start = number if start is None else start
        last = number


def _expand(ranges: str) -> Iterator[int]:
    for each in ranges.split(","):
        first, _, last = each.partition("-")
        yield from range(int(first), int(last or first) + 1)
