"""What a page of a session shows, and that nothing of what others wrote becomes markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from pytest_pipeline.errors import FailureKind
from pytest_pipeline.record.model import (
    FINAL_STATE,
    AttemptRecord,
    Outcome,
    RunRecord,
    SessionRecord,
    StepRecord,
    TaskRunKey,
    TaskRunRecord,
)
from pytest_pipeline.record.report import pages
from pytest_pipeline.record.report.details import Material, detail
from pytest_pipeline.record.report.picture import Picture, anchor_of, picture
from pytest_pipeline.record.report.plots import plot
from pytest_pipeline.record.standing import stand
from tests.record.conftest import at

EVIL = "<script>alert(1)</script>\"'&\x1b[31m"
ITEMS = json.dumps(
    {
        "width": 2,
        "items": [
            ("p.md", "1", "1.1", "Make it", 3, "p.md::*::batch-1::1.1-make-it", "1-3"),
            ("p.md", "2", "2.1", EVIL, 9, "p.md::*::batch-2::2.1", "1-3"),
            ("p.md", "", FINAL_STATE, "final state", 1, "p.md::*::final-state", "1-3"),
        ],
    }
)
SESSION = SessionRecord("S", at(0), 3, 3, {"items": ITEMS, "agent": EVIL, "base_commit": "b", "plans": "p.md 0"})


def key(run: int, batch: str, task: str) -> TaskRunKey:
    return TaskRunKey("S", run, "p.md", batch, task)


def tried(run: int, task: str, outcome: Outcome, **facts: str) -> TaskRunRecord:
    failed = outcome is Outcome.FAILED
    steps = (StepRecord("agent", at(1), at(3), Outcome.PASSED), StepRecord("verify", at(3), None, detail=EVIL))
    attempt = AttemptRecord(
        1, at(1), outcome, at(4), FailureKind.VERIFICATION if failed else None, EVIL if failed else "", facts, steps
    )
    return TaskRunRecord(key(run, task.partition(".")[0], task), "Make it", outcome, "", (attempt,))


RUNS = (
    RunRecord("S", 1, 1, at(0), Outcome.PASSED, at(60)),
    RunRecord("S", 2, 2, at(60), Outcome.RUNNING),
)
TASKS = (
    tried(1, "1.1", Outcome.PASSED, cost_usd="0.25", pull_request="7", pull_request_url="https://example.org/pull/7"),
    tried(1, "2.1", Outcome.PASSED, pull_request="8", pull_request_url="javascript:alert(1)"),
    tried(2, "1.1", Outcome.FAILED),
    tried(2, "2.1", Outcome.RUNNING),
)


@pytest.fixture
def drawn() -> Picture:
    standing = stand(SESSION, RUNS, Decimal("0.25"), alive=True)
    return picture(standing, RUNS, TASKS, alive=True, now=at(90))


class Reader(HTMLParser):
    """Tags with their attributes, and the texts outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._open[-1:]):
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def whole(drawn: Picture, material: Material | None = None) -> Reader:
    details = [detail(SESSION, each, material or Material()) for each in TASKS]
    return Reader(pages.report(drawn, details, ""))


def cells(drawn: Picture) -> dict[str, list[str]]:
    return {
        row.title if row.title == "final state" else row.name: [cell.state if cell else "" for cell in row.cells]
        for row in drawn.plans[0].rows
    }


def test_the_matrix_holds_what_was_selected_also_before_it_begins(drawn: Picture) -> None:
    assert cells(drawn) == {
        "1.1": ["passed", "failed", "waiting"],
        "2.1": ["passed", "running", "waiting"],
        "final state": ["waiting", "waiting", "waiting"],
    }
    assert [(run.number, run.state) for run in drawn.runs] == [(1, "passed"), (2, "running"), (3, "waiting")]
    assert (drawn.passed, drawn.failed, drawn.total) == (2, 1, 6)
    assert drawn.verdict == "1 of 3 consecutive runs so far"
    assert drawn.sentences[0] == "streak: 1, longest 1; 2 runs admitted: 1 successful, 0 failed, 1 unfinished"
    assert drawn.sentences[1].startswith("evidence: 1 of 1 whole runs succeeded")


def test_a_session_under_chaos_is_never_shown_as_met() -> None:
    shaken = SessionRecord("S", at(0), 1, 1, {"chaos": "seed 3, rate 0.2"}, at(60), 1, False, 0)
    standing = stand(shaken, RUNS[:1], Decimal(), alive=False)
    found = picture(standing, RUNS[:1], TASKS[:2], alive=False, now=at(90))
    assert found.verdict == "criterion not met: a session under chaos never meets one (seed 3, rate 0.2)"
    assert found.sentences[1] == "evidence: 1 of 1 whole runs succeeded under chaos, which proves no success rate."


def test_a_cell_says_in_words_what_it_means(drawn: Picture) -> None:
    running = drawn.plans[0].rows[1].cells[1]
    assert running is not None
    assert running.label == f"run 2, task 2.1, {EVIL}: under way, in step verify"


def test_a_session_that_does_not_tell_its_selection_shows_what_was_begun() -> None:
    old = SessionRecord("S", at(0), 1, 1, {})
    found = picture(stand(old, RUNS, Decimal(), alive=False), RUNS, TASKS, alive=False, now=at(90))
    assert cells(found) == {"1.1": ["passed", "failed"], "2.1": ["passed", "running"]}
    assert found.verdict == "0 of 1 consecutive runs until its process ended"


def test_each_cell_leads_to_its_details(drawn: Picture) -> None:
    page = whole(drawn)
    led = {str(each["href"]) for each in page.all("a") if each.get("class", "").startswith("cell")}  # type: ignore[union-attr]
    assert led == {f"#{anchor_of(each.key)}" for each in TASKS}
    assert led == {f"#{each['id']}" for each in page.all("details") if each.get("class") == "task"}


def test_what_others_wrote_is_shown_and_never_becomes_markup(drawn: Picture) -> None:
    page = whole(drawn, Material(transcript=lambda _: EVIL, diff=lambda _: f"+{EVIL}\n-<b>x</b>"))
    shown = EVIL.replace("\x1b", r"\x1b")
    assert len(page.all("script")) == 1
    assert not page.all("b")
    assert "".join(page.texts).count(shown) >= 4 * 3  # message, step, transcript, diff of each
    assert all(str(each.get("href")).startswith(("#", "https://example.org/pull/7")) for each in page.all("a"))


def test_a_report_needs_nothing_else_and_runs_only_our_own_script(drawn: Picture) -> None:
    page = whole(drawn)
    assert not page.all("link")
    assert not page.all("img")
    assert not [each["href"] for each in page.all("a") if str(each["href"]).startswith("/")]
    assert all("src" not in each for each in page.all("script"))
    [policy] = [each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    for text in (pages.style(), pages.script()):
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in str(policy)
    assert "unsafe" not in str(policy)
    assert re.search(r"url\(|@import|//[a-z]", pages.style()) is None


def test_runs_are_plotted_as_far_as_they_are_known(drawn: Picture) -> None:
    [times, costs] = pages.plots(drawn)
    assert [(bar.number, bar.text) for bar in times.bars] == [(1, "1 min 0 s")]
    assert [(bar.number, bar.text) for bar in costs.bars] == [(1, "0.25 USD")]


def test_bars_are_as_high_as_their_values(drawn: Picture) -> None:
    found = plot("t", [(1, "passed", 2.0, "2"), (2, "passed", 1.0, "1"), (3, "failed", 0.0, "0")])
    assert found is not None
    assert [bar.height / found.height for bar in found.bars] == [1.0, 0.5, 0.0]
    assert all(bar.y + bar.height == found.height for bar in found.bars)
    assert found.top == "2"
    assert plot("t", [(1, "passed", 0.0, "0")]) is None


def test_a_cost_that_nobody_told_is_unknown(drawn: Picture) -> None:
    silent = [tried(1, "1.1", Outcome.PASSED)]
    found = picture(stand(SESSION, RUNS, Decimal(), alive=True), RUNS, silent, alive=True, now=at(90))
    assert found.cost is None
    assert "unknown" in pages.overview(found)


def test_the_list_tells_each_session_and_leads_to_it() -> None:
    page = Reader(pages.sessions_page([stand(SESSION, RUNS, Decimal("1.5"), alive=False)], at(90), "/?page=2"))
    assert [each["href"] for each in page.all("a")][2:] == ["/sessions/S", "/?page=2", "/docs"]
    text = " ".join(page.texts)
    assert "unfinished" in text
    assert "0 of 3" in text
    assert "1.50 USD" in text


def test_chaos_and_rehearsals_are_labelled() -> None:
    labelled = SessionRecord("S", at(0), 3, 3, {**SESSION.facts, "chaos": "seed 7", "rehearsal": "scripted"})
    found = picture(stand(labelled, RUNS, Decimal(), alive=True), RUNS, TASKS, alive=True, now=at(90))
    for page in (pages.overview(found), pages.session_page(found)):
        assert "chaos: seed 7" in page
        assert "rehearsal: scripted" in page


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(None, ""), (0.04, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (3600 * 2 + 61, "2 h 1 min")],
)
def test_times_for_people(seconds: float | None, told: str) -> None:
    assert pages.duration(seconds) == told


def test_a_session_that_goes_on_or_may_go_on_is_kept_up_to_date(drawn: Picture) -> None:
    ended = SessionRecord("S", at(0), 3, 3, SESSION.facts, at(0) + timedelta(hours=1), 0, False, 1)
    over, interrupted, killed = (
        picture(stand(each, RUNS, Decimal(), alive=False), RUNS, TASKS, alive=False, now=at(90))
        for each in (ended, replace(ended, exit_code=2), SESSION)
    )
    assert 'data-watch="alive"' in pages.session_page(drawn)
    assert 'data-watch="alive"' in pages.overview(drawn)
    assert all('data-watch="left"' in pages.session_page(each) for each in (interrupted, killed))
    assert "data-watch" not in pages.session_page(over)
    assert over.seconds == 3600
