"""Bring the tables of an older program up to date. Each step is written once and never changed afterwards.

The tables are described here as they were when a step was written, and not taken from :mod:`schema`, which goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import sqlalchemy as sa


def _keep_invocations(connection: sa.Connection) -> None:
    """Schema 2 knows each pytest that worked on a session; of older sessions there was one."""
    tables = sa.MetaData()
    session = sa.Table(
        "pipeline_session",
        tables,
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("started", sa.String(32)),
        sa.Column("finished", sa.String(32)),
        sa.Column("exit_code", sa.Integer),
    )
    invocation = sa.Table(
        "pipeline_invocation",
        tables,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("session", sa.ForeignKey(session.c.id), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("started", sa.String(32), nullable=False),
        sa.Column("finished", sa.String(32)),
        sa.Column("exit_code", sa.Integer),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("scratch", sa.Text, nullable=False),
        sa.UniqueConstraint("session", "number"),
    )
    invocation.create(connection)
    known = (session.c.id, sa.literal(1), session.c.started, session.c.finished, session.c.exit_code)
    unknown = (sa.literal(""), sa.literal(0), sa.literal(""))
    names = ["session", "number", "started", "finished", "exit_code", "host", "pid", "scratch"]
    connection.execute(invocation.insert().from_select(names, sa.select(*known, *unknown)))


STEPS: Mapping[int, Callable[[sa.Connection], None]] = MappingProxyType({2: _keep_invocations})
"""What makes a schema of the one before it, by the number that it leads to. The first schema was 1."""


def migrate(connection: sa.Connection, found: int, made_by: str) -> None:
    """Bring the tables of schema ``found`` up to date, in the transaction of the caller, who has it alone.

    Args:
        connection: to the store.
        found: its schema, at least 1.
        made_by: the program that does it, for the store's own record.
    """
    for number in sorted(STEPS):
        if number > found:
            STEPS[number](connection)
            connection.execute(
                sa.text("UPDATE pipeline_store SET version = :version, made_by = :made_by"),
                {"version": number, "made_by": made_by},
            )
