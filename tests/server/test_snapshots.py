"""How executions stand."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from pytest_pipeline.execution.alive import session_lock
from pytest_pipeline.host.locking import Lock, held
from pytest_pipeline.record.model import SessionRecord
from pytest_pipeline.record.store import Store
from pytest_pipeline.server.books import Execution, Launch
from pytest_pipeline.server.galleries import Gallery
from pytest_pipeline.server.shapes import Status
from pytest_pipeline.server.snapshots import Reader, Snapshot, Snapshots, Standing, StoreDoor, status_of
from tests.record.conftest import at
from tests.server.serving import Project, telling

OPEN = SessionRecord("S", at(10), 1, 1)
BEFORE, LATER = Launch(1, at(5), Path("log")), Launch(2, at(30), Path("log"))


def ended(exit_code: int) -> SessionRecord:
    return SessionRecord("S", at(10), 1, 1, finished=at(20), exit_code=exit_code)


@pytest.mark.parametrize(
    ("alive", "launch", "session", "message", "status"),
    [
        (True, BEFORE, None, "", Status.STARTED),
        (False, BEFORE, None, "There is no login.", Status.FAILED),
        (False, BEFORE, None, "", Status.INTERRUPTED),
        (False, None, None, "", Status.INTERRUPTED),
        (True, BEFORE, OPEN, "", Status.EXECUTING),
        (False, BEFORE, OPEN, "", Status.INTERRUPTED),
        (True, BEFORE, ended(0), "", Status.EXECUTING),
        (False, BEFORE, ended(0), "", Status.COMPLETE),
        (False, BEFORE, ended(1), "", Status.FAILED),
        (False, BEFORE, ended(8), "", Status.FAILED),
        (False, BEFORE, ended(2), "", Status.INTERRUPTED),
        (True, LATER, ended(2), "", Status.STARTED),
        (False, LATER, ended(2), "", Status.INTERRUPTED),
    ],
)
def test_the_status(
    alive: bool, launch: Launch | None, session: SessionRecord | None, message: str, status: Status
) -> None:
    assert status_of(alive, launch, session, message) is status


def test_a_session_that_somebody_resumed_by_hand_is_executing(project: Project) -> None:
    execution = project.execution()
    with telling(project, execution, "S") as told:
        reader = Reader(project.book, project.processes, lambda: told.store, project.state)
        assert reader.standing(execution).status is Status.INTERRUPTED
        lock = Lock.take(session_lock(project.state, "S", told.store.file), "by hand")
        assert lock is not None
        assert reader.standing(execution).status is Status.EXECUTING
        lock.close()
        assert reader.standing(execution).status is Status.INTERRUPTED


def test_a_session_lives_although_whoever_carries_it_on_has_another_state_directory(
    project: Project, tmp_path: Path
) -> None:
    execution = project.execution()
    with Store.open(f"sqlite:///{tmp_path}/shared.db") as store:
        store.open_session(SessionRecord("S", at(0), 1, 1, {"execution": execution.id}))
        reader = Reader(project.book, project.processes, lambda: store, project.state)
        gallery = Gallery(lambda: store, project.state, project.path, str, 0)
        with held(session_lock(tmp_path / "theirs", "S", store.file)):
            assert reader.standing(execution).status is Status.EXECUTING
            assert "running" in gallery.sessions(1)
        assert "running" not in gallery.sessions(1)


def test_the_session_of_an_execution_is_its_own(project: Project) -> None:
    first, second = project.execution(), project.execution()
    with telling(project, first, "S") as told, Store.open(project.url) as store:
        assert told.store.session_with("execution", first.id) == "S"
        assert Reader(project.book, project.processes, lambda: store, project.state).session_of(second) is None


def test_a_store_that_was_replaced_is_told_as_it_is_now(project: Project) -> None:
    execution, door = project.execution(), StoreDoor(project.url)
    file = project.state / "state.db"
    reader = Reader(project.book, project.processes, door, project.state)
    with telling(project, execution, "S") as told:
        told.close()
        assert door() is door()
        assert reader.standing(execution).status is Status.COMPLETE

    _remove(project)
    assert reader.standing(execution).session is None
    assert file.exists()

    other = Project(project.path / "other")
    other.path.mkdir()
    with telling(other, execution, "T") as told:
        told.close(1)
    _remove(project)
    (other.state / "state.db").replace(file)
    found = reader.standing(execution)
    assert (found.session and found.session.id, found.status) == ("T", Status.FAILED)
    door.close()


def _remove(project: Project) -> None:
    for each in project.state.glob("state.db*"):
        each.unlink()


class CountedReader(Reader):
    """Takes no time, and counts."""

    def __init__(self) -> None:
        self.taken = 0

    def snapshot(self, execution: Execution) -> Snapshot:
        self.taken += 1
        return Snapshot(execution, Standing(Status.STARTED, None, True))


def test_however_many_ask_the_store_is_read_once_in_an_interval(project: Project) -> None:
    reader, execution, other = CountedReader(), project.execution(), project.execution()
    snapshots = Snapshots(reader, 3600)

    async def ask() -> None:
        await asyncio.gather(*(snapshots.of(execution) for _ in range(200)))
        assert reader.taken == 1
        await snapshots.of(other)
        assert reader.taken == 2
        snapshots.forget(execution)
        await snapshots.of(execution)
        assert reader.taken == 3

    asyncio.run(ask())


def test_after_the_interval_it_is_read_again(project: Project) -> None:
    reader, execution = CountedReader(), project.execution()

    async def ask() -> None:
        snapshots = Snapshots(reader, 0)
        await snapshots.of(execution)
        await snapshots.of(execution)

    asyncio.run(ask())
    assert reader.taken == 2


class SlowReader(CountedReader):
    """Takes until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def snapshot(self, execution: Execution) -> Snapshot:
        found = super().snapshot(execution)
        assert self.taken == 1 or self.go.wait(30)
        return found


def test_nobody_waits_for_the_new_one_that_somebody_takes_just_now(project: Project) -> None:
    reader, execution = SlowReader(), project.execution()

    async def ask() -> None:
        snapshots = Snapshots(reader, 3600)
        first = await snapshots.of(execution)
        snapshots._kept[execution.id].taken -= 3600
        taking = asyncio.create_task(snapshots.of(execution))
        while reader.taken == 1:
            await asyncio.sleep(0)
        assert await snapshots.of(execution) is first
        snapshots.forget(execution)
        waiting = asyncio.create_task(snapshots.of(execution))
        await asyncio.sleep(0)
        assert not waiting.done()
        reader.go.set()
        assert await taking is not first
        assert await waiting is not first

    asyncio.run(ask())


def test_only_so_many_snapshots_are_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_pipeline.server.snapshots._MOST", 1)
    reader, first, second = CountedReader(), project.execution(), project.execution()
    snapshots = Snapshots(reader, 3600)

    async def ask() -> None:
        for each in (first, second, first):
            await snapshots.of(each)

    asyncio.run(ask())
    assert reader.taken == 3
