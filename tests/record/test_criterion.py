from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_pipeline.record.criterion import judge, run_outcome
from pytest_pipeline.record.model import Outcome, RunRecord

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)
P, F, R, I, S = Outcome.PASSED, Outcome.FAILED, Outcome.RUNNING, Outcome.INTERRUPTED, Outcome.SKIPPED  # noqa: E741


def at(seconds: int) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def sequence(*outcomes: Outcome) -> list[RunRecord]:
    """Runs one after another."""
    return [
        RunRecord("s", place, place, at(10 * place), outcome, None if outcome is R else at(10 * place + 9))
        for place, outcome in enumerate(outcomes, start=1)
    ]


def test_a_run_that_succeeded_by_a_new_draw_counts_for_the_streak_and_proves_nothing() -> None:
    verdict = judge(sequence(P, F, P, P), required=2, count=4, redrawn={2, 3})
    assert (verdict.streak, verdict.met, verdict.successful) == (2, True, 3)
    assert (verdict.redrawn, verdict.proving) == (1, 2)


def test_ten_successful_runs_of_ten_meet_the_criterion() -> None:
    verdict = judge(sequence(*[P] * 10), required=10, count=10)
    assert verdict.met
    assert (verdict.streak, verdict.longest, verdict.successful, verdict.admitted) == (10, 10, 10, 10)
    assert verdict.broken_by is None
    assert verdict.fixed_in_advance


@pytest.mark.parametrize("outcome", [F, I, S, R, Outcome.COMPLETED])
@pytest.mark.parametrize("place", [0, 4, 9])
def test_one_run_that_did_not_pass_breaks_ten_of_ten(outcome: Outcome, place: int) -> None:
    outcomes = [P] * 10
    outcomes[place] = outcome
    verdict = judge(sequence(*outcomes), required=10, count=10)
    assert not verdict.met
    assert verdict.broken_by == place + 1
    assert verdict.streak == 9 - place


def test_failures_before_the_streak_do_not_matter_when_fewer_are_required() -> None:
    verdict = judge(sequence(F, P, F, P, P, P), required=3, count=10)
    assert verdict.met
    assert (verdict.failed, verdict.broken_by) == (2, 3)
    assert not verdict.fixed_in_advance


def test_a_streak_that_a_later_admitted_run_has_broken_does_not_count() -> None:
    verdict = judge(sequence(P, P, P, F), required=3, count=4)
    assert not verdict.met
    assert (verdict.streak, verdict.longest) == (0, 3)


def test_a_run_that_never_ended_is_counted_and_is_no_success() -> None:
    verdict = judge(sequence(P, P, R), required=3, count=3)
    assert not verdict.met
    assert (verdict.unfinished, verdict.failed, verdict.admitted) == (1, 0, 3)


def test_while_a_session_goes_on_a_run_that_is_under_way_breaks_no_streak_and_meets_nothing() -> None:
    verdict = judge(sequence(F, P, P, R), required=2, count=4, alive=True)
    assert (verdict.streak, verdict.longest, verdict.broken_by) == (2, 2, 1)
    assert (verdict.admitted, verdict.unfinished, verdict.trials) == (4, 1, 3)
    assert not verdict.met, "it may still break the streak"
    assert judge(sequence(F, P, P), required=2, count=4, alive=True).met
    assert judge(sequence(F, P, P, R), required=2, count=4).trials == 4


def test_no_run_at_all_does_not_meet_the_criterion() -> None:
    assert not judge([], required=1, count=1).met


def test_the_order_of_admission_decides_and_not_the_number_or_the_order_given() -> None:
    runs = [RunRecord("s", 1, 3, at(3), P, at(4)), RunRecord("s", 2, 1, at(1), F, at(2))]
    runs.append(RunRecord("s", 3, 2, at(2), P, at(3)))
    verdict = judge(runs, required=2, count=3)
    assert verdict.met
    assert verdict.broken_by == 2


def test_runs_that_overlap_in_time_count_and_are_named() -> None:
    runs = [
        RunRecord("s", 1, 1, at(0), P, at(100)),
        RunRecord("s", 2, 2, at(10), P, at(20)),
        RunRecord("s", 3, 3, at(100), P, at(110)),
    ]
    verdict = judge(runs, required=3, count=3)
    assert verdict.met
    assert verdict.overlapping == (1, 2)


def test_requiring_no_run_is_a_defect_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least one"):
        judge([], required=0, count=0)


outcome_lists = st.lists(st.sampled_from(list(Outcome)), max_size=25)


@given(outcome_lists, st.integers(1, 12))
def test_the_verdict_is_the_definition(outcomes: list[Outcome], required: int) -> None:
    verdict = judge(sequence(*outcomes), required, max(required, len(outcomes)))
    tail = outcomes[-required:]
    assert verdict.met == (len(tail) == required and all(outcome is P for outcome in tail))
    pieces = [outcomes[start:end] for start in range(len(outcomes)) for end in range(start + 1, len(outcomes) + 1)]
    assert verdict.longest == max((len(piece) for piece in pieces if set(piece) == {P}), default=0)
    assert verdict.streak == max(
        (len(outcomes) - start for start in range(len(outcomes)) if set(outcomes[start:]) == {P}), default=0
    )
    assert verdict.admitted == verdict.successful + verdict.failed + verdict.unfinished == len(outcomes)


times = st.tuples(st.integers(0, 20), st.none() | st.integers(1, 10))


@given(st.lists(times, max_size=12))
def test_overlapping_runs_are_those_that_began_before_an_earlier_one_had_ended(
    spans: list[tuple[int, int | None]],
) -> None:
    runs = [
        RunRecord("s", place, place, at(start), P, None if length is None else at(start + length))
        for place, (start, length) in enumerate(spans, start=1)
    ]
    far = at(10**6)
    expected = {
        one.number
        for one in runs
        for other in runs
        if one is not other and max(one.started, other.started) < min(one.finished or far, other.finished or far)
    }
    assert set(judge(runs, 1, 1).overlapping) == expected


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([P, P], P),
        ([P, Outcome.COMPLETED], P),
        ([Outcome.COMPLETED], P),
        ([], S),
        ([P, S], F),
        ([S], F),
        ([P, F], F),
        ([P, F, I], F),
        ([P, I], I),
        ([P, R], I),
    ],
)
def test_a_run_passes_when_each_of_its_tasks_passed_or_was_completed(
    outcomes: list[Outcome], expected: Outcome
) -> None:
    assert run_outcome(outcomes) is expected


@given(outcome_lists)
def test_a_run_passes_only_if_it_has_tasks_and_all_were_successful(outcomes: list[Outcome]) -> None:
    assert (run_outcome(outcomes) is P) == (bool(outcomes) and all(each.successful for each in outcomes))
    assert run_outcome(outcomes) is not R
