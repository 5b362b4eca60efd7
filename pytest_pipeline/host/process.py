"""The one way to run a child process."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pytest_pipeline.errors import HostError


@dataclass(frozen=True)
class Command:
    """A child that is not trusted: an agent or a verification command.

    Args:
        argv: program and arguments.
        cwd: its working directory.
        environment: its whole environment.
        stdin: what it reads.
        timeout: wall-clock limit in seconds.
        transcript: file that its output is appended to; None: only the tail is kept.
        transcript_limit: most bytes that are written to the transcript.
    """

    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    stdin: bytes = b""
    timeout: float = 300.0
    transcript: Path | None = None
    transcript_limit: int = 20 * 1024**2


@dataclass(frozen=True)
class Completed:
    """How a child ended.

    Args:
        exit_code: its exit status; negative: the signal that ended it.
        timed_out: whether the wall clock ended it.
        tail: the last lines of its output (stdout and stderr together), decoded, redacted, bounded.
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


def run(command: Command) -> Completed:
    """Run a child that is not trusted, to its end and to the end of everything that it started."""
    raise HostError("not built yet")


def capture(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    cwd: Path | None = None,
    stdin: bytes = b"",
    timeout: float = 600.0,
) -> Captured:
    """Run a trusted, short-lived tool such as git and return what it printed.

    Raises:
        HostError: the program is not there, or it did not end in time (it is killed then).
    """
    try:
        done = subprocess.run(
            list(argv), env=dict(environment), cwd=cwd, input=stdin, capture_output=True, timeout=timeout, check=False
        )
    except FileNotFoundError:
        raise HostError(f"The program {argv[0]!r} was not found. Install it, or put it on PATH.") from None
    except subprocess.TimeoutExpired:
        raise HostError(
            f"{' '.join(argv)} did not end within {timeout:g} s and was killed. Look what it waits for."
        ) from None
    return Captured(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))
