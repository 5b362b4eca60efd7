"""The criterion: N consecutive successful runs, in the order in which runs were admitted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from pytest_pipeline.record.model import Outcome, RunRecord


@dataclass(frozen=True)
class Verdict:
    """What the admitted runs say about the criterion.

    Args:
        required: consecutive successful runs that are asked for.
        count: runs that were planned (``--count``); None: nobody has planned a number.
        admitted: runs that were admitted; each of them counts.
        successful: runs that succeeded.
        failed: runs that ended in any other way.
        unfinished: runs that have not ended; they are no successes.
        streak: consecutive successful runs at the end of the admitted ones.
        longest: the longest row of successful runs anywhere.
        broken_by: number of the last run that did not succeed, or None.
        overlapping: numbers of the runs that were under way while another one was, in the order of admission.
        order: the numbers of all runs in the order of admission.
        chaos: whether faults were injected: such a session never meets a criterion.
        alive: whether the session goes on, so that what has not ended may still succeed; it breaks no streak yet.
        redrawn: successful runs with a task that was drawn anew, after an agent had begun on it: who tries until it
            works proves nothing by that it did, so they are trials, and no successes of the evidence.
    """

    required: int
    count: int | None
    admitted: int
    successful: int
    failed: int
    unfinished: int
    streak: int
    longest: int
    broken_by: int | None
    overlapping: tuple[int, ...]
    order: tuple[int, ...]
    chaos: bool = False
    alive: bool = False
    redrawn: int = 0

    @property
    def proving(self) -> int:
        """The successful runs that prove something."""
        return self.successful - self.redrawn

    @property
    def trials(self) -> int:
        """The runs that prove something: each that was admitted, or while the session goes on each that has ended."""
        return self.admitted - (self.unfinished if self.alive else 0)

    @property
    def met(self) -> bool:
        """Whether the criterion is met; a run that is under way may still break the streak."""
        return self.streak >= self.required and self.trials == self.admitted and not self.chaos

    @property
    def fixed_in_advance(self) -> bool:
        """Whether the number of runs was settled beforehand: all planned ones, no stop that depends on results."""
        return self.required == self.count == self.trials


def run_outcome(outcomes: Iterable[Outcome]) -> Outcome:
    """How a run ended whose task runs ended like this.

    It passed when each of them passed or was skipped as completed; a run of no tasks is skipped, which is no success.
    What has not ended counts as interrupted.
    """
    seen = set(outcomes)
    if not seen:
        return Outcome.SKIPPED
    if all(outcome.successful for outcome in seen):
        return Outcome.PASSED
    if Outcome.FAILED not in seen and seen & {Outcome.INTERRUPTED, Outcome.RUNNING}:
        return Outcome.INTERRUPTED
    return Outcome.FAILED


def judge(
    runs: Sequence[RunRecord],
    required: int,
    count: int | None,
    *,
    chaos: bool = False,
    alive: bool = False,
    redrawn: Collection[int] = (),
) -> Verdict:
    """Judge runs.

    Args:
        runs: all runs that were admitted, in any order.
        required: consecutive successful runs asked for: ``--until-consecutive``, else ``--count``; at least 1.
        count: planned runs; None: nobody has planned a number.
        chaos: whether faults were injected.
        alive: whether the session goes on.
        redrawn: numbers of the runs with a task that was drawn anew.
    """
    if required < 1:
        raise ValueError(f"at least one run must be required, not {required}")
    ordered = sorted(runs, key=lambda run: run.admitted)
    successful = sum(_succeeded(run) for run in ordered)
    unfinished = sum(run.outcome is Outcome.RUNNING for run in ordered)
    decided = [run for run in ordered if not (alive and run.outcome is Outcome.RUNNING)]
    return Verdict(
        required=required,
        count=count,
        admitted=len(ordered),
        successful=successful,
        failed=len(ordered) - successful - unfinished,
        unfinished=unfinished,
        streak=sum(1 for _ in takewhile(_succeeded, reversed(decided))),
        longest=_longest(decided),
        broken_by=next((run.number for run in reversed(decided) if not _succeeded(run)), None),
        overlapping=_overlapping(ordered),
        order=tuple(run.number for run in ordered),
        chaos=chaos,
        alive=alive,
        redrawn=sum(run.number in redrawn and _succeeded(run) for run in ordered),
    )


def _succeeded(run: RunRecord) -> bool:
    return run.outcome is Outcome.PASSED


def _longest(ordered: Sequence[RunRecord]) -> int:
    longest = current = 0
    for run in ordered:
        current = current + 1 if _succeeded(run) else 0
        longest = max(longest, current)
    return longest


def _overlapping(ordered: Sequence[RunRecord]) -> tuple[int, ...]:
    """Runs that began before one that had begun earlier had ended, and those earlier ones."""
    found: set[int] = set()
    latest: RunRecord | None = None  # of the runs so far, the one that ends last
    for run in sorted(ordered, key=lambda run: (run.started, run.admitted)):
        if latest is not None and (latest.finished is None or run.started < latest.finished):
            found |= {run.number, latest.number}
        if latest is None or _ends_later(run, latest):
            latest = run
    return tuple(run.number for run in ordered if run.number in found)


def _ends_later(run: RunRecord, other: RunRecord) -> bool:
    return other.finished is not None and (run.finished is None or run.finished > other.finished)
