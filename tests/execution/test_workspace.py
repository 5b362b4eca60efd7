"""What an agent leaves in its workspace, or does to it: nothing of it reaches the next task, us, or the commit."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_pipeline.agents.base import AgentRequest
from pytest_pipeline.errors import FailureKind
from pytest_pipeline.execution.pipeline import Pipeline
from pytest_pipeline.record.model import Outcome
from tests.e2e.world import plan, task
from tests.execution.stage import Stage
from tests.host.git_world import git

TWO = plan(task("1.1", files=["Create: `a.txt`"]), task("1.2", files=["Create: `b.txt`"]))
Hostile = Callable[[Path], object]


def look(directory: Path) -> dict[str, tuple[str, str]]:
    """Everything below a directory but ``.git``: mode and content, by path."""
    found = {}
    for each in sorted(directory.rglob("*")):
        name = each.relative_to(directory).as_posix()
        if not name.startswith(".git/") and name != ".git":
            mode = f"{os.lstat(each).st_mode:o}"
            content = os.readlink(each) if each.is_symlink() else "" if each.is_dir() else each.read_text()
            found[name] = mode, content
    return found


def git_state(workspace: Path) -> dict[str, str]:
    """What git knows in a workspace, and every file of its ``.git`` that is no object and no index."""
    files = {
        each.relative_to(workspace / ".git").as_posix(): each.read_text("utf-8", "replace")
        for each in sorted((workspace / ".git").rglob("*"))
        if each.is_file() and each.name not in ("index", "HEAD") and "heads" not in each.parts
    }
    return {
        "files": repr(files),
        "stash": git(workspace, "stash", "list"),
        "branches": git(workspace, "for-each-ref", "--format=%(refname)").replace("task-1-2", "task-1-1"),
        "status": git(workspace, "status", "--porcelain"),
        "submodules": git(workspace, "submodule", "status"),
    }


def leave_ignored_files(workspace: Path) -> None:
    (workspace / "x.log").write_text("secret of the task before")
    (workspace / "deep/er/__pycache__").mkdir(parents=True)
    (workspace / "deep/er/__pycache__/a.pyc").write_text("")


def leave_empty_directories(workspace: Path) -> None:
    (workspace / "empty/er/still").mkdir(parents=True)


def change_modes(workspace: Path) -> None:
    (workspace / "run.sh").chmod(0o777)
    (workspace / "kept.txt").chmod(0o400)
    workspace.chmod(0o777)


def close_directories(workspace: Path) -> None:
    (workspace / "x.log").mkdir()
    (workspace / "x.log/in").mkdir()
    (workspace / "x.log").chmod(0)


def leave_git_state(workspace: Path) -> None:
    (workspace / "kept.txt").write_text("stashed\n")
    git(workspace, "stash")
    git(workspace, "branch", "left-behind")
    git(workspace, "tag", "left-behind")
    git(workspace, "config", "core.hooksPath", "/tmp/evil")
    git(workspace, "config", "alias.status", "!false")
    git(workspace, "update-index", "--skip-worktree", "kept.txt")
    (workspace / ".git/hooks").mkdir()
    (workspace / ".git/hooks/post-checkout").write_text("#!/bin/sh\nexit 1\n")
    (workspace / ".git/info").mkdir(exist_ok=True)
    (workspace / ".git/info/exclude").write_text("*\n")
    (workspace / ".git/refs/replace").mkdir()


def replace_a_file_by_a_link(workspace: Path) -> None:
    (workspace / "x.log").symlink_to("/etc")
    (workspace / "kept.txt").unlink()
    (workspace / "kept.txt").symlink_to("run.sh")


def keep_size_and_time(workspace: Path) -> None:
    """What a careless index takes for unchanged."""
    place = workspace / "kept.txt"
    before = place.stat()
    place.write_text("ONE\nTWO\nTHREE\n")
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))


def forge_our_index(workspace: Path) -> None:
    """The index beside the workspace is ours; an agent that finds it makes it vouch for a changed file."""
    (workspace / "kept.txt").write_text("ours is the index\n")
    for index in workspace.parent.parent.rglob("index"):
        if not index.is_relative_to(workspace):
            subprocess.run(
                ["git", "update-index", "--skip-worktree", "--assume-unchanged", "kept.txt"],
                cwd=workspace,
                env={**os.environ, "GIT_INDEX_FILE": str(index)},
            )


def nest_deep(workspace: Path) -> None:
    here = os.open(workspace / ".git", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


HOSTILE: list[Hostile] = [
    *(leave_ignored_files, leave_empty_directories, change_modes, close_directories, leave_git_state),
    *(replace_a_file_by_a_link, keep_size_and_time, forge_our_index, nest_deep),
]


@pytest.mark.parametrize("deed", HOSTILE, ids=lambda deed: deed.__name__)
def test_the_next_task_finds_nothing_of_the_one_before_in_the_same_directory(stage: Stage, deed: Hostile) -> None:
    pipeline = stage.open(TWO, {"keep_workspaces": "never"})
    seen: list[tuple[Path, dict[str, tuple[str, str]], dict[str, str]]] = []

    def first(request: AgentRequest) -> None:
        seen.append((request.workspace, look(request.workspace), git_state(request.workspace)))
        deed(request.workspace)
        (request.workspace / "never-declared.txt").write_text("")

    def second(request: AgentRequest) -> None:
        seen.append((request.workspace, look(request.workspace), git_state(request.workspace)))
        (request.workspace / "b.txt").write_text("b")

    assert stage.attempt(pipeline, "1.1", first).failure is not None
    attempt = stage.attempt(pipeline, "1.2", second)

    assert attempt.failure is None, attempt.failure
    assert attempt.facts["agent_committed"] == "no"
    assert "undeclared" not in attempt.facts
    assert seen[0] == seen[1]
    assert attempt.run.repository.tree(attempt.facts["merge_commit"]).read("kept.txt") == b"one\ntwo\nthree\n"


def test_a_directory_is_used_again(stage: Stage) -> None:
    pipeline = stage.open(TWO)
    places: list[Path] = []

    def act(request: AgentRequest) -> None:
        places.append(request.workspace)
        (request.workspace / f"{'ab'[len(places) - 1]}.txt").write_text("")

    for number in ("1.1", "1.2"):
        assert stage.attempt(pipeline, number, act).failure is None

    assert places[0] == places[1]


# What an agent may do to the commit


def planted(workspace: Path) -> None:
    """Everything by which a git that reads the workspace's own configuration could be made to run something."""
    program = workspace.parent / "planted.sh"
    program.write_text(f"#!/bin/sh\ntouch {workspace.parent.parent}/PWNED\ncat\n")
    program.chmod(0o755)
    for key in (
        *("core.fsmonitor", "core.sshCommand", "core.editor", "core.pager", "core.askPass", "credential.helper"),
        *("filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "diff.external", "gpg.program"),
        *("uploadpack.packObjectsHook", "merge.evil.driver", "diff.evil.textconv"),
    ):
        git(workspace, "config", key, str(program))
    git(workspace, "config", "url./nowhere.insteadOf", "/")
    git(workspace, "config", "commit.gpgSign", "true")
    hooks = workspace / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in (
        "pre-commit",
        "post-commit",
        "pre-push",
        "post-checkout",
        "post-index-change",
        "reference-transaction",
    ):
        shutil.copy(program, hooks / name)
    (workspace / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    (workspace / ".git/info").mkdir(exist_ok=True)
    (workspace / ".git/info/attributes").write_text("* filter=evil\n")


def test_nothing_that_an_agent_plants_for_git_is_run_by_us(stage: Stage) -> None:
    pipeline = stage.open(
        plan(task(files=["Create: `a.txt`"], verification=["test -e a.txt"]), task("1.2", files=["Create: `b.txt`"]))
    )

    def act(request: AgentRequest) -> None:
        (request.workspace / "a.txt").write_text("as it was\n")
        planted(request.workspace)

    attempt = stage.attempt(pipeline, "1.1", act)
    after = stage.attempt(pipeline, "1.2", lambda request: (request.workspace / "b.txt").write_text("b"))

    assert (attempt.failure, after.failure) == (None, None)
    assert stage.final_state(pipeline).failure is None
    assert not list(stage.temporary.rglob("PWNED"))
    assert attempt.run.repository.tree(attempt.facts["merge_commit"]).read("a.txt") == b"as it was\n"


def test_git_variables_in_the_environment_of_pytest_change_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    nonsense = {
        **dict.fromkeys(("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"), "/nonsense"),
        **dict.fromkeys(("GIT_SSH", "GIT_EDITOR", "GIT_EXTERNAL_DIFF", "GIT_ASKPASS"), "/bin/false"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.bare",
        "GIT_CONFIG_VALUE_0": "nonsense",
        "GIT_CONFIG_GLOBAL": "/nonsense",
        "GIT_NAMESPACE": "nonsense",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_AUTHOR_DATE": "nonsense",
        "GIT_COMMITTER_NAME": "",
        "GIT_CEILING_DIRECTORIES": "/",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": "/nonsense",
        "GIT_DEFAULT_HASH": "sha256",
        "GIT_TRACE": "1",
    }
    for name, value in nonsense.items():
        monkeypatch.setenv(name, value)

    pipeline = stage.open(TWO)
    attempt = stage.attempt(pipeline, "1.1", lambda request: (request.workspace / "a.txt").write_text("a"))

    assert attempt.failure is None, attempt.failure
    assert stage.final_state(pipeline).failure is None


@pytest.mark.parametrize("how", ["symlink", "another directory", "file", "gone", "parent gone"])
def test_a_workspace_that_was_replaced_fails_the_agent_and_hurts_nobody(stage: Stage, how: str, tmp_path: Path) -> None:
    pipeline = stage.open(TWO, {"keep_workspaces": "never"})
    victim = tmp_path / "victim"
    for name in ("work", "home", "tmp"):
        (victim / name).mkdir(parents=True)
        (victim / name / "precious.txt").write_text("precious")

    def act(request: AgentRequest) -> None:
        work = request.workspace
        if how == "parent gone":
            shutil.rmtree(work.parent)
            work.parent.symlink_to(victim)
            return
        shutil.rmtree(work)
        if how == "symlink":
            work.symlink_to(victim / "work")
        elif how == "another directory":
            (victim / "work").rename(work)
            (victim / "work").mkdir()
        elif how == "file":
            work.write_text("")

    attempt = stage.attempt(pipeline, "1.1", act)

    assert attempt.failure is not None
    assert attempt.failure.kind is FailureKind.AGENT
    assert "The workspace" in attempt.failure.found
    after = stage.attempt(pipeline, "1.2", lambda request: (request.workspace / "b.txt").write_text("b"))
    assert after.failure is None, "the next task has a place to work"
    assert [each.parent.name for each in sorted(victim.rglob("precious.txt"))] == ["home", "tmp"] + ["work"] * (
        how != "another directory"
    )


def test_an_agent_without_git_directory_is_judged_by_its_files(stage: Stage) -> None:
    def act(request: AgentRequest) -> None:
        shutil.rmtree(request.workspace / ".git")
        (request.workspace / "a.txt").write_text("a")

    assert stage.attempt(stage.open(TWO), "1.1", act).failure is None


@pytest.mark.parametrize("what", ["fifo", "socket", "directory without rights"])
def test_what_git_cannot_commit_is_the_agents_failure_or_left_out(stage: Stage, what: str) -> None:
    def act(request: AgentRequest) -> None:
        (request.workspace / "a.txt").write_text("a")
        odd = request.workspace / "odd"
        if what == "fifo":
            os.mkfifo(odd)
        elif what == "socket":
            bind = "import socket; socket.socket(socket.AF_UNIX).bind('odd')"
            subprocess.run([sys.executable, "-c", bind], cwd=request.workspace, check=True)
        else:
            odd.mkdir()
            (odd / "in").write_text("")
            odd.chmod(0)

    attempt = stage.attempt(stage.open(TWO), "1.1", act)

    assert attempt.failure is None or attempt.failure.kind is FailureKind.AGENT, attempt.failure


def test_ten_thousand_files_land(stage: Stage) -> None:
    def act(request: AgentRequest) -> None:
        for number in range(10_000):
            place = request.workspace / f"many/{number % 100}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}.txt").write_text("all alike")

    attempt = stage.attempt(stage.open(plan(task(files=["Create: `many/`"]))), "1.1", act)

    assert attempt.failure is None
    assert len(attempt.run.repository.tree(attempt.facts["merge_commit"]).entries()) == 10_003


def test_a_filter_of_the_project_itself_is_not_run(stage: Stage) -> None:
    """``.gitattributes`` of the target may name a filter that only the user's configuration knows, such as LFS."""
    (stage.path / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    (stage.path / "x.bin").write_text("version https://git-lfs.github.com/spec/v1\n")
    git(stage.path, "add", "--all")
    git(stage.path, "commit", "--quiet", "--message", "pointer")

    attempt = stage.attempt(stage.open(TWO), "1.1", lambda request: (request.workspace / "a.txt").write_text("a"))

    assert attempt.failure is None
    assert "undeclared" not in attempt.facts


# Clean-up


def test_nothing_is_left_when_all_has_passed(stage: Stage) -> None:
    pipeline = stage.open(TWO)
    for number, name in (("1.1", "a.txt"), ("1.2", "b.txt")):
        stage.attempt(pipeline, number, lambda request, name=name: (request.workspace / name).write_text(""))  # type: ignore[misc]

    pipeline.finish_run(1, Outcome.PASSED)
    pipeline.close()

    assert list(stage.temporary.iterdir()) == []
    assert list((stage.path / ".pipeline/sessions" / pipeline.session).glob("*.git")) == []


@pytest.mark.skipif(sys.platform != "linux", reason="another umask is enough elsewhere")
def test_private_directories_are_private(stage: Stage) -> None:
    modes: list[int] = []

    def act(request: AgentRequest) -> None:
        scratch = next(each for each in request.workspace.parents if each.name.startswith("pytest-pipeline-"))
        modes.append(stat.S_IMODE(scratch.stat().st_mode))

    stage.attempt(stage.open(TWO), "1.1", act)

    assert modes == [0o700]


def test_a_session_without_place_for_more_workspaces_goes_on(stage: Stage) -> None:
    pipeline: Pipeline = stage.open(TWO, {"max_workspaces": "0"})

    assert stage.attempt(pipeline, "1.1").kept is None
