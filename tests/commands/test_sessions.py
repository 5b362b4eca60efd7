"""``sessions``: the list, and one session in full; the store is written as sessions write it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import pytest_pipeline.commands.sessions  # noqa: F401 - else pytester would forget it, and import it for every test
from pytest_pipeline.commands.tables import show_table
from pytest_pipeline.errors import FailureKind
from pytest_pipeline.execution.alive import session_lock
from pytest_pipeline.host.locking import held
from pytest_pipeline.record.model import Outcome, SessionRecord, TaskRunKey
from pytest_pipeline.record.store import Store
from tests.commands.running import command_here
from tests.e2e.world import Project

OLD, NEW = "20260101-000000-aaaaaa", "20260102-000000-bbbbbb"
WORDS_FIRST = "python -m pytest_pipeline sessions takes its words before its options"
URL = "https://forge/pull/7"


@pytest.fixture
def store(project: Project) -> Iterator[Store]:
    """A session of two hours ago that failed, and one of now that has not ended."""
    now = datetime.now(timezone.utc)
    began = now - timedelta(hours=2, seconds=5)
    facts = {"agent": "claude", "model": "m-1", "forge": "github", "plans": "p.md 0123", "items": "{}"}
    with Store.open(f"sqlite:///{project.state / 'state.db'}") as store:
        store.open_session(SessionRecord(OLD, began, 2, 2, facts))
        for run, outcome in ((1, Outcome.FAILED), (2, Outcome.PASSED)):
            store.admit_run(OLD, run, began)
            attempt = store.admit_attempt(TaskRunKey(OLD, run, "p.md", "1", "1.1"), "Make \x1b it", began)
            store.begin_step(attempt, "agent", began)
            store.end_step(attempt, "agent", outcome, "", began + timedelta(seconds=3))
            kind, said = (FailureKind.AGENT, "It\nbroke.") if outcome is Outcome.FAILED else (None, "")
            properties = {"cost_usd": "1.25", "report": "{}"}
            if kind is None:
                properties |= {"pull_request_url": URL, "pull_request_state": "merged", "merge_commit": "c" * 40}
            store.finish_attempt(attempt, outcome, kind, said, properties, began + timedelta(seconds=4))
            store.finish_run(OLD, run, outcome, began + timedelta(seconds=5))
        store.close_session(OLD, streak=1, met=False, exit_code=1, finished=began + timedelta(seconds=6))
        store.open_session(SessionRecord(NEW, now, 1, 1, {"agent": "reference"}))
        store.admit_run(NEW, 1, now)
        store.skip_task_run(TaskRunKey(NEW, 1, "p.md", "1", "1.1"), "Make it", Outcome.SKIPPED, "No reason.")
        yield store


def told(project: Project, *arguments: str) -> Any:  # noqa: ANN401 - JSON
    ran = command_here(project, "sessions", *arguments, "--json")
    assert (ran.exit_code, ran.errors) == (0, "")
    return json.loads(ran.out)


def test_sessions_are_listed_with_state_streak_cost_and_age(project: Project, store: Store) -> None:
    ran = command_here(project, "sessions")
    assert (ran.exit_code, ran.errors) == (0, "")
    headings, first, second = [re.split(r"\s{2,}", line) for line in ran.lines]
    assert headings == ["session", "state", "streak", "criterion", "cost", "age", "agent"]
    assert first == [OLD, "failed", "1 of 2", "not met", "2.50 USD", "2h", "claude"]
    assert second[:5] == [NEW, "unfinished", "0 of 1", "not met", "0.00 USD"]


def test_a_session_under_chaos_is_listed_as_one(project: Project, store: Store) -> None:
    store.fact(OLD, "chaos", "seed 7, rate 0.2")
    assert [re.split(r"\s{2,}", line)[1] for line in command_here(project, "sessions").lines[1:]] == [
        "failed (chaos)",
        "unfinished",
    ]
    assert [each["state"] for each in told(project)] == ["failed", "unfinished"]


def test_a_session_that_a_process_carries_on_is_running(project: Project, store: Store) -> None:
    with held(session_lock(project.state, NEW)):
        assert [each["state"] for each in told(project)] == ["failed", "running"]
    assert [each["state"] for each in told(project)] == ["failed", "unfinished"]


def test_the_list_for_programs_has_keys_that_stay(project: Project, store: Store) -> None:
    first, _ = told(project)
    assert list(first) == [
        "id", "state", "started", "finished", "age", "seconds", "required", "count", "admitted", "successful",
        "streak", "met", "exit_code", "cost_usd", "facts",
    ]  # fmt: skip
    assert (first["id"], first["streak"], first["met"], first["cost_usd"]) == (OLD, 1, False, "2.50")
    assert (first["seconds"], first["exit_code"]) == (6.0, 1)
    assert first["age"] >= 7200
    assert first["facts"] == {"agent": "claude", "model": "m-1", "forge": "github", "plans": "p.md 0123"}


def test_one_is_shown_in_full(project: Project, store: Store) -> None:
    ran = command_here(project, "sessions", "show", OLD[:9])

    assert (ran.exit_code, ran.errors) == (0, "")
    assert ran.lines[:2] == [f"session {OLD}", "  state         failed"]
    assert "  model         m-1" in ran.lines
    assert "items" not in ran.out
    assert ["1", "failed", "5.0 s"] in [line.split(maxsplit=2) for line in ran.lines]
    assert any(line.startswith("criterion not met: 1 of 2 consecutive runs") for line in ran.lines)
    place = ran.lines.index("run 1, p.md: 1.1 Make \\x1b it: failed")
    assert ran.lines[place + 1 : place + 5] == [
        "  attempt 1: failed, agent, 4.0 s",
        "    steps: agent failed 3.0 s",
        "    cost: 1.25 USD",
        "    failure: It broke.",
    ]
    place = ran.lines.index("run 2, p.md: 1.1 Make \\x1b it: passed")
    assert f"    pull request: {URL} merged" in ran.lines[place:]
    assert f"    merge commit: {'c' * 40}" in ran.lines[place:]


def test_the_latest_one_is_shown_where_none_is_named(project: Project, store: Store) -> None:
    ran = command_here(project, "sessions", "show")
    assert ran.lines[0] == f"session {NEW}"
    assert "run 1, p.md: 1.1 Make it: skipped: No reason." in ran.lines
    assert ["1", "running", "not ended"] in [line.split(maxsplit=2) for line in ran.lines]
    assert told(project, "show", "latest")["id"] == NEW


def test_one_in_full_for_programs(project: Project, store: Store) -> None:
    found = told(project, "show", OLD)
    assert found["runs"][0].keys() == {"number", "admitted", "outcome", "started", "finished"}
    first, second = found["task_runs"]
    assert first.keys() == {"run", "plan", "batch", "task", "title", "outcome", "reason", "attempts"}
    (attempt,) = first["attempts"]
    assert (attempt["failure_kind"], attempt["message"]) == ("agent", "It\nbroke.")
    assert attempt["properties"] == {"cost_usd": "1.25"}
    assert [(step["name"], step["outcome"], step["detail"]) for step in attempt["steps"]] == [("agent", "failed", None)]
    assert second["attempts"][0]["properties"]["merge_commit"] == "c" * 40


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "2026010"), "'2026010' is the beginning of 2 sessions: "),
        (("show", "2027"), "The store holds no session '2027'. `sessions` lists them all."),
        (("show", ""), "The store holds no session ''."),
        (("list",), "Sessions takes nothing or `show SESSION`, not 'list'."),
        (("show", OLD, NEW), "Sessions takes nothing or `show SESSION`, not"),
        (("show", "--json", OLD), f"{WORDS_FIRST}, and {OLD!r} stands after one. Put it before all options; "),
        (("--json", "show"), f"{WORDS_FIRST}, and 'show' stands after one."),
    ],
)
def test_what_names_no_session_is_told(project: Project, store: Store, arguments: tuple[str, ...], said: str) -> None:
    ran = command_here(project, "sessions", *arguments)
    assert (ran.exit_code, ran.out) == (4, "")
    assert ran.errors.startswith(f"ERROR: {said}")


def test_a_project_without_a_store_has_none_and_gets_none(project: Project) -> None:
    assert command_here(project, "sessions").lines == ["There is no session here yet. Run a plan first."]
    assert told(project) == []
    assert command_here(project, "sessions", "show").exit_code == 1
    assert not project.state.exists()


def test_every_key_for_programs_is_documented(project: Project, store: Store) -> None:
    page = (Path(__file__).parents[2] / "docs" / "record.md").read_text("utf-8")
    found = told(project, "show", OLD)
    task_run = found["task_runs"][0]
    attempt = task_run["attempts"][0]
    for keys in (found, found["runs"][0], task_run, attempt, attempt["steps"][0]):
        for key in keys:
            assert re.search(rf"^\| `{key}` \|", page, re.MULTILINE), key


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_in_a_terminal_it_is_a_table_of_colours_in_which_no_id_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    show_table(("session", "state", "agent"), [(OLD, "failed", "[b]claude\x1b[31m (rehearsal), and many more words")])
    text = terminal.getvalue()
    assert OLD in text
    assert "\x1b[31mfailed" in text
    assert "[b]claude\\x1b[31m" in text
