"""Faults of agents: real processes that die, hang or flood, and a model that is overloaded."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pytest_pipeline.agents.base import Agent, AgentRequest, AgentResult, AgentStatus, Explained, OnEvent
from pytest_pipeline.agents.command import CommandAgent
from pytest_pipeline.execution.chaos.injecting import Chaos
from pytest_pipeline.execution.pipeline import Agents
from pytest_pipeline.settings import Settings

FLOOD = 25 * 1024**2
"""Bytes of a flood."""

_DIES = "sh -c 'printf half-wri > half-written.txt; kill -9 $$'"
_HANGS = "sh -c 'sleep 600'"
_FLOODS = f"sh -c 'head -c {FLOOD} /dev/zero | tr \"\\\\0\" x | fold -w 65536'"


@dataclass(frozen=True)
class ChaoticAgents:
    """Chooses agents as ``inner`` does; one that is to fail is another one for the time of that task.

    Args:
        inner: chooses an agent.
        chaos: says when.
    """

    inner: Agents
    chaos: Chaos

    def __call__(self, settings: Settings) -> Agent:
        """The agent for some settings."""
        return ChaoticAgent(self.inner(settings), self.chaos)


@dataclass(frozen=True)
class ChaoticAgent:
    """An agent whose first attempt at a task may fail.

    Args:
        inner: the agent.
        chaos: says when.
    """

    inner: Agent
    chaos: Chaos

    @property
    def name(self) -> str:
        """The agent as the record shows it."""
        return self.inner.name

    @property
    def version(self) -> str:
        """Its version."""
        return self.inner.version

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the header."""
        return self.inner.notes if isinstance(self.inner, Explained) else ()

    @property
    def rehearses(self) -> str:
        """What stands in for a model."""
        return self.inner.rehearses if isinstance(self.inner, Explained) else ""

    def run(self, request: AgentRequest, on_event: OnEvent) -> AgentResult:
        """Do one task, or fail at it."""
        if self.chaos.strike("agent-killed"):
            return CommandAgent(_DIES).run(request, on_event)
        if self.chaos.strike("agent-hangs"):
            limits = replace(request.limits, wall_time=1.0)
            return CommandAgent(_HANGS).run(replace(request, limits=limits), on_event)
        if self.chaos.strike("agent-overloaded"):
            told = "The model is overloaded (chaos). Try again later."
            return AgentResult(AgentStatus.UNAVAILABLE, told, retryable=True)
        if self.chaos.strike("agent-floods"):
            flood = CommandAgent(_FLOODS).run(request, on_event)
            result = self.inner.run(request, on_event)
            return replace(result, truncated=result.truncated or flood.truncated)
        return self.inner.run(request, on_event)
