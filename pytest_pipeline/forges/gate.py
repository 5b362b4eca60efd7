"""One gate per token: all who share it take turns at GitHub, and keep together what it allows.

Where they meet is a :class:`~pytest_pipeline.forges.gate_turnstile.Turnstile`: files for the processes of one machine,
a database for those of several. The token itself is not known here. Whoever must wait does so without having the turn.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline.errors import ForgeError
from pytest_pipeline.forges.gate_answers import LONGEST_BLOCK, asked_wait, is_limit, primary_of
from pytest_pipeline.forges.gate_budget import Budget, Cost, budget
from pytest_pipeline.forges.gate_limits import HOUR, CallKind, GateLimits, Wait, begin, told
from pytest_pipeline.forges.gate_state import State
from pytest_pipeline.forges.gate_turnstile import Turnstile

_FIRST_LOOK = 0.001  # seconds until one looks again whether it is one's turn; then as long as one has waited
_LONG_TURN = 5.0  # seconds of somebody else's turn that are worth a word
_SHORTEST_SLEEP = 0.001  # less than a clock can tell would never end


@dataclass(frozen=True)
class Verdict:
    """What an answer meant for the gate.

    Args:
        limited: it was a limit; nothing was done, and the same may be asked again through the gate.
        seconds: how long nobody with this token will call now; 0 where there is no limit.
    """

    limited: bool
    seconds: float = 0.0


@dataclass
class _Turn:
    """One's turn while it lasts: the state as it will be written, and what is done."""

    state: State
    kind: CallKind
    changed: bool = False


def token_id(api: str, token: str) -> str:
    """What tells a token from all others, and from which nobody finds the token.

    Args:
        api: address of the API that it is for.
        token: the token.
    """
    return hashlib.sha256(f"pytest-pipeline gate\n{api.rstrip('/').lower()}\n{token}".encode()).hexdigest()[:32]


def gate_directory(environ: Mapping[str, str]) -> Path:
    """Where the gates of a user are: below ``XDG_STATE_HOME``, or ``~/.local/state`` where it is not set.

    Args:
        environ: environment variables, for example ``os.environ``.
    """
    named = Path(environ.get("XDG_STATE_HOME", ""))
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    return (named if named.is_absolute() else home / ".local" / "state") / "pytest-pipeline" / "gates"


class Gate:
    """The gate of one token; one object per process and thread, any number of them for one token.

    Args:
        turnstile: where all who share the token meet; this object's alone.
        limits: what is allowed.
        on_wait: told of each wait before it begins, the value of a :class:`Wait` and seconds (somebody else's turn:
            once it has become long); :func:`~pytest_pipeline.forges.gate_limits.told` makes a sentence of them.
        repository: ``owner/name``, for the limits of one repository.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        turnstile: Turnstile,
        limits: GateLimits | None = None,
        on_wait: Callable[[str, float], None] | None = None,
        *,
        repository: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._turnstile = turnstile
        self._limits = limits or GateLimits()
        self._on_wait = on_wait or (lambda reason, seconds: None)
        self._repository = repository.lower()
        self._sleep = sleep
        self._turn: _Turn | None = None
        self._waited: dict[str, float] = {}

    @property
    def waited(self) -> Mapping[str, float]:
        """Seconds waited through this object, by the value of their :class:`Wait`."""
        return dict(self._waited)

    @contextlib.contextmanager
    def call(self, kind: CallKind, *, patience: float | None = None) -> Iterator[None]:
        """Wait for one's turn, and hold it while the call runs: nobody else with this token calls meanwhile.

        Args:
            kind: what the call costs.
            patience: seconds to wait at most; None: those of the limits.

        Raises:
            ForgeError: waiting is hopeless or would be too long, or the turnstile cannot be used.
        """
        if self._turn is not None:
            raise RuntimeError("A call within a call would wait for itself.")
        try:
            turn = self._admitted(kind, self._limits.patience if patience is None else patience)
        except BaseException:
            self._turnstile.leave()
            raise
        finally:
            self._turnstile.give_up()
        self._turn = turn
        try:
            yield
        finally:
            self._turn = None
            self._leave(turn)

    def heard(self, status: int, headers: Mapping[str, str], message: str) -> Verdict:
        """Be told of an answer, within the call that brought it.

        Args:
            status: HTTP status; 0: no answer came.
            headers: of the answer, in any case.
            message: what GitHub said; for a good answer only the errors of GraphQL.

        Raises:
            ForgeError: GitHub has refused too often in a row, so that nobody should go on; or the turnstile cannot be
                used, and then what was heard is not known to the others.
        """
        turn = self._turn
        if turn is None:
            raise RuntimeError("An answer is heard within the call that brought it.")
        now = self._turnstile.now()
        named = {name.lower(): str(value) for name, value in headers.items()}
        primary = primary_of(named, now)
        if primary is not None:
            turn.state.primary, turn.changed = primary, True
        if is_limit(status, named, message):
            return self._struck(turn, asked_wait(named, now), message, now)
        answered = 0 < status < 500
        if answered and turn.state.strikes and (turn.kind is not CallKind.READ or turn.state.struck_reading):
            turn.state.strikes, turn.changed = 0, True
        return Verdict(limited=False)

    def budget(self, tasks: int, *, allowed: float = HOUR, cost: Cost | None = None) -> Budget:
        """Whether that many tasks fit into what is left of GitHub's limits.

        Args:
            tasks: how many there are in all runs together.
            allowed: seconds that they may take.
            cost: what one task costs.

        Raises:
            ForgeError: the turnstile cannot be used.
        """
        now = self._turnstile.now()
        state = self._turnstile.read(now)
        return budget(tasks, self._limits, state, now, allowed=allowed, cost=cost or Cost())

    def close(self) -> None:
        """Let go of what the turnstile holds open; the next call opens it again."""
        self._turnstile.close()

    def _admitted(self, kind: CallKind, patience: float) -> _Turn:
        waited = queued = 0.0
        while True:
            found = self._tried(kind)
            if isinstance(found, _Turn):
                return found
            seconds, reason = found or (min(max(queued, _FIRST_LOOK), self._turnstile.longest_look), Wait.TURN)
            seconds = max(seconds, _SHORTEST_SLEEP)
            if waited + seconds > patience:
                raise ForgeError(_too_long(reason, seconds, waited, patience))
            if reason is not Wait.TURN:
                self._on_wait(reason.value, seconds)
            elif queued < _LONG_TURN <= queued + seconds:
                self._on_wait(reason.value, queued + seconds)
            self._sleep(seconds)
            self._waited[reason.value] = self._waited.get(reason.value, 0.0) + seconds
            waited += seconds
            queued += seconds if reason is Wait.TURN else 0.0

    def _tried(self, kind: CallKind) -> _Turn | tuple[float, Wait] | None:
        """One's turn; or how long to wait for what; or None while it is somebody else's."""
        if not self._turnstile.take():
            return None
        now = self._turnstile.now()
        state = self._turnstile.read(now)
        if state.mended:
            self._turnstile.write(state, now)
        if state.strikes >= self._limits.strikes and state.blocked_until > now:
            raise ForgeError(_given_up(state.strikes, state.blocked_until - now))
        seconds, reason = self._limits.due(state, kind, self._repository, now)
        if seconds > 0:
            self._turnstile.leave()
            return seconds, reason
        if kind is not CallKind.READ:
            begin(state, kind, self._repository, now)
            self._turnstile.write(state, now)
        return _Turn(state, kind)

    def _leave(self, turn: _Turn) -> None:
        """Keep that the call is over. Where that fails, what is kept goes on to say that it runs: safe, but slow."""
        with contextlib.suppress(ForgeError):
            try:
                self._note_end(turn)
            finally:
                self._turnstile.leave()

    def _note_end(self, turn: _Turn) -> None:
        if turn.kind is CallKind.READ and not turn.changed:
            return
        now = self._turnstile.now()
        if turn.kind is not CallKind.READ:
            turn.state.last_write, turn.state.write_open = now, False
        self._turnstile.write(turn.state, now)

    def _struck(self, turn: _Turn, asked: float | None, message: str, now: float) -> Verdict:
        state = turn.state
        if now - state.blocked_until > HOUR:
            state.strikes = 0
        doubled = min(self._limits.first_block * 2.0**state.strikes, LONGEST_BLOCK)
        seconds = doubled if asked is None else asked
        state.blocked_until = max(state.blocked_until, now + seconds)
        state.strikes += 1
        state.struck_reading = turn.kind is CallKind.READ
        self._turnstile.write(state, now)
        turn.changed = True
        if state.strikes >= self._limits.strikes:
            raise ForgeError(_given_up(state.strikes, seconds, message))
        return Verdict(limited=True, seconds=seconds)


def _too_long(reason: Wait, seconds: float, waited: float, patience: float) -> str:
    if reason is Wait.TURN:
        return (
            f"Another process has been calling GitHub for more than {patience:.0f} s with the same token. "
            "Look for a session that hangs or was stopped (Ctrl-Z), and end it."
        )
    already = f" It has waited {waited:.0f} s already." if waited >= 1 else ""
    return (
        f"{told(reason.value, seconds)}{already} That is more than the {patience:.0f} s that a call may wait in all. "
        "Start the session again later, with fewer tasks, or with the token of another user."
    )


def _given_up(strikes: int, seconds: float, message: str = "") -> str:
    said = f' It said: "{message}".' if message else ""
    return (
        f"GitHub has limited this token {strikes} times in a row, and to go on could get it banned.{said} "
        f"Wait {max(seconds / 60, 1.0):.0f} min at least, then start again with fewer tasks at once."
    )
