"""Rows of the store become records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pytest_pipeline.errors import FailureKind
from pytest_pipeline.record import schema
from pytest_pipeline.record.costs import usd
from pytest_pipeline.record.draws import redrawn_runs
from pytest_pipeline.record.model import (
    AttemptRecord,
    Ended,
    Invocation,
    Outcome,
    RunRecord,
    SessionRecord,
    StepRecord,
    TaskRunKey,
    TaskRunRecord,
)

if TYPE_CHECKING:
    from typing import Any

    Row = sa.Row[Any]


def sessions(connection: sa.Connection, session: str | None = None) -> tuple[SessionRecord, ...]:
    """One session or all of them in the order in which they were opened, as the rows of their facts tell.

    A clock may have been set back meanwhile, so it tells only of those without facts, which come last.
    """
    wanted = sa.select(schema.session).order_by(schema.session.c.started, schema.session.c.id)
    told = sa.select(schema.fact).order_by(schema.fact.c.id)
    if session is not None:
        wanted = wanted.where(schema.session.c.id == session)
        told = told.where(schema.fact.c.session == session)
    facts: dict[str, dict[str, str]] = defaultdict(dict)
    for row in connection.execute(told):
        earlier = facts[row.session].get(row.name)
        facts[row.session][row.name] = row.value if earlier is None else f"{earlier}; {row.value}"
    opened = {name: place for place, name in enumerate(facts)}
    rows = sorted(connection.execute(wanted), key=lambda row: opened.get(row.id, len(opened)))
    return tuple(
        SessionRecord(
            id=row.id,
            started=row.started,
            required=row.required,
            count=row._mapping["count"],  # a row is a tuple, which has a count of its own
            facts=MappingProxyType(facts.get(row.id, {})),
            finished=row.finished,
            streak=row.streak,
            met=row.met,
            exit_code=row.exit_code,
        )
        for row in rows
    )


def session_with(connection: sa.Connection, name: str, value: str) -> str | None:
    """Id of the session that has such a fact, the newest one where several have; None: none has."""
    columns = schema.fact.c
    wanted = sa.select(columns.session).where(columns.name == name, columns.value == value).order_by(columns.id.desc())
    return connection.execute(wanted.limit(1)).scalar()


def invocations(connection: sa.Connection, session: str) -> tuple[Invocation, ...]:
    """Each pytest that worked on a session, the first one first."""
    columns = schema.invocation.c
    wanted = sa.select(schema.invocation).where(columns.session == session).order_by(columns.number)
    return tuple(
        Invocation(row.number, row.started, row.host, row.pid, row.scratch, row.finished, row.exit_code)
        for row in connection.execute(wanted)
    )


def runs(connection: sa.Connection, session: str, number: int | None = None) -> tuple[RunRecord, ...]:
    """The runs of a session in the order of admission, or one of them."""
    wanted = sa.select(schema.run).where(schema.run.c.session == session).order_by(schema.run.c.admitted)
    if number is not None:
        wanted = wanted.where(schema.run.c.number == number)
    return tuple(
        RunRecord(row.session, row.number, row.admitted, row.started, Outcome(row.outcome), row.finished)
        for row in connection.execute(wanted)
    )


def models(connection: sa.Connection, session: str) -> frozenset[str]:
    """The models that the agents of a session told that they used, in any attempt."""
    told = schema.attempt.c.properties["model"].as_string()
    attempts = schema.attempt.join(schema.task_run).join(schema.run)
    wanted = sa.select(told).select_from(attempts).where(schema.run.c.session == session, told.is_not(None))
    return frozenset(text for (text,) in connection.execute(wanted.distinct()))


def redrawn(connection: sa.Connection, session: str) -> frozenset[int]:
    """Numbers of the runs of a session in which an agent had begun more than once on a task."""
    run = schema.run.c
    repeated = (
        sa.select(run.number)
        .select_from(schema.attempt.join(schema.task_run).join(schema.run))
        .where(run.session == session, schema.attempt.c.number > 1)
        .distinct()
    )
    numbers = connection.execute(repeated).scalars().all()  # of few runs, so that all others need not be read
    return redrawn_runs(each for number in numbers for each in task_runs(connection, session, number))


def cost(connection: sa.Connection, session: str) -> Decimal:
    """What all attempts of a session have cost so far, as far as that is known.

    Added up as decimals: sums of floats miss a limit by a hair.
    """
    told = schema.attempt.c.properties["cost_usd"].as_string()
    attempts = schema.attempt.join(schema.task_run).join(schema.run)
    wanted = sa.select(told).select_from(attempts).where(schema.run.c.session == session, told.is_not(None))
    return sum((usd(text) or Decimal() for (text,) in connection.execute(wanted)), Decimal())


def costs(connection: sa.Connection, session: str) -> dict[TaskRunKey, Decimal]:
    """What each task run of a session has cost so far in all its attempts, as far as that is known."""
    told, task, run = schema.attempt.c.properties["cost_usd"].as_string(), schema.task_run.c, schema.run.c
    wanted = (
        sa.select(run.number, task.plan, task.batch, task.task, told.label("cost"))
        .select_from(schema.attempt.join(schema.task_run).join(schema.run))
        .where(run.session == session, told.is_not(None))
    )
    found: defaultdict[TaskRunKey, Decimal] = defaultdict(Decimal)
    for row in connection.execute(wanted):
        if cost := usd(row.cost):
            found[TaskRunKey(session, row.number, row.plan, row.batch, row.task)] += cost
    return dict(found)


def task_runs(
    connection: sa.Connection, session: str, run: int | None = None, key: TaskRunKey | None = None
) -> tuple[TaskRunRecord, ...]:
    """The task runs of a session, of one of its runs, or the one of a key; in the order of admission."""
    chosen = [schema.run.c.session == session]
    if run is not None:
        chosen.append(schema.run.c.number == run)
    if key is not None:
        chosen += [schema.task_run.c[name] == getattr(key, name) for name in ("plan", "batch", "task")]
    wanted = (
        sa.select(schema.task_run, schema.run.c.number)
        .join(schema.run)
        .where(*chosen)
        .order_by(schema.run.c.admitted, schema.task_run.c.id)
    )
    tries = _attempts(connection, chosen)
    return tuple(_task_run(session, row, tuple(tries[row.id])) for row in connection.execute(wanted))


def steps_after(
    connection: sa.Connection, session: str, row: int, unended: Collection[int] = (), most: int | None = None
) -> list[tuple[int, TaskRunKey, StepRecord]]:
    """The steps that were begun after that one, and those of the named ones that have ended, as they began."""
    table, task, run = schema.step, schema.task_run.c, schema.run.c
    wanted = (
        sa.select(table, task.plan, task.batch, task.task, run.number.label("run"))
        .select_from(table.join(schema.attempt).join(schema.task_run).join(schema.run))
        .where(run.session == session, sa.or_(table.c.id > row, _ended_of(unended)))
        .order_by(table.c.id)
        .limit(most)
    )
    return [
        (
            found.id,
            TaskRunKey(session, found.run, found.plan, found.batch, found.task),
            StepRecord(found.name, found.started, found.finished, Outcome(found.outcome), found.detail),
        )
        for found in connection.execute(wanted)
    ]


def _ended_of(rows: Collection[int]) -> sa.ColumnElement[bool]:
    return sa.and_(schema.step.c.id.in_(rows), schema.step.c.finished.is_not(None))


def outcomes(connection: sa.Connection, session: str, run: int) -> dict[TaskRunKey, Ended]:
    """How the task runs of a run stand; the last attempt decides."""
    state = schema.attempt.c.properties["pull_request_state"].as_string()
    wanted = (
        sa.select(schema.task_run, schema.attempt.c.outcome, state.label("pull_request"))
        .select_from(schema.task_run.join(schema.run).outerjoin(schema.attempt))
        .where(schema.run.c.session == session, schema.run.c.number == run)
        .order_by(schema.task_run.c.id, schema.attempt.c.number)
    )
    found = {}
    for row in connection.execute(wanted):
        key = TaskRunKey(session, run, row.plan, row.batch, row.task)
        found[key] = Ended(Outcome(row.outcome or row.skipped or Outcome.RUNNING), row.pull_request != "open")
    return found


def _task_run(session: str, row: Row, attempts: tuple[AttemptRecord, ...]) -> TaskRunRecord:
    skipped = Outcome(row.skipped) if row.skipped else Outcome.RUNNING
    return TaskRunRecord(
        key=TaskRunKey(session, row.number, row.plan, row.batch, row.task),
        title=row.title,
        outcome=attempts[-1].outcome if attempts else skipped,
        reason=row.reason,
        attempts=attempts,
    )


def _attempts(connection: sa.Connection, chosen: list[sa.ColumnElement[bool]]) -> defaultdict[int, list[AttemptRecord]]:
    """Attempts by the row of their task run, the first one first."""
    wanted = (
        sa.select(schema.attempt)
        .select_from(schema.attempt.join(schema.task_run).join(schema.run))
        .where(*chosen)
        .order_by(schema.attempt.c.number)
    )
    steps = _steps(connection, chosen)
    found: defaultdict[int, list[AttemptRecord]] = defaultdict(list)
    for row in connection.execute(wanted):
        found[row.task_run].append(
            AttemptRecord(
                number=row.number,
                started=row.started,
                outcome=Outcome(row.outcome),
                finished=row.finished,
                failure_kind=FailureKind(row.failure_kind) if row.failure_kind else None,
                message=row.message,
                properties=MappingProxyType(row.properties),
                steps=tuple(steps[row.id]),
            )
        )
    return found


def _steps(connection: sa.Connection, chosen: list[sa.ColumnElement[bool]]) -> defaultdict[int, list[StepRecord]]:
    """Steps by the row of their attempt, in the order in which they began."""
    wanted = (
        sa.select(schema.step)
        .select_from(schema.step.join(schema.attempt).join(schema.task_run).join(schema.run))
        .where(*chosen)
        .order_by(schema.step.c.id)
    )
    found: defaultdict[int, list[StepRecord]] = defaultdict(list)
    for row in connection.execute(wanted):
        found[row.attempt].append(StepRecord(row.name, row.started, row.finished, Outcome(row.outcome), row.detail))
    return found
