"""Whatever happens in whatever order: nothing starts too early, nothing twice, nobody is idle, nothing hangs."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_pipeline.cases.parallel.scheduler import UnitScheduling
from pytest_pipeline.cases.parallel.units import units_of
from tests.cases.parallel.fake_xdist import FakeConfig, FakeNode, FakeSession
from tests.cases.parallel.plan_shapes import Items, predecessors, sessions

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController


@dataclass(frozen=True)
class Luck:
    """What goes wrong, and how often, per step."""

    seed: int
    crashes: float = 0.0
    interrupts: float = 0.0
    stops: float = 0.0
    edits: float = 0.0


@dataclass(eq=False)
class World:
    """A session in which everything is checked as it happens."""

    items: Items
    workers: int
    restarts: int | None
    by_run: bool = False
    chunk: int | None = None
    stops_after: int | None = None
    sent: set[int] = field(default_factory=set)
    finished: set[int] = field(default_factory=set)
    dropped: set[int] = field(default_factory=set)
    behind: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ids = [f"item-{index}" for index in range(len(self.items))]
        self.units = units_of(self.items)
        self.home = {index: number for number, unit in enumerate(self.units) for index in unit.indices}
        ours = [item for item in self.items if item is not None]
        places = {item.case: index for index, item in enumerate(self.items) if item is not None}
        self.before = {places[item.case]: {places[need] for need in predecessors(item, ours)} for item in ours}
        self.config = FakeConfig(self.chunk)
        self.sched = UnitScheduling(self.config, self.ids, self.items, observer=self, by_run=self.by_run)
        self.session = FakeSession(self.sched, self.ids, self.workers, self.restarts)
        self.checked = 0

    # The observer

    def on_sent(self, worker_id: str, nodeid: str) -> None:
        index = self.ids.index(nodeid)
        assert index not in self.dropped
        if index in self.home and not self.sent.intersection(self.units[self.home[index]].indices):
            chosen = self.urgency(self.home[index])
            assert all(chosen <= self.urgency(number) for number in self.startable())
        elif index not in self.home:
            assert not self.startable(), "plans go before Python tests"
        self.sent.add(index)

    def on_finished(self, worker_id: str, nodeid: str) -> None:
        self.finished.add(self.ids.index(nodeid))
        if len(self.finished) == self.stops_after:
            self.stop({index for index in range(len(self.ids)) if index % 3 == 0})

    def on_died_behind(self, node: WorkerController, nodeid: str) -> None:
        assert self.ids.index(nodeid) in self.finished
        self.behind.append((node.gateway.id, self.ids.index(nodeid)))

    # What is true, said once more

    @property
    def done(self) -> set[int]:
        """The items whose end the controller has heard of."""
        return self.finished | self.dropped | {self.ids.index(nodeid) for nodeid in self.session.lost}

    def has_ended(self, number: int, done: set[int]) -> bool:
        unit = self.units[number]
        return done.issuperset(unit.indices) and all(self.has_ended(need, done) for need in unit.needs)

    def startable(self) -> list[int]:
        """Units of which nothing was sent, and which nothing keeps."""
        done, sent = self.done, self.sent | self.out()
        return [
            number
            for number, unit in enumerate(self.units)
            if set(unit.indices) - self.dropped
            and not sent.intersection(unit.indices)
            and all(self.has_ended(need, done) for need in unit.needs)
        ]

    def urgency(self, number: int) -> tuple[int, int, int]:
        unit = self.units[number]
        left = [index for index in unit.indices if index not in self.dropped]
        chain = unit.chain - (len(unit.indices) - len(left))
        return (unit.run, -chain, left[0]) if self.by_run else (-chain, unit.run, left[0])

    # What happens

    def run(self, luck: Luck) -> None:
        chance = random.Random(luck.seed)
        for _ in range(20_000):
            if self.session.over:
                break
            self.trouble(chance, luck)
            possible = self.session.possible()
            assert possible or self.session.over, "the session hangs"
            if possible:
                chance.choice(possible)()
            self.check()
        assert self.session.over, "the session does not end"
        self.check_end()

    def trouble(self, chance: random.Random, luck: Luck) -> None:
        alive = [node for node in self.session.active if node.alive]
        if alive and chance.random() < luck.crashes:
            chance.choice(alive).die()
        elif alive and chance.random() < luck.interrupts:
            chance.choice(alive).interrupt()
        if chance.random() < luck.edits:
            self.session.replaces_with = [*self.ids, "item-new"]
        if chance.random() < luck.stops:
            self.stop({index for index in range(len(self.ids)) if chance.random() < 0.5})
            self.check()

    def stop(self, which: set[int]) -> None:
        told = {index for index in which if self.ids[index] in self.sched.unrun()}
        gone = told - self.out()
        self.dropped |= gone
        assert self.sched.stop(lambda nodeid: self.ids.index(nodeid) in which) == [self.ids[i] for i in sorted(gone)]

    def out(self) -> set[int]:
        """What workers have, as far as the controller knows; also what was sent to one that is dead."""
        return {index for lane in self.sched._lanes.values() for index in lane.sent}

    def check(self) -> None:
        happened = self.session.happened
        for index in happened.started[self.checked :]:
            over = {*happened.ended, *happened.crashed, *self.done}
            assert self.before.get(index, set()) <= over, f"{self.ids[index]} starts too early"
        self.checked = len(happened.started)
        assert len(set(happened.started)) == len(happened.started), "an item runs twice"
        if any(self.is_idle(node) for node in self.session.active):
            assert not self.startable()

    def is_idle(self, node: FakeNode) -> bool:
        return node.parked and not node.events and node in self.sched.nodes and not node.shutting_down

    def check_end(self) -> None:
        happened = self.session.happened
        lost = {self.ids.index(nodeid) for nodeid in self.session.lost}
        unrun = {self.ids.index(nodeid) for nodeid in self.sched.unrun()}
        assert self.finished == set(happened.ended)
        assert lost.issuperset(happened.crashed)
        assert not lost & self.finished
        told = [*self.finished, *lost, *self.dropped, *unrun]
        assert sorted(told) == list(range(len(self.ids))), "every item is told, once"


lucks = st.builds(Luck, st.integers(0, 2**32))
workers = st.integers(1, 4)
patient = settings(deadline=None, max_examples=60)


@patient
@given(sessions(), workers, lucks, st.booleans(), st.sampled_from([None, 1, 3]))
def test_every_item_runs_once_and_after_what_it_needs(
    items: Items, workers: int, luck: Luck, by_run: bool, chunk: int | None
) -> None:
    world = World(items, workers, None, by_run, chunk)
    world.run(luck)
    assert world.finished == set(range(len(items)))


@patient
@given(sessions(), workers, st.integers(0, 2**32), st.sampled_from([0.01, 0.1]))
def test_crashes_lose_what_ran_and_nothing_else(items: Items, workers: int, seed: int, crashes: float) -> None:
    world = World(items, workers, None)
    world.run(Luck(seed, crashes=crashes))
    assert not world.sched.unrun()


@patient
@given(sessions(), workers, st.integers(0, 3), st.integers(0, 2**32))
def test_a_session_without_restarts_left_ends_and_tells_what_did_not_run(
    items: Items, workers: int, restarts: int, seed: int
) -> None:
    World(items, workers, restarts).run(Luck(seed, crashes=0.1))


@patient
@given(sessions(), workers, st.integers(0, 2**32))
def test_what_was_not_sent_can_be_dropped_at_any_time(items: Items, workers: int, seed: int) -> None:
    world = World(items, workers, None)
    world.run(Luck(seed, stops=0.05, crashes=0.02))
    assert not world.sched.unrun()


@patient
@given(sessions(), workers, st.integers(0, 2**32), st.integers(1, 9))
def test_whoever_hears_of_an_end_can_drop_items_before_the_next_one_is_sent(
    items: Items, workers: int, seed: int, after: int
) -> None:
    world = World(items, workers, None, stops_after=after)
    world.run(Luck(seed))
    assert not world.sched.unrun()


@patient
@given(sessions(), workers, st.integers(0, 2**32))
def test_an_interrupted_worker_ends_the_session(items: Items, workers: int, seed: int) -> None:
    World(items, workers, None).run(Luck(seed, interrupts=0.02, crashes=0.02))


@patient
@given(sessions(), workers, st.integers(0, 2**32))
def test_workers_that_collect_something_else_get_no_work(items: Items, workers: int, seed: int) -> None:
    world = World(items, workers, None)
    world.run(Luck(seed, crashes=0.05, edits=0.05))
    for node in world.session.made:
        assert list(node.collection) == world.ids or not node.held or node.held < 0


def test_a_worker_that_dies_while_it_tears_down_is_told_of_behind_its_last_item() -> None:
    world = World((None, None, None), 2, None)
    park, (one, other) = 3, world.session.made
    for node in (one, other):
        world.sched.add_node(node)
        world.sched.add_node_collection(node, world.ids)
    world.sched.schedule()
    for node, item in ((one, 0), (other, 1)):
        world.sched.mark_test_complete(node, park)
        world.sched.mark_test_complete(node, item)

    assert world.sched.remove_node(other) is None, "it waited, and nothing is lost"
    assert world.behind == []

    assert world.sched.remove_node(one) is None, "it was about to begin with the third item"
    assert world.behind == [("gw0", 0)]

    late = FakeNode("gw2", world.ids, world.session.happened)
    world.sched.add_node(late)
    world.sched.add_node_collection(late, world.ids)
    world.sched.schedule()
    world.sched.mark_test_complete(late, park)
    world.sched.mark_test_complete(late, 2)
    assert world.sched.tests_finished
    world.sched.remove_node(late)
    assert world.behind == [("gw0", 0), ("gw2", 2)], "at its end all is torn down"
