"""What the Claude CLI's stream of lines adds up to, in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from pytest_pipeline.agents.base import OnCost, OnEvent
from pytest_pipeline.agents.claude.activity import Activity
from pytest_pipeline.agents.claude.bill import Bill
from pytest_pipeline.agents.claude.events import (
    DENIALS,
    Denied,
    Ended,
    Event,
    Retrying,
    Said,
    Started,
    Unreadable,
    read,
)

SYNTHETIC = "<synthetic>"
"""The model of lines that the CLI itself wrote, in the place of an answer."""


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
        finished: whether nothing of another turn followed that result.
        error: the CLI's word for what failed at the API, unless an answer followed.
        retry: the last request that failed, unless an answer followed.
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
    finished: bool = False
    error: str = ""
    retry: Retrying | None = None
    doomed: str = ""
    unreadable: int = 0


def refused(status: int) -> str:
    """Says that the API refuses the credentials, and what to do."""
    return f"The API refuses the credentials (status {status}). Check the key or log in again, and run again."


class Stream:
    """Takes the lines of one run of the CLI as they come.

    Args:
        on_event: is told in one short line what happens.
        on_cost: is told the estimated cost so far, whenever it changed.
        clock: seconds.

    Attributes:
        doomed: a sentence, once the API has refused the credentials: further tries are of no use.
        finished_at: when the last result came, by the clock; None again when the CLI goes on by itself.
    """

    def __init__(self, on_event: OnEvent, on_cost: OnCost, clock: Callable[[], float] = time.monotonic) -> None:
        self.doomed = ""
        self.finished_at: float | None = None
        self._on_event = on_event
        self._on_cost = on_cost
        self._clock = clock
        self._activity = Activity(clock)
        self._bill = Bill()
        self._told = Decimal(0)
        self._seen = Summary()
        self._announced = ""
        self._denied: dict[str, str] = {}

    def line(self, text: str) -> None:
        """Take one whole line of stdout; it never raises for what the line holds."""
        event = read(text)
        if event is None:
            return
        self._take(event)
        cost = self._bill.cost or Decimal(0)
        if cost != self._told:
            self._told = cost
            self._on_cost(cost)
        for words in self._activity.lines(event, cost):
            self._on_event(words)

    def summary(self) -> Summary:
        """What was seen so far."""
        seen, bill = self._seen, self._bill
        named = seen.result.models if seen.result else ()
        return replace(
            seen,
            model=seen.model or self._announced or next(iter(named), None),
            turns=(seen.turns or 0) + bill.answers if seen.result or bill.answers else None,
            tokens=bill.tokens,
            cost=bill.cost,
            cost_estimated=bill.estimated,
            denied=tuple(self._denied.values()),
            finished=self.finished_at is not None,
            doomed=self.doomed,
        )

    def _take(self, event: Event) -> None:
        if isinstance(event, Started):
            self._start(event)
        elif isinstance(event, Said):
            self._say(event)
        elif isinstance(event, Retrying):
            self._retry(event)
        elif isinstance(event, Denied):
            self._deny(event)
        elif isinstance(event, Ended):
            self._end(event)
        elif isinstance(event, Unreadable):
            self._seen = replace(self._seen, unreadable=self._seen.unreadable + 1)

    def _start(self, event: Started) -> None:
        self.finished_at = None
        self._bill.start()
        self._announced = event.model or self._announced
        self._seen = replace(
            self._seen,
            session_id=event.session_id or self._seen.session_id,
            version=event.version or self._seen.version,
        )

    def _say(self, event: Said) -> None:
        self.finished_at = None
        if event.model == SYNTHETIC:
            self._seen = replace(self._seen, error=event.error)
            return
        self._bill.add(event)
        model = self._seen.model if event.nested else event.model or self._seen.model
        self._seen = replace(self._seen, model=model, error="", retry=None)

    def _retry(self, event: Retrying) -> None:
        self._seen = replace(self._seen, retry=event)
        if event.status in (401, 403):
            self.doomed = refused(event.status)

    def _deny(self, event: Denied) -> None:
        if len(self._denied) < DENIALS:
            self._denied.setdefault(event.id or event.tool, event.tool)

    def _end(self, event: Ended) -> None:
        self.finished_at = self._clock()
        for denied in event.denied:
            self._deny(denied)
        turns = (self._seen.turns or 0) + (self._bill.answers if event.turns is None else event.turns)
        self._bill.settle(event)
        self._seen = replace(self._seen, result=replace(event, denied=()), turns=turns)
