"""Open the store's database, give it out in transactions, and tell its errors in one place."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event, exc

from pytest_pipeline import __version__
from pytest_pipeline.errors import StoreError
from pytest_pipeline.host.sql_server import connecting, said, shown
from pytest_pipeline.record import migrations, schema

BUSY_SECONDS = 30
"""How long a process waits for another one that writes."""

_GATES = {"pipeline_gates"}  # the forges' table of GitHub's limits, which may come before the store's
_SMALLEST = 512  # bytes of an SQLite file that holds anything
_LEFT = "It was left as it is."
_ANOTHER = "Move it away, or name another store with --pipeline-store URL."

# Whoever makes the tables is alone; the key is any number that nobody else would choose.
_ALONE = sa.text(f"SELECT pg_advisory_xact_lock({0x7079_7470_6970_6532})")

_LOCK = sa.text("SELECT pg_advisory_lock(CAST(:key AS bigint))")
_TRY = sa.text("SELECT pg_try_advisory_lock(CAST(:key AS bigint))")
_TRY_SHARED = sa.text("SELECT pg_try_advisory_lock_shared(CAST(:key AS bigint))")

# What SQLite says, what it means, what to do.
_MEANINGS = (
    ("is full", "the disk is full", "Free space there and run again."),
    ("disk i/o error", "the disk reports an error", "Look whether it is full or broken, then run again."),
    ("readonly", "it is read-only", "Make it writable, or name another store with --pipeline-store URL."),
    ("read-only", "it is read-only", "Make it writable, or name another store with --pipeline-store URL."),
    (
        "unable to open",
        "it cannot be opened",
        "Make its directory writable, or name another store with --pipeline-store URL.",
    ),
    ("not a database", "the file is not a database", f"{_LEFT} {_ANOTHER}"),
    ("malformed", "the file is damaged", f"{_LEFT} {_ANOTHER}"),
    ("is locked", f"another process has held it for {BUSY_SECONDS} s", "Wait until that one has ended, or end it."),
)


class Refusal(Exception):
    """What was to be written contradicts what the store holds; the text is the reason and what to do."""


class Database:
    """One database that holds the store's tables.

    Args:
        url: an SQLAlchemy URL; the parent directory of an SQLite file is made.
        create: whether an empty database gets the store's tables.

    Raises:
        StoreError: it cannot be opened, is damaged, belongs to something else or to a newer program.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        parsed = _parse(url)
        self._url = parsed
        self._sqlite = parsed.get_backend_name() == "sqlite"
        self.spans_machines = spans_machines(url)
        self.where = (self._sqlite and parsed.database) or shown(parsed)
        self.file = sqlite_file(url)
        self._file: _File | None = None
        if self.file is not None:
            self._file = _File(self.file)
            self._file.ready()
        self._engine = _engine(parsed, self._sqlite)
        self._durable = self._engine.execution_options(pipeline="durable")
        self._quick = self._engine.execution_options(pipeline="quick")
        try:
            if create:
                self._prepare()
        except BaseException:
            self.close()
            raise

    @classmethod
    def is_made(cls, url: str) -> bool:
        """Whether a database that is there holds the store's tables; False: it is empty. Nothing is made.

        Raises:
            StoreError: it cannot be opened, is damaged, belongs to something else or to a newer program.
        """
        with contextlib.closing(cls(url, create=False)) as database:
            return database._is_ours()

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with self._told(), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[sa.Connection]:
        """A transaction that writes, alone.

        Args:
            durable: what was written survives a power failure, not only the end of this process.
        """
        with self._told(), (self._durable if durable else self._quick).begin() as connection:
            yield connection

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """While the context lasts, nobody else who shares the database is in one of that name; who is, is waited for.

        It is a lock of a connection of its own, so it dies with its holder, or with the connection.
        """
        with contextlib.ExitStack() as stack:
            with self._told():
                self._of_its_own(stack).execute(_LOCK, {"key": _key(name)})
            yield

    def take(self, name: str, *, shared: bool) -> contextlib.ExitStack | None:
        """The same lock, if it can be had at once; it is held until what is returned is closed. None: it is taken.

        Args:
            name: what is done.
            shared: let others share it, who say so too.
        """
        with contextlib.ExitStack() as stack, self._told():
            connection = self._of_its_own(stack)
            if connection.execute(_TRY_SHARED if shared else _TRY, {"key": _key(name)}).scalar_one():
                return stack.pop_all()
        return None

    def _of_its_own(self, stack: contextlib.ExitStack) -> sa.Connection:
        """A connection whose end frees its locks, however that comes about."""
        connection = stack.enter_context(self._engine.execution_options(isolation_level="AUTOCOMMIT").connect())
        stack.callback(connection.invalidate)
        return connection

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what SQLAlchemy raises for the database's sake into the sentence for the user."""
        try:
            yield
        except Refusal as refusal:
            raise StoreError(f"The store {self.where} refused an entry: {refusal}") from None
        except exc.IntegrityError as error:
            raise StoreError(
                f"The store {self.where} refused an entry that contradicts what it holds ({error.orig}). "
                "Please report this; start a new session to go on."
            ) from error
        except exc.DBAPIError as error:
            raise StoreError(
                f"The store {self.where} cannot be used: {self._meaning(error)}"
            ) from None  # it may show secrets

    def _prepare(self) -> None:
        """Check the schema, or create it; another process may be doing the same."""
        deadline = time.monotonic() + BUSY_SECONDS
        while not self._is_ours():
            try:
                self._create()
            except exc.DBAPIError as error:
                # Switching a new file to WAL fails at once, without waiting, while another process does it.
                if "is locked" not in str(error) or time.monotonic() > deadline:
                    raise StoreError(f"The store {self.where} cannot be created: {self._meaning(error)}") from None
                time.sleep(0.02)
        self._migrate()

    def _is_ours(self) -> bool:
        """False when the database is empty.

        Raises:
            StoreError: it is anything but empty or ours.
        """
        with self.reading() as connection:
            if self._file and self._file.breaks_off(connection.exec_driver_sql("PRAGMA page_size").scalar_one()):
                raise self._torn("the file breaks off")
            inspector = sa.inspect(connection)
            tables = set(inspector.get_table_names()) - _GATES
            if not tables:
                return False
            if schema.store.name not in tables:
                raise StoreError(
                    f"{self.where} is a database of something else (it holds the table {min(tables)}) and was left as "
                    "it is. Name another store with --pipeline-store URL."
                )
            if self._version(connection) == schema.VERSION:
                self._check_columns(inspector)
        return True

    def _migrate(self) -> None:
        """Bring tables of an older program up to date, all or none; another process may be doing the same."""
        with self.reading() as connection:
            if self._version(connection) == schema.VERSION:
                return
        with self.writing(durable=True) as connection:
            found = connection.execute(sa.select(schema.store.c.version).with_for_update()).scalar_one()
            migrations.migrate(connection, found, f"pytest-pipeline {__version__}")
            self._check_columns(sa.inspect(connection))

    def _version(self, connection: sa.Connection) -> int:
        """The schema that the database says it has.

        Raises:
            StoreError: it says none, or one that this program does not know.
        """
        found = connection.execute(sa.select(schema.store)).first()
        if found is None:
            raise self._torn("it does not say its version")
        if found.version > schema.VERSION:
            raise StoreError(
                f"The store {self.where} was made by {found.made_by} (schema {found.version}); this is pytest-pipeline "
                f"{__version__}, which knows schema {schema.VERSION}. Update pytest-pipeline, or name another store "
                "with --pipeline-store URL."
            )
        if found.version < 1:
            raise self._torn(f"it says schema {found.version}, which never was")
        return int(found.version)

    def _check_columns(self, inspector: sa.Inspector) -> None:
        present = inspector.get_multi_columns()
        for table in schema.metadata.sorted_tables:
            columns = {column["name"] for column in present.get((None, table.name), ())}
            if missing := set(table.columns.keys()) - columns:
                raise self._torn(f"{table.name} lacks {', '.join(sorted(missing))}")

    def _meaning(self, error: exc.DBAPIError) -> str:
        told = said(error, self._url)
        for part, meaning, advice in _MEANINGS if self._sqlite else ():
            if part in told.lower():
                return f"{meaning}. {advice}"
        return f"{told}. Look at that database, or name another store with --pipeline-store URL."

    def _torn(self, how: str) -> StoreError:
        return StoreError(f"The store {self.where} is damaged: {how}. {_LEFT} {_ANOTHER}")

    def _create(self) -> None:
        if self._sqlite:
            with self._engine.execution_options(pipeline="bare").connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        with self._durable.begin() as connection:
            if self.spans_machines:
                connection.execute(_ALONE)
            if set(sa.inspect(connection).get_table_names()) - _GATES:
                return
            schema.metadata.create_all(connection)
            connection.execute(
                schema.store.insert().values(version=schema.VERSION, made_by=f"pytest-pipeline {__version__}")
            )


def _key(name: str) -> int:
    """What PostgreSQL knows a lock by."""
    return int.from_bytes(sha256(f"pytest-pipeline {name}".encode()).digest()[:8], "big", signed=True)


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite database; None for a database elsewhere, or in memory.

    Raises:
        StoreError: SQLAlchemy does not know such a URL.
    """
    parsed = _parse(url)
    named = parsed.database if parsed.get_backend_name() == "sqlite" else None
    return Path(named) if named and not named.startswith(("file:", ":memory:")) else None


def spans_machines(url: str) -> bool:
    """Whether processes of several machines may share the database, and lock one another out by it.

    Raises:
        StoreError: SQLAlchemy does not know such a URL.
    """
    return _parse(url).get_backend_name() == "postgresql"


def _parse(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except (exc.ArgumentError, ValueError):
        # The text itself is not repeated: what cannot be parsed may hold a password.
        raise StoreError(
            "The store's URL is not one that SQLAlchemy knows. Write it like sqlite:///path/state.db or "
            "postgresql+psycopg://user@host/name."
        ) from None


@dataclass(frozen=True)
class _File:
    """The SQLite file, seen from outside.

    It is only looked at, never opened: closing it would take away the locks of another store in this process.
    """

    path: Path

    def ready(self) -> None:
        """Make its directory, and refuse what SQLite would take for new, and overwrite.

        Raises:
            StoreError: the directory cannot be made, or the file is no whole database.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            size, log = self._sizes()
        except (OSError, ValueError) as error:
            raise StoreError(
                f"The store {self.path} cannot be created: {error}. Name another place with --pipeline-store URL."
            ) from error
        if 0 < size < _SMALLEST:
            raise StoreError(f"The store {self.path} cannot be used: the file is not a database. {_LEFT} {_ANOTHER}")
        if log and not size:
            raise StoreError(f"The store {self.path} is damaged: it is empty, but its log is not. {_LEFT} {_ANOTHER}")

    def breaks_off(self, page: int) -> bool:
        """Whether it ends in the middle of a page, which SQLite does not mind; with a log it may, for a moment."""
        size, log = self._sizes()
        return bool(not log and size % page)

    def _sizes(self) -> tuple[int, int]:
        log = self.path.with_name(f"{self.path.name}-wal")
        size, logged = (path.stat().st_size if path.is_file() else 0 for path in (self.path, log))
        return size, logged


def _engine(url: sa.URL, sqlite: bool) -> sa.Engine:
    try:
        # isolation_level None: the driver begins no transaction of its own, we do, so that DDL is part of it.
        arguments = {"timeout": BUSY_SECONDS, "isolation_level": None} if sqlite else dict(connecting(url))
        # A connection that broke while an agent worked for an hour is replaced before it is used.
        engine = sa.create_engine(url, connect_args=arguments, pool_pre_ping=not sqlite)
    except (ImportError, exc.ArgumentError) as error:
        raise StoreError(
            f"The store {shown(url)} needs a driver that is missing: {error}. Install it "
            "into this environment, or name another store with --pipeline-store URL."
        ) from error
    if sqlite:
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _on_begin(connection: sa.Connection) -> None:
    kind = connection.get_execution_options().get("pipeline")
    if kind == "bare":  # the journal mode cannot change inside a transaction
        return
    connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if kind == 'durable' else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if kind else "BEGIN")
