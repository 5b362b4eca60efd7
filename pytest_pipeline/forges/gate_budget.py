"""Whether a number of tasks fits into GitHub's limits, before the first of them is paid."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_pipeline.forges.gate_limits import HOUR, MINUTE, GateLimits
from pytest_pipeline.forges.gate_state import State


@dataclass(frozen=True)
class Cost:
    """What one task costs without trouble: list, create, reads, merge, delete, and one push.

    Args:
        requests: that count against the hourly limit.
        content: those of them that make content: the pull request and its merge.
        writes: those of them that change something, and the push.
        pushes: git pushes.
    """

    requests: int = 8
    content: int = 2
    writes: int = 4
    pushes: int = 1


@dataclass(frozen=True)
class Budget:
    """The answer.

    Args:
        fits: the tasks can be done in the time that is allowed.
        seconds: the least time that the limits leave for them.
        sentence: the same for the user.
    """

    fits: bool
    seconds: float
    sentence: str


def budget(tasks: int, limits: GateLimits, state: State, now: float, *, allowed: float, cost: Cost) -> Budget:
    """The least time for that many tasks, and whether it is allowed.

    Args:
        tasks: how many.
        limits: what is kept.
        state: what was used already.
        now: the time.
        allowed: seconds that all may take.
        cost: what one task costs.
    """
    content = [stamp for stamp in state.content if stamp > now - HOUR]
    last_minute = [stamp for stamp in content if stamp > now - MINUTE]
    per_minute, per_hour, pushes = limits.content_per_minute, limits.content_per_hour, limits.pushes_per_minute
    times = [
        (tasks * cost.writes * limits.spacing, "the pause between changes"),
        (_windows(tasks * cost.content, per_minute, len(last_minute), MINUTE), f"{per_minute} new contents a minute"),
        (_windows(tasks * cost.content, per_hour, len(content), HOUR), f"{per_hour} new contents an hour"),
        (_windows(tasks * cost.pushes, pushes, 0, MINUTE), f"{pushes} pushes a minute"),
        (_windows(tasks, limits.merges_per_minute, 0, MINUTE), f"{limits.merges_per_minute} merges a minute"),
        (_primary(tasks * cost.requests, state, now), "the token's requests an hour"),
        (max(0.0, state.blocked_until - now), "the wait that GitHub has asked for"),
    ]
    seconds, why = max(times, key=lambda each: each[0])
    what = f"{tasks:,} task{'' if tasks == 1 else 's'}"
    found = f"GitHub's limits leave {what} to take at least {_span(seconds)} (because of {why})."
    if seconds <= allowed:
        return Budget(True, seconds, found)
    return Budget(
        False, seconds, f"{found} {_span(allowed)} are allowed. Run fewer tasks, or allow more time with --forge-time."
    )


def _windows(needed: int, limit: int | None, used: int, window: float) -> float:
    """Seconds until the last of so many calls fits, where each window of that length takes ``limit`` of them."""
    if limit is None or needed <= limit - used:
        return 0.0
    return (needed - limit + used) / limit * window


def _primary(needed: int, state: State, now: float) -> float:
    primary = state.primary
    if primary is None or primary.limit == 0:
        return 0.0
    left = primary.limit if primary.reset <= now else primary.remaining
    if needed <= left:
        return 0.0
    return max(0.0, primary.reset - now) + (needed - left - 1) // primary.limit * HOUR


def _span(seconds: float) -> str:
    minutes = -(-seconds // MINUTE)
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 60 else f"{minutes // 60:.0f} h {minutes % 60:.0f} min"
