"""How often somebody may ask: a bucket of tokens for each address."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """So many a second, and so many at once."""

    per_second: float
    burst: float


class Buckets:
    """Counts what each address does.

    Args:
        rate: what is allowed.
        most: how many addresses are remembered; the one that was silent longest is forgotten first.
        clock: seconds.
    """

    def __init__(self, rate: Rate, most: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._most = most
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds until the address may ask; 0: now."""
        left = self._now(address)
        return 0.0 if left >= 1 else (1 - left) / self._rate.per_second

    def spend(self, address: str) -> None:
        """Count that it has asked."""
        self._left[address] = self._now(address) - 1, self._clock()
        self._left.move_to_end(address)
        if len(self._left) > self._most:
            self._left.popitem(last=False)

    def _now(self, address: str) -> float:
        left, at = self._left.get(address, (self._rate.burst, self._clock()))
        return min(self._rate.burst, left + (self._clock() - at) * self._rate.per_second)
