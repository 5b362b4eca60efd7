"""What can be wrong is found before the first agent starts, is told, and leaves nothing behind."""

from __future__ import annotations

import sqlite3

import pytest

from pytest_pipeline.errors import ForgeError, PipelineError, SettingsError, StoreError
from pytest_pipeline.plans.reader import parse_plan
from pytest_pipeline.record import schema
from pytest_pipeline.record.junit import NO_PROPERTIES, SESSION_FACTS
from pytest_pipeline.record.store import Store
from tests.e2e.world import plan, task
from tests.execution.stage import Stage

PLAN = plan(task())


def test_an_open_session_is_in_the_store_with_its_facts(stage: Stage) -> None:
    pipeline = stage.open(PLAN, count="3")

    session = pipeline.store.session(pipeline.session)
    assert (session.required, session.count) == (3, 3)
    assert session.facts["agent"] == "player"
    assert session.facts["forge"] == "local"
    assert session.facts["repository"] == "project"
    assert session.facts["base_commit"] == pipeline.base
    assert len(session.facts["forge_id"]) == 16
    assert session.facts.keys() <= SESSION_FACTS.keys() | NO_PROPERTIES, "what JUnit tells is documented"


def test_two_sessions_have_two_names_and_one_store(stage: Stage) -> None:
    first, second = stage.open(PLAN), stage.open(PLAN)

    assert first.session != second.session
    assert {each.id for each in second.store.sessions()} == {first.session, second.session}


@pytest.mark.parametrize(
    ("ini", "message"),
    [
        ({"base": "no-such"}, "has no such commit or branch"),
        ({"repo": "nowhere"}, "there is no git repository"),
        ({"forge": "gitlab"}, "There is no forge 'gitlab'"),
        ({"store": "nonsense"}, "store"),
        ({"state_dir": "kept.txt/state"}, "cannot be made"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_left(stage: Stage, ini: dict[str, object], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        stage.open(PLAN, ini)

    assert list(stage.temporary.iterdir()) == []


def test_a_store_of_a_newer_program_is_refused_and_nothing_is_left(stage: Stage) -> None:
    stage.open(PLAN)
    stage.close()
    with sqlite3.connect(stage.path / ".pipeline/state.db") as connection:
        connection.execute(f"UPDATE {schema.store.name} SET version = 999")

    with pytest.raises(StoreError, match="Update pytest-pipeline"):
        stage.open(PLAN)

    assert list(stage.temporary.iterdir()) == []


def test_a_damaged_forge_is_told_before_any_agent_starts_and_nothing_is_left(stage: Stage) -> None:
    ledger = stage.path / ".pipeline/forge.db"
    stage.open(PLAN)
    stage.close()
    ledger.write_bytes(ledger.read_bytes()[:4096] + b"\0" * 4096 + ledger.read_bytes()[8192:])

    with pytest.raises(
        ForgeError, match=r"The local forge cannot read or write its pull requests: the file is damaged\. Look"
    ):
        stage.open(PLAN)

    assert list(stage.temporary.iterdir()) == []


def test_a_plan_sets_the_base(stage: Stage) -> None:
    from tests.host.git_world import commit_all, git

    old = git(stage.path, "rev-parse", "HEAD")
    git(stage.path, "branch", "stable")
    commit_all(stage.path, {"new.txt": ""})

    assert stage.open(plan(task(), front_matter="base: stable")).base == old
    assert stage.open(plan(task(), front_matter="base: stable"), base="main").base != old, (
        "the command line goes before"
    )


def test_plans_that_ask_for_different_bases_are_refused(stage: Stage) -> None:
    from pytest_pipeline.execution.opening import _one_base
    from pytest_pipeline.settings import Settings

    plans = {name: parse_plan(PLAN, name) for name in ("a.md", "b.md")}
    with pytest.raises(SettingsError, match=r"a\.md: HEAD, b\.md: v1.*Run them apart"):
        _one_base([Settings(), Settings(base="v1")], plans)  # type: ignore[arg-type]


def test_a_store_elsewhere_is_used(stage: Stage) -> None:
    url = f"sqlite:///{stage.path}/elsewhere.db"
    pipeline = stage.open(PLAN, {"store": url})

    with Store.open(url) as store:
        assert [each.id for each in store.sessions()] == [pipeline.session]
    assert not (stage.path / ".pipeline/state.db").exists()
