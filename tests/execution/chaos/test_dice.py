"""The dice: the same faults for the same task, whoever asks and when; one to fail by at most."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_pipeline.execution.chaos.dice import Dice
from pytest_pipeline.execution.chaos.faults import CATALOGUE, Need, possible

seeds = st.integers(0, 10**6)
rates = st.floats(0, 1)
runs = st.integers(1, 1000)
cases = st.text(max_size=20)
places = st.sets(st.sampled_from(Need))


@settings(max_examples=30)
@given(seeds, rates, runs, cases, places)
def test_a_task_meets_one_fault_of_a_seam_and_one_to_fail_by_at_most(
    seed: int, rate: float, run: int, case: str, here: set[Need]
) -> None:
    drawn = Dice(seed, rate).faults(run, case, possible(here))

    assert set(drawn) <= set(possible(here))
    assert max(Counter(fault.seam for fault in drawn).values(), default=0) <= 1
    assert sum(fault.fatal for fault in drawn) <= 1


@settings(max_examples=30)
@given(seeds, rates, st.lists(st.tuples(runs, cases), min_size=2, max_size=6), places)
def test_the_order_in_which_tasks_are_asked_for_does_not_matter(
    seed: int, rate: float, tasks: list[tuple[int, str]], here: set[Need]
) -> None:
    one, other = Dice(seed, rate), Dice(seed, rate)

    found = [one.faults(*task, possible(here)) for task in tasks]

    assert [other.faults(*task, possible(here)) for task in reversed(tasks)] == found[::-1]


@settings(max_examples=30)
@given(seeds, runs, cases, st.integers(1, 100))
def test_a_number_is_below_its_sides(seed: int, run: int, case: str, sides: int) -> None:
    assert 0 <= Dice(seed, 0.5).number(run, case, "what", sides) < sides


def test_each_seam_strikes_as_often_as_the_rate_says() -> None:
    here = possible(set(Need))
    drawn = Counter(fault.seam for run in range(4000) for fault in Dice(3, 0.25).faults(run, "case", here))

    absorbing = {fault.seam for fault in CATALOGUE} - {fault.seam for fault in CATALOGUE if fault.fatal}
    assert absorbing
    for seam in absorbing:
        assert 900 < drawn[seam] < 1100


def test_a_rate_of_one_strikes_at_every_seam_and_one_of_zero_at_none() -> None:
    here = possible({Need.GITHUB, Need.SQLITE})

    assert {fault.seam for fault in Dice(1, 1).faults(1, "case", here)} == {fault.seam for fault in here}
    assert Dice(1, 0).faults(1, "case", here) == ()


def test_every_fault_comes_up_and_another_seed_or_run_or_case_draws_others() -> None:
    here = possible(set(Need))
    draws = [Dice(seed, 0.5).faults(run, case, here) for seed in range(9) for run in range(9) for case in "abc"]

    assert {fault for drawn in draws for fault in drawn} == set(CATALOGUE)
    for other in (
        Dice(2, 0.5).faults(1, "a", here),
        Dice(1, 0.5).faults(2, "a", here),
        Dice(1, 0.5).faults(1, "b", here),
    ):
        assert other != Dice(1, 0.5).faults(1, "a", here)


def test_what_is_possible_at_one_seam_changes_nothing_at_another() -> None:
    few, many = possible({Need.SQLITE}), possible({Need.SQLITE, Need.GITHUB})
    clock = {"store-busy", "store-slow", "clock-jump", "answer-lost"}

    for run in range(50):
        drawn = {fault.name for fault in Dice(5, 0.5).faults(run, "case", few)}
        assert drawn & clock == {fault.name for fault in Dice(5, 0.5).faults(run, "case", many)} & clock
