"""A lock between processes of one machine that dies with its holder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from pytest_pipeline.errors import HostError


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock of a file while the context lasts; wait for whoever holds it now.

    A second context in the same process waits as well, so one must not lie within another of the same file.

    Args:
        path: the file; it and its directory are made when they are missing, and it is never removed.

    Raises:
        HostError: the file cannot be opened, or its file system knows no locks.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _refused(path, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise _refused(path, error) from error
        yield
    finally:
        os.close(descriptor)


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
