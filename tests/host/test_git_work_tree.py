from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_pipeline.host.git import NestedRepositoryError, Repository, WorkTreeError
from pytest_pipeline.host.git_work_tree import remove
from tests.host.git_world import commit_all, commit_files, git, source_repository, workspace, write

FILES: dict[str, str | bytes | None] = {
    ".gitignore": "*.log\nbuild/\n",
    "README.md": "hello\n",
    "src/a.py": "a = 1\n",
    "src/deep/b.py": "b = 2\n",
    "docs/index.md": "docs\n",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")
    write(path, {**FILES, "run.sh": "#!/bin/sh\n"})
    (path / "run.sh").chmod(0o755)
    (path / "link").symlink_to("src/a.py")
    commit_all(path, {})
    return path


@pytest.fixture
def head(source: Path) -> str:
    return git(source, "rev-parse", "HEAD")


@pytest.fixture
def work(tmp_path: Path, source: Path, head: str) -> Repository:
    repository = workspace(tmp_path, source, head)
    repository.restore_work_tree(head)
    return repository


def tree_of(work: Repository) -> Path:
    assert work.work_tree is not None
    return work.work_tree


def everything_in(directory: Path) -> dict[str, tuple[str, bytes]]:
    """All that lies below a directory, whatever git thinks of it."""
    found: dict[str, tuple[str, bytes]] = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        mode = f"{path.lstat().st_mode:o}"
        if path.is_symlink():
            found[name] = (mode, os.fsencode(os.readlink(path)))
        else:
            found[name] = (mode, path.read_bytes() if path.is_file() else b"")
    return found


# --- restoring --------------------------------------------------------------------------------------------------------


def test_a_restored_work_tree_is_the_commit(work: Repository, source: Path) -> None:
    shutil.rmtree(source / ".git")
    assert everything_in(tree_of(work)) == everything_in(source)


def _untracked(root: Path) -> None:
    write(
        root, {"new.txt": "x", "new/deep/file": "x", "debug.log": "ignored", "build/out": "ignored", "src/x.pyc": "x"}
    )


def _deleted(root: Path) -> None:
    shutil.rmtree(root / "src")
    (root / "README.md").unlink()


def _same_size_same_time(root: Path) -> None:
    before = (root / "src/a.py").stat()
    (root / "src/a.py").write_text("a = 9\n")
    os.utime(root / "src/a.py", ns=(before.st_atime_ns, before.st_mtime_ns))


def _modes(root: Path) -> None:
    (root / "run.sh").chmod(0o644)
    (root / "README.md").chmod(0o777)
    (root / "docs/index.md").chmod(0o000)


def _closed_directories(root: Path) -> None:
    write(root, {"new/deep/file": "x"})
    for name in ("new/deep", "new", "src/deep", "src", "docs"):
        (root / name).chmod(0o000)
    root.chmod(0o500)


def _sticky(root: Path) -> None:
    (root / "src").chmod(0o1777)


def _nested_git_in_a_tracked_directory(root: Path) -> None:
    write(root, {"src/.git/HEAD": "ref: refs/heads/main\n", "src/.git/config": "[core]\n", "docs/.git": "gitdir: /\n"})


def _directory_for_a_file(root: Path) -> None:
    (root / "README.md").unlink()
    write(root, {"README.md/x/y": "x"})


def _file_for_a_directory(root: Path) -> None:
    shutil.rmtree(root / "src")
    (root / "src").write_text("x")


def _special_files(root: Path) -> None:
    (root / "README.md").unlink()
    os.mkfifo(root / "README.md")
    os.mkfifo(root / "src" / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(root)  # the path of a socket must be short
        try:
            server.bind("s")
        finally:
            os.chdir(here)


def _symlinks_swapped(root: Path) -> None:
    (root / "link").unlink()
    (root / "link").write_text("a = 1\n")
    (root / "README.md").unlink()
    (root / "README.md").symlink_to("src/a.py")


def _hardlink(root: Path) -> None:
    (root / "README.md").unlink()
    os.link(root / "src/a.py", root / "README.md")


def _gone(root: Path) -> None:
    shutil.rmtree(root)


def _file_for_the_root(root: Path) -> None:
    shutil.rmtree(root)
    root.write_text("x")


def _odd_names(root: Path) -> None:
    write(root, dict.fromkeys(["-rf", "line\nbreak", os.fsdecode(b"\xff\xfe"), "*", "src/ ", "..."], "x"))


def _very_deep(root: Path) -> None:
    here = os.open(root, os.O_RDONLY)
    for _ in range(1500):  # deeper than a path may be long, and than Python may recurse
        os.mkdir("dddd", dir_fd=here)
        below = os.open("dddd", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


@pytest.mark.parametrize(
    "harm",
    [
        _untracked,
        _deleted,
        _same_size_same_time,
        _modes,
        _closed_directories,
        _sticky,
        _nested_git_in_a_tracked_directory,
        _directory_for_a_file,
        _file_for_a_directory,
        _special_files,
        _symlinks_swapped,
        _hardlink,
        _gone,
        _file_for_the_root,
        _odd_names,
        _very_deep,
    ],
)
def test_whatever_an_agent_left_the_work_tree_is_brought_back(
    work: Repository, head: str, harm: Callable[[Path], None]
) -> None:
    before = everything_in(tree_of(work))
    harm(tree_of(work))
    work.restore_work_tree(head)
    assert everything_in(tree_of(work)) == before
    assert work.write_tree_of_work_tree(head) == work.commit(head).tree


def test_a_symlink_in_place_of_a_directory_leads_nowhere(tmp_path: Path, work: Repository, head: str) -> None:
    # Moved, not copied: the files keep what git's index knows of them, so that they look untouched through the symlink.
    precious = tmp_path / "precious"
    (tree_of(work) / "src").rename(precious)
    (tree_of(work) / "src").symlink_to(precious)
    write(precious, {"untracked": "mine"})
    before = everything_in(precious)
    work.restore_work_tree(head)
    assert not (tree_of(work) / "src").is_symlink()
    assert (tree_of(work) / "src/a.py").read_text() == "a = 1\n"
    assert everything_in(precious) == before


def test_a_symlink_in_place_of_the_work_tree_leads_nowhere(tmp_path: Path, work: Repository, head: str) -> None:
    precious = tmp_path / "precious"
    write(precious, {"mine": "1"})
    shutil.rmtree(tree_of(work))
    tree_of(work).symlink_to(precious)
    work.restore_work_tree(head)
    assert everything_in(precious) == {"mine": ("100644", b"1")}
    assert (tree_of(work) / "README.md").is_file()


def test_another_commit_is_reached_from_any_other(work: Repository, head: str) -> None:
    other = commit_files(work, head, {"src/a.py": "a = 2\n", "new/x": "1", "docs/index.md": None})
    assert not (tree_of(work) / "docs/index.md").exists()
    work.restore_work_tree(head)
    assert not (tree_of(work) / "new").exists()
    assert (tree_of(work) / "docs/index.md").read_text() == "docs\n"
    work.restore_work_tree(other)
    assert not (tree_of(work) / "docs").exists()
    assert work.write_tree_of_work_tree(other) == work.commit(other).tree


def test_files_that_nobody_touched_are_not_written_again(work: Repository, head: str) -> None:
    before = {path: path.stat().st_ino for path in tree_of(work).rglob("*.py")}
    write(tree_of(work), {"README.md": "changed"})
    work.restore_work_tree(head)
    assert {path: path.stat().st_ino for path in tree_of(work).rglob("*.py")} == before


def _no_index(index: Path) -> None:
    index.unlink()


def _broken_index(index: Path) -> None:
    index.write_bytes(b"DIRC broken")


def _lock_of_a_killed_git(index: Path) -> None:
    index.with_name(index.name + ".lock").touch()


@pytest.mark.parametrize("harm", [_no_index, _broken_index, _lock_of_a_killed_git])
def test_an_index_that_a_crash_left_is_no_obstacle(work: Repository, head: str, harm: Callable[[Path], None]) -> None:
    assert work.index is not None
    harm(work.index)
    write(tree_of(work), {"README.md": "changed"})
    work.restore_work_tree(head)
    assert (tree_of(work) / "README.md").read_text() == "hello\n"


def test_a_work_tree_without_an_index_is_still_read(work: Repository, head: str) -> None:
    assert work.index is not None
    work.index.unlink()
    work.index.with_name(work.index.name + ".tree").unlink()
    write(tree_of(work), {"README.md": "changed"})
    changes = work.changes(head, work.write_tree_of_work_tree(head))
    assert [change.path for change in changes] == ["README.md"]


def test_removing_does_not_follow_symlinks(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    write(precious, {"mine": "1"})
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "link").symlink_to(precious)
    (tmp_path / "y").symlink_to(precious)
    remove(str(tmp_path / "x"))
    remove(str(tmp_path / "y"))
    remove(str(tmp_path / "never-there"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["precious"]
    assert (precious / "mine").read_text() == "1"


# --- reading into a tree ----------------------------------------------------------------------------------------------


def test_the_tree_holds_what_the_porcelain_would_have_added(work: Repository, head: str) -> None:
    def change(root: Path) -> None:
        write(root, {"src/new.py": "n\n", "docs/index.md": None, "README.md": "changed\n", "build/x": "ignored"})
        (root / "src/a.py").chmod(0o755)
        (root / "link").unlink()
        (root / "link").symlink_to("README.md")

    change(tree_of(work))
    tree = work.write_tree_of_work_tree(head)
    work.restore_work_tree(head)
    work.plant_clone(head, "work")
    change(tree_of(work))
    git(tree_of(work), "add", "--all")
    assert tree == git(tree_of(work), "write-tree")
    assert {change.path for change in work.changes(head, tree)} == {
        "README.md",
        "docs/index.md",
        "link",
        "src/a.py",
        "src/new.py",
    }


def test_a_change_of_the_same_size_in_the_same_instant_is_seen(work: Repository, head: str) -> None:
    for number in range(5):
        work.restore_work_tree(head)
        _same_size_same_time(tree_of(work))
        tree = work.write_tree_of_work_tree(head)
        assert work.tree(tree).read("src/a.py") == b"a = 9\n", f"missed in round {number}"


def test_a_change_in_the_instant_of_the_checkout_is_seen_later_too(work: Repository, head: str) -> None:
    # Git's index knows whole seconds: what tells such a file apart is that the index is no younger than the file.
    assert work.index is not None
    while True:
        (tree_of(work) / "src/a.py").unlink()
        work.restore_work_tree(head)
        _same_size_same_time(tree_of(work))
        if int((tree_of(work) / "src/a.py").stat().st_ctime) == int(work.index.stat().st_mtime):
            break
    while int(time.time()) == int(work.index.stat().st_mtime):
        time.sleep(0.01)
    assert work.tree(work.write_tree_of_work_tree(head)).read("src/a.py") == b"a = 9\n"
    work.restore_work_tree(head)
    assert (tree_of(work) / "src/a.py").read_text() == "a = 1\n"


def test_what_changes_after_the_tree_was_written_is_not_taken_for_it(work: Repository, head: str) -> None:
    write(tree_of(work), {"README.md": "agent\n"})
    first = work.write_tree_of_work_tree(head)
    write(tree_of(work), {"README.md": "check\n", "cache": "x"})
    work.restore_work_tree(head)
    assert (tree_of(work) / "README.md").read_text() == "hello\n"
    assert work.tree(first).read("README.md") == b"agent\n"
    assert work.write_tree_of_work_tree(head) == work.commit(head).tree


def test_two_thousand_paths_of_every_kind_are_added(work: Repository, head: str) -> None:
    odd = ["-rf", "--all", ":(exclude)x", "line\nbreak", "tab\t", '"quoted"', os.fsdecode(b"\xff\xfe"), "*", "ünï", " "]
    names = odd + [f"many/{number % 40}/{number}" for number in range(2000)]
    write(tree_of(work), dict.fromkeys(names, "x"))
    tree = work.tree(work.write_tree_of_work_tree(head))
    assert set(names) <= set(tree.entries())
    assert len(work.changes(head, tree.sha)) == len(names)


# A name that git can hold on every system; what it never can (.git, newline variants of it) is tested apart.
_NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(_NAMES, min_size=1, max_size=8, unique=True))
def test_any_name_survives_into_the_tree(work: Repository, head: str, names: list[str]) -> None:
    names = [f"dir/x{name}" for name in names]
    write(tree_of(work), dict.fromkeys(names, "x"))
    tree = work.write_tree_of_work_tree(head)
    assert {change.path for change in work.changes(head, tree)} == {name for name in names if not name.endswith(".log")}
    work.restore_work_tree(head)


def test_a_nested_repository_without_a_commit_is_named(work: Repository, head: str) -> None:
    nested = tree_of(work) / "sub dir" / "nested"
    nested.mkdir(parents=True)
    git(nested, "init", "--quiet")
    with pytest.raises(NestedRepositoryError) as caught:
        work.write_tree_of_work_tree(head)
    assert caught.value.path == "sub dir/nested"


def test_a_nested_repository_with_a_commit_shows_as_a_submodule(work: Repository, head: str) -> None:
    source_repository(tree_of(work) / "nested", {"x": "1"})
    (change,) = work.changes(head, work.write_tree_of_work_tree(head))
    assert change.path == "nested"
    assert change.new is not None
    assert change.new.mode == "160000"


def test_a_pipe_in_place_of_a_file_is_the_work_trees_fault(work: Repository, head: str) -> None:
    (tree_of(work) / "README.md").unlink()
    os.mkfifo(tree_of(work) / "README.md")
    with pytest.raises(WorkTreeError, match="README"):
        work.write_tree_of_work_tree(head)


def test_a_file_that_cannot_be_read_is_the_work_trees_fault(work: Repository, head: str) -> None:
    write(tree_of(work), {"secret": "x"})
    (tree_of(work) / "secret").chmod(0o000)
    if os.access(tree_of(work) / "secret", os.R_OK):
        pytest.skip("root may read everything")
    with pytest.raises(WorkTreeError, match="secret"):
        work.write_tree_of_work_tree(head)


def test_nothing_is_left_beside_the_index(tmp_path: Path, work: Repository, head: str) -> None:
    work.write_tree_of_work_tree(head)
    (tree_of(work) / "nested").mkdir()
    git(tree_of(work) / "nested", "init", "--quiet")
    with pytest.raises(NestedRepositoryError):
        work.write_tree_of_work_tree(head)
    assert {each.name for each in tmp_path.iterdir()} == {
        "source",
        "store.git",
        "workspace",
        "workspace.index",
        "workspace.index.tree",
    }


# --- attributes and submodules ----------------------------------------------------------------------------------------


def test_line_endings_follow_the_repositorys_attributes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    head = source_repository(
        source, {".gitattributes": "*.txt text eol=crlf\n*.bat -text\n", "a.txt": "one\ntwo\n", "b.bat": "x\r\n"}
    )
    work = workspace(tmp_path, source, head)
    work.restore_work_tree(head)
    assert (tree_of(work) / "a.txt").read_bytes() == b"one\r\ntwo\r\n"
    assert work.write_tree_of_work_tree(head) == work.commit(head).tree
    write(tree_of(work), {"new.txt": "x\r\n", "a.txt": "one\r\n"})
    tree = work.tree(work.write_tree_of_work_tree(head))
    assert tree.read("new.txt") == b"x\n"
    assert tree.read("a.txt") == b"one\n"
    work.restore_work_tree(head)
    assert work.write_tree_of_work_tree(head) == work.commit(head).tree


@pytest.fixture
def with_submodule(tmp_path: Path, source: Path) -> Repository:
    other = tmp_path / "other"
    source_repository(other, {"lib.py": "1\n"})
    git(source, "submodule", "add", "--quiet", str(other), "vendor/sub mod")
    head = commit_all(source, {})
    work = workspace(tmp_path, source, head)
    work.run("update-ref", "refs/heads/main", head)
    work.restore_work_tree(head)
    return work


def test_a_submodule_of_the_target_is_an_empty_directory_and_stays_as_it_is(with_submodule: Repository) -> None:
    work, head = with_submodule, with_submodule.resolve("refs/heads/main")
    assert head is not None
    place = tree_of(work) / "vendor" / "sub mod"
    assert list(place.iterdir()) == []
    assert work.write_tree_of_work_tree(head) == work.commit(head).tree
    source_repository(place / "again", {"x": "1"})
    write(place, {"x": "1"})
    write(tree_of(work), {"README.md": "changed\n"})
    assert [change.path for change in work.changes(head, work.write_tree_of_work_tree(head))] == ["README.md"]
    work.restore_work_tree(head)
    assert list(place.iterdir()) == []


# --- the clone for the agent ------------------------------------------------------------------------------------------


def test_the_agents_clone_is_clean_and_whole(work: Repository, source: Path, head: str) -> None:
    work.plant_clone(head, "pipeline/s/run-01/task")
    root = tree_of(work)
    assert git(root, "status", "--porcelain", "--ignored") == ""
    assert git(root, "symbolic-ref", "HEAD") == "refs/heads/pipeline/s/run-01/task"
    assert git(root, "rev-list", "--all") == git(source, "rev-list", "--all")
    git(root, "fsck", "--strict")
    commit_all(root, {"README.md": "by the agent\n"})
    assert [change.path for change in work.changes(head, work.write_tree_of_work_tree(head))] == ["README.md"]
    assert not any(work.git_dir.glob("index*"))


def test_a_planted_clone_replaces_whatever_git_directory_lies_there(
    tmp_path: Path, work: Repository, head: str
) -> None:
    precious = tmp_path / "precious"
    write(precious, {"HEAD": "mine"})
    (tree_of(work) / ".git").symlink_to(precious)
    work.plant_clone(head, "work")
    assert (precious / "HEAD").read_text() == "mine"
    write(tree_of(work), {".git/hooks/pre-commit": "x", ".git/config": "[core]\n\tfsmonitor = evil\n"})
    work.plant_clone(head, "work")
    assert "fsmonitor" not in (tree_of(work) / ".git/config").read_text()
    assert not (tree_of(work) / ".git/hooks").exists()


def test_a_clone_of_a_shallow_store_is_shallow(tmp_path: Path, source: Path) -> None:
    tip = commit_all(source, {"x": "1"})
    git(tmp_path, "clone", "--quiet", "--depth=1", source.as_uri(), "shallow")
    work = workspace(tmp_path, tmp_path / "shallow", tip)
    work.restore_work_tree(tip)
    work.plant_clone(tip, "work")
    assert git(tree_of(work), "rev-list", "--all") == tip
    git(tree_of(work), "fsck", "--strict")


# --- hostile work trees -----------------------------------------------------------------------------------------------


def make_hostile(root: Path, canary: Path) -> None:
    """Everything by which a work tree or its own .git makes git run a program."""
    evil = f"touch {canary}; cat"
    hooks = ("pre-commit", "post-checkout", "post-index-change", "reference-transaction", "post-commit")
    for name in hooks:
        write(root, {f".git/hooks/{name}": f"#!/bin/sh\n{evil} </dev/null\n"})
        (root / ".git/hooks" / name).chmod(0o755)
    config = f"""
[core]
    repositoryformatversion = 0
    fsmonitor = "{evil}"
    sshCommand = "{evil}"
    pager = "{evil}"
    alternateRefsCommand = "{evil}"
[filter "evil"]
    clean = "{evil}"
    smudge = "{evil}"
    required = true
[diff "evil"]
    command = "{evil}"
    textconv = "{evil}"
[diff]
    external = "{evil}"
[merge "evil"]
    driver = "{evil}"
[credential]
    helper = "!{evil}"
"""
    write(root, {".git/config": config, ".gitattributes": "* filter=evil diff=evil merge=evil\n", "evil.txt": "x\n"})


def test_a_hostile_work_tree_runs_nothing(tmp_path: Path, work: Repository, head: str) -> None:
    canary = tmp_path / "canary"
    work.plant_clone(head, "work")
    make_hostile(tree_of(work), canary)
    write(tree_of(work), {"README.md": "changed\n"})
    tree = work.write_tree_of_work_tree(head)
    assert work.tree(tree).read("evil.txt") == b"x\n"
    commit = work.commit_tree(tree, [head], "x", author="A <a@b>")
    work.restore_work_tree(head)
    work.restore_work_tree(commit)
    assert (tree_of(work) / "evil.txt").read_text() == "x\n"
    target = Repository.create(tmp_path / "target.git")
    work.push(str(target.git_dir), commit, "work", expected=None)
    assert not canary.exists()
    write(tree_of(work), {"evil.txt": "y\n"})
    git(tree_of(work), "add", "--all", check=False)
    assert canary.exists(), "the traps of this test do nothing"


@pytest.mark.parametrize("planted", ["vendor/sub mod", "new"])
def test_a_hostile_repository_in_the_work_tree_runs_nothing(
    tmp_path: Path, with_submodule: Repository, planted: str
) -> None:
    work, head = with_submodule, with_submodule.resolve("refs/heads/main")
    assert head is not None
    canary = tmp_path / "canary"
    place = tree_of(work) / planted
    place.mkdir(exist_ok=True)
    git(place, "init", "--quiet")
    commit_all(place, {"evil.txt": "x\n"})
    make_hostile(place, canary)
    write(place, {"evil.txt": "changed\n"})
    tree = work.write_tree_of_work_tree(head)
    assert [change.path for change in work.changes(head, tree)] == ([planted] if planted == "new" else [])
    work.restore_work_tree(work.commit_tree(tree, [head], "x", author="A <a@b>"))
    work.restore_work_tree(head)
    assert not canary.exists()


def test_a_hostile_submodule_would_run_under_plain_git(tmp_path: Path, with_submodule: Repository) -> None:
    # The control of the test above.
    work, head = with_submodule, with_submodule.resolve("refs/heads/main")
    assert head is not None
    canary = tmp_path / "canary"
    place = tree_of(work) / "vendor/sub mod"
    git(place, "init", "--quiet")
    commit_all(place, {"evil.txt": "x\n"})
    make_hostile(place, canary)
    work.plant_clone(head, "work")
    subprocess.run(["git", "status"], cwd=tree_of(work), capture_output=True)
    assert canary.exists()
