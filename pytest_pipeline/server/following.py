"""What happens in an execution as events that a listener can take up again where it was cut off.

The store has a row for each step, written when it begins and again when it ends. So what a listener has been told is
known by two things: the last row that it has seen begin, and which of the rows up to that had not ended. That is the
id of an event, and whoever sends it back is told exactly the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_pipeline.record.model import StepRecord, TaskRunKey
from pytest_pipeline.server.masking import Mask, masked

_ID = re.compile(r"([0-9]{1,18})(?::([0-9]{1,18}(?:,[0-9]{1,18}){0,999}))?")


@dataclass(frozen=True)
class Cursor:
    """What a listener has been told.

    Args:
        row: the last step that it has seen begin.
        unended: the steps up to that one of which it has not seen the end.
    """

    row: int = 0
    unended: frozenset[int] = frozenset()

    @classmethod
    def read(cls, text: str | None) -> Cursor:
        """From the id of an event; what is none means the beginning."""
        found = _ID.fullmatch(text or "")
        if found is None:
            return cls()
        rows = frozenset(int(each) for each in found[2].split(",")) if found[2] else frozenset()
        return cls(int(found[1]), frozenset(each for each in rows if each <= int(found[1])))

    def __str__(self) -> str:
        rows = ",".join(map(str, sorted(self.unended)))
        return f"{self.row}:{rows}" if rows else str(self.row)

    def advance(self, row: int, *, ended: bool) -> Cursor | None:
        """What it has been told after it is told of this, too; None: it knew that."""
        if not ended:
            return Cursor(row, self.unended | {row}) if row > self.row else None
        if row in self.unended:
            return Cursor(self.row, self.unended - {row})
        return None


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Args:
        row: the step.
        ended: whether it ended, else it began.
        data: JSON.
    """

    row: int
    ended: bool
    data: str


def events_of(row: int, key: TaskRunKey, step: StepRecord, mask: Mask) -> Iterator[Event]:
    """Beginning and, where it has ended, end of a step; without secrets."""

    def event(**more: str) -> Event:
        return Event(row, more["state"] == "finished", json.dumps(masked({**told, **more}, mask)))

    told = {"run": key.run, "plan": key.plan, "batch": key.batch, "task": key.task, "step": step.name}
    yield event(state="started", at=step.started.isoformat())
    if step.finished is not None:
        end = {"outcome": str(step.outcome), "detail": step.detail}
        yield event(state="finished", at=step.finished.isoformat(), **end)


def rendered(event: str, data: str, cursor: Cursor) -> bytes:
    """A server-sent event; JSON has no line ends of its own."""
    return f"id: {cursor}\nevent: {event}\ndata: {data}\n\n".encode()
