"""Ctrl-C once: workers clean up, undisturbed. Once more: the controller ends them, and still prints the summary."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType


def signal_to(pid_files: Iterable[Path], number: signal.Signals) -> None:
    """Send a signal to the processes of which these files tell, as far as they are there.

    Args:
        pid_files: as workers have written them.
        number: the signal.
    """
    for file in pid_files:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            os.kill(int(file.read_text("ascii")), number)


@contextlib.contextmanager
def impatient(hurry: Callable[[], None]) -> Iterator[None]:
    """Within this Ctrl-C calls a function, and interrupts nothing else.

    Args:
        hurry: what is called, each time.
    """
    try:
        before = signal.signal(signal.SIGINT, lambda number, frame: hurry())
    except ValueError:  # only the main thread may, and nobody interrupts another one
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def interrupted_once() -> None:
    """From now on only the first Ctrl-C interrupts this worker.

    Several may come for one: the terminal's, the controller's, and after five seconds xdist's. Who cleans up is let.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, lambda number, frame: None)  # to ignore it would be inherited by children
        raise KeyboardInterrupt

    with contextlib.suppress(ValueError):  # only the main thread may, and nobody interrupts another one
        signal.signal(signal.SIGINT, interrupt)
