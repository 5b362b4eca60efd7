"""GitHub's primary limit, and its secondary limit on created content."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.github_world.answers import Answer, Json, error
from tests.github_world.faults import CONTENT
from tests.github_world.state import Budget

HOUR = 3600.0
MINUTE = 60.0


@dataclass
class Limits:
    """Counts by login, as GitHub does: all tokens of a user share one budget.

    Args:
        now: the world's clock.
        per_hour: requests in an hour.
        content_per_minute: POST, PUT and PATCH in a minute; None: no end.
        retry_after: seconds that the answer to too much content names, or None.
    """

    now: Callable[[], float]
    per_hour: int = 5000
    content_per_minute: int | None = None
    retry_after: int | None = None
    budgets: dict[str, Budget] = field(default_factory=dict)
    _content: dict[str, deque[float]] = field(default_factory=dict)

    def budget(self, login: str) -> Budget:
        """Of this hour."""
        known = self.budgets.get(login)
        if known is None or known.reset <= self.now():
            known = self.budgets[login] = Budget(self.per_hour, 0, self.now() + HOUR)
        return known

    def refusal(self, login: str, method: str) -> Answer | None:
        """The answer to a request that is too much, or None."""
        if self.budget(login).remaining == 0:
            return error(403, f"API rate limit exceeded for user {login}.")
        if method in ("POST", "PUT", "PATCH") and self.content_per_minute is not None:
            times = self._content.setdefault(login, deque())
            while times and times[0] <= self.now() - MINUTE:
                times.popleft()
            if len(times) >= self.content_per_minute:
                headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
                return error(403, CONTENT, headers=headers)
            times.append(self.now())
        return None

    def headers(self, login: str) -> dict[str, str]:
        """Those on every answer."""
        budget = self.budget(login)
        return {
            "X-RateLimit-Limit": str(budget.limit),
            "X-RateLimit-Remaining": str(budget.remaining),
            "X-RateLimit-Used": str(budget.used),
            "X-RateLimit-Reset": str(int(budget.reset)),
            "X-RateLimit-Resource": "core",
        }

    def body(self, login: str) -> Json:
        """The answer to ``GET /rate_limit``."""
        budget = self.budget(login)
        core = {
            "limit": budget.limit,
            "used": budget.used,
            "remaining": budget.remaining,
            "reset": int(budget.reset),
        }
        return {"resources": {"core": core, "search": core, "graphql": core}, "rate": core}
