"""Lock files that a git left which was killed while it changed a ref; nobody else will ever remove them.

Git holds such a lock for milliseconds. One that stays the same file for seconds has no holder.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pytest_pipeline.host.git import GitError

PATIENCE = 5.0
"""Seconds for which a lock must be the same file; nobody's clock counts."""

_TAKEN = re.compile(r"Unable to create '([^']+\.lock)': File exists")
_PAUSE = 0.05
_R = TypeVar("_R")


def past_dead_locks(root: Path, change: Callable[[], _R], *, patience: float = PATIENCE) -> _R:
    """Change refs of a repository; a lock in the way is waited for, and removed once it is clear that nobody holds it.

    Args:
        root: the repository; locks elsewhere are left alone.
        change: what to do, again after each lock.
        patience: seconds, see :data:`PATIENCE`.

    Raises:
        GitError: it failed for another reason.
    """
    while True:
        try:
            return change()
        except GitError as error:
            lock = _taken(str(error), root)
            if lock is None or lock.is_dir():
                raise
            _outwait(lock, patience)


def _taken(text: str, root: Path) -> Path | None:
    found = _TAKEN.search(text)
    lock = Path(found[1]) if found else None
    return lock if lock is not None and lock.resolve().is_relative_to(root.resolve()) else None


def _outwait(lock: Path, patience: float) -> None:
    """Return when the lock is gone or another one; remove it when it stays."""
    first, deadline = _identity(lock), time.monotonic() + patience
    while first is not None and _identity(lock) == first:
        if time.monotonic() > deadline:
            lock.unlink(missing_ok=True)
            return
        time.sleep(_PAUSE)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
