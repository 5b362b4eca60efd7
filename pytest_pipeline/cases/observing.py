"""Execution's observer, answered by pluggy hooks."""

from __future__ import annotations

import pytest

from pytest_pipeline.events import Candidate, StepFinished, StepStarted, TaskReference


class HookObserver:
    """Passes on to hooks what happens in a task run.

    Args:
        config: pytest's configuration, which holds the hooks.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._hook = config.hook

    def prompt(self, task: TaskReference, prompt: str) -> str:
        """The prompt of the first hook that has one, else the given one."""
        changed: str | None = self._hook.pytest_pipeline_prompt(task=task, prompt=prompt)
        return prompt if changed is None else changed

    def step_started(self, event: StepStarted) -> None:
        """Tell the hooks."""
        self._hook.pytest_pipeline_step_started(event=event)

    def step_finished(self, event: StepFinished) -> None:
        """Tell the hooks."""
        self._hook.pytest_pipeline_step_finished(event=event)

    def judge(self, candidate: Candidate) -> list[str]:
        """All objections of all hooks."""
        answers: list[list[str] | None] = self._hook.pytest_pipeline_judge(candidate=candidate)
        return [text for answer in answers if answer for text in answer]
