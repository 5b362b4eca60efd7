"""What the store makes of files that are not as they should be."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from pytest_pipeline.errors import StoreError
from pytest_pipeline.forges.gate_sql import SqlTurnstile
from pytest_pipeline.record import database
from pytest_pipeline.record.model import SessionRecord
from pytest_pipeline.record.store import Store
from tests.record.conftest import at

ROOT = Path(__file__).parents[2]


def refused(url: str, match: str) -> str:
    """Opening is refused in one paragraph that says what to do."""
    with pytest.raises(StoreError, match=match) as caught:
        Store.open(url)
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(".")
    return said


def sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def a_finished_store(path: Path) -> bytes:
    with Store.open(f"sqlite:///{path}") as store:
        store.open_session(SessionRecord("S", at(0), 1, 1))
        store.admit_run("S", 1, at(1))
    return path.read_bytes()


def test_a_new_store_makes_its_directories_and_writes_ahead(state: Path, sqlite_url: str) -> None:
    Store.open(sqlite_url).close()
    with closing(sqlite3.connect(state)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_closed_store_is_one_file(state: Path) -> None:
    a_finished_store(state)
    assert [path.name for path in state.parent.iterdir()] == ["state.db"]


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.touch()
    with Store.open(f"sqlite:///{path}") as store:
        assert store.sessions() == ()


@pytest.mark.parametrize("content", [b"x", b"x" * 99, b"not a database\n" * 1000, b"\0" * 8192])
def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    assert str(path) in refused(f"sqlite:///{path}", "the file is not a database")
    assert path.read_bytes() == content


@pytest.mark.parametrize("part", [0.001, 0.02, 0.1, 0.25, 0.5, 0.9, 0.999])
def test_a_truncated_store_is_refused_and_left_as_it_is(tmp_path: Path, part: float) -> None:
    path = tmp_path / "state.db"
    whole = a_finished_store(path)
    torn = whole[: int(len(whole) * part)]
    path.write_bytes(torn)
    refused(f"sqlite:///{path}", "damaged|not a database")
    assert path.read_bytes() == torn


def test_a_store_whose_file_was_emptied_under_its_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    log = tmp_path / "state.db-wal"
    path.touch()
    log.write_bytes(b"committed pages")
    refused(f"sqlite:///{path}", "it is empty, but its log is not")
    assert log.read_bytes() == b"committed pages"


def test_a_database_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    sql(path, "CREATE TABLE customers (id INTEGER)")
    before = path.read_bytes()
    refused(f"sqlite:///{path}", "a database of something else .* table customers")
    assert path.read_bytes() == before


def test_a_gate_may_be_in_the_database_before_the_store(postgres_url: str) -> None:
    with closing(SqlTurnstile(postgres_url, "0" * 32)) as turnstile:
        assert turnstile.take()
        with closing(database.Database(postgres_url)):
            pass
        with closing(database.Database(postgres_url)) as again, again.reading() as connection:
            assert {"pipeline_gates", "pipeline_store"} < set(sa.inspect(connection).get_table_names())


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        ("DROP TABLE pipeline_step", "pipeline_step lacks attempt"),
        ("ALTER TABLE pipeline_run DROP COLUMN finished", "pipeline_run lacks finished"),
        ("DELETE FROM pipeline_store", "does not say its version"),
        ("UPDATE pipeline_store SET version = 0", "schema 0, which never was"),
    ],
)
def test_a_store_with_parts_missing_is_refused(tmp_path: Path, damage: str, match: str) -> None:
    path = tmp_path / "state.db"
    a_finished_store(path)
    sql(path, damage)
    refused(f"sqlite:///{path}", f"is damaged: .*{match}")


def test_a_store_of_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    a_finished_store(path)
    sql(path, "UPDATE pipeline_store SET version = 99, made_by = 'pytest-pipeline 9.9'")
    before = path.read_bytes()
    refused(f"sqlite:///{path}", r"made by pytest-pipeline 9\.9 \(schema 99\).* Update pytest-pipeline")
    assert path.read_bytes() == before


def test_a_place_where_no_directory_can_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(f"sqlite:///{tmp_path}/file/below/state.db", "cannot be created.* --pipeline-store URL")


def test_a_directory_is_no_store(tmp_path: Path) -> None:
    refused(f"sqlite:///{tmp_path}", "cannot be opened")


def test_a_store_that_may_only_be_read_says_so_when_written(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    a_finished_store(path)
    with Store.open(f"sqlite:///file:{path}?mode=ro&uri=true") as store:
        assert [run.number for run in store.runs("S")] == [1]
        with pytest.raises(StoreError, match=r"it is read-only\. Make it writable"):
            store.admit_run("S", 2, at(2))


FILL = """
import resource, sys
from datetime import datetime, timezone
from pytest_pipeline.errors import StoreError
from pytest_pipeline.record.store import Store

resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
now = datetime.now(timezone.utc)
admitted = 1
try:
    with Store.open(sys.argv[1]) as store:
        for admitted in range(2, 100_000):
            store.admit_run("S", admitted, now)
except StoreError as error:
    print(admitted - 1)
    print(error)
"""


def test_a_full_disk_is_told_and_loses_nothing_that_was_admitted(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    a_finished_store(path)
    url = f"sqlite:///{path}"
    done = subprocess.run([sys.executable, "-c", FILL, url], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert not done.stderr
    admitted, said = done.stdout.splitlines()
    assert "full" in said
    with Store.open(url) as store:
        assert [run.number for run in store.runs("S")] == list(range(1, int(admitted) + 1))


def test_a_store_that_another_process_holds_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.db"
    a_finished_store(path)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other, Store.open(f"sqlite:///{path}") as store:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process has held it"):
            store.admit_run("S", 2, at(2))
        assert len(store.runs("S")) == 1


@pytest.mark.parametrize("url", ["", "state.db", "sqlite", "postgresql://u:secret@host:port/x"])
def test_what_is_not_a_url_is_refused_without_repeating_it(url: str) -> None:
    assert "secret" not in refused(url, "is not one that SQLAlchemy knows")


@pytest.mark.parametrize("url", ["nosuch://u:secret@host/x", "oracle+cx_oracle://u:secret@host/x"])
def test_a_database_whose_driver_is_missing_names_it_and_hides_the_password(url: str) -> None:
    assert "secret" not in refused(url, r"u:\*\*\*@host/x needs a driver that is missing")
