"""What the scheduler of xdist's controller takes for each item: flat, however many there are, and little beside `load`.

Python's garbage collector looks at everything that is alive, now and then, so that what lives longer is looked at more
often; with it no scheduler is flat. Both are told, with it and without.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import statistics
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

from pytest_pipeline.cases.order import CaseKey
from pytest_pipeline.cases.parallel.scheduler import UnitScheduling
from pytest_pipeline.cases.parallel.units import Scheduled

if TYPE_CHECKING:
    from xdist.scheduler import Scheduling
    from xdist.workermanage import WorkerController


class _Config:
    """What schedulers ask of pytest's configuration: no limit of a chunk, and so many workers."""

    def __init__(self, workers: int) -> None:
        self.option = self
        self._options = {"tx": ["popen"] * workers}

    def getoption(self, name: str) -> None:
        """No limit of a chunk."""

    def getvalue(self, name: str) -> list[str]:
        """The workers."""
        return self._options[name]


class _Worker:
    """Takes what it is sent."""

    shutting_down = False

    def __init__(self, name: str) -> None:
        self.gateway = self
        self.id = name
        self.sent: deque[int] = deque()

    def send_runtest_some(self, indices: list[int]) -> None:
        self.sent.extend(indices)

    def shutdown(self) -> None:
        """Let it run what it holds back."""
        self.shutting_down = True


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


def _ours(workers: int, collection: dict[str, Scheduled]) -> Scheduling:
    return UnitScheduling(cast("pytest.Config", _Config(workers)), list(collection), list(collection.values()))


def _load(workers: int, collection: dict[str, Scheduled]) -> Scheduling:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScheduling

    del collection
    return LoadScheduling(cast("pytest.Config", _Config(workers)), Producer("load", enabled=False))


SCHEDULERS = {"ours": _ours, "load": _load}


@contextlib.contextmanager
def _collector(on: bool) -> Iterator[None]:
    gc.collect()
    if not on:
        gc.disable()
    try:
        yield
    finally:
        gc.enable()


def seconds(who: str, tasks: int, workers: int, *, collector: bool) -> float:
    """What it takes to give all to workers that are done at once, without what workers and their channels take."""
    collection = items(tasks)
    with _collector(collector):
        began = time.perf_counter()
        scheduling = SCHEDULERS[who](workers, collection)
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
    print("scheduling: time an item in the controller of xdist\n")
    print("| scheduler | workers | garbage collector | 1,000 tasks | 10,000 tasks | ratio |\n" + "|---" * 6 + "|")
    cases = [(who, workers, on) for who in SCHEDULERS for workers in (2, 8) for on in (True, False)]
    for who, workers, on in cases:
        rounds = [
            [seconds(who, tasks, workers, collector=on) for tasks in (1_000, 10_000)] for _ in range(options.rounds)
        ]
        few, many = (statistics.median(each[side] for each in rounds) * 1e6 for side in (0, 1))
        ratio = statistics.median(each[1] / each[0] for each in rounds)
        print(f"| {who} | {workers} | {'on' if on else 'off'} | {few:.1f} us | {many:.1f} us | {ratio:.2f} |")


if __name__ == "__main__":
    main()
