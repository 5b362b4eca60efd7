"""What is kept: sessions, runs, task runs, attempts and steps as frozen values."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from pytest_pipeline.errors import FailureKind

FINAL_STATE = "final-state"
"""What stands for a task's id in the key of the last item of a plan in a run."""


class Outcome(str, enum.Enum):
    """How a task run or a run ended; RUNNING while it has not."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # a dependency failed, or the user skipped it
    COMPLETED = "completed"  # skipped because the plan says that it is done
    INTERRUPTED = "interrupted"

    def __str__(self) -> str:
        return self.value

    @property
    def successful(self) -> bool:
        """Whether a run may still succeed with such a task run in it."""
        return self in (Outcome.PASSED, Outcome.COMPLETED)


@dataclass(frozen=True)
class TaskRunKey:
    """One task in one run. ``task`` is the task's id, or ``final-state``."""

    session: str
    run: int
    plan: str
    batch: str
    task: str


@dataclass(frozen=True)
class Ended:
    """How a task run stands, in short. ``merged``: it left no pull request open."""

    outcome: Outcome
    merged: bool


@dataclass(frozen=True)
class AttemptId:
    """What the store answers when it admits an attempt: its row, and its number within the task run, from 1."""

    row: int
    number: int


@dataclass(frozen=True)
class SessionRecord:
    """One invocation of pytest. ``facts`` are short texts: agent, forge, repository, versions, base commit."""

    id: str
    started: datetime
    required: int
    count: int
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    finished: datetime | None = None
    streak: int | None = None
    met: bool | None = None
    exit_code: int | None = None


@dataclass(frozen=True)
class Invocation:
    """One pytest that worked on a session: the first opened it, each further one resumed it.

    Args:
        number: from 1.
        started: when.
        host: name of its machine.
        pid: its process there.
        scratch: its scratch directory there; empty where that is not known.
        finished: when it closed the session; None: it did not live to do that, or has not yet.
        exit_code: of pytest, then.
    """

    number: int
    started: datetime
    host: str = ""
    pid: int = 0
    scratch: str = ""
    finished: datetime | None = None
    exit_code: int | None = None


@dataclass(frozen=True)
class RunRecord:
    """One pass through all selected plans. ``admitted`` is its place in the order of admission, from 1."""

    session: str
    number: int
    admitted: int
    started: datetime
    outcome: Outcome = Outcome.RUNNING
    finished: datetime | None = None


@dataclass(frozen=True)
class StepRecord:
    """One step of an attempt: written before it begins, completed after it ended (``finished`` None: it did not)."""

    name: str
    started: datetime
    finished: datetime | None = None
    outcome: Outcome = Outcome.RUNNING
    detail: str = ""


@dataclass(frozen=True)
class AttemptRecord:
    """One try at a task run."""

    number: int
    started: datetime
    outcome: Outcome = Outcome.RUNNING
    finished: datetime | None = None
    failure_kind: FailureKind | None = None
    message: str = ""
    properties: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    steps: tuple[StepRecord, ...] = ()


@dataclass(frozen=True)
class TaskRunRecord:
    """One task in one run with its attempts; the last attempt decides. ``reason``: why it was skipped."""

    key: TaskRunKey
    title: str
    outcome: Outcome
    reason: str = ""
    attempts: tuple[AttemptRecord, ...] = ()
