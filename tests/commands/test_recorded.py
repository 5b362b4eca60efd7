"""What commands ask of the store, wherever it lies."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_pipeline.execution.alive import session_lock
from pytest_pipeline.host.locking import held
from pytest_pipeline.record.model import SessionRecord
from pytest_pipeline.record.store import Store
from tests.commands.running import command_here
from tests.e2e.world import Project
from tests.record.conftest import at


def test_a_session_lives_although_whoever_carries_it_on_has_another_state_directory(
    project: Project, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    with Store.open(url) as store:
        store.open_session(SessionRecord("s", at(0), 1, 1))
        with held(session_lock(tmp_path / "theirs", "s", store.file)):
            ran = command_here(project, "sessions", "--json", "--pipeline-store", url)

    assert [each["state"] for each in json.loads(ran.out)] == ["running"]
