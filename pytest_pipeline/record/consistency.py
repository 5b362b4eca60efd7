"""Whether a record agrees with itself: nothing twice, nothing missing, and a criterion that follows from its cases.

Pure: what only the outside world can tell is asked elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timezone

from pytest_pipeline.record.claimed_criterion import Known, is_number, lies_about_criterion
from pytest_pipeline.record.claims import Claim, Record, name_of
from pytest_pipeline.record.criterion import run_outcome
from pytest_pipeline.record.model import Outcome, RunRecord, TaskRunKey

_FITTING = {
    Outcome.PASSED: {"passed"},
    Outcome.FAILED: {"failure", "error", "skipped"},  # skipped: a failure that a mark expects
    Outcome.SKIPPED: {"skipped"},
    Outcome.COMPLETED: {"skipped"},
}
_LONG_AGO = datetime(2000, 1, 1, tzinfo=timezone.utc)


def contradictions(
    record: Record,
    expected: Collection[TaskRunKey],
    excused: Collection[TaskRunKey],
    admitted: Sequence[int],
    known: Known | None = None,
) -> Iterator[str]:
    """A sentence for everything in which a record contradicts itself.

    Args:
        record: the record.
        expected: the items that were selected, as far as that is known.
        excused: those of them that need no test case, because nothing was done with them.
        admitted: numbers of its admitted runs, see :func:`admitted_runs`.
        known: what a store holds of its session; None: nothing.
    """
    yield from record.faults
    yield from _doubled(record)
    for claim in record.claims:
        yield from _with_itself(claim, last=record.decided[claim.key] is claim)
    for key in sorted(set(expected) - set(excused) - record.decided.keys(), key=_order):
        yield f"The record has no test case for {name_of(key)}, which the session had selected."
    runs = [_run(record, expected, number, place) for place, number in enumerate(admitted, 1)]
    yield from lies_about_criterion(record, runs, known)


def _order(key: TaskRunKey) -> tuple[int, str, str, str]:
    return key.run, key.plan, key.batch, key.task


def _doubled(record: Record) -> Iterator[str]:
    for (key, attempt), times in Counter((each.key, each.attempt) for each in record.claims).items():
        if times > 1:
            what = f"attempt {attempt} at {name_of(key)}" if attempt else name_of(key)
            yield f"The record has {times} test cases for {what}."


def _with_itself(claim: Claim, *, last: bool) -> Iterator[str]:
    fitting = _FITTING.get(claim.outcome)
    repeated = not last and claim.shown == "passed"  # by pytest-rerunfailures, of which JUnit says nothing
    if fitting is not None and claim.shown not in fitting and not repeated:
        yield f"The test case of {claim} is {claim.outcome} by its property, and {claim.shown} by its element."
    if claim.outcome is Outcome.PASSED and "failure_kind" in claim.facts:
        yield f"The test case of {claim} is passed, and has the failure kind {claim.facts['failure_kind']}."
    if claim.outcome is Outcome.FAILED and "failure_kind" not in claim.facts:
        yield f"The test case of {claim} is failed, and has no failure kind."
    if claim.attempt > 1 and not is_number(claim.facts.get("draws", "")):
        yield f"The test case of {claim} is attempt {claim.attempt}, and does not say on how many an agent had begun."
    if claim.outcome in (Outcome.PASSED, Outcome.FAILED) and not claim.attempt:
        yield f"The test case of {claim} is {claim.outcome}, and names no attempt."


def admitted_runs(record: Record) -> list[int]:
    """The runs that a record says were admitted, in their order; it says how many, and that each of them counts.

    A run of which something was tried was. Of those where everything was skipped only the number tells, or where that
    counts the runs of earlier sessions too, the order of the own ones.
    """
    tried = {each.key.run for each in record.claims if each.attempt}
    others = sorted({each.key.run for each in record.claims} - tried)
    order = [int(each) for each in record.facts.get("runs.order", "").split() if is_number(each)]
    if "history" in record.facts:
        more = [each for each in others if each in order]
    else:
        told = record.facts.get("runs.admitted", "")
        more = others[: max(0, int(told) - len(tried))] if is_number(told) else others
    runs = sorted([*tried, *more])
    return order if sorted(order) == runs else runs


def _run(record: Record, expected: Collection[TaskRunKey], number: int, place: int) -> RunRecord:
    outcomes = [claim.outcome for key, claim in record.decided.items() if key.run == number]
    missing = [Outcome.RUNNING for key in expected if key.run == number and key not in record.decided]
    unreadable = [Outcome.FAILED] if record.facts.get("unreadable") else []
    outcome = run_outcome([*outcomes, *missing, *unreadable])
    return RunRecord(record.session, number, place, _LONG_AGO, outcome, _LONG_AGO)
