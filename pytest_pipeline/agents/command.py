"""The agent that is any command line: the prompt goes to its stdin, its work is what it leaves in the workspace."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from pytest_pipeline.agents.base import AgentRequest, AgentResult, AgentStatus, OnEvent
from pytest_pipeline.errors import HostError, SettingsError
from pytest_pipeline.host.process import Command, Completed, run
from pytest_pipeline.host.redaction import Redactor


class CommandAgent:
    """Runs one command line per task, without a shell.

    The program is looked for once, when the agent is made; a relative path to it counts from the current directory.

    Args:
        command: program and arguments, quoted as for a shell.

    Raises:
        SettingsError: the command line is empty or its quotes do not match.
        HostError: there is no such program.
    """

    name = "command"
    version = ""  # asking the program for it might cost money

    def __init__(self, command: str) -> None:
        self._argv = _resolved(_split(command))

    def run(self, request: AgentRequest, on_event: OnEvent) -> AgentResult:
        """Run the command in the workspace; exit status 0 is success.

        Raises:
            HostError: the program cannot be started.
        """
        on_event(f"runs {self._program}")
        completed = run(
            Command(
                self._argv,
                cwd=request.workspace,
                environment=request.environment,
                stdin=request.prompt.encode("utf-8", "replace"),
                timeout=request.limits.wall_time,
                transcript=request.transcript,
                transcript_limit=request.transcript_limit,
                redactor=Redactor.for_child(request.environment),
            ),
            on_event,
        )
        status, message = self._verdict(completed, request.limits.wall_time)
        on_event(message)
        return AgentResult(
            status,
            message,
            output=completed.tail,
            survivors=completed.survivors,
            truncated=completed.truncated,
        )

    @property
    def _program(self) -> str:
        return Path(self._argv[0]).name

    def _verdict(self, completed: Completed, limit: float) -> tuple[AgentStatus, str]:
        if completed.timed_out:
            return AgentStatus.TIMEOUT, f"{self._program} did not end within {limit:g} s. Raise limits.wall_time."
        if completed.exit_code < 0:
            return (
                AgentStatus.FAILED,
                f"{self._program} was ended by signal {-completed.exit_code}. Look at its output.",
            )
        if completed.exit_code:
            return (
                AgentStatus.FAILED,
                f"{self._program} ended with exit status {completed.exit_code}. Look at its output.",
            )
        return AgentStatus.OK, f"{self._program} ended after {completed.elapsed:.1f} s."


def _split(command: str) -> tuple[str, ...]:
    try:
        argv = tuple(shlex.split(command))
    except ValueError as error:
        raise SettingsError(f"--agent-command {command!r} cannot be split ({error}). Correct its quotes.") from None
    if not argv:
        raise SettingsError(
            '--agent-command is empty. Give a command line, for example --agent-command "my-agent --yes".'
        )
    return argv


def _resolved(argv: tuple[str, ...]) -> tuple[str, ...]:
    program = shutil.which(argv[0])
    if program is None:
        raise HostError(
            f"The program {argv[0]!r} of --agent-command was not found. Install it, put it on PATH, or give its path."
        )
    return (str(Path(program).absolute()), *argv[1:])
