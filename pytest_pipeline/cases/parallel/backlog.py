"""Which units may start, and which of them first. Knows neither pytest nor xdist."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from pytest_pipeline.cases.parallel.units import Unit


class Backlog:
    """The units of a session, from waiting to ended.

    Whoever takes a unit owns it, draws its items one after another, and gives it back at the end.

    Args:
        units: the units; needs are numbers in this sequence.
        by_run: whether an earlier run goes before everything of a later one. Else the longest chain goes first, which
            ends the session earliest, and the order of runs decides between equals.
    """

    def __init__(self, units: Sequence[Unit], *, by_run: bool = False) -> None:
        self._units = units
        self._by_run = by_run
        self._todo = [deque(unit.indices) for unit in units]
        self._missing = [len(unit.needs) for unit in units]
        self._dependants: list[list[int]] = [[] for _ in units]
        for number, unit in enumerate(units):
            for need in unit.needs:
                self._dependants[need].append(number)
        self._ready: list[tuple[tuple[int, int, int], int]] = []
        for number in [number for number, missing in enumerate(self._missing) if not missing]:
            self._offer(number)

    def take(self) -> int | None:
        """The number of the most urgent unit that may start; None when there is none now."""
        return heapq.heappop(self._ready)[1] if self._ready else None

    def draw(self, number: int) -> int | None:
        """The next item of a unit that was taken; None when there is none left."""
        return self._todo[number].popleft() if self._todo[number] else None

    def give_back(self, number: int, unstarted: Sequence[int] = ()) -> None:
        """What is left of a unit may be taken by anyone; with nothing left it has ended, and others need not wait.

        Args:
            number: a unit that was taken.
            unstarted: items that were drawn from it and never started.
        """
        self._todo[number].extendleft(reversed(unstarted))
        self._offer(number)

    def drop(self, which: Callable[[int], bool]) -> list[int]:
        """Forget the items, among those that nobody has drawn, for which this is true; returns them."""
        dropped: list[int] = []
        for number, todo in enumerate(self._todo):
            gone = {index for index in todo if which(index)}
            self._todo[number] = deque(index for index in todo if index not in gone)
            dropped += gone
        ready, self._ready = self._ready, []
        for _, number in ready:  # they may be less urgent now, or have ended
            self._offer(number)
        return dropped

    def _offer(self, number: int) -> None:
        offered = [number]
        while offered:
            current = offered.pop()
            if self._todo[current]:
                heapq.heappush(self._ready, (self._urgency(current), current))
            else:
                offered.extend(self._set_free_by(current))

    def _set_free_by(self, number: int) -> Iterator[int]:
        for other in self._dependants[number]:
            self._missing[other] -= 1
            if not self._missing[other]:
                yield other

    def _urgency(self, number: int) -> tuple[int, int, int]:
        """Smaller is more urgent."""
        unit, todo = self._units[number], self._todo[number]
        chain = unit.chain - (len(unit.indices) - len(todo))
        return (unit.run, -chain, todo[0]) if self._by_run else (-chain, unit.run, todo[0])
