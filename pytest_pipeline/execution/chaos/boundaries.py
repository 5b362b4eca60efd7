"""Faults that strike before and after steps, where the pipeline tells whoever watches what it is at."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pytest_pipeline.events import AgentActivity, Candidate, ForgeWaiting, StepFinished, StepStarted, TaskReference
from pytest_pipeline.execution.chaos.injecting import Chaos
from pytest_pipeline.execution.chaos.refs import lock_base, occupy, vacate
from pytest_pipeline.execution.chaos.store import SLOW_SECONDS, occupy_store
from pytest_pipeline.execution.steps import Observer, shift_clock

STEPS = 10
"""A task that is merged has so many steps, each with two boundaries."""

_JUMPS = (timedelta(hours=1), timedelta(hours=-1))


def kill_this_process() -> None:
    """Die as by the kernel's hand."""
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class ChaoticObserver:
    """Looks on for ``inner``, and interferes.

    Args:
        inner: who looks on.
        chaos: says when to strike.
        forge: the embedded forge's repository; None: it is another one.
        store: the store's file; None: it is no file.
        die: kills this process.
    """

    inner: Observer
    chaos: Chaos
    forge: Path | None
    store: Path | None
    die: Callable[[], None] = kill_this_process

    _occupied: bool = False
    _slow: bool = False

    def step_started(self, event: StepStarted) -> None:
        """A step begins."""
        self._at_a_boundary(first=event.step == "prepare")
        if self.forge is not None:
            if event.step == "push" and self.chaos.strike("push-rejected"):
                occupy(self.chaos, self.forge)
                self._occupied = True
            if event.step == "merge" and self.chaos.strike("git-lock-held"):
                lock_base(self.chaos, self.forge)
        self.inner.step_started(event)

    def step_finished(self, event: StepFinished) -> None:
        """A step ended."""
        if self._occupied and self.forge is not None:
            vacate(self.chaos, self.forge)
            self._occupied = False
        if event.step == "prepare" and self.chaos.strike("clock-jump"):
            shift_clock(_JUMPS[self.chaos.number("clock-jump", len(_JUMPS))])
        if event.step == "cleanup":
            shift_clock(timedelta())
        self._at_a_boundary(first=False)
        self.inner.step_finished(event)

    def _at_a_boundary(self, *, first: bool) -> None:
        chaos = self.chaos
        chaos.boundary += 1
        if self.store is not None:
            self._slow = chaos.strike("store-slow") or (self._slow and not first)
            if self._slow:
                occupy_store(chaos, self.store, SLOW_SECONDS)
            if self._is_at("store-busy") and chaos.strike("store-busy"):
                occupy_store(chaos, self.store, 0.1 * (1 + chaos.number("seconds", 10)))
        if self._is_at("worker-killed") and chaos.strike("worker-killed"):
            chaos.let_go()
            self.die()

    def _is_at(self, fault: str) -> bool:
        return self.chaos.due(fault) and self.chaos.boundary == 1 + self.chaos.number(fault, 2 * STEPS)

    def prompt(self, task: TaskReference, prompt: str) -> str:
        """The prompt to use."""
        return self.inner.prompt(task, prompt)

    def agent_activity(self, event: AgentActivity) -> None:
        """An agent says what it does."""
        self.inner.agent_activity(event)

    def forge_waiting(self, event: ForgeWaiting) -> None:
        """The forge's limits make us wait."""
        self.inner.forge_waiting(event)

    def judge(self, candidate: Candidate) -> list[str]:
        """What else is wrong with the tree to be committed."""
        return self.inner.judge(candidate)
