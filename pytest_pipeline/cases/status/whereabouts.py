"""What each worker is at, as the process learns it that watches them. Knows neither pytest nor xdist."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Post:
    """A worker: what it is at (empty: nothing), since when, and all that it was given in this session."""

    worker: str
    nodeid: str
    since: float
    given: tuple[str, ...]


@dataclass
class _Hand:
    open: list[str] = field(default_factory=list)
    given: dict[str, None] = field(default_factory=dict)
    since: float = 0.0


class Whereabouts:
    """Workers and their items; one thread may tell while another one asks.

    Args:
        clock: seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._hands: dict[str, _Hand] = {}
        self._lock = threading.Lock()

    def arrive(self, worker: str) -> None:
        """A worker is there, and free."""
        with self._lock:
            self._hands.setdefault(worker, _Hand(since=self._clock()))

    def leave(self, worker: str) -> None:
        """A worker is gone."""
        with self._lock:
            self._hands.pop(worker, None)

    def begin(self, worker: str, nodeid: str) -> None:
        """An item was given to a worker: it is at it when those that it was given before have ended."""
        self.arrive(worker)
        with self._lock:
            hand = self._hands[worker]
            if not hand.open:
                hand.since = self._clock()
            hand.open.append(nodeid)
            hand.given[nodeid] = None

    def end(self, worker: str, nodeid: str) -> None:
        """An item has ended there."""
        with self._lock:
            hand = self._hands.get(worker)
            if hand is not None and nodeid in hand.open:
                hand.open.remove(nodeid)
                hand.since = self._clock()

    def posts(self) -> list[Post]:
        """The workers, in the order in which they came."""
        with self._lock:
            return [
                Post(worker, hand.open[0] if hand.open else "", hand.since, tuple(hand.given))
                for worker, hand in self._hands.items()
            ]
