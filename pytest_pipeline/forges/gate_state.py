"""What all who share a token know of it, and the text in which they keep that, wherever that is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

_VERSION = 1
_MOST_STRIKES = 100  # beyond this they say nothing more, and two to their power soon is no number
_Kind = TypeVar("_Kind", bool, list[Any], dict[str, Any])


@dataclass(frozen=True)
class Primary:
    """The hourly limit, as the last answer told it.

    Args:
        limit: requests per hour.
        remaining: those that are left.
        reset: when all are there again, by our own clock.
        at: when the answer came.
    """

    limit: int
    remaining: int
    reset: float
    at: float


@dataclass
class State:
    """What was done with a token and what GitHub said. Times are seconds since the epoch.

    Args:
        last_write: when the last change ended, or began if it has not ended; None: there was none.
        write_open: a change has begun and not ended.
        content: when each call of the last hour that made content began.
        pushes: the same for pushes of the last minute, by repository.
        merges: the same for merges.
        primary: the hourly limit; None: no answer has told it.
        blocked_until: nobody calls before.
        strikes: limits in a row.
        struck_reading: the last of them answered a read.
        mended: it is not what the text says, but was set to now: to be written before anything else, or now never ends.
    """

    last_write: float | None = None
    write_open: bool = False
    content: list[float] = field(default_factory=list)
    pushes: dict[str, list[float]] = field(default_factory=dict)
    merges: dict[str, list[float]] = field(default_factory=dict)
    primary: Primary | None = None
    blocked_until: float = 0.0
    strikes: int = 0
    struck_reading: bool = False
    mended: bool = False


def to_text(state: State, now: float) -> str:
    """The state as it is kept, and when that was.

    Args:
        state: what is known.
        now: the time.
    """
    return json.dumps({"version": _VERSION, "written": now, **_shown(state)})


def from_text(text: str | bytes, now: float) -> State:
    """What a text says; if it is torn or not ours, a new state in which a change has just ended.

    Args:
        text: as :func:`to_text` gives it.
        now: the time; before the one of the text where the clock was set back: then all its times move with it.
    """
    try:
        found = json.loads(text)
        ahead = max(0.0, _number(found["written"]) - now)
        state = _parsed(found, ahead)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return State(last_write=now, mended=True)
    state.mended = ahead > 0 or state.write_open
    if state.write_open:  # who began it died, and nobody knows when: its request may have gone out just now
        state.last_write, state.write_open = now, False
    return state


def _shown(state: State) -> dict[str, object]:
    primary = state.primary
    return {
        "last_write": state.last_write,
        "write_open": state.write_open,
        "content": state.content,
        "pushes": state.pushes,
        "merges": state.merges,
        "primary": primary and [primary.limit, primary.remaining, primary.reset, primary.at],
        "blocked_until": state.blocked_until,
        "strikes": state.strikes,
        "struck_reading": state.struck_reading,
    }


def _parsed(found: Mapping[str, object], ahead: float) -> State:
    """The state of a text whose clock was ``ahead`` seconds before ours, because ours was set back."""
    if found["version"] != _VERSION:
        raise ValueError("a version that is not known")

    def stamp(value: object) -> float:
        return _number(value) - ahead

    def stamps(value: object) -> list[float]:
        return sorted(stamp(each) for each in _typed(value, list))

    def clocks(value: object) -> dict[str, list[float]]:
        return {name: stamps(each) for name, each in _typed(value, dict).items()}

    primary = None
    if found["primary"] is not None:
        limit, remaining, reset, at = _typed(found["primary"], list)
        primary = Primary(int(_number(limit)), int(_number(remaining)), stamp(reset), stamp(at))
        if primary.limit < 0 or primary.remaining < 0:
            raise ValueError("fewer requests than none")
    return State(
        last_write=None if found["last_write"] is None else stamp(found["last_write"]),
        write_open=_typed(found["write_open"], bool),
        content=stamps(found["content"]),
        pushes=clocks(found["pushes"]),
        merges=clocks(found["merges"]),
        primary=primary,
        blocked_until=stamp(found["blocked_until"]),
        strikes=min(int(_number(found["strikes"])), _MOST_STRIKES),
        struck_reading=_typed(found["struck_reading"], bool),
    )


def _typed(value: object, kind: type[_Kind]) -> _Kind:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not of type {kind.__name__}")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is not a number")
    return float(value)
