"""``verify``: records that are honest, and records and worlds that somebody has changed afterwards."""

from __future__ import annotations

import copy
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

import pytest_pipeline.commands.verify  # noqa: F401 - else pytester would forget it, and import it for every test
from pytest_pipeline.execution.alive import session_lock
from pytest_pipeline.host.locking import held
from tests.commands.running import Told, command_here
from tests.e2e.world import QUIET, Project, plan, task
from tests.host.git_world import ENVIRONMENT, git, source_repository

PLAN = plan(
    task("1.1", files=["Create: `a.txt`"], does="echo a > a.txt"),
    task("1.2", files=["Create: `b.txt`"], does="echo b > b.txt", verification=["test ! -e b.txt"]),
    task("1.3", files=["Modify: `a.txt`"], does="echo c >> a.txt"),
    task("1.4", does="true", expect="no changes"),
    task("1.5", does="true", Status="completed"),
)


@dataclass(frozen=True)
class World:
    """A project whose session of two runs has ended; of each, task 1.2 failed.

    Args:
        project: the project, the current directory.
        tree: the record of that session.
    """

    project: Project
    tree: ElementTree.Element

    @property
    def session(self) -> str:
        return self.suite("session").get("value", "")

    @property
    def forge(self) -> Path:
        return self.project.state / "forge.git"

    def base(self, run: int = 1) -> str:
        return f"refs/heads/pipeline/{self.session}/run-{run:02d}/base"

    def suite(self, name: str) -> ElementTree.Element:
        (found,) = self.tree.findall(f"testsuite/properties/property[@name='pipeline.{name}']")
        return found

    def case(self, task: str = "1.1", run: int = 1) -> ElementTree.Element:
        cases = self.tree.iter("testcase")
        (found,) = [each for each in cases if (self.fact(each, "task"), self.fact(each, "run")) == (task, str(run))]
        return found

    def fact(self, case: ElementTree.Element, name: str) -> str:
        found = case.find(f"properties/property[@name='pipeline.{name}']")
        return "" if found is None else found.get("value", "")

    def change(self, name: str, value: str | None, task: str = "1.1", run: int = 1) -> None:
        """Change a property of a test case, add it, or take it out."""
        properties = self.case(task, run).find("properties")
        assert properties is not None
        for each in properties.findall(f"property[@name='pipeline.{name}']"):
            properties.remove(each)
        if value is not None:
            ElementTree.SubElement(properties, "property", name=f"pipeline.{name}", value=value)

    def count(self, total: str, change: int) -> None:
        suite = self.tree.find("testsuite")
        assert suite is not None
        suite.set(total, str(int(suite.get(total, "")) + change))

    def pass_off(self, task: str) -> None:
        """Edit a failed task into one that passed."""
        self.change("outcome", "passed", task)
        self.change("failure_kind", None, task)
        case = self.case(task)
        for failure in case.findall("failure"):
            case.remove(failure)
            self.count("failures", -1)

    def fail(self, case: ElementTree.Element) -> None:
        """Let a test case that passed have failed, as one whose worker was killed."""
        for each in case.findall("properties/property[@name='pipeline.outcome']"):
            each.set("value", "failed")
        properties = case.find("properties")
        assert properties is not None
        ElementTree.SubElement(properties, "property", name="pipeline.failure_kind", value="infrastructure")
        ElementTree.SubElement(case, "failure", message="The worker was killed.")
        self.count("failures", 1)

    def verify(self, *arguments: str) -> Told:
        ElementTree.ElementTree(self.tree).write(self.project.path / "record.xml")
        return command_here(self.project, "verify", "record.xml", *arguments)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of such a project; tests copy it."""
    place = tmp_path_factory.mktemp("ended") / "project"
    files = {"README.md": "", ".gitignore": ".pipeline\n", "plans/p.md": PLAN, "pytest.ini": "[pytest]\n"}
    source_repository(place, files)
    arguments = ("--agent", "reference", "--count", "2", "--junitxml", "record.xml", "plans")
    around = {**ENVIRONMENT, "TMPDIR": str(place.parent)}  # it keeps the workspace of what has failed
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *QUIET, *arguments], cwd=place, env=around, capture_output=True, text=True
    )
    assert ran.returncode == 1, ran.stdout
    return place


@pytest.fixture
def world(ended: Path, pytester: pytest.Pytester, tmp_path: Path) -> World:
    shutil.copytree(ended, pytester.path, dirs_exist_ok=True, symlinks=True)
    tree = ElementTree.parse(pytester.path / "record.xml").getroot()
    return World(Project(pytester, tmp_path, tmp_path), tree)


def foreign_commit(world: World, message: str) -> str:
    """Push something to the base of run 1."""
    base = world.base()
    commit = git(world.forge, "commit-tree", f"{base}^{{tree}}", "-p", base, "-m", message)
    git(world.forge, "update-ref", base, commit)
    return commit


def test_an_honest_record_is_confirmed_with_its_figures(world: World) -> None:
    before = sorted(world.project.state.rglob("*"))

    told = world.verify()

    assert (told.exit_code, told.errors) == (0, "")
    assert told.lines == [
        f"Everything is confirmed. Of session {world.session}, with 12 test cases, these are as the record says: base "
        "branches 2, merges 4, pull requests 4."
    ]
    assert sorted(world.project.state.rglob("*")) == before


def test_so_is_the_session_as_the_store_tells_it(world: World) -> None:
    told = command_here(world.project, "verify", world.session[:13])
    assert (told.exit_code, told.errors) == (0, "")
    assert "merges 4, pull requests 4." in told.out


def test_a_record_needs_no_store(world: World) -> None:
    (world.project.state / "state.db").unlink()
    assert world.verify().exit_code == 0


def test_a_task_that_failed_after_its_merge_answers_for_its_files(world: World) -> None:
    world.fail(world.case("1.3"))  # it has changed what 1.1 had created

    told = world.verify()

    assert (told.exit_code, told.errors) == (0, "")
    assert "merges 4, pull requests 4." in told.out


@pytest.mark.parametrize(
    "left",
    [
        {"pull_request_state": "open", "merge_commit": None},
        {"pull_request_state": None, "merge_commit": None, "pull_request": None, "pull_request_url": None},
        {},
    ],
    ids=["left open", "not opened", "merged"],
)
def test_what_an_attempt_had_begun_a_later_one_may_have_ended(world: World, left: dict[str, str | None]) -> None:
    later, suite = world.case("1.1"), world.tree.find("testsuite")
    earlier = copy.deepcopy(later)
    world.change("attempt", "2")
    world.change("draws", "1")
    assert suite is not None
    suite.append(earlier)
    world.count("tests", 1)
    world.fail(earlier)
    properties = earlier.find("properties")
    assert properties is not None
    for name, value in left.items():
        (told_before,) = properties.findall(f"property[@name='pipeline.{name}']")
        if value is None:
            properties.remove(told_before)
        else:
            told_before.set("value", value)

    told = world.verify()

    assert (told.exit_code, told.errors) == (0, "")
    assert "merges 4, pull requests 4." in told.out


def missing(world: World) -> None:
    suite = world.tree.find("testsuite")
    assert suite is not None
    suite.remove(world.case("1.2", 2))
    world.count("failures", -1)


def doubled(world: World) -> None:
    suite = world.tree.find("testsuite")
    assert suite is not None
    suite.append(world.case("1.1"))


def of_another_session(world: World) -> None:
    own, other = world.session, "20200101-000000-abcdef"
    for each in world.tree.iter("property"):
        each.set("value", each.get("value", "").replace(own, other))


def exchanged(world: World) -> None:
    """The two runs exchange what they say of task 1.1."""
    names = ("commit", "merge_commit")
    values = [[world.fact(world.case("1.1", run), name) for name in names] for run in (1, 2)]
    for run, those in ((1, values[1]), (2, values[0])):
        for name, value in zip(names, those, strict=True):
            world.change(name, value, "1.1", run)


def unrun(world: World) -> None:
    """Run 2 is said never to have begun."""
    for name in ("1.1", "1.2", "1.3", "1.4", "final-state"):
        case = world.case(name, 2)
        for failure in case.findall("failure"):
            case.remove(failure)
            world.count("failures", -1)
        ElementTree.SubElement(case, "skipped")
        world.count("skipped", 1)
        for fact, value in (("outcome", "skipped"), ("attempt", None), ("failure_kind", None)):
            world.change(fact, value, name, 2)
    world.suite("runs.admitted").set("value", "1")


def over_sessions(history: str) -> Callable[[World], None]:
    """A criterion that is met by a streak over several sessions."""

    def tamper(world: World) -> None:
        told = {"criterion.required": "10", "criterion.streak": "10", "criterion.met": "yes", "runs.admitted": "12"}
        for name, value in told.items():
            world.suite(name).set("value", value)
        properties = world.tree.find("testsuite/properties")
        assert properties is not None
        named = history.replace("OWN", world.session)
        ElementTree.SubElement(properties, "property", name="pipeline.history", value=named)

    return tamper


def based_elsewhere(world: World) -> None:
    for each in world.tree.iter("property"):
        if each.get("name") == "pipeline.base_commit":
            each.set("value", "e" * 40)


TAMPERED: dict[str, tuple[Callable[[World], object], str]] = {
    "failed task passed off": (
        lambda world: world.pass_off("1.2"),
        "Task 1.2 of batch 1 of plans/p.md in run 1 is passed in the record, and names no pull request.",
    ),
    "failed task called completed": (
        lambda world: world.change("outcome", "completed", "1.2"),
        "Task 1.2 of batch 1 of plans/p.md in run 1 is completed in the record; the plan does not say so.",
    ),
    "wrong merge commit": (
        lambda world: world.change("merge_commit", "a" * 40),
        f"Task 1.1 of batch 1 of plans/p.md in run 1 names the merge commit {'a' * 40}; pipeline/",
    ),
    "no merge commit": (
        lambda world: world.change("merge_commit", None),
        "Task 1.1 of batch 1 of plans/p.md in run 1 is passed in the record, and names no merge commit.",
    ),
    "wrong commit": (
        lambda world: world.change("commit", "b" * 40),
        f"; the record says {'b' * 40}.",
    ),
    "wrong parent": (
        lambda world: world.change("parent_commit", "c" * 40),
        f"The task run of task 1.1 of batch 1 of plans/p.md in run 1 started from {'c' * 40} by the record",
    ),
    "wrong merge base": (lambda world: world.change("merge_base", "d" * 40), f"; the record says {'d' * 40}."),
    "wrong base commit of a task": (
        lambda world: world.change("base_commit", "e" * 40),
        f"Task 1.1 of batch 1 of plans/p.md in run 1 names the base commit {'e' * 40}; that of the record is ",
    ),
    "wrong base commit of all": (
        based_elsewhere,
        f"does not start from {'e' * 40}, the base commit of the record.",
    ),
    "no base commit": (
        lambda world: world.suite("base_commit").set("value", "HEAD"),
        "The record names 'HEAD' as its base commit, which is none.",
    ),
    "wrong branch": (lambda world: world.change("branch", "main"), " names the branch main; its own is pipeline/"),
    "wrong base branch": (
        lambda world: world.change("base_branch", "main"),
        " names the base branch main; that of its run is pipeline/",
    ),
    "number of another pull request": (
        lambda world: world.change("pull_request", "2"),
        "The pull request of task 1.1 of batch 1 of plans/p.md in run 1 has the number 1; the record says 2.",
    ),
    "address of another pull request": (
        lambda world: world.change("pull_request_url", "local://forge/pull/2"),
        "has the address local://forge/pull/1; the record says local://forge/pull/2.",
    ),
    "merged called open": (
        lambda world: world.change("pull_request_state", "open"),
        "of task 1.1 of batch 1 of plans/p.md in run 1 is merged by now; that it was open cannot be confirmed.",
    ),
    "missing task": (
        missing,
        "The record has no test case for task 1.2 of batch 1 of plans/p.md in run 2, which the session had selected.",
    ),
    "doubled task": (
        doubled,
        "The record has 2 test cases for attempt 1 at task 1.1 of batch 1 of plans/p.md in run 1.",
    ),
    "a task that the plan has not": (
        lambda world: world.change("task", "9.9", "1.2"),
        "The plan has no task 9.9 of batch 1 of plans/p.md in run 1.",
    ),
    "runs exchanged": (exchanged, " names the merge commit "),
    "merge named twice": (
        lambda world: world.change("merge_commit", world.fact(world.case("1.1"), "merge_commit"), "1.3"),
        " both name the merge commit ",
    ),
    "a merge where nothing was to change": (
        lambda world: world.change("merge_commit", world.fact(world.case("1.1"), "merge_commit"), "1.4"),
        "Task 1.4 of batch 1 of plans/p.md in run 1 names a merge commit; the plan expects no changes of it.",
    ),
    "streak": (
        lambda world: world.suite("criterion.streak").set("value", "2"),
        "The record says criterion.streak 2; from its test cases follows 0.",
    ),
    "streak over sessions that there are not": (
        over_sessions("x"),
        "The history of the record does not end in its own session ",
    ),
    "streak over sessions before a run that failed": (
        over_sessions("20200101-000000-abcdef, OWN"),
        "The record says criterion.streak 10; from its test cases follows 0.",
    ),
    "another criterion than the store's": (over_sessions("OWN"), "criterion.required 10; the store says 2."),
    "a label of chaos that was taken off": (
        lambda world: world.change("chaos", "store-slow (absorbed)"),
        "Test cases of the record tell of injected faults, and it does not say that its session was under chaos.",
    ),
    "a run that never began": (unrun, "run-02/base; by the record, run 2 is none of its admitted runs."),
    "end of the plan": (
        lambda world: world.change("commit", "f" * 40, "final-state"),
        f"The final state of plans/p.md in run 1 names {'f' * 40}; pipeline/",
    ),
    "merges of the plan": (
        lambda world: world.change("merges", "3", "final-state"),
        "names 3 merges of its plan; by the test cases there were 2.",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_record_that_was_changed_is_found_out(world: World, name: str) -> None:
    tamper, said = TAMPERED[name]
    tamper(world)

    told = world.verify()

    assert told.exit_code == 1
    assert said in told.out
    word = "CANNOT BE CONFIRMED: " if "cannot be confirmed" in said else "LIE: "
    assert any(line.startswith(word) and said in line for line in told.lines)
    assert re.match(r"False: \d+\. Cannot be confirmed: \d+\. Of session ", told.lines[-1])


def test_a_label_of_chaos_that_the_store_knows_is_missed(world: World) -> None:
    with sqlite3.connect(world.project.state / "state.db") as connection:
        connection.execute(
            "INSERT INTO pipeline_fact (session, name, value) VALUES (?, 'chaos', 'seed 7')", [world.session]
        )
    assert "LIE: The record says chaos nothing; the store says seed 7." in world.verify().lines


def test_a_record_of_another_session_has_no_branches(world: World) -> None:
    of_another_session(world)
    told = world.verify()
    assert told.exit_code == 1
    task = "Task 1.1 of batch 1 of plans/p.md in run 1"
    assert f"CANNOT BE CONFIRMED: {task} names pull request 1; the forge has none from " in told.out
    assert told.out.count("CANNOT BE CONFIRMED: The branch pipeline/20200101-000000-abcdef/") == 2


@pytest.mark.parametrize("message", ["Mine", "Mine\n\nPipeline-Session: x\nPipeline-Run: 1\nPipeline-Task: y\n"])
def test_a_commit_that_somebody_has_pushed_to_a_base_is_found(world: World, message: str) -> None:
    commit = foreign_commit(world, message)
    told = world.verify()
    base = world.base().removeprefix("refs/heads/")
    assert told.exit_code == 1
    assert f"LIE: {base} holds {commit} (Mine), which no test case of the record claims." in told.lines
    assert "base branches 1, merges 4" in told.lines[-1]


def rewritten(world: World, change: Callable[[str], str], *, tree: str = "") -> None:
    """Make the newest merge of run 1 again, with another message or other files, and let record and ledger name it."""
    base, old = world.base(), world.fact(world.case("1.3"), "merge_commit")
    message = change(git(world.forge, "log", "-1", "--format=%B", old))
    new = git(world.forge, "commit-tree", tree or f"{old}^{{tree}}", "-p", f"{old}^", "-m", message)
    git(world.forge, "update-ref", base, new)
    for name in ("merge_commit", "commit"):
        world.change(name, new, "1.3")
    world.change("commit", new, "final-state")
    with sqlite3.connect(world.project.state / "forge.db") as connection:
        connection.execute("UPDATE pull_request SET merge_commit = ?1, head = ?1 WHERE merge_commit = ?2", (new, old))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Pipeline-Session: 2", "Pipeline-Session: 1"),
        ("Pipeline-Run: 1", "Pipeline-Run: 2"),
        ("::1.3", "::1.1"),
        ("Pipeline-", "Other-"),
        ("Pipeline-Run: 1", "Pipeline-Run: 1\nPipeline-Run: 2"),
    ],
)
def test_trailers_of_something_else_are_found(world: World, old: str, new: str) -> None:
    rewritten(world, lambda message: message.replace(old, new))
    told = world.verify()
    assert told.exit_code == 1
    (lie,) = [line for line in told.lines if line.startswith("LIE: ")]
    assert " of task 1.3 of batch 1 of plans/p.md in run 1 says " in lie
    assert (
        f"; it must say Pipeline-Session: {world.session}, Pipeline-Run: 1, Pipeline-Task: plans/p.md::1::1.3." in lie
    )


def test_a_pull_request_that_the_forge_does_not_have_is_a_lie(world: World) -> None:
    with sqlite3.connect(world.project.state / "forge.db") as connection:
        connection.execute("DELETE FROM pull_request WHERE number = 1")
    told = world.verify()
    assert "LIE: Task 1.1 of batch 1 of plans/p.md in run 1 names pull request 1; the forge has none from " in told.out


def test_a_merge_whose_files_are_not_those_of_the_plan_is_found(world: World) -> None:
    start = world.suite("base_commit").get("value", "")
    rewritten(world, lambda message: message, tree=f"{start}^{{tree}}")
    told = world.verify()
    assert told.exit_code == 1
    assert (
        "of plans/p.md in run 1 is not as its plan declares: Expected a.txt to be modified; it is not there any"
        in told.out
    )
    assert "LIE: What task 1.1 of batch 1 of plans/p.md in run 1 brought about is not there at " not in told.out
    assert "LIE: What task 1.3 of batch 1 of plans/p.md in run 1 brought about" not in told.out


def test_a_base_branch_that_is_gone_is_no_lie_but_cannot_be_confirmed(world: World) -> None:
    git(world.forge, "update-ref", "-d", world.base(2))
    told = world.verify()
    assert told.exit_code == 1
    base = world.base(2).removeprefix("refs/heads/")
    assert told.lines == [
        f"CANNOT BE CONFIRMED: The branch {base} is gone from forge, so what run 2 has merged cannot be confirmed any "
        "more.",
        f"False: 0. Cannot be confirmed: 1. Of session {world.session}, with 12 test cases, these are as the record "
        "says: base branches 1, merges 2, pull requests 4.",
    ]


def test_branches_and_runs_that_the_record_does_not_name_are_found(world: World) -> None:
    run = world.base().removesuffix("/base")
    for name in (f"{run}/plans.p/batch-1-task-9-9", f"{run}/plans.p/batch-1-task-1-1", world.base(3)[:-5] + "/base"):
        git(world.forge, "update-ref", name, world.base())
    told = world.verify()
    lies = [line for line in told.lines if line.startswith("LIE: ")]
    assert len(lies) == 3
    assert "batch-1-task-9-9; no test case of the record claims it." in told.out
    assert "batch-1-task-1-1, at " in told.out
    assert "run-03/base; the record says nothing of that run." in told.out


def test_a_pull_request_that_was_merged_and_that_the_record_does_not_name_is_found(world: World) -> None:
    branch = world.fact(world.case("1.2"), "branch")
    with sqlite3.connect(world.project.state / "forge.db") as connection:
        connection.execute("UPDATE pull_request SET branch = ? WHERE number = 4", (branch,))
    told = world.verify()
    assert (
        "LIE: Task 1.2 of batch 1 of plans/p.md in run 1 is failed and names no pull request; the forge has merged"
        in told.out
    )


def test_without_the_text_of_the_plan_its_files_cannot_be_confirmed(world: World) -> None:
    world.project.write({"plans/p.md": PLAN + "\nchanged\n"})
    assert world.verify().exit_code == 0, "the base commit holds it"
    world.suite("plans").set("value", "plans/p.md 0123456789abcdef")
    told = world.verify()
    assert told.exit_code == 1
    assert told.lines[0].startswith("CANNOT BE CONFIRMED: The text of plans/p.md that the record names is not here")


def test_a_part_of_the_items_needs_the_store_to_be_confirmed(world: World) -> None:
    world.suite("selected").set("value", "8 of 12")
    assert world.verify().exit_code == 0
    (world.project.state / "state.db").unlink()
    told = world.verify()
    assert told.exit_code == 1
    assert told.lines[0].startswith("CANNOT BE CONFIRMED: The record says that 8 of 12 of the items of its plans were")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Verify takes one record: a file of --junitxml, or a session of the store."),
        (("a", "b"), "Verify takes one record"),
        (("none.xml",), "There is no file none.xml."),
        (("2099",), "The store holds no session '2099'."),
        (("pytest.ini",), "The record is no XML"),
        (("record.xml", "--forge", "no-such"), "There is no forge 'no-such'."),
    ],
)
def test_what_cannot_be_looked_at_is_wrong_usage(world: World, arguments: tuple[str, ...], said: str) -> None:
    told = command_here(world.project, "verify", *arguments)
    assert (told.exit_code, told.out) == (4, "")
    assert told.errors.startswith(f"ERROR: {said}")


def test_a_record_about_another_forge_is_not_held_against_this_one(world: World) -> None:
    world.suite("forge").set("value", "github")
    told = world.verify()
    assert told.exit_code == 4
    assert told.errors.startswith("ERROR: The record is about the forge 'github', not 'local'. Choose it with --forge.")


def test_an_id_that_could_not_be_a_sessions_is_asked_of_nobody(world: World) -> None:
    for each in world.tree.iter("property"):
        if each.get("name") == "pipeline.session":
            each.set("value", "../../x")
    assert world.verify().errors.startswith("ERROR: The record is of '../../x', which is no id of a session.")


def test_a_session_that_still_runs_is_not_judged(world: World) -> None:
    with sqlite3.connect(world.project.state / "state.db") as connection:
        connection.execute("UPDATE pipeline_session SET finished = NULL")
    with held(session_lock(world.project.state, world.session)):
        told = command_here(world.project, "verify", world.session)
    assert told.exit_code == 4
    assert told.errors.startswith(f"ERROR: Session {world.session} still runs.")


def test_where_nothing_is_left_everything_is_open_and_nothing_is_made(world: World) -> None:
    shutil.rmtree(world.project.state)
    told = world.verify()
    assert told.exit_code == 1
    assert told.out.count("CANNOT BE CONFIRMED: The branch ") == 2
    assert "LIE" not in told.out
    assert not world.project.state.exists()
