"""What the scheduler of xdist's controller takes for each item: flat, however many there are."""

from __future__ import annotations

import argparse
import statistics
import time
from collections import deque
from typing import TYPE_CHECKING, cast

import pytest

from pytest_pipeline.cases.order import CaseKey
from pytest_pipeline.cases.parallel.scheduler import UnitScheduling
from pytest_pipeline.cases.parallel.units import Scheduled

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController


class _Config:
    def getoption(self, name: str) -> None:
        """No limit of a chunk."""


class _Worker:
    """Takes what it is sent."""

    shutting_down = False

    def __init__(self, name: str) -> None:
        self.gateway = self
        self.id = name
        self.sent: deque[int] = deque()

    def send_runtest_some(self, indices: list[int]) -> None:
        self.sent.extend(indices)


def items(tasks: int) -> dict[str, Scheduled]:
    """Ten runs of one plan for each hundred tasks: five batches of two tasks in a chain, and a final state."""
    found = {}
    for plan in (f"{number}.md" for number in range(tasks // 100)):
        for run in range(1, 11):
            before: tuple[CaseKey, ...] = ()
            for batch in "12345":
                keys = tuple(CaseKey(run, plan, batch, f"{batch}.{task}") for task in "12")
                found.update({f"{plan}::{run}::{key.task}": Scheduled(key, before) for key in keys})
                before = keys
            found[f"{plan}::{run}::final-state"] = Scheduled(CaseKey(run, plan, "", "final-state"))
    return found


def seconds(tasks: int, workers: int) -> float:
    """What it takes to give all to workers that are done at once, without what workers and their channels take."""
    collection = items(tasks)
    began = time.perf_counter()
    scheduling = UnitScheduling(cast("pytest.Config", _Config()), list(collection), list(collection.values()))
    nodes = [cast("WorkerController", _Worker(f"gw{number}")) for number in range(workers)]
    for node in nodes:
        scheduling.add_node(node)
        scheduling.add_node_collection(node, list(collection))
    scheduling.schedule()
    while not scheduling.tests_finished:
        for worker in nodes:
            sent = cast("_Worker", worker).sent
            while len(sent) > 1:
                scheduling.mark_test_complete(worker, sent.popleft())
    return (time.perf_counter() - began) / len(collection)


def main(arguments: list[str] | None = None) -> None:
    """Print microseconds an item, at 1,000 and at 10,000 tasks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    print("scheduling: time an item in the controller of xdist\n\n| workers | 1,000 tasks | 10,000 tasks | ratio |")
    print("|---|---|---|---|")
    for workers in (2, 8):
        rounds = [(seconds(1_000, workers), seconds(10_000, workers)) for _ in range(options.rounds)]
        few, many = (statistics.median(each[side] for each in rounds) * 1e6 for side in (0, 1))
        ratio = statistics.median(each[1] / each[0] for each in rounds)
        print(f"| {workers} | {few:.1f} us | {many:.1f} us | {ratio:.2f} |")


if __name__ == "__main__":
    main()
