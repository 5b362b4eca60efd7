from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import settings

from pytest_pipeline.record import schema
from pytest_pipeline.record.model import SessionRecord
from pytest_pipeline.record.store import Store
from tests.postgres import PostgresServer

settings.register_profile("busy machine", deadline=None)
settings.load_profile("busy machine")

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)


def at(seconds: float) -> datetime:
    """A point in time of the tests."""
    return EPOCH + timedelta(seconds=seconds)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "down" / "state.db"


@pytest.fixture
def sqlite_url(state: Path) -> str:
    return f"sqlite:///{state}"


@pytest.fixture(scope="session")
def postgres_store(postgres_server: PostgresServer) -> Iterator[sa.Engine]:
    """A database that holds a store: to empty it is several times as fast as to make one for each test."""
    with postgres_server.database() as url:
        Store.open(url).close()
        engine = sa.create_engine(url, pool_pre_ping=True)  # a test may cut all connections
        yield engine
        engine.dispose()


@pytest.fixture
def emptied_postgres_url(postgres_store: sa.Engine) -> str:
    tables = ", ".join(table.name for table in schema.metadata.sorted_tables if table is not schema.store)
    with postgres_store.begin() as connection:
        connection.exec_driver_sql(f"TRUNCATE {tables} RESTART IDENTITY")
    return postgres_store.url.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite_url", "emptied_postgres_url"], ids=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """A store's URL, on each kind of database that a session may name."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store that holds session S, whose run 1 was admitted."""
    with Store.open(url) as store:
        store.open_session(SessionRecord("S", at(0), required=10, count=10, facts={"agent": "reference"}))
        store.admit_run("S", 1, at(1))
        yield store
