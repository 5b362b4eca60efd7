"""The one way to run a child process."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pytest_pipeline.errors import HostError
from pytest_pipeline.host.output import LINE_CHARACTERS, Output
from pytest_pipeline.host.redaction import Redactor, looks_secret
from pytest_pipeline.host.supervisor import Pool, Sink
from pytest_pipeline.host.wire import Ended, Order, Refused

MARKER = "PYTEST_PIPELINE_JOB"
"""Variable that every child and its descendants carry, with a value of its own for each job."""

_EVERYWHERE = ("LANG", "TZ", "TERM")
_POOL = Pool(portable=sys.platform != "linux")


@dataclass(frozen=True)
class Command:
    """A child that is not trusted: an agent or a verification command.

    Args:
        argv: program and arguments.
        cwd: its working directory.
        environment: its whole environment (:data:`MARKER` is added).
        stdin: what it reads.
        timeout: wall-clock limit in seconds.
        transcript: file that its output is appended to; None: only the tail is kept.
        transcript_limit: most bytes that are written to the transcript.
        grace: seconds between SIGTERM and SIGKILL when the time is up or it is stopped.
        redactor: masks secrets in transcript, tail and lines; None: there are none.
        reads_stream: whether stdout is a stream of lines for a program to read: they come whole, however long, and
            stderr goes to the tail alone.
        private: directories of the caller that must not stay when it is killed; the supervisor removes them then.
    """

    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    stdin: bytes = b""
    timeout: float = 300.0
    transcript: Path | None = None
    transcript_limit: int = 20 * 1024**2
    grace: float = 2.0
    redactor: Redactor | None = None
    reads_stream: bool = False
    private: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Completed:
    """How a child ended.

    Args:
        exit_code: its exit status; negative: the signal that ended it.
        timed_out: whether the wall clock ended it.
        tail: the last lines of its output (stdout and stderr together, or stderr alone where stdout is a stream),
            decoded, redacted, bounded.
        truncated: whether the transcript holds less than it wrote.
        elapsed: seconds.
        survivors: how many processes it had left behind, which were then killed.
    """

    exit_code: int
    timed_out: bool
    tail: str
    truncated: bool
    elapsed: float
    survivors: int


@dataclass(frozen=True)
class Captured:
    """What a trusted tool printed."""

    exit_code: int
    stdout: bytes
    stderr: str


def run(
    command: Command, on_output: Callable[[str], None] | None = None, stop: Callable[[], bool] | None = None
) -> Completed:
    """Run a child that is not trusted, to its end and to the end of everything that it started.

    Nothing that it started outlives this call, whichever way it ends, nor a SIGKILL of the calling process.

    Args:
        command: what to run, and its limits.
        on_output: is called with each line as it comes, redacted, and cut at 2,000 characters where stdout is no
            stream.
        stop: is asked after each piece of output and at least once a second; True ends the child as a timeout would.

    Raises:
        HostError: it could not be started, its transcript not be written, its supervisor was killed, or something that
            it started cannot be killed.
    """
    since = time.monotonic()
    redactor = command.redactor or Redactor(())
    longest = None if command.reads_stream else LINE_CHARACTERS
    with contextlib.closing(
        Output(command.transcript, command.transcript_limit, redactor, on_output, longest)
    ) as output:
        errors = Output(None, 0, redactor, None) if command.reads_stream else output
        sinks = [output.feed, errors.feed] if command.reads_stream else [output.feed]
        try:
            ended = _execute(
                command.argv,
                command.environment,
                command.cwd,
                command.stdin,
                sinks,
                timeout=command.timeout,
                grace=command.grace,
                private=command.private,
                stop=stop,
            )
        finally:
            output.finish()
            if command.reads_stream:
                errors.finish()
    return Completed(
        exit_code=ended.exit_code,
        timed_out=ended.timed_out,
        tail=errors.tail(),
        truncated=output.truncated,
        elapsed=time.monotonic() - since,
        survivors=ended.survivors,
    )


def capture(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    cwd: Path | None = None,
    stdin: bytes = b"",
    timeout: float = 600.0,
) -> Captured:
    """Run a trusted, short-lived tool such as git and return all that it printed.

    It ends as a child of :func:`run` does: nothing is left of it, also after a SIGKILL of the calling process.

    Raises:
        HostError: the program is not there, or it did not end in time (it is killed then).
    """
    stdout, stderr = bytearray(), bytearray()
    ended = _execute(
        argv, environment, cwd or Path.cwd(), stdin, [stdout.extend, stderr.extend], timeout=timeout, grace=0.5
    )
    if ended.timed_out:
        raise HostError(f"{' '.join(argv)} did not end within {timeout:g} s and was killed. Look what it waits for.")
    return Captured(ended.exit_code, bytes(stdout), stderr.decode("utf-8", "replace"))


def shutdown() -> None:
    """End the supervisor processes of this process; the next child starts a new one. At exit it happens by itself."""
    _POOL.shutdown()


def child_environment(
    allowed: Iterable[str], extra: Mapping[str, str], environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The environment of an agent or a verification command, built from nothing.

    It holds PATH (this Python's directory in front), LANG, LC_*, TZ, TERM, what is allowed by name, and ``extra``.

    Args:
        allowed: names of further variables, which are passed as they are: the user asked for them.
        extra: variables to set; ``HOME`` is among them (a private directory) unless it is allowed, because programs
            without one take the user's from the password file.
        environ: where the values come from.

    Raises:
        ValueError: there is no HOME.
    """
    names = {name for name in environ if name in _EVERYWHERE or name.startswith("LC_")}
    child = {name: environ[name] for name in sorted(names) if not looks_secret(name)}
    here = os.path.dirname(sys.executable)
    child["PATH"] = os.pathsep.join(filter(None, (here, environ.get("PATH", os.defpath))))
    child.update((name, environ[name]) for name in allowed if name in environ)
    child.update(extra)
    if "HOME" not in child:
        raise ValueError("a child's environment needs a HOME of its own; give one in `extra`")
    return child


def _execute(
    argv: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path,
    stdin: bytes,
    sinks: Sequence[Sink],
    *,
    timeout: float,
    grace: float,
    private: Sequence[Path] = (),
    stop: Callable[[], bool] | None = None,
) -> Ended:
    """Have a supervisor run this; what it answers, or why it could not."""
    marked = {MARKER: secrets.token_hex(16), **{name: value for name, value in environment.items() if name != MARKER}}
    if not argv or any("\0" in text for text in (*argv, *marked, *marked.values())):
        raise HostError(f"{list(argv)!r} cannot be run: it is empty, or it or its environment holds a NUL. Correct it.")
    order = Order(
        argv=[_wire(argument) for argument in argv],
        cwd=_wire(str(cwd)),
        environment={_wire(name): _wire(value) for name, value in marked.items()},
        marker=f"{MARKER}={marked[MARKER]}",
        timeout=timeout,
        grace=grace,
        private=[_wire(str(directory)) for directory in private],
    )
    answer = _POOL.run(order, stdin, sinks, stop)
    if isinstance(answer, Refused):
        raise HostError(_refusal(argv[0], cwd, answer))
    if answer.left:
        raise HostError(
            f"Processes that {argv[0]!r} started could not be killed: {', '.join(map(str, answer.left))}. They belong "
            "to another user or hang in the kernel; end them by hand."
        )
    return answer


def _wire(text: str) -> str:
    return os.fsencode(text).decode("latin-1")


def _refusal(program: str, cwd: Path, refused: Refused) -> str:
    """Why a child could not be started, as a sentence."""
    if refused.path == str(cwd) and refused.path != program:
        reason = os.strerror(refused.errno)
        return (
            f"The working directory {str(cwd)!r} of {program!r} cannot be entered: {reason}. Mend that, and run again."
        )
    if refused.errno in (errno.ENOENT, errno.ENOTDIR):
        return (
            f"The program {program!r} was not found. Install it, or put it on PATH; if the file is there, look whether "
            "the interpreter in its first line is."
        )
    if refused.errno == errno.EACCES:
        return f"The program {program!r} must not be executed. Make it executable with chmod +x, or name another."
    if refused.errno == errno.E2BIG:
        return (
            f"Arguments and environment of {program!r} are too long for this machine. Shorten them, or hand long texts "
            "over on stdin."
        )
    if refused.errno == errno.ENOEXEC:
        return f"The file {program!r} is no program. Give it a first line such as #!/bin/sh, or name its interpreter."
    return f"The program {program!r} could not be started: {os.strerror(refused.errno)}. Mend that, and run again."
