"""How fast one token may be used, and how long the next call must wait for that. Pure arithmetic, no files."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_pipeline.forges.gate_state import State

MINUTE = 60.0
HOUR = 3600.0
_MOST_STAMPS = 1000  # of one kind that are remembered; where nothing limits them there would be no end


class CallKind(str, enum.Enum):
    """What a call costs at GitHub."""

    READ = "read"
    WRITE = "write"  # changes something that nobody is told of, for example the end of a branch
    CONTENT = "content"  # makes something that people are told of, for example a pull request
    PUSH = "push"
    MERGE = "merge"  # counts as content too

    def __str__(self) -> str:
        return self.value


class Wait(str, enum.Enum):
    """Why a call waits; the values are the keys of what is counted."""

    TURN = "turn"
    SPACING = "spacing"
    CONTENT = "content"
    PUSHES = "pushes"
    MERGES = "merges"
    PRIMARY = "primary"
    BLOCKED = "blocked"

    def __str__(self) -> str:
        return self.value


_SENTENCES = {
    Wait.TURN: "Another process has been calling GitHub for {} s",
    Wait.SPACING: "The next change at GitHub waits {} s, to keep their distance",
    Wait.CONTENT: "The next pull request or merge waits {} s, to stay below GitHub's limit for new content",
    Wait.PUSHES: "The next push waits {} s, to stay below GitHub's limit for one repository",
    Wait.MERGES: "The next merge waits {} s, to stay below GitHub's limit for one repository",
    Wait.PRIMARY: "The next call waits {} s: few of the token's requests of this hour are left",
    Wait.BLOCKED: "GitHub asks to wait {} s",
}


def told(reason: str, seconds: float) -> str:
    """A wait as a sentence for the user.

    Args:
        reason: the value of a :class:`Wait`.
        seconds: how long it is.
    """
    return _SENTENCES[Wait(reason)].format(f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}") + "."


@dataclass(frozen=True)
class GateLimits:
    """What the gate allows. A limit of None is not kept.

    GitHub's own limits are 80 calls that make content a minute and 500 an hour, and users report blocks after ten to
    25 pull requests in a row, while a distance of five seconds let more than 60 pass.

    Args:
        spacing: seconds between the end of one change and the start of the next.
        content_per_minute: calls that make content, within any 60 s.
        content_per_hour: the same, within any 3,600 s.
        pushes_per_minute: pushes to one repository.
        merges_per_minute: merges in one repository.
        share: the part of a limit after which what is left of it is spread evenly; 0 to 1.
        patience: seconds that one call waits at most, all its waits together; the longest reset is an hour away.
        first_block: seconds to wait after the first limit that names no time; each further one doubles them.
        strikes: limits in a row after which the gate gives up.
    """

    spacing: float = 1.0
    content_per_minute: int | None = 20
    content_per_hour: int | None = 450
    pushes_per_minute: int | None = 6
    merges_per_minute: int | None = None
    share: float = 0.9
    patience: float = HOUR + 100.0
    first_block: float = 60.0
    strikes: int = 6

    def window_wait(self, stamps: Sequence[float], limit: int | None, window: float, now: float) -> float:
        """Seconds until one more call fits into a sliding window.

        Args:
            stamps: when the earlier ones were, in order.
            limit: how many fit into a window; None: any number.
            window: its length in seconds.
            now: the time.
        """
        if limit is None:
            return 0.0
        used = sum(1 for stamp in stamps if stamp > now - window)
        if used >= limit:
            return stamps[-limit] + window - now
        if used and used >= self.share * limit:
            return stamps[-1] + window / limit - now
        return 0.0

    def primary_wait(self, state: State, now: float) -> float:
        """Seconds until one more request fits into what is left of the hour."""
        primary = state.primary
        if primary is None or primary.remaining > (1 - self.share) * primary.limit:
            return 0.0
        return primary.at + (primary.reset - primary.at) / (primary.remaining + 1) - now

    def due(self, state: State, kind: CallKind, repository: str, now: float) -> tuple[float, Wait]:
        """How many seconds a call must still wait (none if 0 or less), and for which of its limits longest."""
        waits = [(state.blocked_until - now, Wait.BLOCKED)]
        if kind is not CallKind.PUSH:
            waits.append((self.primary_wait(state, now), Wait.PRIMARY))
        if kind is not CallKind.READ and state.last_write is not None:
            waits.append((state.last_write + self.spacing - now, Wait.SPACING))
        if kind in (CallKind.CONTENT, CallKind.MERGE):
            waits.append((self.window_wait(state.content, self.content_per_minute, MINUTE, now), Wait.CONTENT))
            waits.append((self.window_wait(state.content, self.content_per_hour, HOUR, now), Wait.CONTENT))
        if kind is CallKind.PUSH:
            pushes = state.pushes.get(repository, [])
            waits.append((self.window_wait(pushes, self.pushes_per_minute, MINUTE, now), Wait.PUSHES))
        if kind is CallKind.MERGE:
            merges = state.merges.get(repository, [])
            waits.append((self.window_wait(merges, self.merges_per_minute, MINUTE, now), Wait.MERGES))
        return max(waits, key=lambda wait: wait[0])


_LIMITS: Mapping[str, GateLimits] = {
    "careful": GateLimits(),
    "documented": GateLimits(content_per_minute=80, content_per_hour=500, pushes_per_minute=None),
    "off": GateLimits(spacing=0.0, content_per_minute=None, content_per_hour=None, pushes_per_minute=None, share=1.0),
}
PACES = tuple(_LIMITS)
"""The names of :func:`limits_of`, the most careful first."""


def limits_of(pace: str) -> GateLimits:
    """What a pace allows.

    What the server itself says (a limit, no requests left) is obeyed at every pace. ``careful`` stays where people have
    met no limit: far below what GitHub documents, whose blocks of new content begin early. ``documented`` is GitHub's
    "Rate limits for the REST API" and "Best practices", and nothing else. ``off`` is for servers without limits, as a
    GitHub Enterprise Server is by default.

    Args:
        pace: one of :data:`PACES`.

    Raises:
        KeyError: it is none.
    """
    return _LIMITS[pace]


def begin(state: State, kind: CallKind, repository: str, now: float) -> None:
    """Note that a change begins now, and forget what no window reaches back to."""
    state.last_write = now
    state.write_open = True
    state.content = [stamp for stamp in state.content if stamp > now - HOUR]
    for clocks in (state.pushes, state.merges):
        for name in list(clocks):
            clocks[name] = [stamp for stamp in clocks[name] if stamp > now - MINUTE]
            if not clocks[name]:
                del clocks[name]
    if kind in (CallKind.CONTENT, CallKind.MERGE):
        _stamp(state.content, now)
    if kind is CallKind.PUSH:
        _stamp(state.pushes.setdefault(repository, []), now)
    if kind is CallKind.MERGE:
        _stamp(state.merges.setdefault(repository, []), now)


def _stamp(stamps: list[float], now: float) -> None:
    stamps.append(now)
    del stamps[:-_MOST_STAMPS]
