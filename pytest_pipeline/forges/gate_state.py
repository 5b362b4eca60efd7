"""What all processes of the machine know of one token: a small JSON file, and the lock that guards it."""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
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
        mended: it is not what the file says, but was set to now: to be written before anything else, or now never ends.
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


def write_state(path: Path, state: State, now: float) -> None:
    """Replace the file. It need not survive a loss of power: a torn one is as good as none.

    Raises:
        OSError: it cannot be written.
    """
    text = json.dumps({"version": _VERSION, "written": now, **_shown(state)})
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def read_state(path: Path, now: float) -> State:
    """What the file says; if it is torn or not ours, a new state in which a change has just ended.

    Raises:
        OSError: it cannot be read.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return State()
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
    """The state of a file whose clock was ``ahead`` seconds before ours, because ours was set back."""
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


class Lock:
    """One holder at a time among all threads and processes, and one who is next; the death of either frees its place.

    Without the place of the next, who has just had the lock would mostly be the first to have it again.

    Args:
        path: the file that is locked; made when it is missing, and never removed. A second one lies next to it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = path.with_suffix(".next")
        self._place: int | None = None

    def take(self) -> int | None:
        """The descriptor that holds the lock until it is closed; None while somebody else has it or is next.

        Ask again, or :meth:`give_up`: one may be next meanwhile.

        Raises:
            OSError: a file cannot be opened, or its file system knows no locks.
        """
        if self._place is None:
            self._place = _locked(self._next)
        if self._place is None:
            return None
        descriptor = _locked(self._path)
        if descriptor is not None:
            self.give_up()
        return descriptor

    def give_up(self) -> None:
        """No longer be next."""
        if self._place is not None:
            os.close(self._place)
            self._place = None


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock of the file, or None."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):  # also: somebody removed the file before it was locked
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
