"""How long to wait for GitHub, and how: longer each time, never in step with others."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """Limits in seconds; GitHub promises none of these times.

    Args:
        outage: how long calls that bring no answer, or a status of 500 and above, are tried again.
        visibility: how long lists and references may not show yet what was just done.
        start: how long a check that must come may take until it shows.
        merge: how long a merge is tried while neither branch moves.
    """

    outage: float = 120.0
    visibility: float = 60.0
    start: float = 180.0
    merge: float = 180.0


@dataclass(frozen=True)
class Waiting:
    """Clock and sleep, for tests to put others in.

    Args:
        clock: seconds, never going back.
        sleep: waits for so many seconds.
        jitter: a number from 0 to 1, another each time.
    """

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def tries(self, limit: float, *, first: float = 1.0, longest: float = 15.0) -> Iterator[bool]:
        """Yield once at once, and then after each wait; True on the last time, when the limit is reached.

        Args:
            limit: seconds.
            first: seconds of the first wait; each is twice the one before, give or take a half.
            longest: seconds of the longest wait, before the jitter.
        """
        end, pause = self.clock() + limit, first
        while True:
            left = end - self.clock()
            yield left <= 0
            if left <= 0:
                return
            self.sleep(min(left, pause * (0.5 + self.jitter())))
            pause = min(pause * 2, longest)
