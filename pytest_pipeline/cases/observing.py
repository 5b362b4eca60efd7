"""Execution's observer, answered by pluggy hooks; what goes wrong in a user's hook is told as such."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import TypeVar

import pytest

from pytest_pipeline.errors import PipelineError
from pytest_pipeline.events import AgentActivity, Candidate, ForgeWaiting, StepFinished, StepStarted, TaskReference
from pytest_pipeline.record.model import Outcome

Answer = TypeVar("Answer")


class HookError(PipelineError):
    """A hook of the user's conftest or plugin raised an exception."""


def ask(name: str, call: Callable[[], Answer]) -> Answer:
    """What the hooks of that name answer.

    Args:
        name: the hook.
        call: calls it.

    Raises:
        HookError: one of them raised; says what and where.
    """
    try:
        return call()
    except PipelineError:
        raise  # a hook may speak to the user as we do
    except Exception as error:  # a hook is foreign code: whatever it raises is its author's to see
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise HookError(
            f"The hook {name} failed with {type(error).__name__}: {error} "
            f"({os.path.basename(where.filename)}:{where.lineno}). Mend it in your conftest.py or plugin."
        ) from error


class HookObserver:
    """Passes on to hooks what happens in a task run.

    Args:
        config: pytest's configuration, which holds the hooks.
        complain: told of a failed hook where raising would hide a failure that matters more.
    """

    def __init__(self, config: pytest.Config, complain: Callable[[str], None]) -> None:
        self._hook = config.hook
        self._complain = complain

    def prompt(self, task: TaskReference, prompt: str) -> str:
        """The prompt of the first hook that has one, else the given one."""
        hook = self._hook.pytest_pipeline_prompt
        changed: str | None = ask("pytest_pipeline_prompt", lambda: hook(task=task, prompt=prompt))
        return prompt if changed is None else changed

    def step_started(self, event: StepStarted) -> None:
        """Tell the hooks."""
        ask("pytest_pipeline_step_started", lambda: self._hook.pytest_pipeline_step_started(event=event))

    def step_finished(self, event: StepFinished) -> None:
        """Tell the hooks."""
        try:
            ask("pytest_pipeline_step_finished", lambda: self._hook.pytest_pipeline_step_finished(event=event))
        except PipelineError as error:
            if event.outcome == Outcome.PASSED:
                raise
            self._complain(str(error))

    def agent_activity(self, event: AgentActivity) -> None:
        """Tell the hooks."""
        ask("pytest_pipeline_agent_activity", lambda: self._hook.pytest_pipeline_agent_activity(event=event))

    def forge_waiting(self, event: ForgeWaiting) -> None:
        """Tell the hooks; one that fails must not keep a merge from being made."""
        try:
            ask("pytest_pipeline_forge_waiting", lambda: self._hook.pytest_pipeline_forge_waiting(event=event))
        except PipelineError as error:
            self._complain(str(error))

    def judge(self, candidate: Candidate) -> list[str]:
        """All objections of all hooks."""
        hook = self._hook.pytest_pipeline_judge
        answers: list[list[str] | None] = ask("pytest_pipeline_judge", lambda: hook(candidate=candidate))
        return [text for answer in answers if answer for text in answer]
