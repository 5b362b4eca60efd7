"""Whether a process still carries a session on: told by the lock that such a process holds and that dies with it."""

from __future__ import annotations

from pathlib import Path

from pytest_pipeline.execution.layout import locks
from pytest_pipeline.host.locking import is_held


def session_lock(state: Path, session: str, database: Path | None = None) -> Path:
    """The file whose lock the process holds that works on the session; it says who that is.

    Args:
        state: the project's state directory.
        session: id of the session.
        database: file of its store; None: it is no file, or the default one of the state directory.
    """
    return locks(state, session, database) / "session.lock"


def workers_lock(state: Path, session: str, database: Path | None) -> Path:
    """The file whose lock the workers of the session share; arguments as of :func:`session_lock`."""
    return locks(state, session, database) / "workers.lock"


def is_alive(state: Path, session: str, database: Path | None) -> bool:
    """Whether a process of this machine carries the session on now; nothing is made, and nobody waits.

    Args:
        state: the project's state directory.
        session: id of the session.
        database: file of its store; None: it is no file.

    Raises:
        HostError: that cannot be told.
    """
    return is_held(session_lock(state, session, database))
