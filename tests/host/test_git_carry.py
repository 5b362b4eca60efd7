"""What goes between two directories without git's transport must be what git's transport would have brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pytest_pipeline.host.git import GitError, Repository
from pytest_pipeline.host.git_objects import Objects
from pytest_pipeline.host.process import Captured, capture
from tests.host.git_world import AUTHOR, commit_files, git, source_repository, workspace


class World:
    """A store with a work tree, and a bare target that has the first commit on ``base``."""

    def __init__(self, tmp_path: Path) -> None:
        source = tmp_path / "source"
        self.start = source_repository(source, {"a.txt": "a\n", "src/deep/b.txt": "b\n", "src/c.txt": "c\n"})
        self.work = workspace(tmp_path, source, self.start)
        self.target = Repository.create(tmp_path / "target.git")
        self.url = str(self.target.git_dir)
        self.work.push(self.url, self.start, "base", expected=None)

    def fetch(self, commit: str, commands: list[str]) -> list[str]:
        """Fetch a commit of the store into the target; the git commands that this took."""
        self.work.run("update-ref", "refs/heads/work", commit)
        commands.clear()
        self.target.fetch(str(self.work.git_dir), ["refs/heads/work"])
        return list(commands)

    def check(self, commit: str) -> None:
        """The commit is there with everything that it needs."""
        self.target.run("update-ref", "refs/heads/work", commit)
        assert git(self.target.git_dir, "fsck", "--strict", "--no-dangling") == ""
        git(self.target.git_dir, "rev-list", "--objects", "--all")
        assert self.target.tree(commit).entries() == self.work.tree(commit).entries()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The git commands that are run, as they come."""
    seen: list[str] = []

    def spy(
        argv: Sequence[str], *, environment: Mapping[str, str], cwd: Path, stdin: bytes, timeout: float
    ) -> Captured:
        seen.append(next(word for word in argv[1:] if not word.startswith("-")))
        return capture(argv, environment=environment, cwd=cwd, stdin=stdin, timeout=timeout)

    monkeypatch.setattr("pytest_pipeline.host.git_command.capture", spy)
    return seen


CHANGES: dict[str, Mapping[str, str | bytes | None]] = {
    "a new file": {"new.txt": "n\n"},
    "a changed file deep down": {"src/deep/b.txt": "B\n"},
    "a deleted directory": {"src/deep/b.txt": None},
    "new directories with the same content twice": {"x/y/z": "same", "p/q": "same", "empty": ""},
    "nothing": {},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_small_fetch_needs_no_process(world: World, commands: list[str], change: str) -> None:
    commit = commit_files(world.work, world.start, CHANGES[change])
    assert world.fetch(commit, commands) == []
    world.check(commit)


def test_a_file_that_becomes_a_directory_arrives(world: World, commands: list[str]) -> None:
    middle = commit_files(world.work, world.start, {"a.txt": None, "src/deep/b.txt": None})
    commit = commit_files(world.work, middle, {"a.txt/inside": "1", "src/deep": "a file now"})
    assert world.fetch(commit, commands) == []
    world.check(commit)


def test_a_merge_of_what_is_there_arrives(world: World, commands: list[str]) -> None:
    one = commit_files(world.work, world.start, {"one": "1"})
    world.fetch(one, commands)
    two = commit_files(world.work, world.start, {"two": "2"})
    tree = world.work.commit(commit_files(world.work, one, {"two": "2"})).tree
    merge = world.work.commit_tree(tree, [two, one], "merge", author=AUTHOR)
    assert world.fetch(merge, commands) == []
    world.check(merge)


def test_what_is_much_or_not_on_top_is_left_to_git(world: World, commands: list[str]) -> None:
    many = commit_files(world.work, world.start, {f"many/{number}": str(number) for number in range(400)})
    large = commit_files(world.work, world.start, {"large": b"x" * (9 * 1024**2)})
    unrelated = world.work.commit_tree(world.work.commit(many).tree, [], "no parent", author=AUTHOR)
    one = commit_files(world.work, world.start, {"one": "1"})
    merge = world.work.commit_tree(world.work.commit(one).tree, [world.start, one], "merge", author=AUTHOR)
    long = world.start
    for number in range(30):
        long = world.work.commit_tree(world.work.commit(one).tree, [long], f"{number}", author=AUTHOR)
    for commit in [many, large, unrelated, merge, long]:
        assert world.fetch(commit, commands) == ["fetch"]
        world.check(commit)


def test_a_fetch_of_a_branch_that_is_not_there_is_an_error(world: World) -> None:
    with pytest.raises(GitError, match="refs/heads/none"):
        world.target.fetch(str(world.work.git_dir), ["refs/heads/none"])


def test_a_push_always_goes_through_git(world: World, commands: list[str]) -> None:
    commit = commit_files(world.work, world.start, {"new": "1"})
    commands.clear()
    world.work.push(world.url, commit, "work", expected=None)
    assert commands == ["push"]


def test_a_push_to_a_branch_that_is_checked_out_is_refused(tmp_path: Path, world: World) -> None:
    git(tmp_path, "clone", "--quiet", "--branch=base", world.url, "checkout")
    commit = commit_files(world.work, world.start, {"new": "1"})
    with pytest.raises(GitError, match="checked out"):
        world.work.push(str(tmp_path / "checkout" / ".git"), commit, "base", expected=world.start)


class Killed(BaseException):
    """Stands for SIGKILL."""


def test_wherever_a_fetch_is_killed_the_next_one_completes_it(
    world: World, commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = commit_files(world.work, world.start, {"x/y": "1", "src/deep/b.txt": "B\n"})
    second = commit_files(world.work, first, {"x/z": "2"})
    original = Objects.write
    for survived in range(20):
        left = survived

        def write(objects: Objects, kind: str, content: bytes, *, expected: str | None = None) -> str:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return original(objects, kind, content, expected=expected)

        with monkeypatch.context() as patch:
            patch.setattr(Objects, "write", write)
            try:
                world.fetch(second, commands)
            except Killed:
                git(world.target.git_dir, "fsck", "--strict")  # a commit that is there has all that it needs
                continue
        assert survived == 6 + 3 + 2  # what is new in the first, what is new in the second, and the two commits
        break
    world.check(second)


def test_a_damaged_object_is_not_carried(world: World, commands: list[str]) -> None:
    commit = commit_files(world.work, world.start, {"new": "content"})
    blob = world.work.tree(commit).entries()["new"].sha
    other = world.work.run("hash-object", "-w", "--stdin", stdin=b"other").stdout.decode().strip()
    place = world.work.objects / blob[:2] / blob[2:]
    place.chmod(0o644)
    place.write_bytes((world.work.objects / other[:2] / other[2:]).read_bytes())
    with pytest.raises(GitError, match="is damaged"):
        world.fetch(commit, commands)
    assert world.target.resolve(commit) is None
