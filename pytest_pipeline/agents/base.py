"""The seam between the pipeline and whoever writes the code."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Protocol, runtime_checkable

from pytest_pipeline.trouble import Trouble

OnEvent = Callable[[str], None]
"""Receives one short line about what the agent does right now."""
OnCost = Callable[[Decimal], None]
"""Receives what the task run has cost so far, in US dollars, estimated from what was seen."""


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
class Conduct:
    """How an agent is to go about its task; agents without such a thing ignore it.

    Args:
        tools: tools that it has, each with or without a rule, for example ``Bash`` or ``Bash(git *)``.
        permission_mode: what it may do without asking.
        effort: how much it thinks, or None for its default.
        system_prompt: text that is added to its system prompt.
        project_instructions: whether it reads the instructions that the repository holds.
    """

    tools: tuple[str, ...] = ("Bash", "Edit", "Read", "Write", "Glob", "Grep")
    permission_mode: str = "acceptEdits"
    effort: str | None = None
    system_prompt: str = ""
    project_instructions: bool = False


def _nobody_asks(_cost: Decimal) -> None:
    return None


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
        reference: the task's own solution; only the reference agent and a rehearsal look at it.
        conduct: how to go about it.
        case: names the task among all plans, as a relative path without suffix, for example ``plans-hello/1-1.1``.
        run: number of the run, from 1.
        trouble: what a rehearsal is to bring about, or None.
        on_cost: is told what it has cost so far, as often as that is known.
    """

    prompt: str
    workspace: Path
    limits: Limits
    environment: Mapping[str, str]
    transcript: Path
    transcript_limit: int = 20 * 1024**2
    model: str | None = None
    reference: tuple[SolutionPart, ...] = ()
    conduct: Conduct = Conduct()
    case: str = ""
    run: int = 1
    trouble: Trouble | None = None
    on_cost: OnCost = _nobody_asks


@dataclass(frozen=True)
class AgentResult:
    """How it went. ``message`` is a sentence; ``output`` the last lines written; what is not known is None.

    ``denied`` holds the name of a tool once for each call that was denied; ``retryable`` says of an unavailable agent
    whether another try may help.
    """

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
    cost_estimated: bool = False  # whether cost_usd was put together from what was seen
    denied: tuple[str, ...] = ()
    retryable: bool = False


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


@runtime_checkable
class Explained(Protocol):
    """An agent that has something to say in the session's header."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the header."""

    @property
    def rehearses(self) -> str:
        """What stands in for a model: ``scripted`` or ``cassette``; empty where a real one takes part."""


@runtime_checkable
class Closable(Protocol):
    """An agent that holds something until the session ends."""

    def close(self) -> None:
        """Let go of it."""
