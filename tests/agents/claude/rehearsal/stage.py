"""The real Claude CLI on the stage of a rehearsal: in a workspace of its own, with nothing of this machine's."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pytest_pipeline.agents.base import AgentRequest, Limits, SolutionForm, SolutionPart
from pytest_pipeline.agents.claude.rehearsal.gateway import Rehearsal
from pytest_pipeline.agents.claude.rehearsal.script import Answer, Asked, Reply, Script, text, tool_call
from pytest_pipeline.host.process import Command, Completed, run
from pytest_pipeline.trouble import Trouble

MODEL = "claude-opus-5-5"
REFERENCE = (SolutionPart(SolutionForm.FILE, "It is done.\n", "done.txt"),)
FLAGS = (
    *("-p", "--output-format", "stream-json", "--verbose", "--no-session-persistence"),
    *("--permission-mode", "acceptEdits", "--tools", "Bash,Edit,Read,Write,Glob,Grep", "--allowedTools", "Bash"),
    *("--setting-sources", "", "--strict-mcp-config"),
)
SWITCHES = (
    "DISABLE_AUTOUPDATER",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS",
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY",
    "CLAUDE_CODE_DISABLE_FILE_MENTIONS",
)


@dataclass(frozen=True)
class StandIn:
    """A player that writes the files of a reference solution, one a turn."""

    request: AgentRequest

    def reply(self, asked: Asked) -> Reply:
        if asked.turn >= len(self.request.reference):
            return Answer((text("It is written."),), "end_turn", {"input_tokens": 10, "output_tokens": 5})
        part = self.request.reference[asked.turn]
        path = str(self.request.workspace / part.path)
        call = tool_call(f"{asked.turn}", "Write", {"file_path": path, "content": part.content})
        return Answer((text("I write."), call), "tool_use", {"input_tokens": 10, "output_tokens": 5})

    def complaint(self) -> str:
        return ""


@dataclass
class Heard:
    """A script that also keeps what it was asked and what it said."""

    script: Script
    asked: list[Asked]
    replies: list[Reply]

    def reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        self.replies.append(self.script.reply(asked))
        return self.replies[-1]

    def complaint(self) -> str:
        return self.script.complaint()


@dataclass(frozen=True)
class Performance:
    """What the CLI did: how it ended, the lines that it printed, and what was asked of the script."""

    completed: Completed
    lines: list[dict[str, object]]
    heard: Heard
    complaint: str

    @property
    def result(self) -> dict[str, object]:
        """Its last result line, or nothing."""
        return next((line for line in reversed(self.lines) if line.get("type") == "result"), {})

    @property
    def verdict(self) -> tuple[int, object, object, object]:
        """Exit status, whether the result is an error, why it ended, and the HTTP status."""
        told = [self.result.get(name) for name in ("is_error", "terminal_reason", "api_error_status")]
        return self.completed.exit_code, told[0], told[1], told[2]

    def tool_results(self) -> list[str]:
        """What the tools told the model, as text."""
        messages = self.heard.asked[-1].messages
        blocks = [block for each in messages for block in _blocks(each) if block.get("type") == "tool_result"]
        return [json.dumps(block.get("content")) for block in blocks]


def request_in(
    place: Path, trouble: Trouble | None = None, environment: Mapping[str, str] = MappingProxyType({})
) -> AgentRequest:
    """A task run in ``place/workspace``, whose reference solution is one file."""
    return AgentRequest(
        prompt="Do it.",
        workspace=place / "workspace",
        limits=Limits(60.0),
        environment=environment,
        transcript=place / "transcript.txt",
        reference=REFERENCE,
        trouble=trouble,
    )


class Stage:
    """A workspace under git with a remote, and the CLI in it.

    Args:
        cli: the binary.
        place: an empty directory.
    """

    def __init__(self, cli: Path, place: Path) -> None:
        self.workspace = place / "workspace"
        self.remote = place / "remote.git"
        self._cli = cli
        self._place = place
        self._home = place / "home"
        for directory in (self.workspace, self._home / "tmp", self._home / "config"):
            directory.mkdir(parents=True)
        for command in (
            ("init", "-q", "--bare", str(self.remote)),
            ("init", "-q", str(self.workspace)),
            ("-C", str(self.workspace), "remote", "add", "origin", str(self.remote)),
        ):
            subprocess.run(("git", *command), check=True)

    def perform(
        self,
        script_for: Callable[[AgentRequest], Script],
        trouble: Trouble | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        retries: int = 1,
        timeout: float = 60.0,
        until: Callable[[dict[str, object]], bool] = lambda _line: False,
    ) -> Performance:
        """Run the CLI once; ``until`` a line comes that it accepts, if not to the end."""
        request = request_in(self._place, trouble)
        heard = Heard(script_for(request), [], [])
        rehearsal = Rehearsal(lambda _request: heard)
        lines: list[dict[str, object]] = []
        try:
            with rehearsal.admit(request, self._home / "config") as access:
                command = Command(
                    (str(self._cli), *FLAGS, "--model", MODEL),
                    cwd=self.workspace,
                    environment={**self._environment(retries), **access.environment, **(environment or {})},
                    stdin=request.prompt.encode(),
                    timeout=timeout,
                    reads_stream=True,
                )
                completed = run(command, lambda line: lines.append(json.loads(line)), lambda: any(map(until, lines)))
                return Performance(completed, lines, heard, access.complaint())
        finally:
            rehearsal.close()

    def _environment(self, retries: int) -> dict[str, str]:
        return {
            "HOME": str(self._home),
            "CLAUDE_CONFIG_DIR": str(self._home / "config"),
            "TMPDIR": str(self._home / "tmp"),
            "PATH": os.defpath,
            "CLAUDE_CODE_MAX_RETRIES": str(retries),
            **dict.fromkeys(SWITCHES, "1"),
        }


def _blocks(message: Mapping[str, object]) -> list[dict[str, object]]:
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
