"""Whether tasks fit into GitHub's limits."""

from __future__ import annotations

import pytest

from pytest_pipeline.forges.gate_budget import Cost, budget
from pytest_pipeline.forges.gate_limits import CallKind, GateLimits
from pytest_pipeline.forges.gate_state import Primary, State
from tests.forges.gate_desk import START, Desk

NONE = GateLimits(0, None, None, None)


@pytest.mark.parametrize(
    ("tasks", "limits", "state", "seconds", "why"),
    [
        (0, GateLimits(), State(), 0, ""),
        (1, GateLimits(), State(), 4, "the pause between changes"),
        (1000, NONE, State(), 0, ""),
        (25, GateLimits(0, 20, None, None), State(), 90, "20 new contents a minute"),
        (225, GateLimits(0, None, 450, None), State(), 0, ""),
        (450, GateLimits(0, None, 450, None), State(), 3600, "450 new contents an hour"),
        (225, GateLimits(0, None, 450, None), State(content=[START - 5] * 45), 360, "450 new contents an hour"),
        (225, GateLimits(0, None, 450, None), State(content=[START - 3601] * 45), 0, ""),
        (12, GateLimits(0, None, None, 6), State(), 60, "6 pushes a minute"),
        (3, GateLimits(0, None, None, None, 1), State(), 120, "1 merges a minute"),
        (10, NONE, State(primary=Primary(5000, 80, START + 100, START)), 0, ""),
        (10, NONE, State(primary=Primary(5000, 79, START + 100, START)), 100, "the token's requests an hour"),
        (700, NONE, State(primary=Primary(5000, 0, START + 100, START)), 3700, "the token's requests an hour"),
        (625, NONE, State(primary=Primary(5000, 0, START - 1, START)), 0, ""),
        (1, NONE, State(blocked_until=START + 42), 42, "the wait that GitHub has asked for"),
    ],
)
def test_the_tightest_limit_says_how_long_it_takes(
    tasks: int, limits: GateLimits, state: State, seconds: float, why: str
) -> None:
    found = budget(tasks, limits, state, START, allowed=seconds, cost=Cost())
    assert (found.fits, found.seconds) == (True, seconds)
    assert why in found.sentence
    if seconds:
        assert not budget(tasks, limits, state, START, allowed=seconds - 0.1, cost=Cost()).fits


def test_the_answer_is_a_sentence_that_says_what_to_do(desk: Desk) -> None:
    found = desk.gate(GateLimits()).budget(1000)
    assert found.sentence == (
        "GitHub's limits leave 1,000 tasks to take at least 3 h 27 min (because of 450 new contents an hour). "
        "1 h 0 min are allowed. Run fewer tasks, or allow more time with --forge-time."
    )
    assert desk.gate().budget(1).sentence.startswith("GitHub's limits leave 1 task to take at least 4 s")
    assert desk.gate().budget(1000, allowed=4 * 3600).fits
    assert not desk.gate().budget(1, cost=Cost(pushes=400)).fits


def test_what_was_done_through_the_gate_counts(desk: Desk) -> None:
    gate = desk.gate(GateLimits(0, None, 4, None))
    assert gate.budget(2, allowed=0).fits
    desk.waits(gate, CallKind.CONTENT)
    assert not gate.budget(2, allowed=0).fits
