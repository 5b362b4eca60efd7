"""What a session under chaos was made to suffer, and whether all of it came as expected; told from the record alone.

The fact ``chaos`` of an attempt names each fault that was injected, with what must become of it: ``absorbed``, or the
kind of the failure. So a record can be judged without the program that made it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pytest_pipeline.record.model import AttemptRecord, Outcome, TaskRunRecord

ABSORBED = "absorbed"
"""What must become of a fault that no task may fail by."""

_FAULT = re.compile(r"([a-z0-9-]+) \(([a-z]+)\)")
_OPEN = (Outcome.INTERRUPTED, Outcome.RUNNING)


def told(faults: Mapping[str, str]) -> str:
    """Faults by name, each with what must become of it, as a fact."""
    return ", ".join(f"{name} ({expected})" for name, expected in faults.items())


def read(fact: str) -> dict[str, str]:
    """The inverse of :func:`told`."""
    return dict(_FAULT.findall(fact))


def foreseen(properties: Mapping[str, str], kind: object) -> str:
    """The fault that an attempt with these facts had to fail by with that kind of failure; empty: there is none."""
    name, expected = _fatal(properties)
    return name if name and expected == str(kind) else ""


@dataclass(frozen=True)
class Surprise:
    """A task run that did not end as it had to, and why."""

    task_run: TaskRunRecord
    why: str


@dataclass(frozen=True)
class Reckoning:
    """What became of the faults of a session.

    Args:
        injected: how often each fault was, by name.
        absorbed: how many faults no task has failed by, and none had to.
        failed: how many tasks failed by, as they had to.
        surprises: what did not come as it had to.
    """

    injected: Mapping[str, int]
    absorbed: int
    failed: int
    surprises: tuple[Surprise, ...]


def reckon(task_runs: Iterable[TaskRunRecord]) -> Reckoning:
    """Hold what happened against what had to.

    Args:
        task_runs: all task runs of the session.
    """
    injected, came, surprises = Counter[str](), Counter[bool](), []
    for each in task_runs:
        faults = [fault for attempt in each.attempts for fault in read(attempt.properties.get("chaos", "")).items()]
        injected.update(name for name, _ in faults)
        why = _surprising(each.attempts)
        if why:
            surprises.append(Surprise(each, why))
        elif each.outcome not in _OPEN:
            came.update(expected == ABSORBED for _, expected in faults)
    return Reckoning(dict(sorted(injected.items())), came[True], came[False], tuple(surprises))


def _surprising(attempts: tuple[AttemptRecord, ...]) -> str:
    """Why a task run did not end as it had to, or an empty text.

    An attempt with a fault to fail by must fail so; what an earlier attempt without one came to is past. What was
    interrupted was not given the time to show.
    """
    for attempt in attempts:
        name, kind = _fatal(attempt.properties)
        found = str(attempt.failure_kind)
        if name and attempt.outcome not in _OPEN and (attempt.outcome, found) != (Outcome.FAILED, kind):
            how = "it passed" if attempt.outcome is Outcome.PASSED else f"it failed with {found}"
            return f"{name} had to make it fail with {kind}, but {how}"
        if not name and attempt is attempts[-1] and attempt.outcome is Outcome.FAILED:
            return f"it failed with {found}, which no fault explains"
    return ""


def _fatal(properties: Mapping[str, str]) -> tuple[str, str]:
    faults = read(properties.get("chaos", ""))
    return next(((name, kind) for name, kind in faults.items() if kind != ABSORBED), ("", ""))
