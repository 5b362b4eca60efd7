"""A stage on which single attempts are made, with agents that are Python functions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_pipeline.agents.base import Agent, AgentRequest, AgentResult, AgentStatus, OnEvent
from pytest_pipeline.cases.order import CaseKey
from pytest_pipeline.errors import TaskFailure
from pytest_pipeline.events import AgentActivity, Candidate, ForgeWaiting, StepFinished, StepStarted, TaskReference
from pytest_pipeline.execution.final_state import FinalState
from pytest_pipeline.execution.layout import store_url
from pytest_pipeline.execution.opening import Opened, open_session
from pytest_pipeline.execution.pipeline import Pipeline
from pytest_pipeline.execution.resuming import LATEST, recall
from pytest_pipeline.execution.task_run import TaskRun
from pytest_pipeline.plans.reader import parse_plan
from pytest_pipeline.record.model import Outcome
from pytest_pipeline.settings import Settings, build

Act = Callable[[AgentRequest], object]
FILES = {"kept.txt": "one\ntwo\nthree\n", ".gitignore": "*.log\n__pycache__/\n", "run.sh": "#!/bin/sh\n"}


@dataclass
class Player:
    """An agent that is a function; what it returns is not looked at, unless it is a result."""

    act: Act
    name: str = "player"
    version: str = "1"
    rehearses: str = ""
    notes: tuple[str, ...] = ()
    says: tuple[str, ...] = ("acts",)

    def run(self, request: AgentRequest, on_event: OnEvent) -> AgentResult:
        """Act."""
        for line in self.says:
            on_event(line)
        done = self.act(request)
        return done if isinstance(done, AgentResult) else AgentResult(AgentStatus.OK, "The player has played.")


@dataclass
class Onlooker:
    """Looks on, and may do something after a step."""

    after: dict[str, Callable[[], object]] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    objections: list[str] = field(default_factory=list)
    lines: list[AgentActivity] = field(default_factory=list)
    waits: list[ForgeWaiting] = field(default_factory=list)

    def prompt(self, task: TaskReference, prompt: str) -> str:
        """Keep the prompt."""
        return prompt

    def step_started(self, event: StepStarted) -> None:
        """Look."""

    def step_finished(self, event: StepFinished) -> None:
        """Do what the test wants to happen in between, once."""
        self.steps.append(f"{event.step} {event.outcome}")
        if event.step in self.after:
            self.after.pop(event.step)()

    def agent_activity(self, event: AgentActivity) -> None:
        """Keep the line, and do what the test wants to happen at it."""
        self.lines.append(event)
        if event.line in self.after:
            self.after.pop(event.line)()

    def forge_waiting(self, event: ForgeWaiting) -> None:
        """Keep it."""
        self.waits.append(event)

    def judge(self, candidate: Candidate) -> list[str]:
        """Object as told."""
        return self.objections


class Stage:
    """A project with one plan, whose attempts are made one by one.

    Args:
        path: its directory, a repository.
        temporary: what TMPDIR is.
    """

    def __init__(self, path: Path, temporary: Path) -> None:
        self.path = path
        self.temporary = temporary
        self.onlooker = Onlooker()
        self.rehearses = ""
        self._act: Act = lambda _request: None
        self._opened: list[Pipeline] = []

    def open(self, text: str, ini: Mapping[str, object] | None = None, **flags: object) -> Pipeline:
        """Open a session with this plan; ``flags`` and ``ini`` are settings by name."""
        return self._open(text, build(flags, ini or {})).pipeline

    def resume(self, text: str, **flags: object) -> Opened:
        """Take up a session with this plan again, the latest one unless ``flags`` name one."""
        told = build({"resume": LATEST, **flags}, {})
        return self._open(text, recall(told, store_url(self.path / told.state_dir)).settings)

    def kill(self, pipeline: Pipeline) -> None:
        """What the death of its process does to a session: its locks are free, and everything else stays as it is."""
        pipeline.store.close()
        pipeline.let_go()
        self._opened.remove(pipeline)

    def _open(self, text: str, settings: Settings) -> Opened:
        (self.path / "plans").mkdir(exist_ok=True)
        (self.path / "plans/p.md").write_text(text, "utf-8")
        plan = parse_plan(text, "plans/p.md")
        assert plan is not None
        agent: Agent = Player(lambda request: self._act(request), rehearses=self.rehearses)  # noqa: PLW0108 - what it is by then
        opened = open_session(
            settings,
            {plan.path: plan},
            rootdir=self.path,
            agents=lambda _settings: agent,
            forge=None,
            observer=self.onlooker,
            selection={
                f"{plan.path}::{task.id}": CaseKey(1, plan.path, batch.number, task.id)
                for batch in plan.batches
                for task in batch.tasks
            },
        )
        self._opened.append(opened.pipeline)
        return opened

    def close(self) -> None:
        """Close what was opened."""
        for pipeline in self._opened:
            pipeline.close()

    def attempt(
        self, pipeline: Pipeline, number: str = "1.1", act: Act = lambda _request: None, *, run: int = 1
    ) -> TaskRun:
        """One attempt from preparation to clean-up, by an agent that does this. Its failure is in ``.failure``."""
        self._act = act
        plan = pipeline.plans["plans/p.md"]
        batch, task = next((batch, task) for batch in plan.batches for task in batch.tasks if task.id == number)
        attempt = TaskRun(pipeline, run, plan, batch, task)
        _carry_out(attempt)
        return attempt

    def final_state(self, pipeline: Pipeline, *, run: int = 1) -> FinalState:
        """One look at the final state."""
        attempt = FinalState(pipeline, run, pipeline.plans["plans/p.md"])
        _carry_out(attempt)
        return attempt


def _carry_out(attempt: TaskRun | FinalState) -> None:
    attempt.admit()
    with contextlib.suppress(TaskFailure):  # it is in ``attempt.failure``
        attempt.prepare()
        attempt.perform()
    attempt.cleanup()
    attempt.finish(Outcome.FAILED if attempt.failure else Outcome.PASSED)
