"""One pytest at a time works on a session, however the one before has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname

import pytest

from pytest_pipeline.errors import HostError, SettingsError
from pytest_pipeline.execution.alive import is_alive, session_lock
from pytest_pipeline.execution.holding import (
    DYING_SECONDS,
    Held,
    both,
    hold_session,
    join_workers,
    opener_of,
    sweep_scratch,
)
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.record.database import sqlite_file
from pytest_pipeline.record.model import Invocation, SessionRecord
from pytest_pipeline.record.store import Store
from tests.execution.test_resuming import START
from tests.host.conftest import until

_HOLDER = """
import sys, time
from pathlib import Path
from pytest_pipeline.execution.alive import workers_lock
from pytest_pipeline.execution.holding import hold_session
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.host.locking import Lock
from pytest_pipeline.record.database import sqlite_file
from pytest_pipeline.record.store import Store

layout = Layout(Path(sys.argv[1]), "s", Path(sys.argv[1]))
if sys.argv[2] == "controller":
    held = hold_session(layout, Store.open(layout.store_url))
    held.workers.close()
else:
    held = Lock.take(workers_lock(layout.state, "s", sqlite_file(layout.store_url)), shared=True)
print("held", flush=True)
time.sleep(600)
"""


def hold(layout: Layout, patience: float = DYING_SECONDS) -> Held:
    """Hold a session whose store is of this machine."""
    with Store.open(layout.store_url) as store:
        return hold_session(layout, store, patience=patience)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, "s", tmp_path / "pytest-pipeline-mine")


@contextmanager
def another(layout: Layout, what: str = "controller") -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the session, or works for one that did."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(layout.state), what], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_one_is_refused_in_one_sentence_that_names_the_first(layout: Layout) -> None:
    with another(layout) as holder:
        with pytest.raises(SettingsError) as refused:
            hold(layout)

        told = f"Session s is being worked on by process {holder.pid} on {gethostname()}. Wait until that has ended"
        assert str(refused.value).startswith(told)

        holder.send_signal(signal.SIGKILL)
        holder.wait()
        hold(layout).close()


def test_what_a_lock_file_says_holds_nobody_off(layout: Layout) -> None:
    """Its process may be gone, and its number another one's."""
    lock = session_lock(layout.state, "s", sqlite_file(layout.store_url))
    lock.parent.mkdir(parents=True)
    lock.write_text(f"process {os.getpid()} on {gethostname()}, and a longer text than the next one")

    held = hold(layout)

    assert lock.read_text() == f"process {os.getpid()} on {gethostname()}"
    held.close()


def test_another_session_is_another_lock(layout: Layout) -> None:
    other = Layout(layout.state, "t", layout.scratch)
    first, second = hold(layout), hold(other)
    first.close()
    second.close()


@pytest.mark.parametrize("name", ["state.db", "shared.db"])
def test_whoever_uses_the_same_file_as_the_store_meets_there_whatever_the_state_directory_is(
    tmp_path: Path, name: str
) -> None:
    here, there = (Layout(tmp_path / state, "s", tmp_path) for state in ("one", "two"))
    (tmp_path / "link.db").symlink_to(tmp_path / "one" / name)
    with (
        Store.open(f"sqlite:///{tmp_path}/one/{name}") as store,
        Store.open(f"sqlite:///{tmp_path}/link.db") as same,
    ):
        held = hold_session(here, store)
        assert not is_alive(here.state, "t", store.file)
        for layout in (here, there):
            assert is_alive(layout.state, "s", same.file)
            with pytest.raises(SettingsError, match="Session s is being worked on by"):
                hold_session(layout, same)
        held.session.close()
        with pytest.raises(SettingsError, match="Workers of session s still run"):
            hold_session(there, same, patience=0)
        held.workers.close()
        assert not is_alive(there.state, "s", same.file)
        hold_session(there, same, patience=0).close()


def test_other_stores_in_one_directory_do_not_know_one_another(tmp_path: Path) -> None:
    layout = Layout(tmp_path, "s", tmp_path)
    with Store.open(layout.store_url) as store, Store.open(f"sqlite:///{tmp_path}/other.db") as other:
        held = hold_session(layout, store)
        hold_session(layout, other).close()
        held.close()


def test_workers_whose_controller_is_gone_are_waited_for(layout: Layout) -> None:
    with another(layout, "worker") as orphan:
        threading.Timer(0.3, orphan.kill).start()

        held = hold(layout, patience=30)

        until(lambda: orphan.poll() is not None)
        held.close()


def test_workers_that_do_not_end_are_told_and_the_session_is_free(layout: Layout) -> None:
    with another(layout, "worker"):
        with pytest.raises(SettingsError, match="Workers of session s still run although their controller is gone"):
            hold(layout, patience=0)
        with pytest.raises(SettingsError, match="Workers of session s"):  # and not: is being worked on
            hold(layout, patience=0)

    hold(layout).close()


def test_a_place_without_room_for_a_lock_is_told(layout: Layout) -> None:
    (layout.state / "sessions").write_text("a file")

    with pytest.raises(HostError, match="Make its directory writable"):
        hold(layout)


# Workers


@pytest.fixture
def store(layout: Layout) -> Iterator[Store]:
    """A store that knows the session, whose first pytest is the one of this layout."""
    with Store.open(layout.store_url) as found:
        found.open_session(SessionRecord("s", START, 1, 1), Invocation(0, START, "host", 1, str(layout.scratch)))
        yield found


def test_workers_join_when_the_record_says_whose_they_are_and_share_the_lock(layout: Layout, store: Store) -> None:
    held = hold(layout)
    with pytest.raises(SettingsError, match="Session s was taken up by another pytest"):
        join_workers(layout, store, opener_of(str(layout.scratch)))

    held.workers.close()

    one, other = (join_workers(layout, store, opener_of(str(layout.scratch))) for _ in range(2))
    one.close()
    held.session.close()
    with pytest.raises(SettingsError, match="Workers of session s"):
        hold(layout, patience=0)
    other.close()
    hold(layout).close()


def test_a_worker_of_a_controller_that_is_gone_does_not_join_the_next_one(layout: Layout, store: Store) -> None:
    store.begin_invocation("s", Invocation(0, START, "host", 2, "/elsewhere"), resumes="It is gone.")

    with pytest.raises(SettingsError, match="because the one of this worker is gone"):
        join_workers(layout, store, opener_of(str(layout.scratch)))

    hold(layout, patience=0).close()


# On several machines


def told(layout: Layout, store: Store) -> str:
    """What becomes of holding the session; a server frees locks a moment after their connection has ended."""
    try:
        hold_session(layout, store, patience=0).close()
    except SettingsError as refused:
        return str(refused)
    return "held"


def test_a_shared_store_lets_one_machine_at_a_time_work_on_a_session(tmp_path: Path, postgres_url: str) -> None:
    here, there = (Layout(tmp_path / name, "s", tmp_path / name / "scratch") for name in ("here", "there"))
    with Store.open(postgres_url) as store, Store.open(postgres_url) as other:
        held = hold_session(here, store)
        store.open_session(SessionRecord("s", START, 1, 1), Invocation(0, START, "elsewhere", 7, str(here.scratch)))
        held.workers.close()
        with pytest.raises(SettingsError, match="Session s is being worked on by process 7 on elsewhere"):
            hold_session(there, other)
        guest = join_workers(there, other, opener_of(str(here.scratch)))
        held.session.close()
        until(lambda: told(there, other).startswith("Workers of session s still run"))
        guest.close()
        until(lambda: told(there, other) == "held")


# What they left


def test_scratch_of_the_dead_is_swept_and_nothing_else(tmp_path: Path) -> None:
    names = ("pytest-pipeline-dead", "pytest-pipeline-ended", "pytest-pipeline-elsewhere", "somebodys")
    for name in names:
        (tmp_path / name / "work").mkdir(parents=True)
    dead, ended, elsewhere, somebodys = (str(tmp_path / name) for name in names)

    sweep_scratch(
        [
            Invocation(1, START, "here", 1, dead),
            Invocation(2, START, "here", 1, ended, finished=START),
            Invocation(3, START, "there", 1, elsewhere),
            Invocation(4, START, "here", 1, somebodys),
            Invocation(5, START, "here", 1, ""),
            Invocation(6, START, "here", 1, "pytest-pipeline-relative"),
        ],
        "here",
    )

    assert {each.name for each in tmp_path.iterdir()} == set(names[1:])


def test_both_are_done_although_the_first_fails() -> None:
    done: list[str] = []

    def fails() -> None:
        done.append("one")
        raise OSError("it fails")

    with pytest.raises(OSError, match="it fails"):
        both(fails, lambda: done.append("other"))()
    assert done == ["one", "other"]
