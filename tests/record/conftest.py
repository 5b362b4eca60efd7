from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import settings

from pytest_pipeline.record.model import SessionRecord
from pytest_pipeline.record.store import Store

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
def url(state: Path) -> str:
    return f"sqlite:///{state}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store that holds session S, whose run 1 was admitted."""
    with Store.open(url) as store:
        store.open_session(SessionRecord("S", at(0), required=10, count=10, facts={"agent": "reference"}))
        store.admit_run("S", 1, at(1))
        yield store
