"""Children that misbehave, and the proof that nothing of them is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import pytest

from pytest_pipeline.host.descent import proc_rows
from pytest_pipeline.host.process import Command
from pytest_pipeline.host.redaction import Redactor

if TYPE_CHECKING:
    from typing_extensions import Unpack

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0
"""Seconds after which a condition that should have come is called missing."""

DAEMON = """
import os, sys, time
# double fork, a session of its own, no variable left: what a daemon does to be nobody's child
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve(sys.executable, [sys.executable, "-ISc", PLAY, sys.argv[1]], {})
    os._exit(0)
os.wait()
""".replace("PLAY", repr("import os, sys, time; open(f'{sys.argv[1]}/{os.getpid()}', 'w'); time.sleep(600)"))


def is_alive(pid: int) -> bool:
    """Whether that process runs; a zombie does not."""
    if Path("/proc/self/stat").exists():
        return any(row.pid == pid for row in proc_rows())
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; fail when it does not come."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


class Limits(TypedDict, total=False):
    """What a command may be given besides its words."""

    stdin: bytes
    timeout: float
    grace: float
    transcript: Path
    transcript_limit: int
    redactor: Redactor
    reads_stream: bool


@dataclass(frozen=True)
class Yard:
    """A directory where children leave their process ids as file names.

    Args:
        path: the directory of this test alone.
    """

    path: Path

    @property
    def witness(self) -> str:
        """An entry of every child's environment, of this test alone."""
        return f"WITNESS={self.path}"

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "WITNESS": str(self.path), "PIDS": str(self.path / "pids")}

    def shell(self, script: str, **limits: Unpack[Limits]) -> Command:
        """A shell script; ``leave`` in it runs a command and notes its process id."""
        prelude = 'leave() { sh -c \'touch "$PIDS/$$"; exec "$@"\' leave "$@"; }\n'
        return self.command("/bin/sh", "-c", prelude + script, **limits)

    def command(self, *argv: str, environment: Mapping[str, str] | None = None, **limits: Unpack[Limits]) -> Command:
        return Command(
            argv=argv,
            cwd=self.path,
            environment=self.environment if environment is None else environment,
            **limits,
        )

    @property
    def daemon(self) -> str:
        """Shell words that start a daemon and return when it has been born."""
        return f'"{sys.executable}" -IS daemon.py "$PIDS"'

    def pids(self) -> set[int]:
        return {int(file.name) for file in (self.path / "pids").iterdir()}

    def alive(self) -> set[int]:
        """Who runs of those that left their number or carry the witness."""
        return self.recognised() | {pid for pid in self.pids() if is_alive(pid)}

    def recognised(self) -> set[int]:
        """Who carries the witness, or was given this directory's name."""
        if not Path("/proc/self/stat").exists():
            return set()
        entry, name = self.witness.encode(), str(self.path / "pids").encode()
        return {
            row.pid
            for row in proc_rows()
            if entry in entries(row.pid, "environ") or name in entries(row.pid, "cmdline")
        }

    def driver(self, body: str) -> subprocess.Popen[str]:
        """A Python process that plays pytest; ``yard`` is this yard there."""
        program = (
            f"import sys; sys.path[:0] = [{str(ROOT)!r}]\n{_DRIVER}\nyard = Yard(Path({str(self.path)!r}))\n{body}"
        )
        return subprocess.Popen(
            [sys.executable, "-c", program],
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


_DRIVER = """
import os, signal, threading, time
from dataclasses import replace
from pathlib import Path
from pytest_pipeline.errors import HostError
from pytest_pipeline.host import process
from pytest_pipeline.host.process import capture, run
from tests.host.conftest import Yard
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


def entries(pid: int, file: str) -> list[bytes]:
    """The environment or the arguments of a process; nothing when it has ended."""
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes().split(b"\0")
    except OSError:
        return []


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """A yard in which nobody may be left when the test ends."""
    (tmp_path / "pids").mkdir()
    (tmp_path / "daemon.py").write_text(DAEMON)
    here = Yard(tmp_path)
    yield here
    left = here.alive()
    for pid in here.recognised():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # a test that fails leaves nobody behind either
    assert not left
