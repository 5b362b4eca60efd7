"""What an answer of GitHub says about its limits. Nothing but headers and sentences tells; see GitHub's best practices.

Source of the rules: GitHub's "Rate limits for the REST API" (status, headers, order in which they count); the
sentences are from threads of people who met them.
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping

from pytest_pipeline.forges.gate_state import Primary

LONGEST_BLOCK = 6 * 3600.0  # what GitHub asks for is at most an hour; more is somebody's mistake
_SKEW = 5.0  # seconds between its clock and ours that are not worth a correction
_LIMIT = re.compile(r"rate limit|submitted too quickly|abuse detection|RATE_LIMITED", re.IGNORECASE)
_LIMIT_OF_GRAPHQL = re.compile(r"rate limit (already )?exceeded|secondary rate limit|RATE_LIMITED", re.IGNORECASE)
_ABUSE = re.compile(r"""code\W{1,6}abuse\b|(?:^|; )(?:\w+ )?abuse(?:;|$)""")


def is_limit(status: int, headers: Mapping[str, str], message: str) -> bool:
    """Whether an answer is a limit: what was asked was not done, and may be asked again later.

    Args:
        status: HTTP status; 0: no answer came.
        headers: by lower-case name.
        message: what GitHub said; for a good answer only the errors of GraphQL.
    """
    if status == 429:
        return True
    if status == 403:
        return "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0" or bool(_LIMIT.search(message))
    if status == 422:
        return bool(_LIMIT.search(message) or _ABUSE.search(message))
    return status in (200, 400) and bool(_LIMIT_OF_GRAPHQL.search(message))


def asked_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a limit asks to wait: ``retry-after``, else until the reset of what is used up; None: it is silent.

    Args:
        headers: by lower-case name.
        now: the time.
    """
    asked = headers.get("retry-after", "").strip()
    seconds: float | None = None
    if re.fullmatch(r"\d{1,9}", asked):
        seconds = float(asked)
    elif asked and (until := _date(asked)) is not None:
        seconds = until - _its_now(headers, now)
    elif headers.get("x-ratelimit-remaining") == "0":
        reset = _whole(headers, "x-ratelimit-reset")
        seconds = None if reset is None else reset - _its_now(headers, now) + 1.0
        if seconds is not None and seconds <= 1.0:
            return None  # it is over, and yet there was a limit: that says nothing
    return None if seconds is None else min(max(seconds, 1.0), LONGEST_BLOCK)


def primary_of(headers: Mapping[str, str], now: float) -> Primary | None:
    """The hourly limit of REST as an answer tells it, or None.

    Args:
        headers: by lower-case name.
        now: the time.
    """
    if headers.get("x-ratelimit-resource", "core") != "core":
        return None
    limit, remaining = _whole(headers, "x-ratelimit-limit"), _whole(headers, "x-ratelimit-remaining")
    reset = _whole(headers, "x-ratelimit-reset")
    if limit is None or remaining is None or reset is None:
        return None
    seconds = min(reset - _its_now(headers, now) + 1.0, LONGEST_BLOCK)
    return Primary(limit, remaining, now + seconds, now)


def _whole(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "").strip()
    return int(text) if re.fullmatch(r"\d{1,12}", text) else None


def _date(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _its_now(headers: Mapping[str, str], now: float) -> float:
    """The time by GitHub's clock, where that differs from ours."""
    theirs = _date(headers.get("date", ""))
    return now if theirs is None or abs(theirs - now) < _SKEW else theirs
