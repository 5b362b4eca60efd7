"""A worker of another machine takes part: GitHub and a server of PostgreSQL are all that it shares with the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.execution.joining import Handover, join_session
from pytest_pipeline.execution.pipeline import Pipeline
from pytest_pipeline.host.machine import machine
from pytest_pipeline.plans.reader import parse_plan
from pytest_pipeline.record.model import SessionRecord
from pytest_pipeline.record.store import Store
from pytest_pipeline.settings import Settings, build
from tests.e2e.world import plan, task
from tests.execution.stage import Onlooker, Player
from tests.github_world import GitHubWorld, Hosted
from tests.record.conftest import at

NAME = "octo/example"


@dataclass
class Elsewhere:
    """A session that another machine has opened, and the directory of a worker here."""

    world: GitHubWorld
    hosted: Hosted
    settings: Settings
    place: Path

    @property
    def handover(self) -> Handover:
        """As the controller gives it to a worker with a root of its own."""
        return Handover(
            "S", "", "", "another", f"{self.world.url.rpartition('/api')[0]}/{NAME}", self.world.token, "test"
        )

    def open(self, base: str) -> None:
        """Write the session down, as its controller has."""
        with Store.open(self.settings.store or "") as store:
            store.open_session(SessionRecord("S", at(0), 1, 1, {"base_commit": base}))

    def join(self, handover: Handover | None = None, settings: Settings | None = None) -> Pipeline:
        """Take part."""
        found = parse_plan(plan(task("1.1", files=["Create: `a.txt`"])), "plans/p.md")
        assert found is not None
        return join_session(
            settings or self.settings,
            handover or self.handover,
            {found.path: found},
            worker="gw0",
            rootdir=self.place / "sent" / "project",
            started=self.place / "sent",
            agents=lambda _settings: Player(lambda request: None),
            forge=None,
            observer=Onlooker(),
        )


@pytest.fixture
def elsewhere(tmp_path: Path, postgres_url: str) -> Iterator[Elsewhere]:
    with GitHubWorld(tmp_path / "github") as world:
        hosted = world.add_repository(NAME, {"a.txt": "a"})
        given = {"forge": "github", "github_api": world.url, "forge_pace": "off", "store": postgres_url}
        yield Elsewhere(world, hosted, build(given, {}), tmp_path)


def test_it_fetches_the_start_itself_and_keeps_nothing_but_what_is_evidence(elsewhere: Elsewhere) -> None:
    elsewhere.open(base=elsewhere.hosted.branches()["main"])

    pipeline = elsewhere.join()
    run = pipeline.run(1)

    assert pipeline.layout.state == elsewhere.place / "sent" / ".pipeline"
    assert pipeline.mirror.git_dir.is_relative_to(pipeline.layout.state)
    assert elsewhere.hosted.branches()[run.base_branch] == pipeline.base
    with run.merging(), Store.open(elsewhere.settings.store or "") as other:
        assert other.runs("S")[0].number == 1
    assert pipeline.layout.run_stores() == [run.repository.git_dir]
    assert run.repository.git_dir.parent.name == "gw0"
    pipeline.close()
    assert pipeline.layout.run_stores() == []
    assert not pipeline.layout.scratch.exists()
    assert not list(elsewhere.place.rglob("*.lock"))
    assert not list(elsewhere.place.rglob("*.pid"))


def test_a_start_that_is_not_on_github_is_told(elsewhere: Elsewhere) -> None:
    elsewhere.open(base="1" * 40)

    with pytest.raises(SettingsError, match=r"cannot fetch the commit that runs start from.* push it"):
        elsewhere.join()


def test_a_process_that_only_says_it_is_of_this_machine_is_not_believed(elsewhere: Elsewhere) -> None:
    """For example one that execnet starts in a container."""
    given = replace(elsewhere.handover, state=str(elsewhere.place), scratch=str(elsewhere.place))
    here = replace(elsewhere.settings, store=None)

    assert replace(given, machine=machine()).is_from_here
    assert not replace(elsewhere.handover, machine=machine()).is_from_here
    with pytest.raises(SettingsError, match="cannot share a store that is no server of PostgreSQL"):
        elsewhere.join(given, here)
    assert not list(elsewhere.place.rglob("*.pid"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"forge": "local"}, "cannot use --forge local, which lies here. Use --forge github"),
        (
            {"store": "sqlite:////shared/state.db"},
            "cannot share a store that is no server of PostgreSQL. Name one with",
        ),
    ],
)
def test_what_is_of_one_machine_is_refused(elsewhere: Elsewhere, change: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        elsewhere.join(settings=replace(elsewhere.settings, **change))  # type: ignore[arg-type]
    assert not (elsewhere.place / "sent").exists()
