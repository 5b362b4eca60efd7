"""Ctrl-C once: workers clean up, undisturbed. Once more: the controller ends them, and still prints the summary."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType


def told_by(pid_files: Iterable[Path]) -> Iterator[int]:
    """The numbers of the processes of which these files tell, as far as they are there and whole.

    Args:
        pid_files: as workers write them.
    """
    for file in pid_files:
        with contextlib.suppress(FileNotFoundError, ValueError):
            yield int(file.read_text("ascii"))


def signal_to(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to those of these processes that are there.

    Args:
        pids: their numbers.
        number: the signal.
    """
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


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
