"""Who writes the code. An agent knows nothing of git, forges or pytest."""

from __future__ import annotations

from pytest_pipeline.agents.base import Agent
from pytest_pipeline.agents.command import CommandAgent
from pytest_pipeline.agents.reference import ReferenceAgent
from pytest_pipeline.errors import SettingsError
from pytest_pipeline.settings import Settings

_NO_CLAUDE = (
    "The agent `claude` needs the Claude CLI driver, which this version does not ship yet. `--agent reference` "
    'rehearses a plan without it, and `--agent command --agent-command "…"` runs any CLI.'
)
_NO_COMMAND = 'The agent `command` needs a command line. Add --agent-command "…" or the ini key pipeline_agent_command.'


def make_agent(name: str, settings: Settings) -> Agent:
    """The agent of that name.

    Args:
        name: ``reference`` or ``command``.
        settings: where an agent finds what it needs, for example its command line.

    Raises:
        SettingsError: there is no such agent, or a setting that it needs is missing.
        HostError: its program is not on this machine.
    """
    if name == ReferenceAgent.name:
        return ReferenceAgent()
    if name == CommandAgent.name:
        if settings.agent_command is None:
            raise SettingsError(_NO_COMMAND)
        return CommandAgent(settings.agent_command)
    if name == "claude":
        raise SettingsError(_NO_CLAUDE)
    raise SettingsError(f"There is no agent `{name}`. Choose reference or command with --agent.")
