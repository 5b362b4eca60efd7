"""Steps: each is written to the store before it begins and after it ended, and told to whoever watches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Protocol

from pytest_pipeline.errors import PipelineError
from pytest_pipeline.events import AgentActivity, Candidate, ForgeWaiting, StepFinished, StepStarted, TaskReference
from pytest_pipeline.record.model import AttemptId, Outcome
from pytest_pipeline.record.store import Store


class Observer(Protocol):
    """Who may look on and interfere; the pytest side answers with pluggy hooks."""

    def prompt(self, task: TaskReference, prompt: str) -> str:
        """The prompt to use."""

    def step_started(self, event: StepStarted) -> None:
        """A step begins."""

    def step_finished(self, event: StepFinished) -> None:
        """A step ended."""

    def agent_activity(self, event: AgentActivity) -> None:
        """An agent says what it does."""

    def forge_waiting(self, event: ForgeWaiting) -> None:
        """The forge's limits make us wait."""

    def judge(self, candidate: Candidate) -> list[str]:
        """What else is wrong with the tree to be committed."""


_shift = timedelta()


def now() -> datetime:
    """The current time, aware of its zone."""
    return datetime.now(timezone.utc) + _shift


def shift_clock(by: timedelta) -> None:
    """Let the record's clock of this process go wrong by so much from now on, as chaos does."""
    global _shift  # noqa: PLW0603 - a process has one clock
    _shift = by


class StepLog:
    """The steps of one attempt."""

    def __init__(self, store: Store, attempt: AttemptId, task: TaskReference, observer: Observer) -> None:
        self._store = store
        self._attempt = attempt
        self._task = task
        self._observer = observer
        self.current = "prepare"

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Record what happens inside as the step ``name``."""
        self.current = name
        self._store.begin_step(self._attempt, name, now())
        clock = time.monotonic()
        outcome, detail = Outcome.INTERRUPTED, ""
        try:
            self._observer.step_started(StepStarted(self._task, name))
            yield
            outcome = Outcome.PASSED
        except Exception as error:
            outcome = Outcome.FAILED
            detail = str(error) if isinstance(error, PipelineError) else repr(error)
            raise
        finally:
            self._store.end_step(self._attempt, name, outcome, detail, now())
            seconds = time.monotonic() - clock
            self._observer.step_finished(StepFinished(self._task, name, str(outcome), detail, seconds))
