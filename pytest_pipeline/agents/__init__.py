"""Who writes the code. An agent knows nothing of git, forges or pytest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_pipeline.agents.base import Agent
from pytest_pipeline.agents.command import CommandAgent
from pytest_pipeline.agents.reference import ReferenceAgent
from pytest_pipeline.errors import SettingsError
from pytest_pipeline.settings import Settings

if TYPE_CHECKING:
    from pytest_pipeline.agents.claude.gateway import Gateway

_NO_COMMAND = 'The agent `command` needs a command line. Add --agent-command "…" or the ini key pipeline_agent_command.'


def make_agent(name: str, settings: Settings) -> Agent:
    """The agent of that name.

    Args:
        name: ``claude``, ``reference`` or ``command``.
        settings: where an agent finds what it needs, for example its command line.

    Raises:
        SettingsError: there is no such agent, or it lacks something: a setting, the Claude CLI, a login.
        HostError: its program is not on this machine, or cannot be executed.
    """
    if name == ReferenceAgent.name:
        return ReferenceAgent()
    if name == CommandAgent.name:
        if settings.agent_command is None:
            raise SettingsError(_NO_COMMAND)
        return CommandAgent(settings.agent_command)
    if name == "claude":
        return _claude(settings)
    raise SettingsError(f"There is no agent `{name}`. Choose claude, reference or command with --agent.")


def _claude(settings: Settings) -> Agent:
    """The driver of the Claude CLI, which nobody else pays for: what it needs is imported here."""
    from pytest_pipeline.agents.claude.driver import ClaudeAgent
    from pytest_pipeline.agents.claude.executable import find_executable
    from pytest_pipeline.agents.claude.invocation import check_permission_mode

    _check_flags(settings)
    check_permission_mode(settings.permission_mode)
    return ClaudeAgent(find_executable(settings.claude_path), _gateway(settings))


def _check_flags(settings: Settings) -> None:
    if settings.record_cassette is not None and (settings.rehearse or settings.cassette is not None):
        other = "--rehearse" if settings.rehearse else "--cassette"
        raise SettingsError(
            f"--record-cassette records a live model, and {other} does without one. Leave one of the two out."
        )
    if settings.cassette is not None and not settings.rehearse:
        raise SettingsError("--cassette is played in a rehearsal only. Add --rehearse, or leave --cassette out.")


def _gateway(settings: Settings) -> Gateway:
    """Who answers the CLI: a script, a cassette, or a live model, whose answers may be recorded."""
    if settings.rehearse:
        from pytest_pipeline.agents.claude.rehearsal.gateway import Rehearsal

        if settings.cassette is None:
            from pytest_pipeline.agents.claude.rehearsal.misbehaving import script_for

            return Rehearsal(script_for)
        from pytest_pipeline.agents.claude.rehearsal.cassettes import player_for

        return Rehearsal(player_for(Path(settings.cassette)), rehearses="cassette")
    from pytest_pipeline.agents.claude.live import Live

    if settings.record_cassette is None:
        return Live()
    from pytest_pipeline.agents.claude.rehearsal.recorder import Recorder

    return Recorder(Path(settings.record_cassette), Live())
