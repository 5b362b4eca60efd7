"""Dependencies that wait for each other: among batches, among tasks, and across both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pytest_pipeline.plans.model import Batch
from pytest_pipeline.plans.problems import Problems

_MOST = 10  # one message for each circle, but not a screen full


@dataclass
class _Node:
    """Something that waits: the start or the end of a batch, or a task. An edge has the line that asks for it, or 0."""

    name: str
    edges: list[tuple[_Node, int]] = field(default_factory=list)
    state: int = 0  # 0 unseen, 1 on the path, 2 done


def find_cycles(batches: Sequence[Batch], lines: Mapping[str, int], problems: Problems) -> None:
    """Report every circle of dependencies.

    Args:
        batches: with all their needs known to exist.
        lines: the line on which a batch says what it needs, by number.
        problems: where the reports go.
    """
    if not any(batch.needs or any(task.needs for task in batch.tasks) for batch in batches):
        return
    for number, cycle in enumerate(_cycles(_graph(batches, lines))):
        if number == _MOST:
            break
        _report(cycle, problems)


def _graph(batches: Sequence[Batch], lines: Mapping[str, int]) -> list[_Node]:
    starts = {batch.number: _Node(f"batch {batch.number}") for batch in batches}
    ends = {batch.number: _Node("") for batch in batches}
    tasks = {(batch.number, task.id): _Node(f"task {task.id}") for batch in batches for task in batch.tasks}
    for batch in batches:
        start, end = starts[batch.number], ends[batch.number]
        start.edges.extend((ends[need], lines.get(batch.number, 0)) for need in batch.needs)
        before: _Node | None = None
        for task in batch.tasks:
            node = tasks[batch.number, task.id]
            node.edges.append((start, 0))
            node.edges.extend((tasks[need.batch or batch.number, need.task], need.line) for need in task.needs)
            if before is not None and not batch.parallel:
                node.edges.append((before, 0))
            end.edges.append((node, 0))
            before = node
    return [*starts.values(), *tasks.values()]


def _cycles(nodes: Sequence[_Node]) -> Iterator[list[tuple[_Node, int]]]:
    """Depth first, without recursion: plans may be long chains. Each circle as nodes with the lines between them."""
    for root in nodes:
        if root.state:
            continue
        root.state = 1
        path: list[tuple[_Node, int]] = [(root, 0)]
        todo = [iter(root.edges)]
        while todo:
            step = next(todo[-1], None)
            if step is None:
                path.pop()[0].state = 2
                todo.pop()
                continue
            node, line = step
            if node.state == 1:
                first = next(place for place, each in enumerate(path) if each[0] is node)
                yield [*path[first:], (node, line)]
            elif node.state == 0:
                node.state = 1
                path.append((node, line))
                todo.append(iter(node.edges))


def _report(cycle: Sequence[tuple[_Node, int]], problems: Problems) -> None:
    line = min((line for _, line in cycle[1:] if line), default=0)
    names = [node.name for node, _ in cycle if node.name]
    if not cycle[0][0].name:
        names.append(names[0])
    in_order = any(
        line == 0 and here.name.startswith("task") and there.name.startswith("task")
        for (here, _), (there, line) in pairwise(cycle)
    )
    why = (
        " (the tasks of a batch run in the order of the file, unless its execution mode is parallel)"
        if in_order
        else ""
    )
    problems.error(line, f"circular dependency: {' -> '.join(names)}{why}. Remove one of these dependencies.")
