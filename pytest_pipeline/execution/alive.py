"""Whether a process still carries a session on: told by the lock that such a process holds and that dies with it."""

from __future__ import annotations

from pathlib import Path

from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.host.locking import is_held


def session_lock(state: Path, session: str) -> Path:
    """The file that whoever carries a session on holds the lock of.

    Args:
        state: the project's state directory.
        session: id of the session.
    """
    return Layout(state, session, state).session_lock


def is_alive(state: Path, session: str) -> bool:
    """Whether a process of this machine carries the session on now; nothing is made, and nobody waits."""
    return is_held(session_lock(state, session))
