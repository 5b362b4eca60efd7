"""The agents of one process: hooks choose before names do, each is made once and closed once."""

from __future__ import annotations

import sys

import pytest

from pytest_pipeline.agents import make_agent
from pytest_pipeline.agents.base import Agent, Closable
from pytest_pipeline.cases.observing import ask
from pytest_pipeline.errors import PipelineError
from pytest_pipeline.settings import Settings


class ChosenAgents:
    """Chooses agents and keeps them until the session ends.

    Args:
        config: pytest's configuration, which holds the hooks.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._chosen: dict[tuple[str, str | None, str | None], Agent] = {}
        self._made: dict[tuple[str, str | None], Agent] = {}

    def __call__(self, settings: Settings) -> Agent:
        """The agent for some settings.

        A hook is asked once for every combination of agent, command and model. Agents of ours take the model from the
        request, so one for each agent and command does for all: what it holds, such as a server, is there once.

        Raises:
            PipelineError: there is no such agent, it cannot work here, or a hook failed.
        """
        key = settings.agent, settings.agent_command, settings.model
        if key not in self._chosen:
            hook = self._config.hook.pytest_pipeline_agent
            chosen = ask("pytest_pipeline_agent", lambda: hook(config=self._config, settings=settings))
            self._chosen[key] = chosen or self._own(settings)
        return self._chosen[key]

    def _own(self, settings: Settings) -> Agent:
        key = settings.agent, settings.agent_command
        if key not in self._made:
            self._made[key] = make_agent(settings.agent, settings)
        return self._made[key]

    def close(self) -> None:
        """Let every agent go that holds something; what goes wrong is told, and keeps no other from being closed."""
        agents = {id(agent): agent for agent in (*self._chosen.values(), *self._made.values())}
        self._chosen, self._made = {}, {}
        for agent in agents.values():
            if isinstance(agent, Closable):
                try:
                    ask(f"pytest_pipeline_agent (close of its agent {agent.name})", agent.close)
                except PipelineError as error:
                    print(f"pipeline: error: {error}", file=sys.stderr)  # the summary has been printed
