"""How xdist comes by our scheduler: before anything is collected it asks for one, so ours decides when all is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.cases.parallel.parking import PARKING
from pytest_pipeline.cases.parallel.scheduler import Observer, UnitScheduling
from pytest_pipeline.cases.parallel.units import Scheduled

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import Scheduling
    from xdist.workermanage import WorkerController

Known = Callable[[Sequence[str]], Mapping[str, Scheduled]]
"""From all node ids of the session to what is known of those that belong to plans; empty where none does."""

Begin = Callable[[Mapping[str, Scheduled]], None]
"""Called once with what is known of plans, before a worker is sent anything."""


class SchedulerChoice:
    """The plugin of xdist's controller that puts :class:`PlanScheduling` in the place of ``load``.

    To be registered where xdist is active and before workers start. Another ``--dist`` is left alone in a session
    without plans, and refused in one with plans.

    Args:
        known: what node ids of plans stand for.
        observer: who is told what workers do; None for nobody.
        begin: what opens a session with plans.
        by_run: whether an earlier run goes before everything of a later one, for sessions that may end early.
    """

    def __init__(
        self,
        known: Known,
        observer: Observer | None = None,
        *,
        begin: Begin = lambda known: None,
        by_run: bool = False,
    ) -> None:
        self._known = known
        self._begin = begin
        self._observer = observer
        self._by_run = by_run
        self._scheduling: PlanScheduling | None = None

    def stop(self, which: Callable[[str], bool]) -> list[str]:
        """Drop items that no worker has been sent: see :meth:`UnitScheduling.stop`."""
        units = self._scheduling.units if self._scheduling else None
        return units.stop(which) if units else []

    def unrun(self) -> list[str]:
        """The items without an end: see :meth:`UnitScheduling.unrun`; none in a session without plans."""
        units = self._scheduling.units if self._scheduling else None
        return units.unrun() if units else []

    def pytest_configure_node(self, node: WorkerController) -> None:
        """Tell a worker that it will be sent to its park item."""
        if _is_load(node.config):
            node.workerinput[PARKING] = True

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Producer) -> Scheduling | None:
        """Ours where the user has chosen none, or ``load``."""
        if not _is_load(config):
            return None
        self._scheduling = PlanScheduling(
            config, log, self._known, self._begin, observer=self._observer, by_run=self._by_run
        )
        return self._scheduling

    def pytest_xdist_node_collection_finished(self, node: WorkerController, ids: Sequence[str]) -> None:
        """Refuse schedulers that would start a task before what it needs, or twice."""
        if not _is_load(node.config) and self._known(ids):
            raise pytest.UsageError(
                f"--dist {node.config.option.dist} knows no dependencies between batches. "
                "Leave --dist out; batches and runs of plans then run side by side, in the right order."
            )


def _is_load(config: pytest.Config) -> bool:
    """What ``-n`` alone means, too."""
    return bool(config.option.dist == "load")


class PlanScheduling:
    """Waits until all workers have collected, then lets :class:`UnitScheduling` or xdist's own ``load`` do the work.

    ``load`` has it where there are no plans, and where workers have not collected the same items, which it tells.

    Args:
        config: pytest's configuration.
        log: xdist's log.
        known: what node ids of plans stand for.
        begin: what opens a session with plans.
        observer: who is told what workers do; None for nobody.
        by_run: whether an earlier run goes before everything of a later one.
    """

    def __init__(
        self,
        config: pytest.Config,
        log: Producer,
        known: Known,
        begin: Begin,
        *,
        observer: Observer | None,
        by_run: bool,
    ) -> None:
        from xdist.scheduler import LoadScheduling

        self.config = config  # pytest-rerunfailures asks schedulers for it
        self._known = known
        self._begin = begin
        self._observer = observer
        self._by_run = by_run
        self._load = LoadScheduling(config, log)
        self._collected: dict[WorkerController, Sequence[str] | None] = {}
        self._chosen: Scheduling | None = None
        self.units: UnitScheduling | None = None

    @property
    def nodes(self) -> list[WorkerController]:
        """The workers."""
        return self._chosen.nodes if self._chosen else list(self._collected)

    @property
    def collection_is_completed(self) -> bool:
        """Whether as many workers have collected as were asked for."""
        if self._chosen:
            return self._chosen.collection_is_completed
        return sum(ids is not None for ids in self._collected.values()) >= self._load.numnodes

    @property
    def tests_finished(self) -> bool:
        """Whether workers are to go home."""
        return self._chosen is not None and self._chosen.tests_finished

    @property
    def has_pending(self) -> bool:
        """Whether items are being run."""
        return self._chosen is not None and self._chosen.has_pending

    def add_node(self, node: WorkerController) -> None:
        """A worker has started."""
        if self._chosen:
            self._chosen.add_node(node)
        else:
            self._collected[node] = None

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """A worker has collected."""
        if self._chosen:
            self._chosen.add_node_collection(node, collection)
        else:
            self._collected[node] = collection

    def schedule(self) -> None:
        """Choose who does the work, the first time; then give work to those that wait."""
        if self._chosen is None:
            self._chosen = self._choose()
            for node, ids in self._collected.items():
                self._chosen.add_node(node)
                if ids is not None:
                    self._chosen.add_node_collection(node, ids)
        self._chosen.schedule()

    def _choose(self) -> Scheduling:
        first, *others = [list(ids) for ids in self._collected.values() if ids is not None]
        cases = self._known(first) if all(ids == first for ids in others) else {}
        if not cases:
            return self._load
        self._begin(cases)
        items = [cases.get(nodeid) for nodeid in first]
        self.units = UnitScheduling(self.config, first, items, observer=self._observer, by_run=self._by_run)
        return self.units

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """A worker is done with an item."""
        assert self._chosen is not None
        self._chosen.mark_test_complete(node, item_index, duration)

    def mark_test_pending(self, item: str) -> None:
        """Run an item again that was lost with its worker."""
        assert self._chosen is not None
        self._chosen.mark_test_pending(item)

    def remove_pending_tests_from_node(self, node: WorkerController, indices: Sequence[int]) -> None:
        """Items were stolen from a worker."""
        assert self._chosen is not None
        self._chosen.remove_pending_tests_from_node(node, indices)

    def remove_node(self, node: WorkerController) -> str | None:
        """A worker is gone; returns the item that it ran when it crashed."""
        if self._chosen:
            return self._chosen.remove_node(node)
        del self._collected[node]
        return None
