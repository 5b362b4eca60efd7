"""Python tests beside plans: in pieces that shrink as the end comes near, as xdist's ``load`` does it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable


class Chunks:
    """The tests that nobody has taken yet.

    Args:
        indices: places in the collection.
        most: how many a worker gets at most at once (``--maxschedchunk``); None for no limit.
    """

    def __init__(self, indices: Iterable[int], most: int | None = None) -> None:
        self._todo = deque(indices)
        self._most = most

    def take(self, workers: int) -> list[int]:
        """A worker's next tests, neighbours of one another: a quarter of its share, at least one while there are any.

        Args:
            workers: among how many the tests are divided.
        """
        share = max(1, len(self._todo) // workers // 4)
        size = min(share, len(self._todo), self._most or share)
        return [self._todo.popleft() for _ in range(size)]

    def put_back(self, indices: Iterable[int]) -> None:
        """Tests that were taken and never started; they come first."""
        self._todo.extendleft(reversed(list(indices)))

    def drop(self, which: Callable[[int], bool]) -> list[int]:
        """Forget the tests for which this is true; returns them."""
        gone = {index for index in self._todo if which(index)}
        self._todo = deque(index for index in self._todo if index not in gone)
        return list(gone)
