"""Faults of the store: somebody else writes to it, so that we have to wait for our turn."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from pytest_pipeline.execution.chaos.injecting import Chaos

SLOW_SECONDS = 0.05


def occupy_store(chaos: Chaos, file: Path, seconds: float) -> None:
    """Hold SQLite's write lock, from a connection of our own; where somebody else has it, nothing is added to that.

    Args:
        chaos: gives it back.
        file: the store.
        seconds: how long.
    """
    connection = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        connection.close()
        return
    chaos.hold(lambda: _give_back(connection), seconds)


def _give_back(connection: sqlite3.Connection) -> None:
    with contextlib.closing(connection):
        connection.execute("ROLLBACK")
