"""Taking up a session again: which one, told what, and what must not be different."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from pytest_pipeline.errors import FailureKind, ForgeError, PipelineError, SettingsError
from pytest_pipeline.execution import opening
from pytest_pipeline.execution.layout import store_url
from pytest_pipeline.execution.pipeline import Pipeline
from pytest_pipeline.execution.resuming import (
    HARMLESS,
    LATEST,
    Recalled,
    options_fact,
    recall,
    refuse_other_work,
    selection_fact,
)
from pytest_pipeline.host.git import RefUpdate, Repository
from pytest_pipeline.options import BY_NAME
from pytest_pipeline.record.model import Outcome, SessionRecord, TaskRunKey
from pytest_pipeline.record.store import Store
from pytest_pipeline.settings import Settings, build
from tests.e2e.world import plan, task
from tests.execution.stage import Stage
from tests.host.git_world import commit_all, git

PLAN = plan(task("1.1", files=["Create: `a.txt`"]), task("1.2", files=["Create: `b.txt`"]))
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


@dataclasses.dataclass
class Kept:
    """A store with sessions that were told something."""

    url: str

    def session(self, name: str, settings: Settings | None = None, *, selected: int = 1, **facts: str) -> None:
        """One that was begun, one after the other."""
        with Store.open(self.url) as store:
            begun = START + timedelta(hours=len(store.sessions()))
            told = {"options": options_fact(settings or Settings()), "selection": f"{selected} 0", **facts}
            store.open_session(SessionRecord(name, begun, 1, 1, told))

    def tried(self, name: str, outcome: Outcome, run: int = 1, **facts: str) -> None:
        """A task of it that has ended."""
        with Store.open(self.url) as store:
            store.admit_run(name, run, START)
            key = TaskRunKey(name, run, "p.md", "1", "1.1")
            if outcome is Outcome.SKIPPED:
                store.skip_task_run(key, "T", outcome, "")
                return
            kind = FailureKind.AGENT if outcome is Outcome.FAILED else None
            store.finish_attempt(store.admit_attempt(key, "T", START), outcome, kind, "", facts, START)

    def ended(self, name: str, *, met: bool) -> None:
        """It was closed."""
        with Store.open(self.url) as store:
            store.close_session(name, streak=int(met), met=met, exit_code=0 if met else 1, finished=START)

    def recall(self, **flags: object) -> Recalled:
        """What ``--resume`` makes of it."""
        return recall(build({"resume": LATEST, **flags}, {}), self.url)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(f"sqlite:///{tmp_path}/state.db")


# Which one


def test_the_latest_session_that_did_not_come_to_its_end_is_taken(kept: Kept) -> None:
    for name in ("old", "unfinished", "finished"):
        kept.session(name)
    kept.tried("finished", Outcome.PASSED)
    kept.ended("finished", met=True)

    assert kept.recall().settings.resume == "unfinished"
    assert kept.recall(resume="old").settings.resume == "old"
    assert kept.recall(resume="unf").settings.resume == "unfinished", "the beginning of an id will do"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("s", "knows more than one session s"),
        ("third", r"knows no session third. See `python -m pytest_pipeline sessions`"),
    ],
)
def test_a_name_that_is_not_one_session_is_refused(kept: Kept, asked: str, message: str) -> None:
    kept.session("s-1")
    kept.session("s-2")

    with pytest.raises(SettingsError, match=message):
        kept.recall(resume=asked)


def test_an_exact_name_wins_over_the_beginning_of_another(kept: Kept) -> None:
    kept.session("s")
    kept.session("s-2")

    assert kept.recall(resume="s").settings.resume == "s"


def test_where_nothing_was_recorded_nothing_is_made(kept: Kept, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"There is no session to resume.*Start one without --resume"):
        kept.recall()

    assert list(tmp_path.iterdir()) == []
    Store.open(kept.url).close()
    with pytest.raises(SettingsError, match="There is no session to resume"):
        kept.recall()


@pytest.mark.parametrize("name", [LATEST, "s"])
def test_a_session_that_came_to_its_end_has_nothing_to_resume(kept: Kept, name: str) -> None:
    kept.session("s")
    kept.tried("s", Outcome.FAILED)
    kept.ended("s", met=False)

    with pytest.raises(SettingsError, match="came to its end"):
        kept.recall(resume=name)
    assert kept.recall(resume=name, fresh_failures=True).settings.fresh_failures


@pytest.mark.parametrize("outcome", [Outcome.INTERRUPTED, None])
def test_a_closed_session_that_lacks_something_can_be_resumed(kept: Kept, outcome: Outcome | None) -> None:
    kept.session("s", selected=2)
    kept.tried("s", Outcome.PASSED, run=1)
    if outcome is not None:
        kept.tried("s", outcome, run=2)
    kept.ended("s", met=False)

    assert kept.recall().settings.resume == "s"


def test_enough_runs_in_a_row_are_an_end_although_more_was_selected(kept: Kept) -> None:
    kept.session("s", selected=9)
    kept.tried("s", Outcome.PASSED)
    kept.ended("s", met=True)

    with pytest.raises(SettingsError, match="Every session came to its end"):
        kept.recall()


@pytest.mark.parametrize(
    ("was", "now", "goes_on"),
    [("1", "2", True), ("1", "1.5", False), ("1", "1", False), ("1", None, False), ("9", "20", False)],
)
def test_what_nobody_paid_for_can_be_resumed_for_more_money(
    kept: Kept, was: str, now: str | None, goes_on: bool
) -> None:
    """In the last case nothing was skipped because of the money."""
    kept.session("s", build({}, {"max_cost": was}), selected=2, max_cost=was)
    kept.tried("s", Outcome.PASSED, cost_usd="1.5")
    kept.tried("s", Outcome.SKIPPED, run=2)
    kept.ended("s", met=False)
    flags = {} if now is None else {"max_cost": now}

    if goes_on:
        assert kept.recall(**flags).settings.max_cost == 2
    else:
        with pytest.raises(SettingsError, match="Every session came to its end"):
            kept.recall(**flags)


# Told what


def test_it_is_told_what_it_was_told_before(kept: Kept) -> None:
    before = build(
        {"count": "10", "agent": "reference", "until_consecutive": "3"}, {"wall_time": "7m", "scope": "strict"}
    )
    kept.session("s", before)

    found = kept.recall(count="10")

    assert dataclasses.replace(found.settings, resume=None, explicit=before.explicit) == before
    assert found.notes == (
        "pipeline_scope is warn now; this session goes on with strict",
        "pipeline_wall_time is 1800.0 now; this session goes on with 420.0",
    )


def test_every_setting_comes_back() -> None:
    assert {each.name for each in dataclasses.fields(Settings)} - {"explicit"} <= BY_NAME.keys()


def test_neither_the_stores_address_nor_what_is_said_of_resuming_is_kept() -> None:
    url = "postgresql+psycopg://user:secret@host/name"
    told = build({"store": url, "resume": "s", "fresh_failures": True}, {"state_dir": "elsewhere"})

    assert json.loads(options_fact(told)) == {"explicit": []}


def test_a_harmless_difference_is_noted(kept: Kept) -> None:
    kept.session("s", build({"max_cost": "1"}, {}))

    found = kept.recall(max_cost="20", agent_retries="2")

    assert (found.settings.max_cost, found.settings.agent_retries) == (20, 2)
    assert found.settings.explicit == {"max_cost", "agent_retries", "resume"}
    assert found.notes == (
        "--agent-retries is 2 from now on, it was 0",
        "--max-cost is 20.0 from now on, it was 1.0",
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("count", "3", "was told --count 2, not 3"),
        ("agent", "claude", "was told --agent reference, not claude"),
        ("model", "opus", "was told --agent-model nothing, not opus"),
        ("merge_method", "merge", "was told --merge-method squash, not merge"),
    ],
)
def test_a_difference_that_matters_is_refused(kept: Kept, name: str, value: str, message: str) -> None:
    kept.session("s", build({"count": "2", "agent": "reference"}, {}))

    with pytest.raises(SettingsError, match=f"{message}: its runs would not be the same any more"):
        kept.recall(**{name: value})


def test_to_say_the_same_again_is_no_difference(kept: Kept) -> None:
    kept.session("s", build({"count": "2"}, {"agent": "reference"}))

    assert kept.recall(count="2", agent="reference").notes == ()


@pytest.mark.parametrize("facts", [{}, {"options": "no JSON"}, {"options": "{}"}])
def test_a_session_that_does_not_say_what_it_was_told_is_refused(kept: Kept, facts: dict[str, str]) -> None:
    with Store.open(kept.url) as store:
        store.open_session(SessionRecord("s", START, 1, 1, facts))

    with pytest.raises(SettingsError, match=r"Session s was recorded by a version .* Start a new one"):
        kept.recall()


def test_a_selection_is_known_by_its_items_in_any_order() -> None:
    assert selection_fact(["b", "a"]) == selection_fact(["a", "b"])
    assert selection_fact(["a", "b"]).startswith("2 ")
    assert selection_fact(["a", "b"]) != selection_fact(["a", "c"])


# On the ground that it stood on


def begun(stage: Stage, text: str = PLAN) -> Pipeline:
    """A session that died after its first task."""
    pipeline = stage.open(text)
    made = stage.attempt(pipeline, "1.1", lambda request: (request.workspace / "a.txt").write_text("a"))
    assert made.failure is None
    stage.kill(pipeline)
    return pipeline


def base(pipeline: Pipeline) -> str:
    return f"refs/heads/pipeline/{pipeline.session}/run-01/base"


def test_it_goes_on_with_the_same_id_base_and_record(stage: Stage) -> None:
    before = begun(stage)
    commit_all(stage.path, {"meanwhile.txt": ""})

    opened = stage.resume(PLAN)

    assert (opened.pipeline.session, opened.pipeline.base) == (before.session, before.base)
    assert opened.pipeline.resumed
    assert opened.notes == ()
    one, two = opened.pipeline.store.invocations(before.session)
    assert (one.finished, two.number, two.finished) == (None, 2, None)
    assert not before.layout.scratch.exists(), "what the process left that is gone is swept"
    assert opened.pipeline.layout.scratch.exists()


def test_another_plan_is_refused(stage: Stage) -> None:
    before = begun(stage)

    with pytest.raises(SettingsError, match=rf"Session {before.session} cannot be resumed like this: its plans were"):
        stage.resume(PLAN.replace("Do it.", "Do it otherwise.", 1))

    stage.resume(PLAN)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("selection", "other items were selected"),
        ("forge", "its pull requests live on another forge"),
        ("forge_id", "its pull requests live on another embedded forge"),
        ("repository", "its repository was another one"),
        ("base_commit", "its runs started from another commit"),
        ("agent", "its agent was another one"),
    ],
)
def test_other_work_is_refused(name: str, message: str) -> None:
    facts = dict.fromkeys(("plans", "selection", "forge", "forge_id", "repository", "base_commit", "agent"), "before")
    record = SessionRecord("s", START, 1, 1, facts)
    refuse_other_work(record, facts)

    with pytest.raises(SettingsError, match=rf"cannot be resumed like this: {message} \(before; now another\)"):
        refuse_other_work(record, {**facts, name: "another"})


def test_what_an_older_version_did_not_write_is_not_compared() -> None:
    refuse_other_work(SessionRecord("s", START, 1, 1, {}), {"forge_id": "now"})


def test_another_state_directory_with_the_same_store_neither_takes_part_nor_takes_over(stage: Stage) -> None:
    """Its embedded forge would be another one."""
    there = {"state_dir": "other", "store": store_url(stage.path / ".pipeline")}
    alive = stage.open(PLAN)
    with pytest.raises(SettingsError, match=f"Session {alive.session} is being worked on by process"):
        stage.resume(PLAN, **there)
    stage.kill(alive)

    with pytest.raises(SettingsError, match=r"another embedded forge \(\w+; now \w+\). Name its state directory"):
        stage.resume(PLAN, **there)

    (stage.path / ".pipeline").rename(stage.path / "moved")
    moved = stage.resume(PLAN, state_dir="moved").pipeline
    assert len(moved.store.invocations(alive.session)) == 2, "those that were refused did not take part"


def test_what_may_be_another_is_noted_and_recorded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    before = begun(stage)
    monkeypatch.setattr(opening, "_versions", lambda git: "pytest 99")

    opened = stage.resume(PLAN)

    (note,) = opened.notes
    assert note.startswith("versions is pytest 99 from now on, it was pytest-pipeline ")
    assert opened.pipeline.store.session(before.session).facts["versions"].endswith("; pytest 99")


def test_a_branch_that_was_pushed_over_and_collected_does_not_matter(stage: Stage) -> None:
    """The mirror holds the commit that runs start from."""
    before = begun(stage)
    git(stage.path, "commit", "--quiet", "--amend", "-m", "Another history")
    git(stage.path, "reflog", "expire", "--expire=now", "--all")
    git(stage.path, "gc", "--quiet", "--prune=now")

    assert stage.resume(PLAN).pipeline.base == before.base


def test_without_the_mirror_the_commit_is_taken_from_the_repository(stage: Stage) -> None:
    before = begun(stage)
    mirror = before.layout.mirror(before.base)
    mirror.rename(mirror.with_name("moved.git"))
    commit_all(stage.path, {"meanwhile.txt": ""})

    assert stage.resume(PLAN).pipeline.base == before.base


def test_a_commit_that_is_gone_everywhere_is_told(stage: Stage) -> None:
    before = begun(stage)
    mirror = before.layout.mirror(before.base)
    mirror.rename(mirror.with_name("moved.git"))
    git(stage.path, "commit", "--quiet", "--amend", "-m", "Another history")
    git(stage.path, "reflog", "expire", "--expire=now", "--all")
    git(stage.path, "gc", "--quiet", "--prune=now")

    with pytest.raises(SettingsError, match=f"{before.base}, which its runs start from, is gone from project"):
        stage.resume(PLAN)

    mirror.with_name("moved.git").rename(mirror)
    stage.resume(PLAN)


def deleted(forge: Repository, name: str, start: str) -> None:
    assert forge.update_refs([RefUpdate(name, None, forge.read_ref(name))])


def set_back(forge: Repository, name: str, start: str) -> None:
    assert forge.update_refs([RefUpdate(name, start, forge.read_ref(name))])


def pushed_to(forge: Repository, name: str, start: str) -> None:
    old = forge.read_ref(name)
    assert old is not None
    new = forge.commit_tree(forge.commit(old).tree, [old], "Somebody else", author="Else <e@example.org>")
    assert forge.update_refs([RefUpdate(name, new, old)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (deleted, "base is gone from forge, and with it what was merged"),
        (set_back, "somebody has moved its base branch .*: the merge of task 1.1 is gone"),
        (pushed_to, "somebody has moved its base branch .*: [0-9a-f]{40} is no merge of this session"),
    ],
)
def test_a_base_branch_that_somebody_touched_is_told_and_nothing_is_lost(
    stage: Stage, change: Callable[[Repository, str, str], None], message: str
) -> None:
    before = begun(stage)
    forge = Repository(Path(before.forge.push_url))
    head = forge.read_ref(base(before))
    change(forge, base(before), before.base)

    with pytest.raises(ForgeError, match=message):
        stage.resume(PLAN)

    forge.update_refs([RefUpdate(base(before), head, forge.read_ref(base(before)))])
    again = stage.resume(PLAN).pipeline
    assert len(again.store.invocations(before.session)) == 2, "the one that was refused did not take part"
    assert stage.attempt(again, "1.2", lambda request: (request.workspace / "b.txt").write_text("b")).failure is None


def test_a_clock_that_was_set_back_is_no_obstacle(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    before = begun(stage)
    for module in ("opening", "pipeline", "attempt", "steps"):
        monkeypatch.setattr(f"pytest_pipeline.execution.{module}.now", lambda: START)

    again = stage.resume(PLAN).pipeline
    made = stage.attempt(again, "1.2", lambda request: (request.workspace / "b.txt").write_text("b"))
    again.finish_run(1, Outcome.PASSED)

    assert made.failure is None
    assert again.session == before.session
    (run,) = again.store.runs(again.session)
    assert run.finished == START < run.started, "times are told as the clock told them"


def test_a_store_that_cannot_be_written_is_told_and_nothing_is_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(stage)

    def full(*arguments: object, **named: object) -> None:
        raise PipelineError("The store is full.")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "begin_invocation", full)
        with pytest.raises(PipelineError, match="The store is full"):
            stage.resume(PLAN)

    assert list(stage.temporary.glob("*")) == []
    stage.resume(PLAN)


def test_the_page_tells_which_options_may_be_others() -> None:
    page = (Path(__file__).parents[2] / "docs" / "resume.md").read_text("utf-8")
    named = {f"`{BY_NAME[name].flag}`" for name in HARMLESS}
    assert [name for name in sorted(named) if name not in page] == []
