"""What JUnit XML would say of a session, made again from the store alone: of a finished one, and of a killed one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from pytest_pipeline.errors import StoreError
from pytest_pipeline.record.costs import usd, why_not_started
from pytest_pipeline.record.criterion import Verdict
from pytest_pipeline.record.junit import REPORT, suite_properties, testcase_properties
from pytest_pipeline.record.model import (
    AttemptRecord,
    Outcome,
    SessionRecord,
    TaskRunKey,
    TaskRunRecord,
)
from pytest_pipeline.record.reported import Reported
from pytest_pipeline.record.selection import Item, Selection

INTERRUPTED = "interrupted: "
"""How the text about an attempt that did not come to its end begins."""

_NOT_RUN = "It was not run: the session ended before its turn came."


@dataclass(frozen=True)
class Case:
    """One test case.

    Args:
        key: the item and its run.
        item: as it was collected.
        node: its node id.
        task_run: as it stood at the end of the test case.
        reported: what pytest reported, or would have; None: it passed, or was repeated by pytest-rerunfailures.
        seconds: how long it took.
        properties: its properties with their prefix.
    """

    key: TaskRunKey
    item: Item
    node: str
    task_run: TaskRunRecord
    reported: Reported | None
    seconds: float
    properties: tuple[tuple[str, str], ...]

    @property
    def passed(self) -> bool:
        """Whether it passed."""
        return self.task_run.outcome is Outcome.PASSED


@dataclass(frozen=True)
class Rebuilt:
    """The whole record of a session."""

    session: SessionRecord
    cases: tuple[Case, ...]
    properties: tuple[tuple[str, str], ...]


def rebuild(session: SessionRecord, verdict: Verdict, task_runs: Sequence[TaskRunRecord], spent: Decimal) -> Rebuilt:
    """Make the record.

    Args:
        session: the session, which no process carries on any more.
        verdict: what counts for its criterion says, see :func:`~pytest_pipeline.record.history.verdict_of`.
        task_runs: its task runs, all of them.
        spent: US dollars that it has cost.

    Raises:
        StoreError: the store does not say what was selected.
    """
    selection = Selection.read(session)
    if selection is None:
        raise StoreError(
            f"The store does not say which items session {session.id} had selected: it was killed while it opened, or "
            "an older version has made it. Look at it with `sessions show`."
        )
    nodes = {key: (item, node) for key, item, node in selection.nodes(session.id)}
    tried = [each for each in task_runs if each.key in nodes]
    left = _left_over(session, verdict, selection, {each.key for each in tried}, spent)
    cases = [
        Case(
            key=shown.key,
            item=nodes[shown.key][0],
            node=nodes[shown.key][1],
            task_run=shown,
            reported=reported,
            seconds=_seconds(shown),
            properties=testcase_properties(session, shown),
        )
        for shown, reported in [*_tried(tried), *left]
    ]
    return Rebuilt(session, tuple(cases), suite_properties(session, verdict))


_Shown = tuple[TaskRunRecord, "Reported | None"]


def _tried(task_runs: Sequence[TaskRunRecord]) -> Iterator[_Shown]:
    for each in task_runs:
        if not each.attempts:
            yield each, _skipped(each.reason)
        for place, attempt in enumerate(each.attempts):
            last = place == len(each.attempts) - 1
            if last or REPORT in attempt.properties:  # others were repeated within one test case
                yield from _attempt(replace(each, attempts=each.attempts[: place + 1]), attempt, last=last)


def _attempt(task_run: TaskRunRecord, attempt: AttemptRecord, *, last: bool) -> Iterator[_Shown]:
    if attempt.outcome is Outcome.RUNNING:
        step = next((f" in step {step.name}" for step in attempt.steps[::-1]), "")
        ended = replace(
            attempt, outcome=Outcome.INTERRUPTED, message=f"The process that carried it out ended before it did{step}."
        )
        task_run = replace(task_run, attempts=(*task_run.attempts[:-1], ended))
        attempt = ended
    yield replace(task_run, outcome=attempt.outcome), _reported(attempt) if last else None


def _reported(attempt: AttemptRecord) -> Reported | None:
    if attempt.outcome is Outcome.PASSED:
        return None
    if attempt.outcome is Outcome.INTERRUPTED:
        return Reported("setup", "failed", f"{INTERRUPTED}{attempt.message}")
    if REPORT in attempt.properties:
        return Reported.read(attempt.properties[REPORT])
    if attempt.outcome is Outcome.FAILED:  # only what fails at the very end is not reported before it is written
        return Reported("teardown", "failed", f"{attempt.failure_kind}: {attempt.message}")
    return _skipped(attempt.message)


def _skipped(reason: str) -> Reported:
    return Reported("setup", "skipped", reason)


def _left_over(
    session: SessionRecord, verdict: Verdict, selection: Selection, tried: set[TaskRunKey], spent: Decimal
) -> Iterator[_Shown]:
    """The items that nothing was done with; those that were given up because enough runs had succeeded are no cases."""
    allowed = usd(session.facts.get("max_cost", ""))
    unpaid = allowed is not None and spent >= allowed
    reason = why_not_started(spent, allowed) if allowed is not None and unpaid else _NOT_RUN
    enough = session.finished is not None and verdict.met and not unpaid
    for key, item, _ in selection.nodes(session.id):
        if key not in tried and not (enough and key.run not in verdict.order):
            yield TaskRunRecord(key, item.title, Outcome.SKIPPED, reason), _skipped(reason)


def _seconds(task_run: TaskRunRecord) -> float:
    last = task_run.attempts[-1] if task_run.attempts else None
    return (last.finished - last.started).total_seconds() if last is not None and last.finished else 0.0
