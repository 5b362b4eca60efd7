"""The seam between the pipeline and whoever writes the code."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Protocol

OnEvent = Callable[[str], None]
"""Receives one short line about what the agent does right now."""


class SolutionForm(str, enum.Enum):
    """How a part of a reference solution is written down."""

    FILE = "file"  # the whole new content of a file
    DIFF = "diff"  # a unified diff
    SHELL = "shell"  # a script for /bin/sh


@dataclass(frozen=True)
class SolutionPart:
    """One block of a task's own solution; ``path`` only for :attr:`SolutionForm.FILE`."""

    form: SolutionForm
    content: str
    path: str = ""


class AgentStatus(str, enum.Enum):
    """How an agent ended, on its own word; the pipeline never takes it for the outcome."""

    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    BUDGET = "budget"
    TURNS = "turns"
    UNAVAILABLE = "unavailable"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Limits:
    """What one task run may cost: seconds, model turns, US dollars."""

    wall_time: float
    turns: int | None = None
    budget_usd: float | None = None


@dataclass(frozen=True)
class AgentRequest:
    """All that an agent is told.

    Args:
        prompt: the text for the model.
        workspace: directory to work in; the agent's current directory.
        limits: bounds of this task run.
        environment: the whole environment of the agent's processes.
        transcript: file that everything the agent prints is appended to.
        transcript_limit: most bytes of it.
        model: the model asked for, or None.
        reference: the task's own solution; only the reference agent looks at it.
    """

    prompt: str
    workspace: Path
    limits: Limits
    environment: Mapping[str, str]
    transcript: Path
    transcript_limit: int = 20 * 1024**2
    model: str | None = None
    reference: tuple[SolutionPart, ...] = ()


@dataclass(frozen=True)
class AgentResult:
    """How it went. ``message`` is a sentence; ``output`` the last lines written; what is not known is None."""

    status: AgentStatus
    message: str
    output: str = ""
    cost_usd: Decimal | None = None
    turns: int | None = None
    tokens: int | None = None
    model: str | None = None
    session_id: str | None = None
    survivors: int = 0
    truncated: bool = False  # whether the transcript holds less than was written


class Agent(Protocol):
    """What writes code. ``name`` and ``version`` go into the record."""

    @property
    def name(self) -> str:
        """The agent as the record shows it."""

    @property
    def version(self) -> str:
        """Its version, or an empty text."""

    def run(self, request: AgentRequest, on_event: OnEvent) -> AgentResult:
        """Do one task. Never raises for what the agent did; only for a machine that cannot run it (HostError)."""
