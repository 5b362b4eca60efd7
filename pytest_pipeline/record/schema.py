"""The tables of the store, and how texts and times are written in them.

Nothing is ever deleted, and there is no statement that could: what was admitted stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeEngine

VERSION = 2
"""Raised whenever a table changes, see :mod:`~pytest_pipeline.record.migrations`; a higher one is refused."""


def storable(text: str) -> str:
    r"""The text as every database takes it: lone surrogates and NUL as ``\udc80`` and ``\x00``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


class Utc(TypeDecorator[datetime]):
    """A point in time as ISO 8601 text in UTC, with microseconds: it sorts, people read it, all databases agree."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """To text.

        Raises:
            ValueError: the time has no time zone.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(timezone.utc).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """From text."""
        return None if value is None else datetime.fromisoformat(value)


class Prose(TypeDecorator[str]):
    """A text of any length, which may hold what file names and agents' output hold."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Escape what databases refuse."""
        return None if value is None else storable(value)


class Name(TypeDecorator[str]):
    """The same for what rows are found by; databases that bound their keys bound its length."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Escape what databases refuse."""
        return None if value is None else storable(value)


class Facts(TypeDecorator[Mapping[str, str]]):
    """Texts by name, as JSON; PostgreSQL would look for nothing in one that holds what it has no character for."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, str] | None, dialect: Dialect) -> Mapping[str, str] | None:
        """Escape what databases refuse."""
        return None if value is None else {storable(name): storable(text) for name, text in value.items()}

    def coerce_compared_value(self, op: OperatorType | None, value: object) -> TypeEngine[object]:
        """A name by which a value is looked up is no JSON itself."""
        return self.impl_instance.coerce_compared_value(op, value)


metadata = MetaData()

store = Table(
    "pipeline_store",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("made_by", String(100), nullable=False),
)

session = Table(
    "pipeline_session",
    metadata,
    Column("id", Name(100), primary_key=True),
    Column("started", Utc, nullable=False),
    Column("required", Integer, nullable=False),
    Column("count", Integer, nullable=False),
    Column("finished", Utc),
    Column("streak", Integer),
    Column("met", Boolean),
    Column("exit_code", Integer),
)

invocation = Table(
    "pipeline_invocation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("session", ForeignKey(session.c.id), nullable=False),
    Column("number", Integer, nullable=False),
    Column("started", Utc, nullable=False),
    Column("finished", Utc),
    Column("exit_code", Integer),
    Column("host", Name(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("scratch", Prose, nullable=False),
    UniqueConstraint("session", "number"),
)

fact = Table(
    "pipeline_fact",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("session", ForeignKey(session.c.id), nullable=False, index=True),
    Column("name", Name(100), nullable=False),
    Column("value", Prose, nullable=False),
)

run = Table(
    "pipeline_run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("session", ForeignKey(session.c.id), nullable=False),
    Column("number", Integer, nullable=False),
    Column("admitted", Integer, nullable=False),
    Column("started", Utc, nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("finished", Utc),
    UniqueConstraint("session", "number"),
    UniqueConstraint("session", "admitted"),
)

task_run = Table(
    "pipeline_task_run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", ForeignKey(run.c.id), nullable=False),
    Column("plan", Name(400), nullable=False),
    Column("batch", Name(150), nullable=False),
    Column("task", Name(150), nullable=False),
    Column("title", Prose, nullable=False),
    Column("skipped", String(20)),  # the outcome of a task run that was skipped; attempts decide where there are any
    Column("reason", Prose, nullable=False),
    UniqueConstraint("run", "plan", "batch", "task"),
)

attempt = Table(
    "pipeline_attempt",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task_run", ForeignKey(task_run.c.id), nullable=False),
    Column("number", Integer, nullable=False),
    Column("started", Utc, nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("finished", Utc),
    Column("failure_kind", String(20)),
    Column("message", Prose, nullable=False),
    Column("properties", Facts, nullable=False),
    UniqueConstraint("task_run", "number"),
)

step = Table(
    "pipeline_step",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("attempt", ForeignKey(attempt.c.id), nullable=False, index=True),
    Column("name", Name(100), nullable=False),
    Column("started", Utc, nullable=False),
    Column("finished", Utc),
    Column("outcome", String(20), nullable=False),
    Column("detail", Prose, nullable=False),
)
