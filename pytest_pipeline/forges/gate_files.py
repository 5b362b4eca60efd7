"""The gate of one machine: three files per token in a directory that all sessions share.

A lock, which the death of its holder frees, the place of who has it next, and the state. Their names are made from a
hash; the token itself is not known here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pytest_pipeline.errors import ForgeError
from pytest_pipeline.forges.gate_state import State, from_text, to_text
from pytest_pipeline.forges.gate_turnstile import checked_id


class FileTurnstile:
    """Where the processes of one machine that share a token meet.

    Args:
        directory: where the files lie, the same for all who share the token; made when it is missing.
        token_id: as :func:`~pytest_pipeline.forges.gate.token_id` gives it.
        clock: the time in seconds since the epoch.
    """

    longest_look = 0.02

    def __init__(self, directory: Path, token_id: str, *, clock: Callable[[], float] = time.time) -> None:
        name = checked_id(token_id)
        self._directory = directory
        self._lock = Lock(directory / f"{name}.lock")
        self._path = directory / f"{name}.json"
        self._clock = clock
        self._held: int | None = None

    def take(self) -> bool:
        """See :class:`~pytest_pipeline.forges.gate_turnstile.Turnstile`."""
        with self._told():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._held = self._lock.take()
        return self._held is not None

    def give_up(self) -> None:
        """No longer be next."""
        self._lock.give_up()

    def leave(self) -> None:
        """End one's turn."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def now(self) -> float:
        """The time of this machine."""
        return self._clock()

    def read(self, now: float) -> State:
        """What the file says."""
        with self._told():
            return read_state(self._path, now)

    def write(self, state: State, now: float) -> None:
        """Replace the file."""
        with self._told():
            write_state(self._path, state, now)

    def close(self) -> None:
        """Let go of everything."""
        self.leave()
        self.give_up()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ForgeError(
                f"The files by which all sessions share GitHub's limits cannot be used: {error}. "
                f"Make {self._directory} a directory that can be written, on a disk of this machine with space left."
            ) from error


def write_state(path: Path, state: State, now: float) -> None:
    """Replace the file. It need not survive a loss of power: a torn one is as good as none.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(to_text(state, now))
    temporary.replace(path)


def read_state(path: Path, now: float) -> State:
    """What the file says, see :func:`~pytest_pipeline.forges.gate_state.from_text`; a new state where there is none.

    Raises:
        OSError: it cannot be read.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return State()
    return from_text(text, now)


class Lock:
    """One holder at a time among all threads and processes, and one who is next; the death of either frees its place.

    Without the place of the next, who has just had the lock would mostly be the first to have it again.

    Args:
        path: the file that is locked; made when it is missing, and never removed. A second one lies next to it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = path.with_suffix(".next")
        self._place: int | None = None

    def take(self) -> int | None:
        """The descriptor that holds the lock until it is closed; None while somebody else has it or is next.

        Ask again, or :meth:`give_up`: one may be next meanwhile.

        Raises:
            OSError: a file cannot be opened, or its file system knows no locks.
        """
        if self._place is None:
            self._place = _locked(self._next)
        if self._place is None:
            return None
        descriptor = _locked(self._path)
        if descriptor is not None:
            self.give_up()
        return descriptor

    def give_up(self) -> None:
        """No longer be next."""
        if self._place is not None:
            os.close(self._place)
            self._place = None


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock of the file, or None."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):  # also: somebody removed the file before it was locked
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
