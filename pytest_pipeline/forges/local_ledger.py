"""The pull requests of the local forge, in one SQLite file beside its repository; safe for several processes."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline.errors import ForgeError
from pytest_pipeline.forges.base import Draft, PullRequestState

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS pull_request (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    branch TEXT NOT NULL,
    base TEXT NOT NULL,
    head TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    merge_commit TEXT
);
CREATE INDEX IF NOT EXISTS pull_request_branch ON pull_request (branch);
CREATE INDEX IF NOT EXISTS pull_request_base ON pull_request (base);
CREATE TABLE IF NOT EXISTS intent (
    number INTEGER NOT NULL REFERENCES pull_request (number),
    head TEXT NOT NULL,
    base TEXT NOT NULL,
    merge_commit TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS intent_number ON intent (number);
"""


@dataclass(frozen=True)
class Row:
    """A pull request as it was written; ``head`` is the commit that was merged, or the one it was opened with."""

    number: int
    branch: str
    base: str
    head: str
    title: str
    state: PullRequestState
    merge_commit: str | None


@dataclass(frozen=True)
class Intent:
    """A merge that was about to happen: of ``head``, moving the base from ``base`` to ``merge_commit``."""

    head: str
    base: str
    merge_commit: str


class Ledger:
    """What the forge remembers. Each call is one transaction.

    Args:
        path: the SQLite file; made when something is first written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._path, timeout=60.0, isolation_level=None)) as connection:
            if self._version(connection) == 0:
                # The rollback journal and not WAL: entering WAL mode is not safe for two processes at once.
                make = f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
                connection.executescript(make)
            yield connection

    def _version(self, connection: sqlite3.Connection) -> int:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > _SCHEMA_VERSION:
            raise ForgeError(
                f"{self._path.name} was written by a newer pytest-pipeline (version {version} of its tables, "
                f"{_SCHEMA_VERSION} is known here). Upgrade pytest-pipeline, or remove the local forge to start anew."
            )
        return version

    def identity(self) -> str:
        """What tells this ledger from others, wherever it lies; all of it is read once.

        Raises:
            sqlite3.Error: it is damaged, or cannot be written.
        """
        with self._connection() as connection:
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("the file is damaged")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("CREATE TABLE IF NOT EXISTS identity (one INTEGER PRIMARY KEY, id TEXT NOT NULL)")
            connection.execute("INSERT OR IGNORE INTO identity VALUES (1, ?)", (secrets.token_hex(8),))
            connection.execute("COMMIT")
            return str(connection.execute("SELECT id FROM identity").fetchone()[0])

    def _select(self, where: str, *values: object) -> list[Row]:
        if not self._path.exists():
            return []
        with self._connection() as connection:
            return _rows(connection, where, *values)

    def _write(self, statement: str, *values: object) -> None:
        with self._connection() as connection:
            connection.execute(statement, values)

    def newest(self, branch: str) -> Row | None:
        """The newest pull request from a branch."""
        return next(iter(self._select("branch = ? ORDER BY number DESC LIMIT 1", branch)), None)

    def get(self, number: int) -> Row | None:
        """The pull request of that number."""
        return next(iter(self._select("number = ?", number)), None)

    def of_base(self, base: str) -> list[Row]:
        """Every pull request into a base branch, by number."""
        return self._select("base = ? ORDER BY number", base)

    def opened(self) -> list[Row]:
        """Every pull request that was not merged or closed, by number."""
        return self._select("state = ? ORDER BY number", PullRequestState.OPEN.value)

    def open(self, draft: Draft, head: str) -> Row:
        """The open or merged pull request of the draft's branch and base; a new one if there is none."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            where = "branch = ? AND base = ? AND state != ? ORDER BY number DESC LIMIT 1"
            known = _rows(connection, where, draft.branch, draft.base, PullRequestState.CLOSED.value)
            if known:
                return known[0]
            cursor = connection.execute(
                "INSERT INTO pull_request (branch, base, head, title, body, state) VALUES (?, ?, ?, ?, ?, ?)",
                (draft.branch, draft.base, head, draft.title, draft.body, PullRequestState.OPEN.value),
            )
            connection.execute("COMMIT")
            return _rows(connection, "number = ?", cursor.lastrowid)[0]

    def intents(self, number: int) -> list[Intent]:
        """Every merge of that pull request that was ever about to happen."""
        with self._connection() as connection:
            rows = connection.execute("SELECT head, base, merge_commit FROM intent WHERE number = ?", (number,))
            return [Intent(*row) for row in rows]

    def intend(self, number: int, intent: Intent) -> None:
        """Remember a merge before it happens, so that it is found after a crash."""
        self._write(
            "INSERT INTO intent (number, head, base, merge_commit) VALUES (?, ?, ?, ?)",
            number,
            intent.head,
            intent.base,
            intent.merge_commit,
        )

    def merged(self, number: int, intent: Intent) -> None:
        """Remember that a merge happened."""
        self._write(
            "UPDATE pull_request SET state = ?, head = ?, merge_commit = ? WHERE number = ?",
            PullRequestState.MERGED.value,
            intent.head,
            intent.merge_commit,
            number,
        )

    def close(self, branch: str) -> None:
        """Close what is open from a branch, because the branch goes."""
        self._write(
            "UPDATE pull_request SET state = ? WHERE branch = ? AND state = ?",
            PullRequestState.CLOSED.value,
            branch,
            PullRequestState.OPEN.value,
        )


def _rows(connection: sqlite3.Connection, where: str, *values: object) -> list[Row]:
    columns = "number, branch, base, head, title, state, merge_commit"
    found = connection.execute(f"SELECT {columns} FROM pull_request WHERE {where}", values)
    return [
        Row(number, branch, base, head, title, PullRequestState(state), merge_commit)
        for number, branch, base, head, title, state, merge_commit in found
    ]
