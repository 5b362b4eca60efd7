"""What the Claude CLI does, as short live lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from decimal import Decimal

from pytest_pipeline.agents.claude.events import Call, Denied, Ended, Event, Retrying, Said, Started, Text, Working

LINE_CHARACTERS = 100
_CALLS = 32


class Activity:
    """Turns the events of one run into lines such as ``12 s  0.03 USD  Write src/a.py``.

    Args:
        clock: seconds; they count from now.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._directory = ""
        self._calls: dict[str, str] = {}

    def lines(self, event: Event, cost: Decimal) -> list[str]:
        """The lines that an event is worth, none for many.

        Args:
            event: what happened.
            cost: US dollars so far.
        """
        elapsed = max(0.0, self._clock() - self._since)
        told = [clean(words) for words in self._words(event)]
        return [_cut(f"{elapsed:.0f} s  {cost:.2f} USD  {words}") for words in told if words]

    def _words(self, event: Event) -> Iterator[str]:
        if isinstance(event, Started):
            self._directory = event.directory
            yield f"asks {event.model}" if event.model else ""
        elif isinstance(event, Said):
            for block in event.blocks:
                yield block.text if isinstance(block, Text) else self._call(block)
        elif isinstance(event, Retrying):
            yield _retry(event)
        elif isinstance(event, Denied):
            yield f"denied: {self._calls.get(event.id, event.tool)}"
        elif isinstance(event, Working):
            yield f"{event.tool} runs for {event.seconds:.0f} s"
        elif isinstance(event, Ended):
            yield _end(event)

    def _call(self, call: Call) -> str:
        """Says a call, and remembers it: a denial names its id alone."""
        subject = call.subject.removeprefix(f"{self._directory.rstrip('/')}/") if self._directory else call.subject
        words = clean(f"{call.tool} {subject}")
        self._calls[call.id] = words
        if len(self._calls) > _CALLS:
            del self._calls[next(iter(self._calls))]
        return words


def clean(text: str, longest: int = LINE_CHARACTERS) -> str:
    """One line of at most that many characters, without anything that a terminal would act on."""
    printable = (each if each.isprintable() else " " for each in text[: 4 * longest])
    return _cut(" ".join("".join(printable).split()), longest)


def _retry(retry: Retrying) -> str:
    what = f"the API answered {retry.status}" if retry.status else "the API did not answer properly"
    return f"{what}, waits {retry.delay:.0f} s (retry {retry.attempt} of {retry.most})"


def _end(result: Ended) -> str:
    cost = "" if result.cost is None else f", {result.cost:.2f} USD"
    count = result.turns or 0
    ended = f"ended after {count} turn{'' if count == 1 else 's'}{cost}"
    return f"{ended}: {result.text or result.subtype}" if result.is_error else ended


def _cut(text: str, longest: int = LINE_CHARACTERS) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
