"""How executions stand, read from the store at most once in a while, however many ask."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from pytest_pipeline.execution.alive import is_alive
from pytest_pipeline.record.database import sqlite_file
from pytest_pipeline.record.model import RunRecord, SessionRecord, TaskRunRecord
from pytest_pipeline.record.store import Store
from pytest_pipeline.server.books import Book, Execution, Launch, errors_of, silent_since
from pytest_pipeline.server.processes import Processes
from pytest_pipeline.server.shapes import Status

INTERRUPTED = 2
"""Exit code of a pytest that Ctrl-C has ended."""

_MOST = 256  # snapshots that are kept
_STALE = 5  # intervals


@dataclass(frozen=True)
class Standing:
    """How an execution stands, in short.

    Args:
        status: in the words of the interface.
        session: its session; None: it has not opened one.
        alive: whether a process carries it on.
        message: why it could not work; empty where nothing is known.
        ended: when; None: it has not, or that is not known.
    """

    status: Status
    session: SessionRecord | None
    alive: bool
    message: str = ""
    ended: datetime | None = None


@dataclass(frozen=True)
class Snapshot:
    """All that the store knew of an execution at one moment. ``made`` holds what was made of it already."""

    execution: Execution
    standing: Standing
    runs: tuple[RunRecord, ...] = ()
    task_runs: tuple[TaskRunRecord, ...] = ()
    cost: Decimal = Decimal()
    made: dict[str, bytes] = field(default_factory=dict, compare=False)


class StoreDoor:
    """The store, opened when it is first needed, and again after it could not be, or when its file is another one.

    Args:
        url: an SQLAlchemy URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._file = sqlite_file(url)
        self._store: Store | None = None
        self._opened: tuple[int, int] | None = None
        self._opening = threading.Lock()

    def __call__(self) -> Store:
        """The store.

        Raises:
            StoreError: it cannot be opened.
        """
        with self._opening:
            if (
                self._store is not None and self._identity() != self._opened
            ):  # what is open tells of a file that is gone
                self._shut()
            if self._store is None:
                self._store = Store.open(self.url)
                self._opened = self._identity()
            return self._store

    def close(self) -> None:
        """Close it where it is open."""
        with self._opening:
            self._shut()

    def _shut(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def _identity(self) -> tuple[int, int] | None:
        """Device and inode of the file; None: there is none."""
        try:
            found = self._file.stat() if self._file is not None else None
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if found is not None else None


class Reader:
    """Reads how executions stand; blocks while it does.

    Args:
        book: what was asked for.
        processes: tells which of it lives.
        store: the record.
        state: the state directory.
    """

    def __init__(self, book: Book, processes: Processes, store: Callable[[], Store], state: Path) -> None:
        self._book = book
        self._processes = processes
        self._store = store
        self._state = state
        self._sessions: dict[str, str] = {}

    def session_of(self, execution: Execution) -> str | None:
        """Id of the session of an execution; None: it has not opened one.

        Raises:
            StoreError: the store cannot be read.
        """
        if execution.id not in self._sessions:
            found = self._store().session_with("execution", execution.id)
            if found is not None:
                self._sessions[execution.id] = found
        return self._sessions.get(execution.id)

    def standing(self, execution: Execution) -> Standing:
        """How an execution stands.

        Raises:
            StoreError: the store cannot be read.
        """
        alive = self._processes.alive(execution)  # before the store: what ends meanwhile has written its end by then
        launch, known = self._book.last_launch(execution.id), self.session_of(execution)
        session = self._store().find_session(known) if known is not None else None
        if session is None:
            self._sessions.pop(execution.id, None)  # it was in a store that is gone
        if session is not None and session.finished is None and not alive:
            alive = self._is_worked_on(session.id)
        gone = launch if not alive else None
        message = errors_of(gone) if gone is not None else ""
        ended = session.finished if session is not None else silent_since(gone) if gone is not None else None
        return Standing(status_of(alive, launch, session, message), session, alive, message, None if alive else ended)

    def snapshot(self, execution: Execution) -> Snapshot:
        """All that the store knows of an execution.

        Raises:
            StoreError: the store cannot be read.
        """
        standing = self.standing(execution)
        if standing.session is None:
            return Snapshot(execution, standing)
        store, session = self._store(), standing.session.id
        return Snapshot(execution, standing, store.runs(session), store.task_runs(session), store.cost(session))

    def _is_worked_on(self, session: str) -> bool:
        """Whether somebody has resumed the session from a command line of their own."""
        return is_alive(self._state, session, self._store().file)


def status_of(alive: bool, launch: Launch | None, session: SessionRecord | None, message: str) -> Status:
    """The status in the words of the interface.

    Args:
        alive: whether a process carries it on.
        launch: the newest start of the process.
        session: the session; None: it has not opened one.
        message: what pytest said of why it could not work.
    """
    if alive:  # to its very end, so that a plan whose execution has ended can be started again
        return Status.EXECUTING if session is not None and not _is_of_before(session, launch) else Status.STARTED
    if session is None:
        return Status.FAILED if message else Status.INTERRUPTED
    if session.exit_code in (None, INTERRUPTED):
        return Status.INTERRUPTED
    return Status.COMPLETE if session.exit_code == 0 else Status.FAILED


def _is_of_before(session: SessionRecord, launch: Launch | None) -> bool:
    """Whether what the session says is from before the process was started again, which has not said anything yet."""
    return launch is not None and session.finished is not None and session.finished < launch.at


@dataclass
class _Kept:
    """The last snapshot of an execution, when it was taken, and that only one is taken at a time."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    snapshot: Snapshot | None = None
    taken: float = float("-inf")


class Snapshots:
    """Gives snapshots to everybody who asks, and takes a new one at most once in an interval.

    Args:
        reader: takes them.
        interval: seconds.
    """

    def __init__(self, reader: Reader, interval: float) -> None:
        self.reader = reader
        self.interval = interval
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def of(self, execution: Execution) -> Snapshot:
        """How an execution stands, or stood an interval ago; on a busy machine a few of them.

        Raises:
            StoreError: the store cannot be read.
        """
        kept = self._kept.setdefault(execution.id, _Kept())
        self._kept.move_to_end(execution.id)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        if kept.lock.locked() and kept.snapshot is not None and time.monotonic() - kept.taken < _STALE * self.interval:
            return kept.snapshot  # somebody takes a new one just now; nobody else waits for it
        async with kept.lock:
            if kept.snapshot is None or time.monotonic() - kept.taken >= self.interval:
                kept.snapshot = await run_in_threadpool(self.reader.snapshot, execution)
                kept.taken = time.monotonic()
            return kept.snapshot

    def forget(self, execution: Execution) -> None:
        """Take a new snapshot when the next one asks: something was done."""
        if (kept := self._kept.get(execution.id)) is not None:
            kept.taken = float("-inf")
