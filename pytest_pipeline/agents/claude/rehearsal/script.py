"""The seam between the loopback server and whoever plays the model, asked for one answer after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from pytest_pipeline.trouble import TroubleKind

Json = Mapping[str, object]


@dataclass(frozen=True)
class Asked:
    """One request of the CLI.

    Args:
        turn: how many answers of the model the conversation holds already; a retried request has the same number.
        messages: the conversation, as the Messages API has it.
        body: the whole request.
    """

    turn: int
    messages: Sequence[Json]
    body: Json


@dataclass(frozen=True)
class Answer:
    """A whole answer of the model, in the words of the Messages API.

    Args:
        content: its blocks: ``text``, ``tool_use``, ``thinking`` and what else there is.
        stop_reason: ``end_turn``, ``tool_use`` and so on.
        usage: token counts by name; missing ones are 0.
        model: the id that answers; empty: the one that was asked for.
    """

    content: tuple[Json, ...]
    stop_reason: str
    usage: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    model: str = ""


@dataclass(frozen=True)
class Fault:
    """No answer, but trouble on the way.

    Args:
        kind: STATUS, DROP, STALL, SILENCE or MALFORMED.
        status: the HTTP status of STATUS.
        retry_after: seconds in its ``retry-after`` header; None: there is no such header.
        message: what the body of STATUS says; empty: what the API says in such a case.
        retry: what the header ``x-should-retry`` says; None: there is no such header.
    """

    kind: TroubleKind
    status: int = 0
    retry_after: float | None = None
    message: str = ""
    retry: bool | None = None


@dataclass(frozen=True)
class Flood:
    """An answer of text that is too large to be kept: it is made while it is sent.

    Args:
        size: bytes of text in all.
        block: bytes of each of its text blocks; the last may be smaller.
    """

    size: int
    block: int = 1024**2


Reply = Answer | Fault | Flood


class Script(Protocol):
    """Plays the model in one task run. Asked from one thread at a time."""

    def reply(self, asked: Asked) -> Reply:
        """What the model says next; the same again when it is asked the same again."""

    def complaint(self) -> str:
        """Why it could not go on, for example a cassette that does not fit; or nothing."""


def text(words: str) -> Json:
    """A block of text."""
    return {"type": "text", "text": words}


def tool_call(number: str, name: str, arguments: Json) -> Json:
    """A block that calls a tool; ``number`` makes its id unique in the conversation."""
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": dict(arguments)}
