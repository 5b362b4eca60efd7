"""A gate under a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytest_pipeline.forges.gate import Gate, Verdict, token_id
from pytest_pipeline.forges.gate_files import FileTurnstile
from pytest_pipeline.forges.gate_limits import CallKind, GateLimits

TOKEN = "ghp_a-token-that-is-nowhere-on-disk"
ID = token_id("https://api.github.com", TOKEN)
START = 1_800_000_000.0


class Clock:
    """Time passes when somebody sleeps, and when the test says so."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def spent(self) -> float:
        """Seconds since the test began, as far as a float can tell."""
        return round(self.now - START, 3)


class Desk:
    """Any number of gates for one token, all with one clock; what they tell is kept."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Clock()
        self.told: list[tuple[str, float]] = []

    @property
    def state_file(self) -> Path:
        return self.directory / f"{ID}.json"

    def gate(self, limits: GateLimits | None = None, repository: str = "owner/name") -> Gate:
        return Gate(
            FileTurnstile(self.directory, ID, clock=self.clock),
            limits,
            lambda reason, seconds: self.told.append((reason, round(seconds, 3))),
            repository=repository,
            sleep=self.clock.sleep,
        )

    def waits(self, gate: Gate, kind: CallKind, lasting: float = 0.0) -> float:
        """Make a call that takes a while, and tell how long it waited before."""
        before = self.clock.now
        with gate.call(kind):
            waited = self.clock.now - before
            self.clock.now += lasting
        return round(waited, 3)

    def hears(
        self,
        gate: Gate,
        status: int,
        message: str = "",
        headers: Mapping[str, object] | None = None,
        kind: CallKind = CallKind.WRITE,
    ) -> Verdict:
        """Make a call that is answered so."""
        with gate.call(kind):
            return gate.heard(status, {name: str(value) for name, value in (headers or {}).items()}, message)
