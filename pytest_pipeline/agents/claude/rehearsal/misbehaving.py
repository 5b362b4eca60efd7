"""Scripts that misbehave, one for each kind of trouble that a plan can ask for."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pytest_pipeline.agents.base import AgentRequest, SolutionForm
from pytest_pipeline.agents.claude.rehearsal.playing import Player
from pytest_pipeline.agents.claude.rehearsal.script import (
    Answer,
    Asked,
    Fault,
    Flood,
    Json,
    Reply,
    Script,
    text,
    tool_call,
)
from pytest_pipeline.trouble import Trouble, TroubleKind

_LONGEST = 600_000  # milliseconds that the CLI lets a command run at most
_FLOOD = 30 * 1024**2  # bytes
_TOKENS = 900_000  # as many as the context holds make the CLI compact the conversation, again and again
_DELAY = 20  # seconds until a daemon does its work: longer than a CLI takes to end, also on a busy machine
_PUSH = (
    "git add -A; git -c user.name=Agent -c user.email=agent@localhost commit -q -m 'Work of the agent'; "
    "git push origin HEAD"
)
_SETTINGS = {
    "hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "touch a-hook-of-the-agent-has-run"}]}]}
}
_WRITE_SETTINGS = f"mkdir -p .claude && printf '%s\\n' {shlex.quote(json.dumps(_SETTINGS))} > .claude/settings.json"
# In a shell of its own: the CLI sees through the plain command and refuses it, also where Bash is allowed.
_EDIT_SETTINGS = f"sh -c {shlex.quote(_WRITE_SETTINGS)}"


def script_for(request: AgentRequest) -> Script:
    """What plays the model of a task run: its reference solution, and the trouble that its plan asks for."""
    player = Player(request.reference, request.workspace)
    return player if request.trouble is None else misbehave(request.trouble, request, player)


def misbehave(trouble: Trouble, request: AgentRequest, player: Script) -> Script:
    """The script that brings a trouble about.

    Args:
        trouble: what goes wrong.
        request: the task run in which it does.
        player: does the task, before, besides or after the trouble, where its kind leaves room for that.
    """
    make: Mapping[TroubleKind, Callable[[], Script]] = {
        TroubleKind.NOTHING: lambda: _Calls(()),
        TroubleKind.ENDLESS_TOOL: lambda: _Endless(_bash("while :; do sleep 1; done", timeout=_LONGEST)),
        TroubleKind.WRITE_OUTSIDE: lambda: _Calls((_write_outside(request),)),
        TroubleKind.GIT_PUSH: lambda: _Besides(player, _bash(_PUSH)),
        TroubleKind.EDIT_SETTINGS: lambda: _Besides(player, _bash(_EDIT_SETTINGS)),
        TroubleKind.DAEMON: lambda: _Calls((_bash(_daemon(request)),)),
        TroubleKind.FLOOD: _Flooding,
        TroubleKind.EXPENSIVE: lambda: _Expensive(player, trouble.tokens or _TOKENS),
    }
    return make[trouble.kind]() if trouble.kind in make else _Faulty(trouble, player)


@dataclass
class _Faulty:
    """Nothing but trouble on the way for the first requests; then the task."""

    trouble: Trouble
    player: Script
    _asked: int = 0

    def reply(self, asked: Asked) -> Reply:
        self._asked += 1
        if self.trouble.times is not None and self._asked > self.trouble.times:
            return self.player.reply(asked)
        return Fault(self.trouble.kind, self.trouble.status, self.trouble.retry_after)

    def complaint(self) -> str:
        return self.player.complaint()


class _Uncomplaining:
    """A script that can always go on."""

    def complaint(self) -> str:
        return ""


@dataclass(frozen=True)
class _Calls(_Uncomplaining):
    """Calls of tools, one a turn, and the claim that all is done."""

    calls: tuple[Json, ...]

    def reply(self, asked: Asked) -> Reply:
        if asked.turn < len(self.calls):
            return Answer((self.calls[asked.turn],), "tool_use")
        return _finished()


@dataclass(frozen=True)
class _Endless(_Uncomplaining):
    """The same call again and again."""

    call: Json

    def reply(self, asked: Asked) -> Reply:
        return Answer(({**self.call, "id": f"toolu_{asked.turn}"},), "tool_use")


class _Flooding(_Uncomplaining):
    """Writes and writes."""

    def reply(self, asked: Asked) -> Reply:
        return Flood(_FLOOD) if asked.turn == 0 else _finished()


@dataclass(frozen=True)
class _Besides:
    """Does the task, and one thing more that nobody asked for."""

    player: Script
    call: Json

    def reply(self, asked: Asked) -> Reply:
        if _holds(asked, self.call["id"]):
            return _finished()
        reply = self.player.reply(asked)
        works_on = not isinstance(reply, Answer) or reply.stop_reason == "tool_use"
        return reply if works_on else Answer((self.call,), "tool_use")

    def complaint(self) -> str:
        return self.player.complaint()


@dataclass(frozen=True)
class _Expensive:
    """Does the task, and claims more input tokens for each answer than it took."""

    player: Script
    tokens: int

    def reply(self, asked: Asked) -> Reply:
        reply = self.player.reply(asked)
        if not isinstance(reply, Answer):
            return reply
        return dataclasses.replace(reply, usage={**reply.usage, "input_tokens": self.tokens})

    def complaint(self) -> str:
        return self.player.complaint()


def _finished() -> Answer:
    return Answer((text("All is done."),), "end_turn")


def _bash(command: str, **more: object) -> Json:
    return tool_call("trouble", "Bash", {"command": command, "description": "Make trouble", **more})


def _write_outside(request: AgentRequest) -> Json:
    path = request.workspace.resolve().parent / "outside.txt"
    return tool_call("trouble", "Write", {"file_path": str(path), "content": "This is not the workspace.\n"})


def _daemon(request: AgentRequest) -> str:
    """A command that ends at once and leaves a process in a session of its own, with no parent but init."""
    path, content = next(
        ((part.path, part.content) for part in request.reference if part.form is SolutionForm.FILE), ("late.txt", "")
    )
    file = shlex.quote(path)
    later = f'sleep {_DELAY}; mkdir -p "$(dirname {file})"; printf %s {shlex.quote(content)} > {file}'
    return f"(setsid nohup sh -c {shlex.quote(later)} </dev/null >/dev/null 2>&1 &) ; echo started"


def _holds(asked: Asked, call: object) -> bool:
    """Whether the model has made the call already."""
    for message in asked.messages:
        content = message.get("content")
        if isinstance(content, list) and any(isinstance(block, dict) and block.get("id") == call for block in content):
            return True
    return False
