"""The gate of several machines: two advisory locks of PostgreSQL and one row per token, in a database that they share.

The turn, and the place of who is next, are locks of the session: PostgreSQL frees them when their holder or its
connection dies. The row is written through that same connection, so nobody who has lost the turn can still write it.
The clock is the database's: however the clocks of the machines differ, they do not matter here. Should the database
itself be set back, or move to a server that is behind, all times of the row move with it (see
:func:`~pytest_pipeline.forges.gate_state.from_text`); where it is set forward, what was waited for is over earlier.

A pooler in between must keep a session together: with PgBouncer, ``pool_mode = session``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql

from pytest_pipeline.errors import ForgeError
from pytest_pipeline.forges.gate_state import State, from_text, to_text
from pytest_pipeline.forges.gate_turnstile import checked_id
from pytest_pipeline.host.sql_server import VANISHED, connecting, said, shown

_Found = TypeVar("_Found")
# A machine that has vanished is found out by the server as fast as the other way round.
_SESSION = {f"tcp_{name}": str(value) for name, value in VANISHED.items()} | {"statement_timeout": "30s"}
_CREATION = 0x7079_7470_6970_6531  # the lock of whoever makes the table; any number that nobody else would choose

_gates = sa.Table(
    "pipeline_gates",
    sa.MetaData(),
    sa.Column("token_id", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
)
_LOCK = sa.text("SELECT pg_try_advisory_lock(CAST(:key AS bigint))")
_UNLOCK = sa.text("SELECT pg_advisory_unlock(CAST(:key AS bigint))")
_NOW = sa.text("SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8)")
_SET = sa.text("SELECT set_config(:name, :value, false)")
_THERE = sa.text("SELECT to_regclass('pipeline_gates') IS NOT NULL")
# CREATE TABLE IF NOT EXISTS alone fails when two do it at once.
_CREATE = sa.text(
    f"DO $$ BEGIN PERFORM pg_advisory_xact_lock({_CREATION}); "
    "CREATE TABLE IF NOT EXISTS pipeline_gates (token_id text PRIMARY KEY, state text NOT NULL); END $$"
)


class SqlTurnstile:
    """Where the processes of all machines that share a token and a database meet.

    It connects when it is first used, and again where the connection broke while it had no turn. A turn whose
    connection broke is over, and everything that still needs it is refused.

    Args:
        url: an SQLAlchemy URL of PostgreSQL; all who share the token name the same database and schema.
        token_id: as :func:`~pytest_pipeline.forges.gate.token_id` gives it.

    Raises:
        ForgeError: the URL cannot be used, or its driver is not installed.
    """

    longest_look = 0.05

    def __init__(self, url: str, token_id: str) -> None:
        self._token_id = checked_id(token_id)
        self._turn_key, self._next_key = _signed(token_id[:16]), _signed(token_id[16:])
        self._url = _parsed(url)
        self._where = shown(self._url)
        self._engine = _engine(self._url, self._where)
        self._connection: sa.Connection | None = None
        self._is_next = False
        self._has_turn = False
        self._lost = ""  # why the turn ended before its time; empty: it did not

    def take(self) -> bool:
        """See :class:`~pytest_pipeline.forges.gate_turnstile.Turnstile`."""
        return self._done(self._try)

    def give_up(self) -> None:
        """No longer be next."""
        had, self._is_next = self._is_next, False
        if had:
            self._quietly_unlock(self._next_key)

    def leave(self) -> None:
        """End one's turn."""
        had, self._has_turn, self._lost = self._has_turn, False, ""
        if had:
            self._quietly_unlock(self._turn_key)

    def now(self) -> float:
        """The time of the database."""
        return float(self._done(lambda connection: connection.execute(_NOW).scalar_one()))

    def read(self, now: float) -> State:
        """What the row says."""
        row = sa.select(_gates.c.state).where(_gates.c.token_id == self._token_id)
        text = self._done(lambda connection: connection.execute(row).scalar_one_or_none())
        return State() if text is None else from_text(text, now)

    def write(self, state: State, now: float) -> None:
        """Replace the row."""
        row = postgresql.insert(_gates).values(token_id=self._token_id, state=to_text(state, now))
        replaced = row.on_conflict_do_update(index_elements=["token_id"], set_={"state": row.excluded.state})
        self._done(lambda connection: connection.execute(replaced))

    def close(self) -> None:
        """Let go of everything, and not only when the server hears that the connection has ended."""
        self.leave()
        self.give_up()
        self._disconnect()

    def _try(self, connection: sa.Connection) -> bool:
        self._is_next = self._is_next or _locked(connection, self._next_key)
        if not self._is_next or not _locked(connection, self._turn_key):
            return False
        connection.execute(_UNLOCK, {"key": self._next_key})
        self._is_next, self._has_turn = False, True
        return True

    def _done(self, work: Callable[[sa.Connection], _Found]) -> _Found:
        """Do it; and where an older connection fails on which no turn hangs, once more with a new one."""
        if self._lost:
            raise ForgeError(self._lost)
        again = self._connection is not None and not self._has_turn
        try:
            return self._once(work)
        except ForgeError:
            if not again:
                raise
        return self._once(work)

    def _once(self, work: Callable[[sa.Connection], _Found]) -> _Found:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
                _prepare(self._connection)
            return work(self._connection)
        except exc.SQLAlchemyError as error:
            told = self._told(error)
            self._disconnect(str(told))
            raise told from None  # what stands behind it may show the password
        except BaseException as error:
            self._disconnect(f"The call was interrupted ({type(error).__name__}). Start the session again.")
            raise

    def _told(self, error: exc.SQLAlchemyError) -> ForgeError:
        return ForgeError(
            f"The database {self._where}, by which all machines share GitHub's limits, cannot be used: "
            f"{said(error, self._url)}. Look at that database, or name another store with --pipeline-store URL."
        )

    def _quietly_unlock(self, key: int) -> None:
        """Where that fails, the connection is dropped, and with it the lock."""
        with contextlib.suppress(ForgeError):
            self._once(lambda connection: connection.execute(_UNLOCK, {"key": key}))

    def _disconnect(self, why: str = "") -> None:
        """Nothing is held any longer: the end of the connection frees it. A turn that was is over, and that is why."""
        connection, self._connection = self._connection, None
        if self._has_turn:
            self._has_turn, self._lost = False, why
        self._is_next = False
        if connection is not None:
            with contextlib.suppress(exc.SQLAlchemyError):
                connection.invalidate()


def _locked(connection: sa.Connection, key: int) -> bool:
    return bool(connection.execute(_LOCK, {"key": key}).scalar_one())


def _prepare(connection: sa.Connection) -> None:
    for name, value in _SESSION.items():
        connection.execute(_SET, {"name": name, "value": value})
    if not connection.execute(_THERE).scalar_one():
        connection.execute(_CREATE)


def _signed(digits: str) -> int:
    """Sixteen hexadecimal digits as the key of an advisory lock."""
    return int.from_bytes(bytes.fromhex(digits), "big", signed=True)


def _parsed(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except (exc.ArgumentError, ValueError):  # its text may show the password
        raise ForgeError(
            "The store's URL cannot be read, so GitHub's limits cannot be shared by it. "
            "Write it as postgresql+psycopg://USER:PASSWORD@HOST/DATABASE in --pipeline-store."
        ) from None


def _engine(url: sa.URL, where: str) -> sa.Engine:
    try:
        return sa.create_engine(
            url,
            connect_args=dict(connecting(url)),
            isolation_level="AUTOCOMMIT",
            poolclass=sa.NullPool,
        )
    except (ImportError, exc.ArgumentError) as error:
        raise ForgeError(
            f"There is no driver for {where}: {error}. Install pytest-pipeline-hardening[postgres] into this "
            "environment, or name another store with --pipeline-store URL."
        ) from None
