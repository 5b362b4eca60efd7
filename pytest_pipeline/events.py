"""What hooks are told: one frozen value per event, made of plain facts.

The pipeline makes them and never looks at them again, so a hook may keep them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TaskReference:
    """Which task run an event is about.

    Args:
        session: id of the session.
        run: number of the run, from 1.
        plan: path of the plan file, relative to the rootdir.
        batch: number of the batch.
        task: id of the task, or ``final-state``.
        title: its title.
        attempt: number of the attempt, from 1.
    """

    session: str
    run: int
    plan: str
    batch: str
    task: str
    title: str
    attempt: int


@dataclass(frozen=True)
class StepStarted:
    """A step begins; its intent is in the store already."""

    task: TaskReference
    step: str


@dataclass(frozen=True)
class StepFinished:
    """A step ended. ``outcome`` is ``passed``, ``failed`` or ``interrupted``; ``seconds`` how long it took."""

    task: TaskReference
    step: str
    outcome: str
    detail: str
    seconds: float


@dataclass(frozen=True)
class AgentActivity:
    """An agent says what it does right now, in one short ``line``, as it wrote it: it may hold anything."""

    task: TaskReference
    line: str


@dataclass(frozen=True)
class ForgeWaiting:
    """The forge's limits make us wait, for ``seconds`` from now on; ``message`` says it in a sentence.

    Args:
        session: id of the session.
        reason: turn, spacing, content, pushes, merges, primary or blocked.
        seconds: how long.
        message: the same for a person.
    """

    session: str
    reason: str
    seconds: float
    message: str


@dataclass(frozen=True)
class Candidate:
    """What a task is about to commit.

    Args:
        task: the task run.
        workspace: directory in which the agent worked; not trusted.
        changed: paths that differ from the base, sorted.
        read: content of a file of the tree to be committed, None where there is none.
    """

    task: TaskReference
    workspace: Path
    changed: tuple[str, ...]
    read: Callable[[str], bytes | None]


@dataclass(frozen=True)
class RunFinished:
    """A run ended. ``outcome`` is ``passed``, ``failed`` or ``interrupted``."""

    session: str
    run: int
    outcome: str


@dataclass(frozen=True)
class CriterionDecided:
    """The session's verdict: how many consecutive successful runs there were, and how many were required."""

    session: str
    required: int
    streak: int
    met: bool
