"""What the live status shows at one moment: plain values, without a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

THIS_PROCESS = "this process"
"""What the only worker of a session without ``-n`` is called."""


@dataclass(frozen=True)
class Row:
    """One worker.

    Args:
        worker: its name.
        run: number of the run that it works for; None: it is free, or runs a Python test.
        plan: path of the plan.
        task: id of the task; the node id of a Python test; empty: the worker is free.
        step: the step that its task is in; empty: none.
        waits: what it waits for; empty: it works.
        seconds: how long it has been at this.
        cost: US dollars that its tasks have cost in this session, also those that have ended.
    """

    worker: str
    run: int | None = None
    plan: str = ""
    task: str = ""
    step: str = ""
    waits: str = ""
    seconds: float = 0.0
    cost: Decimal = Decimal()

    @property
    def is_free(self) -> bool:
        """Whether it waits for work."""
        return not self.task


@dataclass(frozen=True)
class Picture:
    """A session at one moment.

    Args:
        runs: planned runs.
        runs_ended: those that have ended.
        streak: consecutive successful runs at the end of those that have ended.
        tasks: selected tasks of all runs.
        passed: tasks that have passed.
        failed: tasks that have failed.
        skipped: tasks that were skipped.
        cost: US dollars of the session so far.
        seconds: how long the session has been open.
        rows: the workers.
    """

    runs: int
    runs_ended: int
    streak: int
    tasks: int
    passed: int
    failed: int
    skipped: int
    cost: Decimal
    seconds: float
    rows: tuple[Row, ...]
