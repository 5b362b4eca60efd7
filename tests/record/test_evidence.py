from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_pipeline.record.evidence import anytime_lower_bound, at_least, lower_bound, runs_needed


@pytest.mark.parametrize(
    ("successes", "trials", "expected"),
    [(10, 10, 0.741), (29, 29, 0.902), (59, 59, 0.951), (299, 299, 0.990), (10, 12, 0.562), (0, 5, 0.0), (0, 0, 0.0)],
)
def test_the_bound_for_runs_fixed_in_advance_is_the_published_one(successes: int, trials: int, expected: float) -> None:
    assert lower_bound(successes, trials) == pytest.approx(expected, abs=0.001)


def test_the_bound_at_other_confidences_is_the_published_one() -> None:
    figures = [lower_bound(10, 10, confidence) for confidence in (0.99, 0.90, 0.80, 0.50)]
    assert figures == pytest.approx([0.631, 0.794, 0.851, 0.933], abs=0.0005)


@pytest.mark.parametrize(
    ("trials", "expected"), [(10, 0.646), (20, 0.801), (43, 0.901), (59, 0.927), (100, 0.956), (299, 0.985)]
)
def test_the_bound_for_looking_whenever_is_the_published_one(trials: int, expected: float) -> None:
    assert anytime_lower_bound(trials, trials) == pytest.approx(expected, abs=0.0006)


@pytest.mark.parametrize(
    ("target", "expected"), [(0.90, (29, 46, 61, 76)), (0.95, (59, 93, 124, 153)), (0.99, (299, 473, 628, 773))]
)
def test_the_runs_needed_are_the_published_ones(target: float, expected: tuple[int, ...]) -> None:
    assert tuple(runs_needed(target, failures) for failures in range(4)) == expected


def test_more_than_all_runs_cannot_have_succeeded() -> None:
    with pytest.raises(ValueError, match="11 of 10"):
        lower_bound(11, 10)


def test_a_success_rate_of_one_cannot_be_proved() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        runs_needed(1.0)


counts = st.integers(1, 60).flatmap(lambda trials: st.tuples(st.integers(1, trials), st.just(trials)))


@given(counts)
def test_at_the_bound_the_observed_or_better_has_five_percent(counts: tuple[int, int]) -> None:
    successes, trials = counts
    rate = lower_bound(successes, trials)
    tail = sum(
        math.comb(trials, hits) * rate**hits * (1 - rate) ** (trials - hits) for hits in range(successes, trials + 1)
    )
    assert tail == pytest.approx(0.05, rel=1e-6)
    assert at_least(successes, trials, rate) == pytest.approx(tail, rel=1e-6)


@given(counts)
def test_looking_whenever_costs_something_and_no_bound_exceeds_the_observed_rate(counts: tuple[int, int]) -> None:
    successes, trials = counts
    assert 0 < anytime_lower_bound(successes, trials) < lower_bound(successes, trials) < successes / trials


@given(counts)
def test_at_the_bound_for_looking_whenever_the_mixture_reaches_twenty(counts: tuple[int, int]) -> None:
    successes, trials = counts
    rate = anytime_lower_bound(successes, trials)
    steps = 4000  # midpoint rule for the integral that the closed form replaces
    grid = (rate + (1 - rate) * (step + 0.5) / steps for step in range(steps))
    observed = rate**successes * (1 - rate) ** (trials - successes)
    mixture = sum(q**successes * (1 - q) ** (trials - successes) for q in grid) / steps / observed
    assert mixture == pytest.approx(20, rel=0.01)


@given(st.floats(0.5, 0.99), st.integers(0, 3))
def test_the_runs_needed_reach_the_target_and_one_less_does_not(target: float, failures: int) -> None:
    runs = runs_needed(target, failures)
    assert lower_bound(runs - failures, runs) >= target - 1e-9
    assert runs == failures + 1 or lower_bound(runs - 1 - failures, runs - 1) < target + 1e-9
