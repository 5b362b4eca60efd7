"""What is said becomes rows of the store; what contradicts them is refused.

Every function works inside the one transaction that its caller has opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from pytest_pipeline.errors import FailureKind
from pytest_pipeline.record import reading, schema
from pytest_pipeline.record.database import Refusal
from pytest_pipeline.record.model import AttemptId, Invocation, Outcome, RunRecord, SessionRecord, TaskRunKey

_REPORT = "Please report this; a new session will work."


def open_session(connection: sa.Connection, session: SessionRecord) -> None:
    """Admit a session with its facts; nothing to do where the same one is there."""
    connection.execute(sa.select(schema.store.c.version).with_for_update())  # one at a time: there is no row of it yet
    for known in reading.sessions(connection, session.id):
        if (known.started, known.required, known.count) != (session.started, session.required, session.count):
            raise Refusal(f"another session has the id {session.id}. Run again for a new one.")
        return
    values = {"id": session.id, "started": session.started, "required": session.required, "count": session.count}
    connection.execute(schema.session.insert().values(values))
    for name, value in session.facts.items():
        connection.execute(schema.fact.insert().values(session=session.id, name=name, value=value))


def add_fact(connection: sa.Connection, session: str, name: str, value: str) -> None:
    """Add a value to the values of a fact."""
    _lock(connection, session)
    columns = schema.fact.c
    known = sa.select(columns.id).where(columns.session == session, columns.name == name, columns.value == value)
    if connection.execute(known).first() is None:
        connection.execute(schema.fact.insert().values(session=session, name=name, value=value))


def begin_invocation(connection: sa.Connection, session: str, invocation: Invocation) -> int:
    """Write that another pytest works on a session; its number."""
    _lock(connection, session)
    columns = schema.invocation.c
    last = sa.select(sa.func.max(columns.number)).where(columns.session == session)
    number = int(connection.execute(last).scalar() or 0) + 1
    values = {name: getattr(invocation, name) for name in ("started", "host", "pid", "scratch")}
    connection.execute(schema.invocation.insert().values(session=session, number=number, **values))
    return number


def reopen(connection: sa.Connection, session: str, message: str, at: datetime) -> None:
    """A session that has ended, or whose process is gone, is under way again, and so are its runs without success."""
    end_running(connection, session, Outcome.INTERRUPTED, FailureKind.INTERRUPTED, message, at)
    unended = {"outcome": str(Outcome.RUNNING), "finished": None}
    runs = sa.update(schema.run).where(schema.run.c.session == session, schema.run.c.outcome != str(Outcome.PASSED))
    connection.execute(runs.values(unended))
    chosen = sa.update(schema.session).where(schema.session.c.id == session)
    connection.execute(chosen.values(finished=None, streak=None, met=None, exit_code=None))


def readmit_attempt(connection: sa.Connection, key: TaskRunKey) -> AttemptId:
    """The last attempt at a task run, which was interrupted, is under way again."""
    wanted = (
        sa.select(schema.attempt.c.id, schema.attempt.c.number, schema.attempt.c.outcome)
        .where(schema.attempt.c.task_run == _task_run_row(connection, key, ""))
        .order_by(schema.attempt.c.number.desc())
    )
    found = connection.execute(wanted).first()
    if found is None or found.outcome != str(Outcome.INTERRUPTED):
        raise Refusal(f"no interrupted attempt at task {key.task} of {key.plan}, run {key.run}, is known. {_REPORT}")
    values = {"outcome": str(Outcome.RUNNING), "finished": None, "failure_kind": None, "message": ""}
    connection.execute(sa.update(schema.attempt).where(schema.attempt.c.id == found.id).values(values))
    return AttemptId(found.id, found.number)


def close_session(
    connection: sa.Connection, session: str, streak: int, met: bool, exit_code: int, finished: datetime
) -> None:
    """Write the end of a session, once, and of the invocation that brought it about."""
    _lock(connection, session)
    known = reading.sessions(connection, session)[0]
    if known.finished is None:
        last = sa.select(sa.func.max(schema.invocation.c.number)).where(schema.invocation.c.session == session)
        connection.execute(
            sa.update(schema.invocation)
            .where(
                schema.invocation.c.session == session, schema.invocation.c.number == connection.execute(last).scalar()
            )
            .values(exit_code=exit_code, finished=finished)
        )
        connection.execute(
            sa.update(schema.session)
            .where(schema.session.c.id == session)
            .values(streak=streak, met=met, exit_code=exit_code, finished=finished)
        )
    elif (known.streak, known.met, known.exit_code) != (streak, met, exit_code):
        raise Refusal(f"session {session} has ended already, in another way. Start a new session.")


def admit_run(connection: sa.Connection, session: str, number: int, started: datetime) -> RunRecord:
    """The run, admitted as the next one where it is new."""
    _lock(connection, session)
    for known in reading.runs(connection, session, number):
        return known
    last = sa.select(sa.func.max(schema.run.c.admitted)).where(schema.run.c.session == session)
    connection.execute(
        schema.run.insert().values(
            session=session,
            number=number,
            admitted=(connection.execute(last).scalar() or 0) + 1,
            started=started,
            outcome=str(Outcome.RUNNING),
        )
    )
    return reading.runs(connection, session, number)[0]


def finish_run(connection: sa.Connection, session: str, number: int, outcome: Outcome, finished: datetime) -> None:
    """Write the end of a run, once."""
    row = _run_row(connection, session, number)
    _end(connection, schema.run, row, f"run {number} of session {session}", outcome, {"finished": finished})


def admit_attempt(connection: sa.Connection, key: TaskRunKey, title: str, started: datetime) -> AttemptId:
    """The next attempt at a task run, which is made where there is none yet."""
    task_run = _task_run_row(connection, key, title)
    last = sa.select(sa.func.max(schema.attempt.c.number)).where(schema.attempt.c.task_run == task_run)
    number = (connection.execute(last).scalar() or 0) + 1
    values = {"task_run": task_run, "number": number, "started": started, "outcome": str(Outcome.RUNNING)}
    return AttemptId(_insert(connection, schema.attempt, {**values, "message": "", "properties": {}}), number)


def note_attempt(connection: sa.Connection, attempt: AttemptId, properties: Mapping[str, str]) -> None:
    """Write what is known of an attempt that has not ended."""
    chosen = sa.update(schema.attempt).where(
        schema.attempt.c.id == attempt.row, schema.attempt.c.outcome == str(Outcome.RUNNING)
    )
    if connection.execute(chosen.values(properties=dict(properties))).rowcount != 1:
        raise Refusal(f"attempt {attempt.row} was not admitted, or has ended. {_REPORT}")


def finish_attempt(
    connection: sa.Connection,
    attempt: AttemptId,
    outcome: Outcome,
    failure_kind: FailureKind | None,
    message: str,
    properties: Mapping[str, str],
    finished: datetime,
) -> None:
    """Write the end of an attempt, once."""
    values = {
        "failure_kind": None if failure_kind is None else str(failure_kind),
        "message": message,
        "properties": dict(properties),
        "finished": finished,
    }
    _end(connection, schema.attempt, attempt.row, f"attempt {attempt.row}", outcome, values)


def end_running(
    connection: sa.Connection,
    session: str,
    outcome: Outcome,
    kind: FailureKind,
    message: str,
    finished: datetime,
    key: TaskRunKey | None = None,
) -> int:
    """End all attempts of a session that are running, or those at one task run, and their steps; how many there were.

    What was noted of them stays.
    """
    running = (
        sa.select(schema.attempt.c.id)
        .select_from(schema.attempt.join(schema.task_run).join(schema.run))
        .where(schema.run.c.session == session, schema.attempt.c.outcome == str(Outcome.RUNNING))
    )
    if key is not None:
        same = (schema.task_run.c[name] == getattr(key, name) for name in ("plan", "batch", "task"))
        running = running.where(schema.run.c.number == key.run, *same)
    rows = [row for (row,) in connection.execute(running)]
    steps = sa.update(schema.step).where(schema.step.c.attempt.in_(rows), schema.step.c.finished.is_(None))
    connection.execute(steps.values(outcome=str(Outcome.INTERRUPTED), finished=finished))
    values = {"outcome": str(outcome), "failure_kind": str(kind), "message": message, "finished": finished}
    connection.execute(sa.update(schema.attempt).where(schema.attempt.c.id.in_(rows)).values(values))
    return len(rows)


def skip_task_run(connection: sa.Connection, key: TaskRunKey, title: str, outcome: Outcome, reason: str) -> None:
    """Write that a task run is not tried, once."""
    if outcome not in (Outcome.SKIPPED, Outcome.COMPLETED):
        raise ValueError(f"a task run is not skipped as {outcome}")
    row = _task_run_row(connection, key, title)
    before = connection.execute(sa.select(schema.task_run.c.skipped).where(schema.task_run.c.id == row)).scalar()
    tries = sa.select(schema.attempt.c.id).where(schema.attempt.c.task_run == row).limit(1)
    if before not in (None, str(outcome)) or connection.execute(tries).first() is not None:
        raise Refusal(
            f"task {key.task} of {key.plan}, run {key.run}, session {key.session}, has been tried or skipped already. "
            + _REPORT
        )
    if before is None:
        chosen = sa.update(schema.task_run).where(schema.task_run.c.id == row)
        connection.execute(chosen.values(skipped=str(outcome), reason=reason))


# Steps are many: their statements are made once, which halves what a step costs.
_columns = schema.step.c
_BEGIN_STEP = schema.step.insert()
_BEGUN_STEP = sa.select(sa.func.max(_columns.id)).where(
    _columns.attempt == sa.bindparam("of_attempt"),
    _columns.name == sa.bindparam("of_name"),
    _columns.finished.is_(None),
)
_END_STEP = sa.update(schema.step).where(_columns.id == sa.bindparam("row"))


def begin_step(connection: sa.Connection, attempt: AttemptId, name: str, started: datetime) -> None:
    """Write the beginning of a step."""
    values = {"attempt": attempt.row, "name": name, "started": started}
    connection.execute(_BEGIN_STEP, {**values, "outcome": str(Outcome.RUNNING), "detail": ""})


def end_step(
    connection: sa.Connection, attempt: AttemptId, name: str, outcome: Outcome, detail: str, finished: datetime
) -> None:
    """Write the end of the step of that name that was begun last."""
    row = connection.execute(_BEGUN_STEP, {"of_attempt": attempt.row, "of_name": name}).scalar()
    if row is None:
        raise Refusal(f"step {name} of attempt {attempt.row} has not begun, or has ended. {_REPORT}")
    connection.execute(_END_STEP, {"row": row, "outcome": str(outcome), "detail": detail, "finished": finished})


def _lock(connection: sa.Connection, session: str) -> None:
    """Make the admissions of one session wait for one another, where the database locks rows and not the whole."""
    chosen = sa.select(schema.session.c.id).where(schema.session.c.id == session).with_for_update()
    if connection.execute(chosen).first() is None:
        raise Refusal(f"there is no session {session}. {_REPORT}")


def _run_row(connection: sa.Connection, session: str, number: int) -> int:
    chosen = sa.select(schema.run.c.id).where(schema.run.c.session == session, schema.run.c.number == number)
    row = connection.execute(chosen).scalar()
    if row is None:
        raise Refusal(f"run {number} of session {session} was not admitted. {_REPORT}")
    return int(row)


def _task_run_row(connection: sa.Connection, key: TaskRunKey, title: str) -> int:
    """The row of a task run, made where there is none yet."""
    _lock(connection, key.session)
    values = {
        "run": _run_row(connection, key.session, key.run),
        "plan": key.plan,
        "batch": key.batch,
        "task": key.task,
    }
    same = (schema.task_run.c[name] == value for name, value in values.items())
    row = connection.execute(sa.select(schema.task_run.c.id).where(*same)).scalar()
    if row is not None:
        return int(row)
    return _insert(connection, schema.task_run, {**values, "title": title, "reason": ""})


def _insert(connection: sa.Connection, table: sa.Table, values: Mapping[str, object]) -> int:
    made = connection.execute(table.insert().values(values)).inserted_primary_key
    assert made is not None  # None only for inserts of many rows
    return int(made[0])


def _end(
    connection: sa.Connection, table: sa.Table, row: int, what: str, outcome: Outcome, values: Mapping[str, object]
) -> None:
    """Complete a run or an attempt that is running; nothing to do where it has ended in the same way."""
    if outcome is Outcome.RUNNING:
        raise ValueError(f"{what} cannot end as running")
    before = connection.execute(sa.select(table.c.outcome).where(table.c.id == row).with_for_update()).scalar()
    if before is None:
        raise Refusal(f"{what} was not admitted. {_REPORT}")
    if before == str(Outcome.RUNNING):
        connection.execute(sa.update(table).where(table.c.id == row).values({**values, "outcome": str(outcome)}))
    elif before != str(outcome):
        raise Refusal(f"{what} has ended as {before} and cannot end as {outcome} too. {_REPORT}")
