"""Another process takes part in a session: with the same record, base and forge, and only if its plans are the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_pipeline.errors import PipelineError, SettingsError, StoreError
from pytest_pipeline.execution.joining import Handover, join_session
from pytest_pipeline.execution.pipeline import Pipeline
from pytest_pipeline.execution.steps import now
from pytest_pipeline.execution.task_run import TaskRun
from pytest_pipeline.host.machine import machine
from pytest_pipeline.plans.reader import parse_plan
from pytest_pipeline.record.model import Outcome
from tests.e2e.world import plan, task
from tests.execution.stage import Onlooker, Player, Stage

TEXT = plan(task("1.1", files=["Create: `a.txt`"]), task("1.2", files=["Create: `b.txt`"]))


def handover(pipeline: Pipeline) -> Handover:
    """As a controller gives it."""
    layout = pipeline.layout
    return Handover(layout.session, str(layout.state), str(layout.scratch), machine())


def joined(stage: Stage, pipeline: Pipeline, given: Handover, text: str = TEXT, worker: str = "gw0") -> Pipeline:
    found = parse_plan(text, "plans/p.md")
    assert found is not None
    player = Player(lambda request: (request.workspace / "a.txt").write_text("a"))
    made = join_session(
        pipeline.settings,
        given,
        {found.path: found},
        worker=worker,
        rootdir=stage.path,
        started=stage.path,
        agents=lambda _settings: player,
        forge=None,
        observer=Onlooker(),
    )
    stage._opened.append(made)
    return made


def attempt(pipeline: Pipeline, number: int) -> TaskRun:
    """An attempt at a task, from preparation to the end."""
    (found,) = pipeline.plans.values()
    made = TaskRun(pipeline, 1, found, found.batches[0], found.batches[0].tasks[number])
    made.admit()
    made.prepare()
    made.perform()
    made.cleanup()
    made.finish(Outcome.PASSED)
    return made


def test_what_one_process_merges_another_builds_upon(stage: Stage) -> None:
    opened = stage.open(TEXT)
    first, second = joined(stage, opened, handover(opened)), joined(stage, opened, handover(opened), worker="gw1")

    merged = attempt(first, 0).facts["merge_commit"]
    second.run(1)

    assert second.run(1).sync() == merged
    assert (first.base, first.session) == (opened.base, opened.session)
    ended = opened.store.outcomes(opened.session, 1)
    assert {key.task: (each.outcome, each.merged) for key, each in ended.items()} == {"1.1": (Outcome.PASSED, True)}


def test_who_joins_leaves_what_all_share_as_it_is(stage: Stage) -> None:
    opened = stage.open(TEXT)
    worker = joined(stage, opened, handover(opened))
    attempt(worker, 0)
    place = worker.layout.scratch

    worker.close()

    assert place.parent == opened.layout.scratch
    assert not place.exists()
    assert opened.layout.run_stores() != []
    opened.store.finish_run(opened.session, 1, Outcome.PASSED, now())
    opened.close()
    assert opened.layout.run_stores() == []
    assert list(stage.temporary.iterdir()) == []


def test_a_plan_that_has_changed_meanwhile_is_refused(stage: Stage) -> None:
    opened = stage.open(TEXT)

    with pytest.raises(SettingsError, match=r"plans/p\.md changed while the session ran\. Leave plans as they are"):
        joined(stage, opened, handover(opened), TEXT.replace("Do it.", "Do it otherwise."))


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"session": "no-such"}, StoreError, "holds no session no-such"),
        ({"state": "elsewhere"}, PipelineError, "holds no session"),
    ],
)
def test_a_session_that_is_not_there_is_told(
    stage: Stage, change: dict[str, str], kind: type[PipelineError], message: str, tmp_path: Path
) -> None:
    opened = stage.open(TEXT)
    if "state" in change:
        change = {"state": str(tmp_path / "elsewhere")}

    with pytest.raises(kind, match=message):
        joined(stage, opened, replace(handover(opened), **change))


def test_without_a_mirror_here_it_says_what_workers_elsewhere_need(stage: Stage) -> None:
    opened = stage.open(TEXT)
    mirror = opened.layout.mirror(opened.base)
    mirror.rename(mirror.with_name("moved.git"))

    with pytest.raises(
        SettingsError, match="Workers on other machines need --forge github, and a store that they share"
    ):
        joined(stage, opened, handover(opened))


def test_a_handover_crosses_the_wire_and_shows_no_token() -> None:
    given = Handover("s", "/state", "/scratch", "here", "https://github.com/o/n", "ghp_secret_of_the_forge", "GH_TOKEN")

    assert Handover.from_wire(given.to_wire()) == given
    assert "ghp_secret" not in repr(given)
