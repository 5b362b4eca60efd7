"""Gives workers of xdist their items, one at a time, in an order in which nothing starts before what it needs.

All of xdist's own schedulers send items ahead of results. A worker takes the next index off its queue before it runs
the current item, so the last one that it was sent never runs until something follows; and what it has taken cannot be
taken back. Here every worker is therefore sent the index of its park item last (see ``parking``). It waits there, at
no cost, and whatever it is sent starts at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import pytest

from pytest_pipeline.cases.parallel.backlog import Backlog
from pytest_pipeline.cases.parallel.chunks import Chunks
from pytest_pipeline.cases.parallel.units import Scheduled, units_of

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController


class Observer(Protocol):
    """Who is told what workers do, before the next item is sent."""

    def on_sent(self, worker_id: str, nodeid: str) -> None:
        """An item of a plan starts on a worker; a Python test starts soon."""

    def on_finished(self, worker_id: str, nodeid: str) -> None:
        """An item has ended, and its reports have been seen; not called for one that was lost with its worker."""

    def on_died_behind(self, node: WorkerController, nodeid: str) -> None:
        """A worker has died that ran nothing: it tore down what this item, its last one, had left set up."""


@dataclass(eq=False)
class _Lane:
    """What a worker has been sent and has not told the end of, the unit that it is at, and what has ended last."""

    sent: deque[int] = field(default_factory=deque)
    unit: int | None = None
    last: int | None = None


class UnitScheduling:
    """Units of plans, and chunks of Python tests, on any number of workers; xdist's protocol ``Scheduling``.

    Args:
        config: pytest's configuration.
        collection: the node ids that every worker has collected.
        items: for each of them what is known of it; None for a Python test.
        observer: who is told what workers do; None for nobody.
        by_run: see :class:`Backlog`.
    """

    def __init__(
        self,
        config: pytest.Config,
        collection: Sequence[str],
        items: Sequence[Scheduled | None],
        *,
        observer: Observer | None = None,
        by_run: bool = False,
    ) -> None:
        self.config = config
        self._ids = list(collection)
        self._park = len(self._ids)
        self._observer = observer
        self._backlog = Backlog(units_of(items), by_run=by_run)
        self._tests = {index for index, item in enumerate(items) if item is None}
        self._chunks = Chunks(sorted(self._tests), config.getoption("maxschedchunk"))
        self._open = dict.fromkeys(range(len(self._ids)))  # neither ended, nor lost with a worker, nor dropped
        self._lanes: dict[WorkerController, _Lane] = {}
        self._over = False

    # What xdist asks

    @property
    def nodes(self) -> list[WorkerController]:
        """The workers."""
        return list(self._lanes)

    @property
    def collection_is_completed(self) -> bool:
        """Always: it is there from the beginning."""
        return True

    @property
    def tests_finished(self) -> bool:
        """Whether workers are to go home."""
        return self._over or not self._open

    @property
    def has_pending(self) -> bool:
        """Whether some item has not ended."""
        return bool(self._open)

    # What xdist tells

    def add_node(self, node: WorkerController) -> None:
        """A worker has started; it will collect."""
        self._lanes[node] = _Lane()

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """A worker has collected, and waits from now on; one that has collected something else is sent home."""
        if list(collection) == self._ids:
            self._send(node, [])
        else:
            self._refuse(node, collection)

    def schedule(self) -> None:
        """All that wait get work."""
        self._dispatch()

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """A worker is done with an item."""
        del duration
        lane = self._lanes[node]
        lane.sent.remove(item_index)
        if item_index == self._park:
            return
        del self._open[item_index]
        lane.last = item_index
        if self._observer is not None:
            self._observer.on_finished(node.gateway.id, self._ids[item_index])
        if lane.unit is not None:
            self._go_on(node, lane, lane.unit)
        self._dispatch()

    def mark_test_pending(self, item: str) -> None:
        """Run a Python test again that was lost with its worker.

        Raises:
            NotImplementedError: it is an item of a plan; what its agent has begun is not done twice.
        """
        index = self._ids.index(item)
        if index not in self._tests:
            raise NotImplementedError(f"{item} is not run again.")
        self._open[index] = None
        self._chunks.put_back([index])
        self._dispatch()

    def remove_pending_tests_from_node(self, node: WorkerController, indices: Sequence[int]) -> None:
        """Never called, because nothing is ever stolen."""
        raise NotImplementedError(f"Nothing was to be taken from {node.gateway.id}.")

    def remove_node(self, node: WorkerController) -> str | None:
        """A worker is gone.

        What it had not started goes on elsewhere. A worker that still says goodbye (Ctrl-C, ``pytest.exit``) has not
        crashed: it ends the session.

        Returns:
            The node id of the item that it ran when it crashed.

        Raises:
            KeyError: the worker is not known.
        """
        lane = self._lanes.pop(node)
        tore_down = len(lane.sent) > 1 or self.tests_finished
        running = None
        if lane.sent and lane.sent[0] != self._park:
            running = lane.sent.popleft()
        unstarted = [index for index in lane.sent if index != self._park]
        if lane.unit is None:
            self._chunks.put_back(unstarted)
        else:
            self._backlog.give_back(lane.unit, unstarted)
        if hasattr(node, "workeroutput"):
            self._over = True
            return None
        if running is not None:
            del self._open[running]
        elif tore_down and lane.last is not None and self._observer is not None:
            self._observer.on_died_behind(node, self._ids[lane.last])
        self._dispatch()
        return None if running is None else self._ids[running]

    # What the session asks

    def stop(self, which: Callable[[str], bool]) -> list[str]:
        """Drop the items that have not been sent to a worker and whose node id this is true of.

        Units that wait for them start when everything else that they, and what was dropped, need has ended. That is
        never at once: while a worker waits, whatever has not started waits for something that runs.

        Returns:
            The node ids, in the order of collection.
        """
        dropped = sorted(
            [
                *self._backlog.drop(lambda index: which(self._ids[index])),
                *self._chunks.drop(lambda index: which(self._ids[index])),
            ]
        )
        for index in dropped:
            del self._open[index]
        return [self._ids[index] for index in dropped]

    def unrun(self) -> list[str]:
        """The items without an end, in the order of collection: neither ended, nor lost with a worker, nor dropped.

        After the session these are the ones that xdist says nothing of: those that were never sent, and those that
        were interrupted while they ran.
        """
        return [self._ids[index] for index in sorted(self._open)]

    # Inside

    def _dispatch(self) -> None:
        for node, lane in list(self._lanes.items()):
            if self._waits(node, lane):
                work = self._next_work(lane)
                if not work:
                    return
                self._send(node, work)

    def _waits(self, node: WorkerController, lane: _Lane) -> bool:
        at_rest = len(lane.sent) == 1 and lane.sent[0] == self._park
        return at_rest and not node.shutting_down

    def _next_work(self, lane: _Lane) -> list[int]:
        lane.unit = self._backlog.take()
        if lane.unit is None:
            return self._chunks.take(len(self._lanes))
        return self._drawn(lane.unit)

    def _drawn(self, unit: int) -> list[int]:
        index = self._backlog.draw(unit)
        return [] if index is None else [index]

    def _go_on(self, node: WorkerController, lane: _Lane, unit: int) -> None:
        """The next item of the unit that a worker is at, or the end of the unit."""
        if node.shutting_down:
            return
        work = self._drawn(unit)
        if work:
            self._send(node, work)
        else:
            lane.unit = None
            self._backlog.give_back(unit)

    def _send(self, node: WorkerController, work: list[int]) -> None:
        lane = self._lanes[node]
        lane.sent.extend([*work, self._park])
        try:
            node.send_runtest_some([*work, self._park])
        except OSError:
            return  # it has died; xdist will say so, and then the work is taken back
        if self._observer is not None:
            for index in work:
                self._observer.on_sent(node.gateway.id, self._ids[index])

    def _refuse(self, node: WorkerController, collection: Sequence[str]) -> None:
        """Send a worker home whose indices would mean other items; a session without any worker ends."""
        del self._lanes[node]
        node.shutdown()
        example = next(iter(sorted({*collection} ^ {*self._ids})), "the order of the items")
        sentence = (
            f"Worker {node.gateway.id}, which replaces another one, collected other items than the session began with "
            f"(for example {example}), so it is given no work. Leave files as they are while a session runs."
        )
        report = pytest.CollectReport(nodeid=node.gateway.id, outcome="failed", longrepr=sentence, result=[])
        self.config.hook.pytest_collectreport(report=report)
        self._over = self._over or not self._lanes
