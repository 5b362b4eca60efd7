"""From workers and a real store to a picture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from pytest_pipeline.cases.order import CaseKey
from pytest_pipeline.cases.status.looking import Look
from pytest_pipeline.cases.status.picture import THIS_PROCESS, Row
from pytest_pipeline.cases.status.waiting import WaitNote
from pytest_pipeline.cases.status.whereabouts import Whereabouts
from pytest_pipeline.events import ForgeWaiting
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.host.locking import held
from pytest_pipeline.record.model import FINAL_STATE, AttemptId, Outcome, SessionRecord, TaskRunKey
from pytest_pipeline.record.store import Store
from pytest_pipeline.settings import Settings

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
CASES = {
    f"p.md::run-{run:02d}::{task}": CaseKey(run, "p.md", "" if task == FINAL_STATE else "1", task)
    for run in (1, 2, 3)
    for task in ("1", "2", FINAL_STATE)
}


@dataclass
class World:
    """A session with three runs of two tasks."""

    store: Store
    layout: Layout
    time: float = 100.0
    whereabouts: Whereabouts = field(init=False)
    look: Look = field(init=False)

    def __post_init__(self) -> None:
        self.whereabouts = Whereabouts(lambda: self.time)
        settings = Settings(count=3)
        self.look = Look(
            self.store, self.layout, settings, CASES, self.whereabouts, lambda: self.time, lambda: 5000 + self.time
        )

    def begin(self, run: int, task: str, *steps: str, cost: str = "", worker: str = "gw0") -> AttemptId:
        """A worker is in the last of these steps of a task."""
        self.store.admit_run("s", run, NOW)
        attempt = self.store.admit_attempt(TaskRunKey("s", run, "p.md", "1", task), "Title", NOW)
        for step in steps:
            if step != steps[0]:
                self.store.end_step(attempt, steps[steps.index(step) - 1], Outcome.PASSED, "", NOW)
            self.store.begin_step(attempt, step, NOW)
        self.store.note_attempt(attempt, {"cost_usd": cost} if cost else {})
        self.whereabouts.begin(worker, f"p.md::run-{run:02d}::{task}")
        return attempt

    def end(self, attempt: AttemptId, run: int, task: str, step: str, cost: str = "") -> None:
        self.store.end_step(attempt, step, Outcome.PASSED, "", NOW)
        self.store.finish_attempt(attempt, Outcome.PASSED, None, "", {"cost_usd": cost} if cost else {}, NOW)
        self.whereabouts.end("gw0", f"p.md::run-{run:02d}::{task}")

    @property
    def rows(self) -> dict[str, Row]:
        self.look.refresh()
        return {row.worker: row for row in self.look.picture().rows}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Store.open(f"sqlite:///{tmp_path / 'state.db'}") as store:
        store.open_session(SessionRecord("s", NOW, 3, 3))
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        yield World(store, Layout(tmp_path / "state", "s", scratch))


def test_a_worker_without_an_item_is_free(world: World) -> None:
    world.whereabouts.arrive("gw0")
    assert world.rows == {"gw0": Row("gw0")}
    assert world.rows["gw0"].is_free


def test_a_worker_is_in_the_step_that_has_not_ended(world: World) -> None:
    world.begin(2, "1", "prepare", "agent", cost="0.25")
    world.time += 7
    assert world.rows == {"gw0": Row("gw0", 2, "p.md", "1", "agent", "", 7.0, Decimal("0.25"))}


def test_steps_that_ended_between_two_looks_are_not_shown_any_more(world: World) -> None:
    first = world.begin(1, "1", "agent")
    world.begin(2, "1", "prepare", worker="gw1")
    assert {row.step for row in world.rows.values()} == {"agent", "prepare"}
    world.store.end_step(first, "agent", Outcome.PASSED, "", NOW)
    assert {row.step for row in world.rows.values()} == {"", "prepare"}
    world.store.begin_step(first, "verify", NOW)
    assert world.rows["gw0"].step == "verify"


def test_a_worker_has_cost_what_its_tasks_have_also_those_that_have_ended(world: World) -> None:
    world.end(world.begin(1, "1", "agent"), 1, "1", "agent", cost="0.10")
    world.begin(2, "2", "agent", cost="0.05", worker="gw1")
    world.begin(1, "2", "agent", cost="0.20")

    rows = world.rows
    assert (rows["gw0"].cost, rows["gw1"].cost) == (Decimal("0.30"), Decimal("0.05"))
    assert world.look.picture().cost == Decimal("0.35")


def test_a_python_test_is_shown_by_its_node_id(world: World) -> None:
    world.whereabouts.begin("gw0", "test_a.py::test_a")
    world.time += 2
    assert world.rows["gw0"] == Row("gw0", task="test_a.py::test_a", seconds=2.0)


def test_outcomes_are_those_of_tasks_and_the_last_one_counts(world: World) -> None:
    for nodeid, outcome in (
        ("p.md::run-01::1", "failed"),
        ("p.md::run-01::1", "passed"),
        ("p.md::run-01::2", "failed"),
        ("p.md::run-02::1", "skipped"),
        (f"p.md::run-01::{FINAL_STATE}", "failed"),
        ("test_a.py::test_a", "failed"),
    ):
        world.look.note(nodeid, outcome)

    picture = world.look.picture()
    assert (picture.passed, picture.failed, picture.skipped, picture.tasks) == (1, 1, 1, 6)


def test_the_streak_is_that_of_runs_that_have_ended(world: World) -> None:
    for run, outcome in ((1, Outcome.FAILED), (2, Outcome.PASSED), (3, None)):
        world.store.admit_run("s", run, NOW)
        if outcome:
            world.store.finish_run("s", run, outcome, NOW)
    world.look.refresh()
    world.time += 9

    picture = world.look.picture()
    assert (picture.runs, picture.runs_ended, picture.streak, picture.seconds) == (3, 2, 1, 9.0)


@pytest.mark.parametrize(("worker", "name"), [("gw0", "gw0"), (THIS_PROCESS, "")])
def test_a_wait_for_the_forge_is_shown_until_it_is_over(world: World, worker: str, name: str) -> None:
    world.begin(1, "1", "push", worker=worker)
    file = world.layout.wait_file(name)
    file.parent.mkdir(exist_ok=True)
    file.write_text("5130 GitHub wants a pause.")
    assert world.rows[worker].waits == "GitHub wants a pause. (30 s left)"
    world.time += 30
    assert world.rows[worker].waits == ""


@pytest.mark.parametrize("text", ["", "soon", "nan x"])
def test_a_note_that_cannot_be_read_is_none(world: World, text: str) -> None:
    world.begin(1, "1", "push", worker=THIS_PROCESS)
    world.layout.wait_file().write_text(text)
    assert world.rows[THIS_PROCESS].waits == ""


def test_a_process_notes_waits_that_are_worth_it(world: World) -> None:
    note = WaitNote(world.layout.wait_file())
    note.pytest_pipeline_forge_waiting(ForgeWaiting("s", "spacing", 0.5, "Short."))
    assert not note.file.exists()
    note.pytest_pipeline_forge_waiting(ForgeWaiting("s", "spacing", 60.0, "Long."))
    until, _, message = note.file.read_text().partition(" ")
    assert message == "Long."
    assert float(until) - note.file.stat().st_mtime == pytest.approx(60, abs=5)
    WaitNote(note.file / "gone").pytest_pipeline_forge_waiting(ForgeWaiting("s", "spacing", 60.0, "No disk."))


def test_of_two_that_merge_into_one_base_the_one_without_the_lock_waits(world: World) -> None:
    world.begin(1, "1", "merge", worker="gw0")
    world.begin(1, "2", "merge", worker="gw1")
    world.layout.pid_file("gw0").write_text(str(os.getpid()))
    world.layout.pid_file("gw1").write_text("1")
    assert {row.waits for row in world.rows.values()} == {""}

    with held(world.layout.run_lock(1)):
        rows = world.rows
    assert (rows["gw0"].waits, rows["gw1"].waits) == ("", "waits for its turn")


def test_a_lock_that_was_let_go_is_waited_for_by_nobody(world: World) -> None:
    with held(world.layout.run_lock(1)):
        world.begin(1, "2", "merge", worker="gw1")
    world.layout.pid_file("gw1").write_text("1")
    world.begin(1, "1", "outcome", worker="gw0")
    world.layout.pid_file("gw0").write_text(str(os.getpid()))
    assert world.rows["gw1"].waits == ""
