"""What the Claude CLI's stream of lines adds up to, in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from pytest_pipeline.agents.base import OnCost, OnEvent
from pytest_pipeline.agents.claude.events import Ended, Retrying


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run said of itself.

    Args:
        model: id of the model that answered, or else that was to answer.
        session_id: the CLI's id of the session.
        version: the CLI's version.
        turns: answers of the model.
        tokens: tokens used, of all kinds.
        cost: US dollars.
        cost_estimated: whether ``cost`` was put together from the usage that was seen, and so is rather too low.
        denied: the name of a tool once for each call that was denied, at most 1,000.
        result: the last result; None: there was none.
        error: the CLI's word for the last failure of the API that it told the model's reader.
        retry: the last failed request that nothing followed.
        doomed: a sentence, where the API refuses the credentials.
        unreadable: lines that were no JSON.
    """

    model: str | None = None
    session_id: str | None = None
    version: str = ""
    turns: int | None = None
    tokens: int | None = None
    cost: Decimal | None = None
    cost_estimated: bool = False
    denied: tuple[str, ...] = ()
    result: Ended | None = None
    error: str = ""
    retry: Retrying | None = None
    doomed: str = ""
    unreadable: int = 0


class Stream:
    """Takes the lines of one run of the CLI as they come.

    Args:
        on_event: is told in one short line what happens.
        on_cost: is told the estimated cost so far, whenever it changed.
        clock: seconds.
    """

    def __init__(self, on_event: OnEvent, on_cost: OnCost, clock: Callable[[], float] = time.monotonic) -> None:
        self._on_event = on_event
        self._on_cost = on_cost
        self._clock = clock
        self.doomed = ""
        self.finished_at: float | None = None

    def line(self, text: str) -> None:
        """Take one whole line of stdout; it never raises for what the line holds."""

    def summary(self) -> Summary:
        """What was seen so far."""
        return Summary()
