"""A store on a real server of PostgreSQL: what happens to its connections, and what of its URL is shown."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from pytest_pipeline.errors import StoreError
from pytest_pipeline.record.model import SessionRecord
from pytest_pipeline.record.store import Store
from tests.host.conftest import until
from tests.postgres import PASSWORD, PostgresServer
from tests.record.conftest import at

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys
from pytest_pipeline.record.store import Store
with Store.open(sys.argv[1]) as store, store.alone("merge"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def url(emptied_postgres_url: str) -> str:
    return emptied_postgres_url


@pytest.fixture
def held_elsewhere(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is alone in ``merge``."""
    command = [sys.executable, "-c", HOLDER, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def cut(server: PostgresServer, url: str) -> None:
    """End every connection to the database."""
    name = sa.make_url(url).database
    server.ask(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'")


def waiters(server: PostgresServer) -> int:
    ((count,),) = server.ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    assert isinstance(count, int)
    return count


def told_by(url: str) -> str:
    with pytest.raises(StoreError) as caught:
        Store.open(url)
    shown, error = str(caught.value), caught.value
    assert "\n" not in shown
    assert (error.__cause__, error.__suppress_context__) == (None, True), "what stands behind it may show the password"
    return shown


def test_a_connection_that_broke_while_nothing_was_written_is_replaced(
    store: Store, url: str, postgres_server: PostgresServer
) -> None:
    cut(postgres_server, url)
    assert store.admit_run("S", 2, at(2)).admitted == 2


def test_a_server_that_vanishes_is_noticed(store: Store) -> None:
    with store._database.reading() as connection:
        inner = connection.connection.dbapi_connection
    assert isinstance(inner, psycopg.Connection)
    told = inner.info.get_parameters()
    assert (told["connect_timeout"], told["keepalives_idle"], told["keepalives_count"]) == ("10", "10", "3")


def test_only_a_store_on_a_server_spans_machines(store: Store, sqlite_url: str) -> None:
    with Store.open(sqlite_url) as here:
        assert (store.spans_machines, here.spans_machines) == (True, False)


def test_who_is_alone_is_waited_for_and_others_are_not(
    store: Store, held_elsewhere: subprocess.Popen[str], postgres_server: PostgresServer
) -> None:
    order: list[str] = []

    def merge() -> None:
        with store.alone("merge"):
            order.append("merged")

    with store.alone("merge elsewhere"):
        waiting = threading.Thread(target=merge)
        waiting.start()
        until(lambda: waiters(postgres_server) > 0)
        store.admit_run("S", 7, at(2))
        assert (
            postgres_server.ask("SELECT 1 FROM pg_stat_activity WHERE starts_with(state, 'idle in transaction')") == []
        )
        order.append("written")
        held_elsewhere.communicate("go\n", timeout=60)
        waiting.join()
    assert order == ["written", "merged"]


def test_the_lock_dies_with_its_holder(store: Store, held_elsewhere: subprocess.Popen[str]) -> None:
    held_elsewhere.kill()
    with store.alone("merge"):
        assert store.runs("S")


def test_a_lock_whose_connection_broke_is_free_and_disturbs_nobody(
    store: Store, url: str, postgres_server: PostgresServer
) -> None:
    with store.alone("merge"):
        cut(postgres_server, url)
        with store.alone("merge"):
            pass
    with store.alone("merge"):
        assert store.runs("S")


def test_what_is_done_alone_may_fail_and_nothing_stays_locked(store: Store, postgres_server: PostgresServer) -> None:
    with pytest.raises(OSError, match="mine"), store.alone("merge"):
        raise OSError("mine")
    until(lambda: postgres_server.ask("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == [])


@pytest.mark.parametrize("query", [False, True])
def test_no_message_shows_a_password(url: str, query: bool) -> None:
    wrong = sa.make_url(url).set(password=None if query else "wr0ng-one")
    if query:
        wrong = wrong.update_query_dict({"password": "wr0ng-one"})
    said = told_by(wrong.render_as_string(hide_password=False))
    assert "password authentication failed" in said
    assert said.endswith(". Look at that database, or name another store with --pipeline-store URL.")
    assert "wr0ng-one" not in said
    with Store.open(url) as store:
        assert PASSWORD not in store.where
        assert "host=" not in store.where


def test_a_server_that_is_not_there_is_told_and_shows_no_password(tmp_path: Path) -> None:
    for given in ("me:s3cret@/state?", "me@/state?password=s3cret&"):
        said = told_by(f"postgresql+psycopg://{given}host={tmp_path}/s3cret")
        assert "No such file or directory" in said
        assert "/***/" in said
        assert "s3cret" not in said


def test_a_session_is_opened_once_however_often_it_is_told(url: str) -> None:
    """Each waits for the other instead of running into its row."""
    start, errors = threading.Barrier(4), list[BaseException]()

    def tell() -> None:
        try:
            with Store.open(url) as store:
                start.wait()
                store.open_session(SessionRecord("S", at(0), 1, 1, {"agent": "reference"}))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Store.open(url) as store:
        assert store.session("S").facts == {"agent": "reference"}
