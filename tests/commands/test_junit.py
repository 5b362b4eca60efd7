"""``junit``: the record made again, held against the one that pytest wrote."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema

import pytest_pipeline.commands.junit  # noqa: F401 - else pytester would forget it, and import it for every test
from pytest_pipeline.execution.alive import session_lock
from pytest_pipeline.host.locking import held
from pytest_pipeline.record.model import SessionRecord, TaskRunKey
from pytest_pipeline.record.selection import Selection
from pytest_pipeline.record.store import Store
from tests.cases.test_junit import SCHEMA
from tests.commands.running import command_here
from tests.e2e.world import Project, plan, task
from tests.record.conftest import at

SESSION = "20260101-000000-abcdef"
CONFTEST = """
import pytest

@pytest.fixture
def database():
    raise OSError("no database here")

@pytest.fixture
def absent():
    pytest.skip("nobody has one")
"""
MIXED = plan(
    task("1.1", files=["Create: `a.txt`"], does="echo a > a.txt"),
    task("1.2", verification=["ls nono"], files=["Create: `b.txt`"], does="echo b > b.txt"),
    task("1.3", Dependencies="Task 1.2", does="touch c"),
    task("1.4", Status="completed", does="touch d"),
    task("1.5", does="touch e") + "```yaml pipeline\nmarks: [{usefixtures: [database]}]\n```\n",
    task("1.6", does="touch f") + "```yaml pipeline\nmarks: [{usefixtures: [absent]}]\n```\n",
    task("1.7", files=["Create: `z`"], does="touch g") + "```yaml pipeline\nmarks: [{xfail: []}]\n```\n",
)


def told(file: Path) -> tuple[list[object], list[object]]:
    """Everything of a record but times, hosts and tracebacks: the suite, and the test cases in their order."""
    (suite,) = ElementTree.parse(file).getroot()
    own = {name: suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped")}
    cases = [
        ({name: case.get(name) for name in {*case.keys()} - {"time"}}, [content(each) for each in case])
        for case in suite.iter("testcase")
    ]
    return [own, content(suite[0])], [*cases]


def content(element: ElementTree.Element) -> object:
    return element.tag, dict(element.attrib), (element.text or "").strip(), [content(each) for each in element]


@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
def test_it_is_the_record_that_pytest_wrote(project: Project, family: str) -> None:
    project.write({"plans/p.md": MIXED, "conftest.py": CONFTEST})
    count = {"xunit1": "1", "xunit2": "2"}[family]
    project.run("plans", "--junitxml=record.xml", "-o", f"junit_family={family}", "--count", count)

    ran = command_here(project, "junit", "-o", "again.xml", "-o", f"junit_family={family}")

    cases = 8 * int(count)
    assert (ran.exit_code, ran.errors) == (0, "")
    assert ran.out.startswith(f"{cases} test cases of session ")
    written, again = told(Path("record.xml")), told(Path("again.xml"))
    assert again == written
    assert len(again[1]) == cases
    assert not list(Path().glob(".again*"))


def test_a_criterion_over_sessions_is_told_alike_everywhere(project: Project) -> None:
    project.write({"plans/p.md": plan(task(files=["Create: `a.txt`"], does="echo a > a.txt"))})
    project.run("plans", "--count-history", "2")
    second = project.run("plans", "--count-history", "2", "--junitxml=record.xml")
    assert "criterion met: 2 of 2 consecutive runs" in second.text

    command_here(project, "junit", "-o", "again.xml")
    listed = command_here(project, "sessions")
    shown = command_here(project, "sessions", "show")
    command_here(project, "report", "-o", "page.html")
    verified = command_here(project, "verify", "record.xml")

    assert told(Path("record.xml")) == told(Path("again.xml"))
    assert "2 of 2  met" in listed.lines[-1]
    assert "criterion met: 2 of 2 consecutive runs" in shown.out
    assert "criterion met: 2 of 2 consecutive runs" in Path("page.html").read_text("utf-8")
    assert (verified.exit_code, verified.errors) == (0, "")
    (project.state / "state.db").unlink()
    alone = command_here(project, "verify", "record.xml")
    assert alone.exit_code == 1
    assert alone.lines[0].startswith("CANNOT BE CONFIRMED: The record counts the runs of session 2")


def test_new_draws_of_earlier_sessions_are_confirmed_by_the_store(project: Project, tmp_path: Path) -> None:
    flag = tmp_path / "tried"
    once = f"test -e {flag} && echo a > a.txt || {{ touch {flag}; exit 1; }}"
    project.write({"plans/p.md": plan(task(files=["Create: `a.txt`"], does=once))})
    assert project.run("plans", "--count-history", "2").exit_code == 1
    project.run("plans", "--resume", "--fresh-failures")
    second = project.run("plans", "--count-history", "2", "--junitxml=record.xml")
    assert "criterion met: 2 of 2 consecutive runs (1 run with a new draw)" in second.text

    verified = command_here(project, "verify", "record.xml")

    assert (verified.exit_code, verified.errors) == (0, ""), verified.out


@pytest.mark.parametrize("command", ["junit", "report", "verify"])
def test_a_session_that_is_named_after_an_option_is_told_where_it_belongs(project: Project, command: str) -> None:
    before = {"verify": ["record.xml"]}.get(command, [])
    ran = command_here(project, command, *before, "--forge", "local", SESSION)
    assert ran.exit_code == 4
    assert f"{command} takes its words before its options, and {SESSION!r} stands after one." in ran.errors


@pytest.fixture
def killed(project: Project) -> Iterator[Store]:
    """The store of a session that was killed at the first task of its first run."""
    titles = {("p.md", "1", name): (f"Do \x1b {name}", 3) for name in ("a", "b")}
    nodes = {
        f"p.md::run-{run:02d}::batch-1::{name}": TaskRunKey(SESSION, run, "p.md", "1", name)
        for run in (1, 2)
        for name in ("a", "b")
    }
    facts = Selection.of(nodes, titles, count=2).facts(4)
    with Store.open(f"sqlite:///{project.state / 'state.db'}") as store:
        store.open_session(SessionRecord(SESSION, at(0), 2, 2, facts))
        store.admit_run(SESSION, 1, at(1))
        attempt = store.admit_attempt(TaskRunKey(SESSION, 1, "p.md", "1", "a"), "Do a", at(2))
        store.begin_step(attempt, "agent", at(3))
        yield store


def test_of_a_killed_session_every_item_is_there_once(project: Project, killed: Store) -> None:
    ran = command_here(project, "junit", SESSION)

    assert (ran.exit_code, ran.errors) == (0, "")
    root = ElementTree.fromstring(ran.out)
    cases = list(root.iter("testcase"))
    assert [(each.get("classname"), each.get("name")) for each in cases] == [
        (f"p.md.run-{run:02d}.batch-1", name) for run in (1, 2) for name in ("a", "b")
    ]
    (error,) = root.iter("error")
    assert (
        error.get("message")
        == error.text
        == ("interrupted: The process that carried it out ended before it did in step agent.")
    )
    assert {each.get("message") for each in root.iter("skipped")} == {
        "It was not run: the session ended before its turn came."
    }
    (suite,) = root
    assert (suite.get("tests"), suite.get("errors"), suite.get("skipped")) == ("4", "1", "3")
    assert (suite.get("timestamp"), suite.get("time")) == (at(0).isoformat(), "0.000")
    for case in cases:
        for own in case.findall("properties"):
            case.remove(own)
    xmlschema.XMLSchema(SCHEMA).validate(root)


def test_a_file_that_is_there_is_replaced_at_once(project: Project, killed: Store) -> None:
    project.write({"old.xml": "old"})
    before = Path("old.xml").stat().st_ino
    assert command_here(project, "junit", SESSION, "--output", "old.xml").exit_code == 0
    assert Path("old.xml").stat().st_ino != before
    assert Path("old.xml").read_text().startswith("<?xml")
    assert command_here(project, "junit", SESSION, "-o", "new/deep.xml").exit_code == 0
    assert Path("new/deep.xml").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((SESSION, "b"), 4, "Junit takes one session, not 'b' too."),
        (("2099",), 4, "The store holds no session '2099'. `sessions` lists them all."),
        (("-p", "no:junitxml"), 4, "pytest's own plugin junitxml is switched off here"),
        (("-o", "README.md/x.xml"), 1, "README.md/x.xml cannot be written: "),
    ],
)
def test_what_cannot_be_done_is_told(
    project: Project, killed: Store, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ran = command_here(project, "junit", *arguments)
    assert (ran.exit_code, ran.out) == (code, "")
    assert said in ran.errors


def test_a_session_that_still_runs_has_no_record_yet(project: Project, killed: Store) -> None:
    with held(session_lock(project.state, SESSION)):
        ran = command_here(project, "junit")
    assert (ran.exit_code, ran.errors) == (4, f"ERROR: Session {SESSION} still runs. Wait until it has ended.\n")


def test_without_a_store_there_is_nothing_to_make_it_from(project: Project) -> None:
    ran = command_here(project, "junit")
    assert ran.exit_code == 1
    assert ran.errors.startswith("ERROR: There is no record here yet. Run a plan first")
    assert not project.state.exists()


def test_a_session_of_before_is_told_of(project: Project, killed: Store) -> None:
    with sqlite3.connect(project.state / "state.db") as connection:
        connection.execute("DELETE FROM pipeline_fact")
    ran = command_here(project, "junit")
    assert ran.exit_code == 1
    assert f"does not say which items session {SESSION} had selected" in ran.errors
