"""Hooks for a user's ``conftest.py`` or plugin. Each is called in the process that runs the task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_pipeline.agents.base import Agent
    from pytest_pipeline.events import (
        AgentActivity,
        Candidate,
        CriterionDecided,
        ForgeWaiting,
        RunFinished,
        StepFinished,
        StepStarted,
        TaskReference,
    )
    from pytest_pipeline.forges.base import Forge
    from pytest_pipeline.settings import Settings


@pytest.hookspec(firstresult=True)
def pytest_pipeline_agent(config: pytest.Config, settings: Settings) -> Agent | None:
    """Choose who does a task. Stops at the first answer that is not None.

    Called once for every combination of agent settings in a session, before the first task that needs it.

    Args:
        config: pytest's configuration.
        settings: the settings of the plan or task, ``settings.agent`` being the name asked for.

    Returns:
        An agent, or None to leave the choice to the next hook or to the pipeline.
    """


@pytest.hookspec(firstresult=True)
def pytest_pipeline_forge(config: pytest.Config, settings: Settings) -> Forge | None:
    """Choose where pull requests live. Stops at the first answer that is not None.

    Called once per process, before the first task.

    Args:
        config: pytest's configuration.
        settings: the session's settings, ``settings.forge`` being the name asked for.

    Returns:
        A forge, or None to leave the choice to the next hook or to the pipeline.
    """


@pytest.hookspec(firstresult=True)
def pytest_pipeline_prompt(task: TaskReference, prompt: str) -> str | None:
    """Change the prompt of a task. Stops at the first answer that is not None.

    Args:
        task: the task run.
        prompt: the prompt as the template made it.

    Returns:
        The prompt to use instead, or None to keep it.
    """


def pytest_pipeline_step_started(event: StepStarted) -> None:
    """Watch a step begin.

    Args:
        event: which step of which task run.
    """


def pytest_pipeline_step_finished(event: StepFinished) -> None:
    """Watch a step end.

    Args:
        event: which step, how it ended and how long it took.
    """


def pytest_pipeline_agent_activity(event: AgentActivity) -> None:
    """Watch an agent at work. Called as often as the agent says something, while it goes on.

    Args:
        event: which task run, and what the agent says that it does.
    """


def pytest_pipeline_forge_waiting(event: ForgeWaiting) -> None:
    """Watch the pipeline wait for the forge's limits. Called before each wait; those below a second are many.

    Args:
        event: why, and how long.
    """


def pytest_pipeline_judge(candidate: Candidate) -> list[str] | None:
    """Judge what a task is about to commit, after the plan's own verification has passed and before anything is pushed.

    Every hook is asked; each text that any of them returns fails the task with kind ``outcome``.

    Args:
        candidate: the task run and the tree to be committed.

    Returns:
        Sentences that say what is wrong; None or an empty list when nothing is.
    """


def pytest_pipeline_run_finished(event: RunFinished) -> None:
    """Watch a run end, after its last task.

    Args:
        event: which run and how it ended.
    """


def pytest_pipeline_criterion_decided(event: CriterionDecided) -> None:
    """Learn the verdict, once per session, before the summary is printed.

    Args:
        event: required, streak, met.
    """
