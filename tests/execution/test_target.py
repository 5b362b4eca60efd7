"""The user's repository: found in all its forms, named, and never touched."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.execution.target import find_target, mirror
from tests.host.git_world import ENVIRONMENT, commit_all, git, source_repository

AUTHOR = "Ada Example <ada@example.org>"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A repository of two commits, with plans."""
    path = tmp_path / "project"
    source_repository(path, {"a.txt": "a", "plans/p.md": "# A plan"})
    commit_all(path, {"a.txt": "b"}, "Second")
    return path


def mirrored(tmp_path: Path, plans: Path, rootdir: Path, repo: str | None = None, base: str | None = None) -> list[str]:
    """Subjects of the history that a run starts from."""
    target = find_target(repo, base, plans, rootdir)
    repository, commit = mirror(target, Layout(tmp_path / "state", "S", tmp_path), AUTHOR)
    assert target.base in ("", commit)
    assert git(repository.git_dir, "fsck", "--no-dangling") == ""
    return git(repository.git_dir, "log", "--format=%s", commit).splitlines()


def test_the_repository_that_holds_the_plans_is_the_target(tmp_path: Path, source: Path) -> None:
    target = find_target(None, None, source / "plans", source)

    assert (target.name, target.base, target.dirty) == ("project", git(source, "rev-parse", "HEAD"), False)
    assert mirrored(tmp_path, source / "plans", source) == ["Second", "First"]


def test_a_base_may_be_a_branch_a_tag_or_a_shortened_id(tmp_path: Path, source: Path) -> None:
    git(source, "branch", "old", "HEAD~1")
    git(source, "tag", "-a", "v1", "-m", "v1", "HEAD~1")
    first = git(source, "rev-parse", "HEAD~1")

    for base in ("old", "v1", "HEAD~1", first[:10], first):
        assert find_target(None, base, source / "plans", source).base == first


@pytest.mark.parametrize("base", ["no-such", "--all", "HEAD:a.txt", ""])
def test_a_base_that_is_no_commit_is_told(tmp_path: Path, source: Path, base: str) -> None:
    if base == "":
        assert find_target(None, None, source / "plans", source).base
        return
    with pytest.raises(SettingsError, match="has no such commit or branch"):
        find_target(None, base, source / "plans", source)


def test_changes_that_are_not_committed_make_it_dirty(source: Path) -> None:
    (source / "a.txt").write_text("changed")

    assert find_target(None, None, source / "plans", source).dirty


def test_a_linked_worktree_is_a_target(tmp_path: Path, source: Path) -> None:
    git(source, "worktree", "add", "--quiet", "-b", "linked", str(tmp_path / "linked"), "HEAD~1")
    commit_all(tmp_path / "linked", {"plans/q.md": "# Q"}, "In the linked one")

    assert mirrored(tmp_path, tmp_path / "linked/plans", tmp_path / "linked") == ["In the linked one", "First"]


def test_a_bare_repository_is_a_target(tmp_path: Path, source: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(source), "bare.git")

    target = find_target("bare.git", None, tmp_path, tmp_path)

    assert (target.name, target.dirty) == ("bare", False)
    assert mirrored(tmp_path, tmp_path, tmp_path, repo="bare.git") == ["Second", "First"]


def test_a_shallow_clone_is_a_target(tmp_path: Path, source: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{source}", "shallow")

    assert mirrored(tmp_path, tmp_path / "shallow/plans", tmp_path / "shallow") == ["Second"]


def test_a_detached_head_is_a_target(tmp_path: Path, source: Path) -> None:
    git(source, "checkout", "--quiet", "--detach", "HEAD~1")

    assert mirrored(tmp_path, source / "plans", source) == ["First"]


def test_a_checkout_that_is_a_submodule_is_a_target(tmp_path: Path, source: Path) -> None:
    source_repository(tmp_path / "outer", {"o.txt": ""})
    git(tmp_path / "outer", "submodule", "--quiet", "add", str(source), "inner")

    assert mirrored(tmp_path, tmp_path / "outer/inner/plans", tmp_path / "outer") == ["Second", "First"]


@pytest.mark.parametrize("kind", ["no repository", "no commit"])
def test_without_repository_or_commit_a_run_starts_empty(tmp_path: Path, kind: str) -> None:
    (tmp_path / "here").mkdir()
    if kind == "no commit":
        git(tmp_path / "here", "init", "--quiet")

    assert mirrored(tmp_path, tmp_path / "here", tmp_path / "here") == ["Start empty"]
    with pytest.raises(SettingsError, match=r"no such commit or branch|in no git repository"):
        find_target(None, "main", tmp_path / "here", tmp_path / "here")


def test_a_path_that_is_no_repository_is_told(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    for repo in ("here", "gone"):
        with pytest.raises(SettingsError, match=f"--repo {repo}: there is no git repository"):
            find_target(repo, None, tmp_path, tmp_path)


def test_the_mirror_of_a_commit_is_made_once_and_holds_nothing_else(tmp_path: Path, source: Path) -> None:
    git(source, "checkout", "--quiet", "-b", "other")
    other = commit_all(source, {"secret-solution.txt": "x"}, "Other")
    git(source, "checkout", "--quiet", "main")
    layout = Layout(tmp_path / "state", "S", tmp_path)

    target = find_target(None, None, source / "plans", source)
    first, _ = mirror(target, layout, AUTHOR)
    made = (first.git_dir / "HEAD").stat().st_mtime_ns
    again, _ = mirror(target, layout, AUTHOR)

    assert (again.git_dir, (again.git_dir / "HEAD").stat().st_mtime_ns) == (first.git_dir, made)
    assert first.resolve(other) is None


def test_nothing_of_the_users_repository_is_touched(tmp_path: Path, source: Path) -> None:
    (source / "a.txt").write_text("stashed")
    git(source, "stash")
    (source / "a.txt").write_text("not committed")
    (source / "new.txt").write_text("untracked")
    git(source, "add", "new.txt")
    (source / "plans/p.md").touch()  # an index that needs a refresh
    before = everything(source)

    mirrored(tmp_path, source / "plans", source)

    assert everything(source) == before


def everything(path: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in sorted(path.rglob("*")) if each.is_file()}


def test_a_hook_or_monitor_of_the_users_repository_is_not_run(tmp_path: Path, source: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/RAN\n")
    program.chmod(0o755)
    subprocess.run(["git", "config", "core.fsmonitor", str(program)], cwd=source, env=ENVIRONMENT, check=True)

    mirrored(tmp_path, source / "plans", source)

    assert not (tmp_path / "RAN").exists()
