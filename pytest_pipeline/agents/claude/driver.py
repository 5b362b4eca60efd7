"""The agent `claude`: runs the Claude CLI on one task after the other, and leaves nothing of it behind."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from pytest_pipeline.agents.base import AgentRequest, AgentResult, AgentStatus, OnEvent
from pytest_pipeline.agents.claude import invocation
from pytest_pipeline.agents.claude.executable import Executable
from pytest_pipeline.agents.claude.gateway import Access, Gateway
from pytest_pipeline.agents.claude.invocation import Places
from pytest_pipeline.agents.claude.stream import Stream
from pytest_pipeline.agents.claude.verdict import judge
from pytest_pipeline.errors import HostError
from pytest_pipeline.host.process import Command, run
from pytest_pipeline.host.redaction import Redactor
from pytest_pipeline.host.removal import remove

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL: it ends its own tools meanwhile."""
LINGER = 30.0
"""Seconds that the CLI may go on after its last result; it needs some hundredths."""
SOCKET_ROOM = 80
"""Most bytes in the name of its temporary directory. Its socket lies two levels deeper, and where the path would be
longer than a socket's may be, it takes a directory in /tmp that all share."""


class ClaudeAgent:
    """Drives the Claude CLI, headless.

    Args:
        executable: the CLI.
        gateway: how it reaches a model; closed with the agent.
    """

    def __init__(self, executable: Executable, gateway: Gateway) -> None:
        self._executable = executable
        self._gateway = gateway

    @property
    def name(self) -> str:
        """``claude``, or ``claude (rehearsal)`` where no live model answers."""
        return "claude (rehearsal)" if self._gateway.rehearses else "claude"

    @property
    def version(self) -> str:
        """The version of the CLI."""
        return self._executable.version

    @property
    def notes(self) -> tuple[str, ...]:
        """Which CLI it is, and who answers."""
        found = self._executable
        return (f"Claude CLI {found.version}, {found.source}: {found.path}", *found.notes, *self._gateway.notes)

    @property
    def rehearses(self) -> str:
        """``scripted`` or ``cassette``; empty with a live model."""
        return self._gateway.rehearses

    def close(self) -> None:
        """Close the gateway."""
        self._gateway.close()

    def run(self, request: AgentRequest, on_event: OnEvent) -> AgentResult:
        """Let it do one task, to its end and to the end of everything that it started.

        Raises:
            HostError: the machine cannot run it, or the way to a model is closed.
        """
        if not request.prompt.strip():
            return AgentResult(
                AgentStatus.FAILED, "The prompt is blank, and the Claude CLI takes no blank one. Write one in the plan."
            )
        session = str(uuid.uuid4())
        with _places(request) as places, self._gateway.admit(request, places.config) as access:
            stream = Stream(on_event, request.on_cost)
            watch = _Watch(stream)
            completed = run(self._command(request, access, places, session), stream.line, watch.is_over)
            complaint = access.complaint()
        _append_errors(request.transcript, completed.tail)
        result = judge(stream.summary(), completed, request.limits, hung=watch.hung)
        if complaint:
            result = dataclasses.replace(result, status=AgentStatus.UNAVAILABLE, message=complaint, retryable=False)
        return dataclasses.replace(result, session_id=result.session_id or session)

    def _command(self, request: AgentRequest, access: Access, places: Places, session: str) -> Command:
        environment = invocation.environment(request, access, places, scripted=bool(self._gateway.rehearses))
        added = invocation.system_prompt(request)
        if added:
            _write(places.system_prompt, added)
        return Command(
            invocation.arguments(self._executable.path, request, session, places.system_prompt if added else None),
            cwd=request.workspace,
            environment=environment,
            stdin=invocation.prompt(request.prompt),
            timeout=request.limits.wall_time,
            transcript=request.transcript,
            transcript_limit=request.transcript_limit,
            grace=GRACE,
            redactor=Redactor.for_child(environment, access.secrets),
            reads_stream=True,
            private=(places.config.parent, places.temporary.parent),  # a login may lie there
        )


class _Watch:
    """Notices when nothing good can come any more.

    Args:
        stream: what the CLI says.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.hung = False

    def is_over(self) -> bool:
        """Whether the CLI is to be ended now."""
        finished = self._stream.finished_at
        self.hung = finished is not None and time.monotonic() - finished > LINGER
        return self.hung or bool(self._stream.doomed)


@contextlib.contextmanager
def _places(request: AgentRequest) -> Iterator[Places]:
    """Private directories, gone when the context ends."""
    with contextlib.ExitStack() as stack:
        private = stack.enter_context(_directory(request.environment.get("TMPDIR")))
        config, temporary = private / "config", private / "tmp"
        if len(os.fsencode(temporary)) > SOCKET_ROOM:
            temporary = stack.enter_context(_directory(_short())) / "tmp"
        for place in (config, temporary):
            place.mkdir(mode=0o700)
        yield Places(config, temporary, private / "system-prompt.md")


@contextlib.contextmanager
def _directory(parent: str | None) -> Iterator[Path]:
    """A directory that nobody else may enter; what an agent made of it is removed, whatever that is."""
    try:
        made = Path(tempfile.mkdtemp(prefix="claude-", dir=parent)).absolute()
    except OSError as error:
        raise HostError(
            f"No private directory for the Claude CLI could be made in {parent or tempfile.gettempdir()}: "
            f"{error.strerror}. Make room or mend TMPDIR, and run again."
        ) from None
    try:
        yield made
    finally:
        remove(str(made))


def _short() -> str:
    """Where directories have short names."""
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) + len("/claude-12345678/tmp") <= SOCKET_ROOM else "/tmp"


def _write(file: Path, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="replace") as opened:
        opened.write(text)


def _append_errors(transcript: Path, tail: str) -> None:
    """What it complained about on stderr, as the transcript's last lines."""
    if not tail.strip():
        return
    try:
        with open(transcript, "a", encoding="utf-8", errors="replace") as file:
            file.writelines(f"stderr: {line}\n" for line in tail.splitlines())
    except OSError as error:
        raise HostError(f"The transcript {transcript} cannot be written: {error.strerror}. Make room.") from None
