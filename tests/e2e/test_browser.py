"""The page and the report in a real browser: what a person sees, hears and can reach by keys."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, expect, sync_playwright

from pytest_pipeline.execution.alive import session_lock
from pytest_pipeline.host.locking import Lock
from pytest_pipeline.record.model import Outcome, SessionRecord
from pytest_pipeline.record.report.details import Material, detail
from pytest_pipeline.record.report.pages import report
from pytest_pipeline.record.report.picture import picture
from pytest_pipeline.record.selection import Selection
from pytest_pipeline.record.standing import stand
from pytest_pipeline.record.store import Store
from tests.server.serving import TOKEN, Project, Told, now, serving

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="There is no Chromium here: install Debian's chromium.")

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTHS = {"phone": 390, "desk": 1280}
LOUD = "<img src=x onerror=alert(1)>"

# Everything that a person can reach or that stands for something must have a name.
UNNAMED = """
() => [...document.querySelectorAll('a, button, input, summary, [role=img], [role=region], svg, th[scope]')]
  .filter(each => !(each.ariaLabel || each.textContent.trim() || each.labels?.length
    || each.getAttribute('aria-labelledby') || each.closest('[aria-hidden=true]')))
  .map(each => each.outerHTML.slice(0, 120))
"""

# Contrast of text with what is behind it, by the formula of WCAG 2.2, 1.4.3.
FAINT = """
() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = each => {
    for (let at = each; at; at = at.parentElement) {
      const found = parse(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('main *')]
    .filter(each => [...each.childNodes].some(child => child.nodeType === 3 && child.textContent.trim()))
    .filter(each => each.checkVisibility())
    .map(each => {
      const [a, b] = [parse(getComputedStyle(each).color), behind(each)].map(light).sort((x, y) => y - x);
      return [(a + .05) / (b + .05), each.outerHTML.slice(0, 100)];
    })
    .filter(([ratio]) => ratio < 4.5)
    .map(([ratio, text]) => `${ratio.toFixed(2)} ${text}`);
}
"""


@dataclass
class Window:
    """A page that remembers what went wrong in it."""

    page: Page
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", self._asked)

    def _asked(self, dialog: Dialog) -> None:
        self.wrong.append("a dialog")
        dialog.dismiss()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(message.text)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def window(browser: Browser) -> Iterator[Window]:
    context = browser.new_context()
    window = Window(context.new_page())
    yield window
    context.close()
    assert window.wrong == []


def selection(session: str) -> Mapping[str, str]:
    """Three tasks in three runs."""
    found = Selection.of(
        {
            f"plans/two.md::run-0{run}::{task}": Told(None, session).key(task, run)  # type: ignore[arg-type]
            for run in (1, 2, 3)
            for task in ("1.1", "1.2", "2.1")
        },
        {("plans/two.md", task[0], task): (f"Title of {task} {LOUD}", 1) for task in ("1.1", "1.2", "2.1")},
        count=3,
    )
    return found.facts(9)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def held(project: Project) -> Iterator[ExitStack]:
    """The lock of the session is held by this process, as its pytest would, until this is closed."""
    with ExitStack() as held:
        held.callback(taken(project).close)
        yield held


def taken(project: Project) -> Lock:
    lock = Lock.take(session_lock(project.state, "S"))
    assert lock is not None
    return lock


@pytest.fixture
def told(project: Project, held: ExitStack) -> Iterator[Told]:
    """A session that is under way."""
    with Store.open(project.url) as store:
        store.open_session(SessionRecord("S", now(), 3, 3, {"agent": "reference", **selection("S")}))
        yield Told(store, "S")


@pytest.fixture
def client(project: Project) -> Iterator[httpx.Client]:
    with serving(project.place()) as client:
        yield client


def let_in(window: Window, client: httpx.Client) -> Page:
    page = window.page
    page.goto(str(client.base_url))
    window.wrong.clear()  # the browser tells of the 401 that brought the form
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", name="Sessions")).to_be_visible()
    return page


def test_a_session_fills_up_before_the_eyes_of_who_watches(window: Window, client: httpx.Client, told: Told) -> None:
    page = let_in(window, client)
    page.get_by_role("link", name="S", exact=True).click()
    waiting = page.get_by_role("img", name="run 1, task 1.1, Title of 1.1")
    expect(waiting).to_have_accessible_name(f"run 1, task 1.1, Title of 1.1 {LOUD}: not begun")

    told.task("1.1", Outcome.RUNNING)
    running = page.get_by_role("link", name=f"run 1, task 1.1, Title of 1.1 {LOUD}: under way, in step agent")
    expect(running).to_be_visible()
    told.task("1.2", facts={"cost_usd": "1.25"})
    expect(page.get_by_role("link", name=f"run 1, task 1.2, Title of 1.2 {LOUD}: passed")).to_be_visible()
    expect(page.get_by_text("1.25 USD").first).to_be_visible()

    told.close(1)
    expect(page.get_by_role("status")).to_have_text("The session has ended.")
    page.get_by_role("link", name=f"Title of 1.2 {LOUD}: passed").click()
    expect(page.get_by_role("heading", name="Task 1.2")).to_be_visible()


def test_a_session_that_is_taken_up_again_goes_on_before_the_eyes_of_who_has_it_open(
    window: Window, client: httpx.Client, project: Project, held: ExitStack, told: Told
) -> None:
    held.close()  # its pytest is gone
    page = let_in(window, client)
    page.goto(f"{client.base_url}/sessions/S")
    expect(page.get_by_text("unfinished").first).to_be_visible()

    held.callback(taken(project).close)
    told.task("1.1", Outcome.RUNNING)
    running = page.get_by_role("link", name="under way, in step agent")
    expect(running).to_be_visible(timeout=30_000)
    held.close()
    expect(page.get_by_role("status")).to_have_text("The session was left unfinished.")


def test_a_server_that_is_gone_is_told_and_not_an_error(window: Window, project: Project, told: Told) -> None:
    with serving(project.place()) as client:
        page = let_in(window, client)
        page.goto(f"{client.base_url}/sessions/S")
        expect(page.get_by_role("heading", name="Runs and tasks")).to_be_visible()
        page.set_viewport_size({"width": WIDTHS["phone"], "height": 400})
    expect(page.get_by_role("status")).to_have_text("The server does not answer; what you see may be old.")
    expect(page.get_by_role("status")).to_be_in_viewport()
    window.wrong[:] = [each for each in window.wrong if "ERR_CONNECTION" not in each]  # what the browser says itself


def test_who_asks_for_the_interface_gives_the_token_and_reads_of_it(window: Window, client: httpx.Client) -> None:
    page = window.page
    page.goto(f"{client.base_url}/docs")
    window.wrong.clear()  # the browser tells of the 401 that brought the form
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", name="POST /api/v1/autonomous/start")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('section')).borderTopStyle") == "solid"
    assert page.evaluate(UNNAMED) == []
    page.get_by_role("link", name="Sessions").click()
    page.get_by_role("link", name="The interface for programs").click()
    page.get_by_role("link", name="/openapi.json").click()
    expect(page.get_by_text('"openapi":"3.')).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_can_be_read_and_reached_whatever_the_screen(
    window: Window, client: httpx.Client, told: Told, scheme: Literal["light", "dark"], width: str
) -> None:
    told.task("1.1", facts={"cost_usd": "1"})
    told.task("1.2", Outcome.FAILED, message=f"It {LOUD} broke.")
    told.task("2.1", Outcome.RUNNING)
    window.page.emulate_media(color_scheme=scheme)
    window.page.set_viewport_size({"width": WIDTHS[width], "height": 800})
    page = let_in(window, client)

    for path in ("/", "/sessions/S"):
        page.goto(f"{client.base_url}{path}")
        assert page.evaluate(UNNAMED) == []
        assert page.evaluate(FAINT) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("link", name="task 1.2").click()
    expect(page.get_by_text(f"It {LOUD} broke.").first).to_be_visible()
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(FAINT) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_report_needs_no_server_and_can_be_used_by_keys(window: Window, told: Told, tmp_path: Path) -> None:
    told.task("1.1", facts={"cost_usd": "1"})
    told.task("1.2", Outcome.FAILED, message=LOUD)
    store = told.store
    session, runs, task_runs = store.session("S"), store.runs("S"), store.task_runs("S")
    drawn = picture(stand(session, runs, store.cost("S"), alive=False), runs, task_runs, alive=False, now=now())
    material = Material(transcript=lambda _: LOUD, diff=lambda _: f"@@ -1 +1 @@\n-{LOUD}\n+new")
    file = tmp_path / "report.html"
    file.write_text(report(drawn, [detail(session, each, material) for each in task_runs], ""), "utf-8")

    page = window.page
    page.goto(file.as_uri())
    first = page.get_by_role("link", name="task 1.1")
    first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="task 1.2")).to_be_focused()
    page.keyboard.press("Enter")
    opened = page.locator("details.task[open]")
    expect(opened).to_have_count(1)
    expect(opened.get_by_text("Task 1.2")).to_be_visible()
    opened.get_by_text("What the agent printed").click()
    expect(opened.get_by_text(LOUD).last).to_be_visible()
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(FAINT) == []
