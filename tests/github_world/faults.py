"""What may go wrong between a client and GitHub, called up by route and count."""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.github_world.answers import Answer, error

BASE_MODIFIED = "Base branch was modified. Review and try the merge again."
SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. "
    "If you reach out to GitHub Support for help, please include the request ID."
)
CONTENT = (
    "You have exceeded a secondary rate limit and have been temporarily blocked from content creation. "
    "Please retry your request again later."
)
HTML = b"<!DOCTYPE html>\n<html><head><title>Unicorn! &middot; GitHub</title></head><body>502</body></html>\n"


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Args:
        answer: what is answered; None: the connection is reset.
        works: whether the work is done all the same, so that only its answer is lost.
        passes: the real answer is sent in the end.
        before: called first, without the world's lock: something that happens meanwhile.
        after: called when the work is done and nothing is sent yet, without the world's lock.
        seconds: waited first.
        cut: only half of the real answer's body is sent.
    """

    answer: Answer | None = None
    works: bool = False
    passes: bool = False
    before: Callable[[], object] | None = None
    after: Callable[[], object] | None = None
    seconds: float = 0.0
    cut: bool = False


def status(code: int, message: str = "Server Error", headers: Mapping[str, str] | None = None) -> Fault:
    """An error with a body as GitHub sends it; nothing is done."""
    return Fault(error(code, message, headers=headers))


def base_modified() -> Fault:
    """What a merge says when the base moved meanwhile."""
    return Fault(error(405, BASE_MODIFIED))


def answered(answer: Answer) -> Fault:
    """Any answer; nothing is done."""
    return Fault(answer)


def reset() -> Fault:
    """The connection is reset before anything is done."""
    return Fault()


def lost(code: int | None = None) -> Fault:
    """The work is done; then the connection is reset, or (for git, too) an error with an HTML page is sent."""
    return Fault(None if code is None else Answer(code, raw=HTML, media="text/html"), works=True)


def html(code: int = 502) -> Fault:
    """An HTML page instead of JSON; nothing is done."""
    return Fault(Answer(code, raw=HTML, media="text/html"))


def cut() -> Fault:
    """The work is done, and the answer breaks off in its middle."""
    return Fault(works=True, cut=True)


def secondary(retry_after: int | None = None, *, code: int = 403, content: bool = False) -> Fault:
    """A secondary limit, with or without a time to wait in seconds; ``content``: of content creation."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Fault(error(code, CONTENT if content else SECONDARY, headers=headers))


def slow(seconds: float) -> Fault:
    """It takes that long, and then goes well; the end of the world ends it sooner."""
    return Fault(passes=True, seconds=seconds)


def meanwhile(happens: Callable[[], object]) -> Fault:
    """Something happens first, in the server's thread; then it goes on as always."""
    return Fault(passes=True, before=happens)


def killed(kill: Callable[[], object], *, done: bool) -> Fault:
    """Whoever asks dies, right before the work is done or right after it; no answer reaches it."""
    return Fault(works=True, after=kill) if done else Fault(before=kill)


@dataclass
class _Planned:
    pattern: str
    fault: Fault
    skip: int
    times: int


@dataclass
class Faults:
    """Faults to come. A route is a verb and a path below the API's base, for example ``POST /repos/*/pulls``.

    ``*`` stands for anything, slashes too; git's own routes are like ``POST /owner/name.git/git-receive-pack``.
    """

    _planned: list[_Planned] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, route: str, fault: Fault, *, nth: int = 1, times: int = 1) -> None:
        """Let the nth call from now on that route, and ``times`` - 1 calls after it, go wrong."""
        with self._lock:
            self._planned.append(_Planned(route, fault, nth - 1, times))

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of this call; of several, the one that was added first."""
        with self._lock:
            chosen = None
            for planned in self._planned:
                if not fnmatch.fnmatchcase(f"{method} {path}", planned.pattern):
                    continue
                if planned.skip:
                    planned.skip -= 1
                elif planned.times and chosen is None:
                    planned.times -= 1
                    chosen = planned.fault
            self._planned = [planned for planned in self._planned if planned.times]
            return chosen

    def clear(self) -> None:
        """Forget those that have not come up yet."""
        with self._lock:
            self._planned.clear()

    @property
    def left(self) -> int:
        """How many faults have not come up yet."""
        with self._lock:
            return sum(planned.times for planned in self._planned)
