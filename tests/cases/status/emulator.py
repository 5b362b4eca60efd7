"""A real pseudo terminal, and an emulator that shows what a person would see on it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import pyte

PATIENCE = 60.0


@dataclass
class Terminal:
    """One terminal: programs write to ``theirs``, and what comes out is on the screen."""

    columns: int
    lines: int
    ours: int
    theirs: int
    emulator: pyte.HistoryScreen = field(init=False)

    def __post_init__(self) -> None:
        self.emulator = pyte.HistoryScreen(self.columns, self.lines, history=10_000)
        self._stream = pyte.ByteStream(self.emulator)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, seconds: float = 0.0) -> bool:
        """Take what was written; False: nothing was."""
        if not select.select([self.ours], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.ours, 65536)
        except OSError:  # nobody has it open any more
            return False
        self._stream.feed(data)
        return bool(data)

    @property
    def text(self) -> list[str]:
        """All lines from the first one on, also those that were scrolled away; without the blank ones at the end."""
        while self.read():
            pass
        top = ["".join(line[column].data for column in range(self.columns)) for line in self.emulator.history.top]
        shown = [line.rstrip() for line in [*top, *self.emulator.display]]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    @property
    def cursor(self) -> tuple[int, int]:
        """Column and line, the first ones being 0; lines that were scrolled away count."""
        return self.emulator.cursor.x, self.emulator.cursor.y + len(self.emulator.history.top)


@contextlib.contextmanager
def terminal(columns: int, lines: int) -> Iterator[Terminal]:
    """A terminal of that size."""
    ours, theirs = pty.openpty()
    made = Terminal(columns, lines, ours, theirs)
    made.resize(columns, lines)
    try:
        yield made
    finally:
        os.close(ours)
        os.close(theirs)


def opened(made: Terminal) -> TextIO:
    """A file that leads to it, as stdout does."""
    return open(os.dup(made.theirs), "w", encoding="utf-8")


def run_pytest(
    made: Terminal,
    directory: Path,
    *arguments: str,
    environment: Mapping[str, str],
    watch: Callable[[list[str], subprocess.Popen[bytes]], None] = lambda text, process: None,
) -> int:
    """Run pytest on a terminal, and return its exit code.

    Args:
        made: the terminal.
        directory: where.
        arguments: of pytest.
        environment: what its environment has besides that of this process.
        watch: is shown the lines of the screen whenever something was written.
    """
    cleaned = {name: value for name, value in os.environ.items() if name not in ("CI", "BUILD_NUMBER", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *arguments],
        cwd=directory,
        env={**cleaned, "TERM": "xterm-256color", **environment},
        stdin=made.theirs,
        stdout=made.theirs,
        stderr=made.theirs,
        start_new_session=True,
    )
    deadline = time.monotonic() + PATIENCE
    try:
        while process.poll() is None:
            assert time.monotonic() < deadline, made.text
            if made.read(0.05):
                watch([line.rstrip() for line in made.emulator.display], process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    return process.returncode
