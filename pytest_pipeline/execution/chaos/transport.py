"""Faults between us and GitHub, below everything that asks again: what comes back is no answer, or an old one."""

from __future__ import annotations

from typing import Any

from pytest_pipeline.execution.chaos.injecting import Chaos
from pytest_pipeline.forges.github.client import Transport

_CALLS = 6  # of a task, at one of which the fault strikes
_PAGE = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
_LIMIT = '{"message": "You have exceeded a secondary rate limit. Please wait a moment before you try again."}'

Reply = tuple[int, dict[str, Any], str]


class ChaoticTransport:
    """Sends calls to GitHub, all but one in a task.

    Args:
        inner: sends a call.
        chaos: says when it is not to.
    """

    def __init__(self, inner: Transport, chaos: Chaos) -> None:
        self._inner = inner
        self._chaos = chaos
        self._task: object = None
        self._calls = 0
        self._said: dict[str, Reply] = {}

    def __call__(
        self, verb: str, url: str, parameters: dict[str, Any], headers: dict[str, Any], content: dict[str, Any] | None
    ) -> Reply:
        """One call, or what a network makes of it.

        Raises:
            ConnectionResetError: the connection broke.
        """
        self._count()
        if self._calls > self._chaos_call:
            if self._chaos.strike("github-502"):
                return 502, {"content-type": "text/html"}, _PAGE
            if self._chaos.strike("github-reset"):
                raise ConnectionResetError(104, "Connection reset by peer (chaos)")
            if self._chaos.strike("github-secondary"):
                return 403, {"content-type": "application/json", "retry-after": "1"}, _LIMIT
        key = f"{url} {sorted(parameters.items())}"
        known = self._said.get(key) if verb == "GET" else None
        if known is not None and self._chaos.strike("github-lag"):
            return known
        reply = self._inner(verb, url, parameters, headers, content)
        if verb == "GET" and reply[0] == 200 and self._chaos.due("github-lag"):
            self._said[key] = reply
        return reply

    @property
    def _chaos_call(self) -> int:
        return self._chaos.number("github call", _CALLS) if self._chaos.attends else 0

    def _count(self) -> None:
        if self._chaos.attends is not self._task:
            self._task, self._calls, self._said = self._chaos.attends, 0, {}
        self._calls += 1
