"""Whatever three processes ask for in whatever order, what they did stays within the limits."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pytest_pipeline.forges.gate_limits import CallKind, GateLimits
from tests.forges.gate_desk import Desk

LIMITS = GateLimits(
    spacing=1.0, content_per_minute=5, content_per_hour=20, pushes_per_minute=3, merges_per_minute=2, strikes=1000
)
ALLOWED = {
    CallKind.CONTENT: ((60, 5), (3600, 20)),
    CallKind.MERGE: ((60, 2),),
    CallKind.PUSH: ((60, 3),),
}
CLOCK = 1e-5  # what a float of seconds since the epoch is worth
repositories = st.sampled_from(["o/a", "o/b"])
moments = st.floats(0, 90)


class GateMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.desk = Desk(Path(self.directory.name))
        self.gates = {name: [self.desk.gate(LIMITS, name) for _ in range(2)] for name in ("o/a", "o/b")}
        self.done: list[tuple[CallKind, str, float, float]] = []
        self.blocked = 0.0

    def teardown(self) -> None:
        self.directory.cleanup()

    def call(self, kind: CallKind, repository: str, which: int, lasting: float, asked: int | None) -> None:
        gate = self.gates[repository][which]
        with gate.call(kind):
            start = self.desk.clock.now
            assert start >= self.blocked - CLOCK
            self.desk.clock.now += lasting
            if asked is None:
                gate.heard(200, {}, "")
            else:
                gate.heard(403, {"Retry-After": str(asked)}, "You have exceeded a secondary rate limit.")
                self.blocked = self.desk.clock.now + asked
        self.done.append((kind, repository, start, self.desk.clock.now))

    @rule(kind=st.sampled_from(CallKind), repository=repositories, which=st.integers(0, 1), lasting=moments)
    def call_well(self, kind: CallKind, repository: str, which: int, lasting: float) -> None:
        self.call(kind, repository, which, lasting / 60, None)

    @rule(kind=st.sampled_from(CallKind), repository=repositories, count=st.integers(2, 12))
    def call_often(self, kind: CallKind, repository: str, count: int) -> None:
        for number in range(count):
            self.call(kind, repository, number % 2, 0.0, None)

    @rule(kind=st.sampled_from(CallKind), repository=repositories, asked=st.integers(1, 200))
    def call_and_be_limited(self, kind: CallKind, repository: str, asked: int) -> None:
        self.call(kind, repository, 0, 0.5, asked)

    @rule(seconds=moments)
    def wait(self, seconds: float) -> None:
        self.desk.clock.now += seconds

    @rule(content=st.binary(max_size=10))
    def tear_while_nothing_is_known(self, content: bytes) -> None:
        if not self.done:
            self.desk.state_file.write_bytes(content)

    @invariant()
    def keeps_its_limits(self) -> None:
        changes = [each for each in self.done if each[0] is not CallKind.READ]
        for before, after in itertools.pairwise(changes):
            assert after[2] - before[3] >= 1.0 - CLOCK
        for kind, windows in ALLOWED.items():
            kinds = {kind, CallKind.MERGE} if kind is CallKind.CONTENT else {kind}
            places = [{"o/a", "o/b"}] if kind is CallKind.CONTENT else [{"o/a"}, {"o/b"}]
            for where in places:
                starts = [each[2] for each in self.done if each[0] in kinds and each[1] in where]
                for window, most in windows:
                    for first, beyond in zip(starts, starts[most:], strict=False):
                        assert beyond - first >= window - CLOCK


TestGateMachine = GateMachine.TestCase
TestGateMachine.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
