"""The seam below the gate: where all who share a token meet, take turns, and keep what they know together."""

from __future__ import annotations

import re
from typing import Protocol

from pytest_pipeline.forges.gate_state import State


class Turnstile(Protocol):
    """Lets one through at a time, among all who share a token; one object per process and thread.

    Its clock is the same for all whom it lets through. Every method but :meth:`give_up`, :meth:`leave` and
    :meth:`close` raises a :class:`~pytest_pipeline.errors.ForgeError` where the meeting place cannot be used.
    """

    @property
    def longest_look(self) -> float:
        """Seconds between two looks whether it is one's turn, at most: what a look costs decides."""

    def take(self) -> bool:
        """Whether it is one's turn now; False while somebody else has it or is next.

        Ask again, or :meth:`give_up`: one may be next meanwhile.
        """

    def give_up(self) -> None:
        """No longer be next; nothing where one is not."""

    def leave(self) -> None:
        """End one's turn; nothing where one has none. The death of its holder ends it too."""

    def now(self) -> float:
        """The time in seconds since the epoch."""

    def read(self, now: float) -> State:
        """What is kept; a new state where nothing is. Needs no turn."""

    def write(self, state: State, now: float) -> None:
        """Keep this from now on. Needs the turn."""

    def close(self) -> None:
        """Let go of everything; the next :meth:`take` begins anew."""


def checked_id(token_id: str) -> str:
    """The id, if it is one.

    Args:
        token_id: as :func:`~pytest_pipeline.forges.gate.token_id` gives it.

    Raises:
        ValueError: it is not.
    """
    if not re.fullmatch(r"[0-9a-f]{32}", token_id):
        raise ValueError("That is not what token_id() gives.")  # and perhaps a token: it is not shown
    return token_id
