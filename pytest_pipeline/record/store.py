"""The store: what is going to happen is written before it happens, and how it ended after it.

Imported late by those who need it, because it brings SQLAlchemy with it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from pytest_pipeline.errors import FailureKind, StoreError
from pytest_pipeline.record import reading, writing
from pytest_pipeline.record.database import Database
from pytest_pipeline.record.model import (
    AttemptId,
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


class Store:
    """What is kept of all sessions. Each method is one transaction; several processes may use one store.

    Admissions are durable before the method returns. Nothing can be deleted, and what has ended stays as it ended.
    Every method raises :class:`~pytest_pipeline.errors.StoreError` when the database cannot do it. Times carry their
    time zone; they come back in UTC.

    Use one store per process: a process that was forked opens its own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> Store:
        """Open the store, and make its tables when the database is empty.

        Args:
            url: an SQLAlchemy URL, for example ``sqlite:///.pipeline/state.db``; directories are made.

        Raises:
            StoreError: the database cannot be opened, is damaged, belongs to something else or to a newer version;
                it is left as it was.
        """
        return cls(Database(url))

    @property
    def where(self) -> str:
        """The file, or the URL without its password."""
        return self._database.where

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database; None: it lies elsewhere, or in memory."""
        return self._database.file

    @property
    def spans_machines(self) -> bool:
        """Whether processes of several machines may share it: it lies on a server of PostgreSQL."""
        return self._database.spans_machines

    def alone(self, name: str) -> AbstractContextManager[None]:
        """While the context lasts, nobody else who shares the store is in one of that name; who is, is waited for.

        It dies with its holder. Only for a store that spans machines.

        Args:
            name: what is done alone.

        Raises:
            StoreError: the database cannot be reached.
        """
        return self._database.alone(name)

    def take(self, name: str, *, shared: bool = False) -> ExitStack | None:
        """The lock of that name, if it can be had at once; it is held until it is closed, or its holder is gone.

        Only for a store that spans machines.

        Args:
            name: what is done.
            shared: let others share it, who say so too.

        Returns:
            None: another holder has it.

        Raises:
            StoreError: the database cannot be reached.
        """
        return self._database.take(name, shared=shared)

    def close(self) -> None:
        """Close the database; the store cannot be used afterwards."""
        self._database.close()

    def __enter__(self) -> Store:  # noqa: PYI034 - typing.Self needs Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Sessions

    def open_session(self, session: SessionRecord, invocation: Invocation | None = None) -> None:
        """Admit a session with its facts; once more with the same values does nothing.

        Args:
            session: the session.
            invocation: the pytest that opens it, so that whoever finds the session knows where that left something.

        Raises:
            StoreError: another session has this id.
        """
        with self._database.writing(durable=True) as connection:
            writing.open_session(connection, session, invocation)

    def fact(self, session: str, name: str, value: str) -> None:
        """Add a fact to a session.

        A fact that is told again with another value than the last one keeps both, joined by ``; ``: that an agent's
        version changed in the middle of a session is what a reader must see.
        """
        with self._database.writing() as connection:
            writing.add_fact(connection, session, name, value)

    def close_session(self, session: str, *, streak: int, met: bool, exit_code: int, finished: datetime) -> None:
        """Write how a session ended; once more with the same result does nothing.

        Raises:
            StoreError: it has ended already with another result.
        """
        with self._database.writing(durable=True) as connection:
            writing.close_session(connection, session, streak, met, exit_code, finished)

    def begin_invocation(self, session: str, invocation: Invocation, *, resumes: str = "") -> int:
        """Write that this pytest works on a session from now on.

        Args:
            session: id of the session.
            invocation: the pytest; its number is given here.
            resumes: why attempts that are under way are not: a sentence. The session, and its interrupted runs, are
                under way again. Empty: the session is a new one.

        Returns:
            The number of the invocation, from 1.
        """
        with self._database.writing(durable=True) as connection:
            if resumes:
                writing.reopen(connection, session, resumes, invocation.started)
            return writing.begin_invocation(connection, session, invocation)

    def invocations(self, session: str) -> tuple[Invocation, ...]:
        """Each pytest that worked on a session, the first one first."""
        with self._database.reading() as connection:
            return reading.invocations(connection, session)

    def session(self, session: str) -> SessionRecord:
        """One session.

        Raises:
            StoreError: there is none with this id.
        """
        with self._database.reading() as connection:
            for record in reading.sessions(connection, session):
                return record
        raise StoreError(f"The store {self.where} holds no session {session}. Look whether id and store are right.")

    def find_session(self, session: str) -> SessionRecord | None:
        """One session, or None where there is none with this id."""
        with self._database.reading() as connection:
            return next(iter(reading.sessions(connection, session)), None)

    def sessions(self) -> tuple[SessionRecord, ...]:
        """All sessions in the order in which they were opened, whatever the clock said."""
        with self._database.reading() as connection:
            return reading.sessions(connection)

    def session_with(self, name: str, value: str) -> str | None:
        """Id of the newest session that has this fact; None: none has."""
        with self._database.reading() as connection:
            return reading.session_with(connection, name, value)

    def models(self, session: str) -> frozenset[str]:
        """The models that the agents of a session told that they used, in any attempt."""
        with self._database.reading() as connection:
            return reading.models(connection, session)

    def redrawn(self, session: str) -> frozenset[int]:
        """Numbers of the runs of a session in which an agent had begun more than once on a task."""
        with self._database.reading() as connection:
            return reading.redrawn(connection, session)

    def cost(self, session: str) -> Decimal:
        """US dollars that all attempts of a session have cost, those under way with what was noted of them."""
        with self._database.reading() as connection:
            return reading.cost(connection, session)

    def costs(self, session: str) -> dict[TaskRunKey, Decimal]:
        """The same by task run, of those that have cost anything that is known."""
        with self._database.reading() as connection:
            return reading.costs(connection, session)

    # Runs

    def admit_run(self, session: str, number: int, started: datetime) -> RunRecord:
        """Admit a run, durably, as the next one of its session; a run that was admitted before comes back as it is."""
        with self._database.writing(durable=True) as connection:
            return writing.admit_run(connection, session, number, started)

    def finish_run(self, session: str, number: int, outcome: Outcome, finished: datetime) -> bool:
        """Write how a run ended; once more with the same outcome does nothing.

        Returns:
            Whether it had not ended before.

        Raises:
            StoreError: it was not admitted, or has ended already with another outcome.
        """
        with self._database.writing() as connection:
            return writing.finish_run(connection, session, number, outcome, finished)

    def runs(self, session: str) -> tuple[RunRecord, ...]:
        """The runs of a session in the order of admission."""
        with self._database.reading() as connection:
            return reading.runs(connection, session)

    # Task runs and their attempts

    def admit_attempt(
        self, key: TaskRunKey, title: str, started: datetime, properties: Mapping[str, str] = MappingProxyType({})
    ) -> AttemptId:
        """Admit the next attempt at a task run, durably; the first one makes the task run.

        A run that has failed is under way again.

        Args:
            key: the task and its run, which must have been admitted.
            title: the task's title.
            started: when.
            properties: what is known of it from the beginning, see :meth:`note_attempt`.

        Raises:
            StoreError: the run was not admitted.
        """
        with self._database.writing(durable=True) as connection:
            return writing.admit_attempt(connection, key, title, started, properties)

    def readmit_attempt(self, key: TaskRunKey) -> AttemptId:
        """Go on, durably, with the last attempt at a task run, which was interrupted.

        Raises:
            StoreError: there is none that was interrupted.
        """
        with self._database.writing(durable=True) as connection:
            return writing.readmit_attempt(connection, key)

    def note_attempt(self, attempt: AttemptId, properties: Mapping[str, str]) -> None:
        """Write what is known so far of an attempt that is under way, for example what it has cost.

        Args:
            attempt: as the store admitted it.
            properties: facts about the attempt by name; they replace those that were noted before.

        Raises:
            StoreError: it was not admitted, or has ended already.
        """
        with self._database.writing() as connection:
            writing.note_attempt(connection, attempt, properties)

    def finish_attempt(
        self,
        attempt: AttemptId,
        outcome: Outcome,
        failure_kind: FailureKind | None,
        message: str,
        properties: Mapping[str, str],
        finished: datetime,
    ) -> None:
        """Write how an attempt ended; once more with the same outcome does nothing.

        Args:
            attempt: as the store admitted it.
            outcome: not ``RUNNING``.
            failure_kind: whose fault a failure is; None without one.
            message: the story of a failure.
            properties: facts about the attempt by name, see :mod:`pytest_pipeline.record.junit`.
            finished: when.

        Raises:
            StoreError: it was not admitted, or has ended already with another outcome.
        """
        with self._database.writing() as connection:
            writing.finish_attempt(connection, attempt, outcome, failure_kind, message, properties, finished)

    def skip_task_run(self, key: TaskRunKey, title: str, outcome: Outcome, reason: str) -> None:
        """Write that a task run is not tried.

        Args:
            key: the task and its run, which must have been admitted.
            title: the task's title.
            outcome: ``SKIPPED`` or ``COMPLETED``.
            reason: why, as a sentence.

        Raises:
            StoreError: the run was not admitted, or the task run has attempts or was skipped in the other way.
        """
        with self._database.writing(durable=True) as connection:
            writing.skip_task_run(connection, key, title, outcome, reason)

    def task_runs(self, session: str, run: int | None = None) -> tuple[TaskRunRecord, ...]:
        """The task runs of a session, or of one of its runs, in the order of admission, with attempts and steps."""
        with self._database.reading() as connection:
            return reading.task_runs(connection, session, run)

    def task_run(self, key: TaskRunKey) -> TaskRunRecord | None:
        """One task run, or None where it was neither tried nor skipped."""
        with self._database.reading() as connection:
            return next(iter(reading.task_runs(connection, key.session, key.run, key)), None)

    def attempts(self, key: TaskRunKey) -> tuple[AttemptRecord, ...]:
        """The attempts at one task run, the first one first; none where it was not tried."""
        with self._database.reading() as connection:
            found = reading.task_runs(connection, key.session, key.run, key)
        return found[0].attempts if found else ()

    def outcomes(self, session: str, run: int) -> Mapping[TaskRunKey, Ended]:
        """How the task runs of a run stand, those that were tried or skipped."""
        with self._database.reading() as connection:
            return reading.outcomes(connection, session, run)

    def abandon(self, key: TaskRunKey, kind: FailureKind, message: str, finished: datetime) -> bool:
        """Write that the attempt at a task run that is under way has failed, because who made it is gone.

        Args:
            key: the task run.
            kind: whose fault it is.
            message: what is known.
            finished: when.

        Returns:
            Whether there was one.
        """
        with self._database.writing() as connection:
            return bool(writing.end_running(connection, key.session, Outcome.FAILED, kind, message, finished, key))

    def interrupt(self, session: str, message: str, finished: datetime) -> None:
        """Write that every attempt of a session that is under way was interrupted."""
        kind = FailureKind.INTERRUPTED
        with self._database.writing() as connection:
            writing.end_running(connection, session, Outcome.INTERRUPTED, kind, message, finished)

    # Steps

    def steps_after(
        self, session: str, row: int, *, unended: Collection[int] = (), most: int | None = None
    ) -> list[tuple[int, TaskRunKey, StepRecord]]:
        """The steps of a session that were begun after that one, in the order in which they began, by their rows.

        Args:
            session: id of the session.
            row: a row; 0 for all steps.
            unended: rows of steps that had not ended when they were asked for; those that have by now come too.
            most: how many steps come at most; None: all.
        """
        with self._database.reading() as connection:
            return reading.steps_after(connection, session, row, unended, most)

    def begin_step(self, attempt: AttemptId, name: str, started: datetime) -> None:
        """Write that a step is about to begin."""
        with self._database.writing() as connection:
            writing.begin_step(connection, attempt, name, started)

    def end_step(self, attempt: AttemptId, name: str, outcome: Outcome, detail: str, finished: datetime) -> None:
        """Write how the step of this name that was begun last has ended.

        Args:
            attempt: whose step.
            name: the step.
            outcome: not ``RUNNING``.
            detail: what is worth knowing, or an empty text.
            finished: when.

        Raises:
            StoreError: no such step has begun and not ended.
        """
        with self._database.writing() as connection:
            writing.end_step(connection, attempt, name, outcome, detail, finished)
