"""xdist without processes: its controller and its workers as ``dsession.py`` and ``remote.py`` have them, step by step.

Every step is chosen from outside, so that a property test can try all orders. mypy holds the fakes to the real
classes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import execnet
import pytest
from execnet.gateway import RInfo

if TYPE_CHECKING:
    from xdist.scheduler import Scheduling
    from xdist.workermanage import WorkerController

    _Node = WorkerController
    _Gateway = execnet.Gateway
else:
    _Node = _Gateway = object

SHUTDOWN = -1
Event = Callable[[], None]


class FakeGateway(_Gateway):
    def __init__(self, name: str, spec: str, pid: int | None) -> None:
        self.id = name
        self.spec = execnet.XSpec(spec)
        self._pid = pid

    def _rinfo(self, update: bool = False) -> RInfo:
        return RInfo({"pid": self._pid})


@dataclass
class Happened:
    """What really happened, in order, whatever the controller has heard of it."""

    started: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    crashed: list[int] = field(default_factory=list)


class FakeNode(_Node):
    """A worker and the controller's end of it. It runs an item only when it holds what follows it."""

    def __init__(
        self,
        name: str,
        collection: Sequence[str],
        happened: Happened,
        spec: str = "popen",
        pid: int | None = None,
    ) -> None:
        self.gateway = FakeGateway(name, spec, pid)
        self.collection = collection
        self.happened = happened
        self.queue: deque[int] = deque()
        self.events: deque[tuple[str, int]] = deque([("ready", 0), ("collected", 0)])  # to the controller, in order
        self.held: int | None = None
        self.running: int | None = None
        self.alive = True
        self._down = False
        self._shutdown_sent = False

    # The controller's end

    @property
    def shutting_down(self) -> bool:
        return self._down or self._shutdown_sent

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        assert not self._shutdown_sent, "it would never start"
        if not self.alive:
            raise OSError("cannot send (already closed?)")
        self.queue.extend(indices)

    def shutdown(self) -> None:
        self._shutdown_sent = True
        self.queue.append(SHUTDOWN)

    # The worker

    @property
    def can_step(self) -> bool:
        return self.alive and (self.running is not None or bool(self.queue))

    @property
    def parked(self) -> bool:
        return self.held == len(self.collection) and not self.queue and self.running is None

    def step(self) -> None:
        """Take an index, start the item that it lets start, or end the one that runs."""
        if self.running is not None:
            self._end(self.running)
        elif self.held is None:
            self.held = self.queue.popleft()
            if self.held == SHUTDOWN:
                self._leave()
        else:
            index, self.held = self.held, self.queue.popleft()
            self._start(index)

    def _start(self, index: int) -> None:
        self.running = index
        if index < len(self.collection):
            self.happened.started.append(index)
        else:
            self._end(index)

    def _end(self, index: int) -> None:
        self.running = None
        if index < len(self.collection):
            self.happened.ended.append(index)
        self.events.append(("complete", index))
        if self.held == SHUTDOWN:
            self._leave()

    def _leave(self) -> None:
        self.alive = False
        self.events.append(("finished", 0))

    def die(self) -> None:
        """As by SIGKILL: what was said before still arrives."""
        if self.running is not None:
            self.happened.crashed.append(self.running)
        self.alive, self.running = False, None
        self.events.append(("errordown", 0))

    def interrupt(self) -> None:
        """As by Ctrl-C or ``pytest.exit``: the item that runs has no end, and the worker says goodbye."""
        self.running = None
        self._leave()


class FakeSession:
    """What ``DSession`` does with the events of its workers."""

    def __init__(self, sched: Scheduling, collection: Sequence[str], workers: int, restarts: int | None) -> None:
        self.sched = sched
        self.collection = collection
        self.restarts = restarts
        self.happened = Happened()
        self.shutting_down = False
        self.lost: list[str] = []
        self.replaces_with: Sequence[str] = collection
        self.made: list[FakeNode] = []
        self.active: list[FakeNode] = []
        for _ in range(workers):
            self._make(collection)

    def _make(self, collection: Sequence[str]) -> None:
        node = FakeNode(f"gw{len(self.made)}", collection, self.happened)
        self.made.append(node)
        self.active.append(node)

    @property
    def over(self) -> bool:
        return self.shutting_down and not self.active

    def process(self, node: FakeNode) -> None:
        """The next event of a worker."""
        name, index = node.events.popleft()
        {
            "ready": lambda: self._ready(node),
            "collected": lambda: self._collected(node),
            "complete": lambda: self.sched.mark_test_complete(node, index, 0.0),
            "finished": lambda: self._finished(node),
            "errordown": lambda: self._errordown(node),
        }[name]()
        if not self.active and not self.shutting_down and not self.sched.tests_finished:
            raise RuntimeError("Unexpectedly no active workers available")
        if self.sched.tests_finished:
            self.trigger_shutdown()

    def _ready(self, node: FakeNode) -> None:
        if self.shutting_down:
            node.shutdown()
        else:
            self.sched.add_node(node)

    def _collected(self, node: FakeNode) -> None:
        if not self.shutting_down:
            self.sched.add_node_collection(node, list(node.collection))
            if self.sched.collection_is_completed:
                self.sched.schedule()

    def _finished(self, node: FakeNode) -> None:
        node.workeroutput = {"exitstatus": 0}
        node._down = True
        if node in self.sched.nodes:
            crashed = self.sched.remove_node(node)
            assert not crashed, crashed
        self.active.remove(node)

    def _errordown(self, node: FakeNode) -> None:
        node._down = True
        known = node in self.sched.nodes
        try:
            crashed = self.sched.remove_node(node)
        except KeyError:
            assert not known, "xdist would swallow this"
            crashed = None
        if crashed:
            self.lost.append(crashed)
        if self.restarts == 0:
            self.trigger_shutdown()
        else:
            self.restarts = None if self.restarts is None else self.restarts - 1
            self.shutting_down = False
            self._make(self.replaces_with)
        self.active.remove(node)

    def trigger_shutdown(self) -> None:
        if not self.shutting_down:
            self.shutting_down = True
            for node in self.sched.nodes:
                node.shutdown()

    def run(self, choose: Callable[[int], int] = lambda count: 0, most: int = 10_000) -> None:
        """Let everything happen, in the chosen order, until the session is over or nothing can happen any more."""
        for _ in range(most):
            possible = self.possible()
            if self.over or not possible:
                return
            possible[choose(len(possible))]()
        raise AssertionError("the session does not end")

    def possible(self) -> list[Event]:
        found: list[Event] = []
        for node in self.active:
            if node.events:
                found.append(lambda node=node: self.process(node))  # type: ignore[misc]
            if node.can_step:
                found.append(node.step)
        return found


class FakeHook:
    """Takes the reports of worker's collections that were refused."""

    def __init__(self) -> None:
        self.reports: list[pytest.CollectReport] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.reports.append(report)


class FakeConfig(pytest.Config if TYPE_CHECKING else object):  # type: ignore[misc]
    """What a scheduler asks of pytest."""

    def __init__(self, chunk: int | None = None) -> None:
        self.hook = FakeHook()
        self._chunk = chunk

    def getoption(self, name: str, default: object = None, skip: bool = False) -> object:
        assert name == "maxschedchunk"
        return self._chunk
