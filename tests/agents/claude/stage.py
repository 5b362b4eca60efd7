"""What a test of the driver needs: a task run, a gateway, and programs that behave like the Claude CLI, or badly."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from pytest_pipeline.agents.base import AgentRequest, AgentResult, Conduct, Limits, OnEvent
from pytest_pipeline.agents.claude.driver import ClaudeAgent
from pytest_pipeline.agents.claude.executable import Executable
from pytest_pipeline.agents.claude.gateway import Access

SESSION = "00000000-0000-4000-8000-000000000000"


def init(**more: object) -> str:
    """The line with which the CLI begins."""
    return json.dumps(
        {
            "type": "system",
            "subtype": "init",
            "model": "claude-haiku-5-5",
            "claude_code_version": "2.1.330",
            "session_id": SESSION,
            **more,
        }
    )


def result(**more: object) -> str:
    """The line with which it ends."""
    return json.dumps(
        {
            "type": "result",
            "subtype": "success",
            "is_error": False,
            "terminal_reason": "completed",
            "num_turns": 1,
            "total_cost_usd": 0.25,
            "result": "All is done.",
            "permission_denials": [],
            "session_id": SESSION,
            "usage": {},
            "modelUsage": {},
            **more,
        }
    )


def says(*lines: str) -> str:
    """Python that prints these lines."""
    return "".join(f"print({line!r}, flush=True)\n" for line in lines)


@dataclass(frozen=True)
class Complaining(Access):
    """Access with something to complain about."""

    words: str = ""

    def complaint(self) -> str:
        return self.words


@dataclass
class Door:
    """A gateway that hands on what a test wants, and notes what the driver does with it."""

    access: Access = field(default_factory=Access)
    rehearses: str = ""
    notes: tuple[str, ...] = ("a door",)
    configs: list[Path] = field(default_factory=list)
    open: int = 0
    closed: bool = False

    @contextlib.contextmanager
    def admit(self, request: AgentRequest, config: Path) -> Iterator[Access]:
        assert config.is_dir()
        assert not list(config.iterdir())
        self.configs.append(config)
        self.open += 1
        try:
            yield self.access
        finally:
            assert config.is_dir(), "the access ends before its directory does"
            self.open -= 1

    def close(self) -> None:
        self.closed = True


@dataclass
class Stage:
    """One task run after the other, in a workspace.

    Args:
        path: a directory of the test alone.
        door: the gateway.
    """

    path: Path
    door: Door = field(default_factory=Door)
    events: list[str] = field(default_factory=list)
    costs: list[Decimal] = field(default_factory=list)

    def __post_init__(self) -> None:
        for place in (self.workspace, self.home, self.temporary):
            place.mkdir()

    @property
    def workspace(self) -> Path:
        return self.path / "work"

    @property
    def home(self) -> Path:
        return self.path / "home"

    @property
    def temporary(self) -> Path:
        return self.path / "tmp"

    @property
    def transcript(self) -> Path:
        return self.path / "transcript.jsonl"

    def request(
        self,
        *,
        prompt: str = "# Task\n",
        limits: Limits = Limits(120.0),  # noqa: B008 - frozen
        conduct: Conduct = Conduct(),  # noqa: B008 - frozen
        more: Mapping[str, str] | None = None,
        model: str | None = None,
    ) -> AgentRequest:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "HERE": str(self.path),
            **(more or {}),
        }
        return AgentRequest(
            prompt,
            self.workspace,
            limits,
            environment,
            self.transcript,
            conduct=conduct,
            model=model,
            on_cost=self.costs.append,
        )

    def play(self, program: str, request: AgentRequest | None = None, on_event: OnEvent | None = None) -> AgentResult:
        """Run a Python program that plays the CLI."""
        script = self.path / "claude"
        script.write_text(f"#!{sys.executable} -ISXutf8\nimport json, os, signal, sys, time\n{program}")
        script.chmod(0o755)
        return self.perform(script, request, on_event)

    def perform(
        self, program: Path, request: AgentRequest | None = None, on_event: OnEvent | None = None
    ) -> AgentResult:
        """Run a program as the CLI."""
        agent = ClaudeAgent(Executable(program, "2.1.330", "in a test"), self.door)
        return agent.run(request or self.request(), on_event or self.events.append)
