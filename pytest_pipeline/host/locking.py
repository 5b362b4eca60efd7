"""Locks between processes of one machine that die with their holder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline.errors import HostError

_DIGITS = 20  # of a process id, filled with blanks, so that a longer one leaves nothing behind


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock of a file while the context lasts; wait for whoever holds it now.

    A second context in the same process waits as well, so one must not lie within another of the same file.

    Args:
        path: the file; it and its directory are made when they are missing, and it is never removed.

    Raises:
        HostError: the file cannot be opened, or its file system knows no locks.
    """
    descriptor = _opened(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise _refused(path, error) from error
        with contextlib.suppress(OSError):  # of a full disk; only who looks on wants to know
            os.pwrite(descriptor, b"%-*d" % (_DIGITS, os.getpid()), 0)
        yield
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Lock:
    """A lock that is held until it is closed, or its process is gone."""

    descriptor: int

    @classmethod
    def take(cls, path: Path, note: str = "", *, shared: bool = False) -> Lock | None:
        """Take the lock of a file if that can be done at once.

        Args:
            path: the file; it and its directory are made when they are missing, and it is never removed.
            note: what others read who are refused; holders that share the lock leave none.
            shared: let others share it, who say so too.

        Returns:
            The lock; None: another holder has it.

        Raises:
            HostError: the file cannot be opened, or its file system knows no locks.
        """
        descriptor = _opened(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_NB | (fcntl.LOCK_SH if shared else fcntl.LOCK_EX))
            if not shared:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, note.encode(), 0)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError as error:
            os.close(descriptor)
            raise _refused(path, error) from error
        return cls(descriptor)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)


def _opened(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _refused(path, error) from error


def holder(path: Path) -> int | None:
    """The process that has taken the lock of a file last, whether it holds it still or not; None: none that is known.

    Args:
        path: the file.
    """
    try:
        return int(path.read_bytes()[:_DIGITS])
    except (OSError, ValueError):
        return None


def _refused(path: Path, error: OSError) -> HostError:
    return HostError(
        f"The lock {path} cannot be taken: {error.strerror}. Make its directory writable, on a disk of this machine."
    )


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock of a file now; the file is not made.

    Args:
        path: the file.

    Raises:
        HostError: the file cannot be opened, or its file system knows no locks.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _refused(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        os.close(descriptor)
    return False
