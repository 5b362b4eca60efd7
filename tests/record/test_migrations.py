"""A store that an older program made is brought up to date, and nothing of it is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from pytest_pipeline.errors import StoreError
from pytest_pipeline.record import migrations, schema
from pytest_pipeline.record.database import Database
from pytest_pipeline.record.model import Outcome
from pytest_pipeline.record.store import Store

FIRST = (Path(__file__).parent / "data" / "schema-1.sql").read_text("utf-8")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store of the first schema, with a session that has ended and one that was killed."""
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST)
    return path


def tables(path: Path) -> dict[str, set[str]]:
    engine = sa.create_engine(f"sqlite:///{path}")
    found = sa.inspect(engine).get_multi_columns()
    engine.dispose()
    return {str(name): {column["name"] for column in columns} for (_, name), columns in found.items()}


def test_the_tables_of_the_first_schema_become_those_of_a_new_store(old: Path, tmp_path: Path) -> None:
    Store.open(f"sqlite:///{old}").close()
    Store.open(f"sqlite:///{tmp_path}/new.db").close()

    assert tables(old) == tables(tmp_path / "new.db")


def test_what_was_recorded_is_there_afterwards(old: Path) -> None:
    with Store.open(f"sqlite:///{old}") as store:
        ended, killed = store.sessions()
        assert (ended.met, ended.exit_code, killed.finished) == (True, 0, None)
        assert [each.outcome for each in store.task_runs(ended.id)] == [Outcome.PASSED, Outcome.COMPLETED]
        [first] = store.invocations(ended.id)
        assert (first.number, first.started, first.finished, first.exit_code) == (1, ended.started, ended.finished, 0)
        [lost] = store.invocations(killed.id)
        assert (lost.finished, lost.exit_code) == (None, None)


def test_it_says_its_schema_and_who_made_that(old: Path) -> None:
    Store.open(f"sqlite:///{old}").close()

    with closing(sqlite3.connect(old)) as connection:
        [(version, made_by)] = connection.execute("SELECT version, made_by FROM pipeline_store")
    assert version == schema.VERSION == max(migrations.STEPS)
    assert made_by.startswith("pytest-pipeline ")


def test_who_only_looks_changes_nothing(old: Path) -> None:
    before = old.read_bytes()

    assert Database.is_made(f"sqlite:///{old}")

    assert old.read_bytes() == before


def test_one_that_fails_leaves_the_store_as_it_was(old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("CREATE TABLE pipeline_invocation (id INTEGER)")
    before = tables(old)

    with pytest.raises(StoreError, match="already exists"):
        Store.open(f"sqlite:///{old}")

    assert tables(old) == before
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("SELECT version FROM pipeline_store").fetchall() == [(1,)]


def test_a_step_leads_to_each_schema_after_the_first() -> None:
    assert sorted(migrations.STEPS) == list(range(2, schema.VERSION + 1))
