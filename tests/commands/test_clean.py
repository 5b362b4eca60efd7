"""``clean`` after real sessions, in the process of a user."""

from __future__ import annotations

import re
import signal
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from pytest_pipeline.forges.base import PullRequestState
from pytest_pipeline.forges.local_ledger import Ledger
from tests.commands.running import command, command_here
from tests.e2e.world import Project, Ran, plan, task
from tests.forges.github_scene import Scene, scene_in
from tests.host.conftest import PATIENCE, until
from tests.host.git_world import git

ONE = plan(task("1.1", files=["Create: `a.txt`"], does="echo a > a.txt"))


@pytest.fixture
def left(project: Project) -> Ran:
    """A session that succeeded, but was told not to merge: a base, and a branch with an open pull request."""
    project.write({"plans/p.md": ONE})
    return project.run("plans", "--no-auto-merge").passed()


def branches(project: Project) -> list[str]:
    return git(project.state / "forge.git", "for-each-ref", "--format=%(refname:lstrip=2)").splitlines()


def states(project: Project) -> list[str]:
    with sqlite3.connect(project.state / "forge.db") as connection:
        return [state for (state,) in connection.execute("SELECT state FROM pull_request ORDER BY number")]


def aged(project: Project, session: str, age: timedelta) -> str:
    """Make a session one that started so long ago, on the forge; returns its id now."""
    started = datetime.now(timezone.utc) - age - timedelta(seconds=30)
    older = f"{started:%Y%m%d-%H%M%S}{session[15:]}"
    forge = project.state / "forge.git"
    for name in branches(project):
        if session in name:
            sha = git(forge, "rev-parse", name)
            git(forge, "update-ref", "-d", f"refs/heads/{name}")
            git(forge, "update-ref", f"refs/heads/{name.replace(session, older)}", sha)
    with sqlite3.connect(project.state / "forge.db") as connection:
        change = "UPDATE pull_request SET branch = replace(branch, ?1, ?2), base = replace(base, ?1, ?2)"
        connection.execute(change, (session, older))
    return older


def test_what_a_session_left_is_listed_and_then_removed(project: Project, left: Ran) -> None:
    session, before = left.session, branches(project)

    listed = command(project, "clean", "--session", session)

    run = f"pipeline/{session}/run-01"
    heads = {name: git(left.forge, "rev-parse", name)[:12] for name in before}
    assert (listed.exit_code, listed.errors) == (0, "")
    assert listed.lines[0] == f"Left on the forge local (forge) by session {session} of any age:"
    assert listed.lines[2].split() == ["age", "session", "branch", "head", "pull", "request"]
    rows = [line.split() for line in listed.lines[3:5]]
    assert [row[1:] for row in rows] == [
        [session, name, heads[name], "#1", "local://forge/pull/1"] for name in before if name.endswith("1-1")
    ] + [[session, f"{run}/base", heads[f"{run}/base"], "none"]]
    assert all(re.fullmatch(r"\d+[sm]", row[0]) for row in rows)
    assert listed.lines[-3:] == [
        "2 branches of 1 session.",
        "A branch that ends in /base holds what its run has merged; it is lost with it.",
        "Nothing was removed. Add --yes to close 1 pull request and delete 2 branches.",
    ]
    assert (branches(project), states(project)) == (before, ["open"])

    removed = command(project, "clean", "--session", session, "--yes")

    assert (removed.exit_code, removed.errors) == (0, "")
    assert removed.lines == [
        "closed: pull request #1 local://forge/pull/1",
        f"deleted: {run}/plans.p/batch-1-task-1-1",
        f"deleted: {run}/base",
        "2 branches deleted, 0 still there.",
    ]
    assert (branches(project), states(project)) == ([], ["closed"])

    again = command(project, "clean", "--session", session, "--yes")

    assert (again.exit_code, again.errors) == (0, "")
    assert again.lines == [f"Nothing is left on the forge local (forge) by session {session} of any age."]


def test_without_a_session_only_those_of_more_than_a_day_ago_are_taken(project: Project, left: Ran) -> None:
    young = left.session
    old = aged(project, project.run().passed().session, timedelta(days=1))

    listed = command_here(project, "clean")

    assert listed.exit_code == 0
    assert listed.lines[0] == (
        "Left on the forge local (forge) by sessions that started at least 1d ago; 2 branches of other sessions not "
        "counted (they may still run; --older-than 0 takes all, --session ID one):"
    )
    assert listed.lines[3].split()[:3] == ["1d", old, f"pipeline/{old}/run-01/base"]
    assert listed.lines[-1] == "Nothing was removed. Add --yes to delete 1 branch."
    assert young not in listed.out
    only = command_here(project, "clean", "--session", young)
    assert only.lines[0] == (
        f"Left on the forge local (forge) by session {young} of any age; 1 branch of other sessions not counted:"
    )
    assert old not in only.out
    assert command_here(project, "clean", "--yes").lines == [
        f"deleted: pipeline/{old}/run-01/base",
        "1 branch deleted, 0 still there.",
    ]
    assert len(branches(project)) == 2
    nothing = command_here(project, "clean", "--yes")
    assert nothing.lines == [
        "Nothing is left on the forge local (forge) by sessions that started at least 1d ago; 2 branches of other "
        "sessions not counted (they may still run; --older-than 0 takes all, --session ID one)."
    ]
    assert command_here(project, "clean", "--older-than", "0", "--yes").exit_code == 0
    assert branches(project) == []


def test_an_age_and_a_session_together_must_both_fit(project: Project, left: Ran) -> None:
    old = aged(project, left.session, timedelta(days=3))
    told = command_here(project, "clean", "--session", old, "--older-than", "1w")
    assert told.lines == [
        f"Nothing is left on the forge local (forge) by session {old} that started at least 7d ago; "
        "2 branches of other sessions not counted."
    ]
    assert command_here(project, "clean", "--session", old, "--older-than", "3d", "--yes").exit_code == 0
    assert branches(project) == []


def test_a_session_of_the_future_is_nobodys_past_and_yet_taken_by_0(project: Project, left: Ran) -> None:
    aged(project, left.session, timedelta(days=-2))
    assert "not counted" in command_here(project, "clean").out
    told = command_here(project, "clean", "--older-than", "0")
    assert told.lines[3].startswith("0s ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--session", "latest"),
            "--session must be the id of a session, such as 20260131-235959-a1b2c3, not 'latest'.",
        ),
        (("--session", ""), "--session must be the id of a session, such as 20260131-235959-a1b2c3, not ''."),
        (("--older-than", "7"), "--older-than must be 0 or an age such as 12h, 7d or 2w, not '7'. Correct it"),
        (("--ye",), "Unrecognized arguments: --ye."),
    ],
)
def test_options_that_cannot_be_used_remove_nothing(
    project: Project, left: Ran, arguments: tuple[str, ...], said: str
) -> None:
    told = command_here(project, "clean", "--yes", *arguments)
    assert (told.exit_code, told.out) == (4, "")
    assert told.errors.startswith(f"ERROR: {said}")
    assert len(branches(project)) == 2


def test_a_project_without_a_session_has_nothing_and_gets_nothing(bare_project: Project) -> None:
    told = command(bare_project, "clean", "--older-than", "0", "--yes")
    assert (told.exit_code, told.errors) == (0, "")
    assert told.lines == ["Nothing is left on the forge local (forge) by sessions of any age."]
    assert [each.name for each in bare_project.path.iterdir()] == ["tox.ini"]


def test_a_killed_session_is_cleaned_up_after(project: Project) -> None:
    """Killed while its agent works on the second task: the first one's pull request is open."""
    project.write({"plans/p.md": plan(task("1.1"), task("1.2"), title="Batch 1: Both\n\n**Execution Mode:** parallel")})
    agent = project.agent("grep -q '^# Task 1.1' && echo made > a.txt && exit; touch $OUTSIDE/ready; sleep 600")
    process = project.start("plans", "--no-auto-merge", agent=agent)
    until((project.outside / "ready").exists)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    session = Ran(process.returncode, "", project.state).session
    assert (len(branches(project)), states(project)) == (2, ["open"])

    told = command(project, "clean", "--session", session, "--yes")

    assert (told.exit_code, told.errors) == (0, "")
    assert told.lines[-1] == "2 branches deleted, 0 still there."
    assert (branches(project), states(project)) == ([], ["closed"])


def test_what_is_not_ours_is_neither_listed_nor_removed(project: Project, left: Ran) -> None:
    start = git(left.forge, "rev-parse", branches(project)[0])
    theirs = ["main", f"pipeline/{left.session}/mine", "pipeline/release"]
    for name in theirs:
        git(left.forge, "update-ref", f"refs/heads/{name}", start)
    listed = command_here(project, "clean", "--older-than", "0")
    assert not any(f" {name} " in listed.out for name in theirs)
    assert command_here(project, "clean", "--older-than", "0", "--yes").exit_code == 0
    assert branches(project) == sorted(theirs)


def test_a_branch_that_somebody_needs_stays_and_that_is_told(project: Project, left: Ran) -> None:
    base = f"pipeline/{left.session}/run-01/base"
    with sqlite3.connect(project.state / "forge.db") as connection:
        connection.execute(
            "INSERT INTO pull_request (branch, base, head, title, body, state) VALUES ('feature', ?, 'x', 't', 'b', ?)",
            (base, PullRequestState.OPEN.value),
        )
    why = "pull request #2 (local://forge/pull/2), which the pipeline has not made for this run, is open into it"

    listed = command_here(project, "clean", "--older-than", "0")

    assert listed.exit_code == 0
    assert f"stays: {why}" in listed.out
    assert "2 branches of 1 session; 1 of them cannot be removed." in listed.lines
    assert listed.lines[-1] == "Nothing was removed. Add --yes to close 1 pull request and delete 1 branch."
    assert "/base holds" not in listed.out
    told = command_here(project, "clean", "--older-than", "0", "--yes")
    assert told.exit_code == 1
    assert told.lines[-2:] == [f"stays: {base}: {why}", "1 branch deleted, 1 still there."]
    assert branches(project) == [base]
    again = command_here(project, "clean", "--older-than", "0")
    assert again.lines[-1] == "1 branch of 1 session; 1 of them cannot be removed."
    assert [row.branch for row in Ledger(project.state / "forge.db").opened()] == ["feature"]


def test_what_could_not_be_removed_is_told_and_the_rest_goes_on(project: Project, left: Ran) -> None:
    second = project.run().passed()
    name = next(each for each in branches(project) if "task" in each)
    lock = left.forge / f"refs/heads/{name}.lock"
    lock.mkdir()  # a file would be taken for that of a git which is gone
    told = command(project, "clean", "--older-than", "0", "--yes")
    lock.rmdir()
    assert told.exit_code == 1
    said = f"not deleted: {name}: The local forge could not do its work: "
    assert [line.startswith(said) for line in told.lines].count(True) == 1
    assert f"deleted: pipeline/{second.session}/run-01/base" in told.lines
    assert told.lines[-1] == "1 branch deleted, 2 still there."
    assert all(each.isprintable() for each in told.lines)


def test_a_state_directory_of_ones_own_is_found(project: Project) -> None:
    project.write({"plans/p.md": ONE, "tox.ini": "[pytest]\npipeline_state_dir = kept/here\n"})
    project.run()
    told = command_here(project, "clean", "--older-than", "0")
    assert "/run-01/base" in told.out


def test_it_is_found_from_a_directory_below(project: Project, left: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.path / "plans")
    assert f"/{left.session}/" in command_here(project, "clean", "--older-than", "0").out


def test_it_is_found_where_the_root_directory_lies_above_the_repository(
    project: Project, left: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions keep their state in the repository then."""
    (project.path / "tox.ini").unlink()
    (project.path.parent / "pytest.ini").write_text("[pytest]\n")
    try:
        assert f"/{left.session}/" in command_here(project, "clean", "--older-than", "0").out
    finally:
        (project.path.parent / "pytest.ini").unlink()


# --- other forges -----------------------------------------------------------------------------------------------------

OWN = """
from pytest_pipeline.forges.local import LocalForge

class Own{bases}:
    name = "own\\x1b[31m"
    repository = "theirs"

def pytest_pipeline_forge(config, settings):
    {does}
"""


def test_a_forge_of_the_project_is_asked(project: Project, left: Ran) -> None:
    does = "return Own(config.rootpath / settings.state_dir / 'forge.git')"
    project.write({"conftest.py": OWN.format(bases="(LocalForge)", does=does)})
    told = command_here(project, "clean", "--older-than", "0")
    assert told.lines[0] == r"Left on the forge own\x1b[31m (theirs) by sessions of any age:"


def test_what_a_forge_says_does_not_steer_the_terminal(project: Project, left: Ran) -> None:
    does = "return Own(config.rootpath / settings.state_dir / 'forge.git')"
    refuses = "\ndef remove(self, leftover):\n    raise ForgeError('\\x1b[31mno')\n\nOwn.remove = remove\n"
    text = "from pytest_pipeline import ForgeError\n" + OWN.format(bases="(LocalForge)", does=does) + refuses
    project.write({"conftest.py": text})
    told = command_here(project, "clean", "--older-than", "0", "--yes")
    assert told.exit_code == 1
    assert told.lines[0].endswith(r"/batch-1-task-1-1: \x1b[31mno")


@pytest.mark.parametrize(
    ("does", "code", "said"),
    [
        ("return Own()", 4, "cannot tell what sessions left on it. Give it the methods leftovers() and remove()"),
        ("raise KeyError('x')", 1, "pytest_pipeline_forge"),
    ],
)
def test_a_forge_that_cannot_do_it_is_told(bare_project: Project, does: str, code: int, said: str) -> None:
    bare_project.write({"conftest.py": OWN.format(bases="", does=does)})
    told = command_here(bare_project, "clean")
    assert (told.exit_code, told.out) == (code, "")
    assert said in told.errors
    assert "Traceback" not in told.errors


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_in(tmp_path / "scene") as scene:
        yield scene


ON_GITHUB = """
import contextlib, os
from pathlib import Path
from pytest_pipeline.forges.github.client import Client
from pytest_pipeline.forges.github.forge import GitHubForge
from pytest_pipeline.host.git import Repository
from tests.forges.github_scene import NAME, RecordingGate

@contextlib.contextmanager
def push_environment():
    yield {{"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.{root}/.extraHeader",
           "GIT_CONFIG_VALUE_0": "Authorization: Basic {basic}", "GIT_ASKPASS": "false"}}

def pytest_pipeline_forge(config, settings):
    client = Client(NAME, "{token}", base_url="{api}", gate=RecordingGate())
    return GitHubForge(client, push_url="{url}", push_environment=push_environment, git=Repository(Path("{git}")))
"""


def on_github(project: Project, scene: Scene) -> None:
    with scene.push_environment() as environment:
        basic = environment["GIT_CONFIG_VALUE_0"].rpartition(" ")[2]
    project.write(
        {
            "conftest.py": ON_GITHUB.format(
                root=scene.world.root,
                basic=basic,
                token=scene.token,
                api=scene.world.url,
                url=scene.url,
                git=scene.work.git_dir,
            )
        }
    )


def test_what_a_session_left_on_github_goes_and_the_rest_stays(project: Project, scene: Scene) -> None:
    project.write({"plans/p.md": ONE})
    on_github(project, scene)
    session = project.run("plans", "--no-auto-merge").passed().session
    scene.hosted.commit("feature", {"theirs": "1"})
    told = command_here(project, "clean", "--session", session, "--yes")
    assert told.exit_code == 0, told
    web = f"{scene.world.root}/octo/example/pull/1"
    assert told.lines[0] == f"closed: pull request #1 {web}"
    assert sorted(scene.hosted.branches()) == ["feature", "main"]
    assert [pull.now.state for pull in scene.hosted.pulls.values()] == ["closed"]
