"""Whether a record agrees with itself: nothing twice, nothing missing, and a criterion that follows from its cases.

Pure: what only the outside world can tell is asked elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timezone

from pytest_pipeline.record.claims import Claim, Record, name_of
from pytest_pipeline.record.criterion import judge, run_outcome
from pytest_pipeline.record.evidence import anytime_lower_bound, lower_bound
from pytest_pipeline.record.model import Outcome, RunRecord, TaskRunKey

_FITTING = {
    Outcome.PASSED: {"passed"},
    Outcome.FAILED: {"failure", "error", "skipped"},  # skipped: a failure that a mark expects
    Outcome.SKIPPED: {"skipped"},
    Outcome.COMPLETED: {"skipped"},
}
_LONG_AGO = datetime(2000, 1, 1, tzinfo=timezone.utc)


def contradictions(
    record: Record, expected: Collection[TaskRunKey], excused: Collection[TaskRunKey], admitted: Sequence[int]
) -> Iterator[str]:
    """A sentence for everything in which a record contradicts itself.

    Args:
        record: the record.
        expected: the items that were selected, as far as that is known.
        excused: those of them that need no test case, because nothing was done with them.
        admitted: numbers of its admitted runs, see :func:`admitted_runs`.
    """
    yield from record.faults
    yield from _doubled(record)
    for claim in record.claims:
        yield from _with_itself(claim, last=record.decided[claim.key] is claim)
    for key in sorted(set(expected) - set(excused) - record.decided.keys(), key=_order):
        yield f"The record has no test case for {name_of(key)}, which the session had selected."
    yield from _criterion(record, expected, admitted)


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
    if claim.outcome in (Outcome.PASSED, Outcome.FAILED) and not claim.attempt:
        yield f"The test case of {claim} is {claim.outcome}, and names no attempt."


def admitted_runs(record: Record) -> list[int]:
    """The runs that a record says were admitted, in their order; it says how many, and that each of them counts.

    A run of which something was tried was. Of those where everything was skipped only the number tells.
    """
    tried = {each.key.run for each in record.claims if each.attempt}
    others = sorted({each.key.run for each in record.claims} - tried)
    told = record.facts.get("runs.admitted", "")
    more = max(0, int(told) - len(tried)) if told.isdecimal() else len(others)
    runs = sorted([*tried, *others[:more]])
    order = [int(each) for each in record.facts.get("runs.order", "").split() if each.isdecimal()]
    return order if sorted(order) == runs else runs


def _criterion(record: Record, expected: Collection[TaskRunKey], admitted: Sequence[int]) -> Iterator[str]:
    facts = record.facts
    required = facts.get("criterion.required", "")
    if not required.isdecimal() or not int(required):
        yield f"The record requires {required or 'no number of'} consecutive runs, which is no criterion."
        return
    if "history" in facts:
        yield from _criterion_of_several(facts, int(required))
        return
    runs = [_run(record, expected, number, place) for place, number in enumerate(admitted, 1)]
    verdict = judge(runs, int(required), len(runs))
    fixed = facts.get("lower_bound_rule") == "runs fixed in advance"
    anytime = anytime_lower_bound(verdict.successful, verdict.admitted)
    bound = lower_bound(verdict.successful, verdict.admitted) if fixed else anytime
    follows = {
        "runs.admitted": str(verdict.admitted),
        "runs.successful": str(verdict.successful),
        "criterion.streak": str(verdict.streak),
        "criterion.met": "yes" if verdict.met and "chaos" not in facts else "no",
        "lower_bound": f"{bound:.4f}",
        "lower_bound_anytime": f"{anytime:.4f}",
    }
    if "chaos" in facts and facts.get("criterion.met") == "yes":
        yield "The record is of a session under chaos, which never meets a criterion, and claims that it is met."
        del follows["criterion.met"]
    for name, value in follows.items():
        if facts.get(name) != value:
            yield f"The record says {name} {facts.get(name, 'nothing')}; from its test cases follows {value}."
    if fixed and int(required) != verdict.admitted:
        yield f"The record requires {required} runs and admitted {verdict.admitted}: they were not fixed in advance."


def _criterion_of_several(facts: Mapping[str, str], required: int) -> Iterator[str]:
    """Runs of earlier sessions count too, which have records of their own; only the streak can be held to."""
    streak = facts.get("criterion.streak", "")
    met = streak.isdecimal() and int(streak) >= required and "chaos" not in facts
    if facts.get("criterion.met") != ("yes" if met else "no"):
        yield (
            f"The record says criterion.met {facts.get('criterion.met', 'nothing')}; a streak of {streak or 'nothing'} "
            f"of {required} says {'yes' if met else 'no'}."
        )


def _run(record: Record, expected: Collection[TaskRunKey], number: int, place: int) -> RunRecord:
    outcomes = [claim.outcome for key, claim in record.decided.items() if key.run == number]
    missing = [Outcome.RUNNING for key in expected if key.run == number and key not in record.decided]
    unreadable = [Outcome.FAILED] if record.facts.get("unreadable") else []
    outcome = run_outcome([*outcomes, *missing, *unreadable])
    return RunRecord(record.session, number, place, _LONG_AGO, outcome, _LONG_AGO)
