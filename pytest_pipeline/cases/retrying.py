"""How long to wait before an agent that could not be reached is tried again."""

from __future__ import annotations

from collections.abc import Iterator

_FIRST, _LONGEST = 5.0, 60.0


def pauses(retries: int) -> Iterator[float]:
    """Seconds before each further try: 5, 10, 20 and so on, at most 60."""
    for number in range(retries):
        yield min(_FIRST * 2.0 ** min(number, 10), _LONGEST)
