from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.execution.stage import FILES, Stage
from tests.host.git_world import source_repository


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stage in a repository of one commit."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    source_repository(tmp_path / "project", FILES)
    here = Stage(tmp_path / "project", tmp_path / "tmp")
    yield here
    here.close()
