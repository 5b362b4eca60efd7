from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_pipeline.errors import BaseMovedError, ConflictError, ForgeError
from pytest_pipeline.forges.base import ChecksRule, Draft, Forge, MergeRequest, PullRequest, PullRequestState
from pytest_pipeline.forges.local import LocalForge
from pytest_pipeline.forges.local_ledger import Intent, Ledger
from pytest_pipeline.host.git import Repository
from tests.host.git_world import commit_files, git, source_repository, workspace

METHODS = ("merge", "squash", "rebase")


class World:
    """A forge with the base branch ``base``, and a workspace to make branches in."""

    def __init__(self, tmp_path: Path) -> None:
        self.source = tmp_path / "source"
        self.start = source_repository(self.source, {"a.txt": "one\ntwo\nthree\n", "b.txt": "b\n"})
        self.work = workspace(tmp_path, self.source, self.start)
        self.root = tmp_path / ".pipeline" / "forge.git"
        self.forge = LocalForge(self.root)
        self.forge.ensure_base("base", self.start, self.work)

    @property
    def git(self) -> Repository:
        return Repository(self.root)

    def push(self, branch: str, files: dict[str, str | bytes | None], *, start: str | None = None) -> str:
        """A branch on the forge with one commit."""
        head = commit_files(self.work, start or self.start, files)
        self.work.push(self.forge.push_url, head, branch, expected=None)
        return head

    def open(self, branch: str, files: dict[str, str | bytes | None], *, start: str | None = None) -> PullRequest:
        """A branch with one commit and a pull request from it."""
        self.push(branch, files, start=start)
        return self.forge.ensure_pull_request(draft(branch))

    def base(self) -> str:
        head = self.forge.branch_head("base")
        assert head is not None
        return head

    def merge(self, pull_request: PullRequest, method: str = "squash") -> PullRequest:
        return self.forge.merge(pull_request, MergeRequest(method, pull_request.head, self.base(), "Merged\n\nBody\n"))

    def fsck(self) -> None:
        """No output but of commits that no ref names, which losing a race leaves behind."""
        assert git(self.root, "fsck", "--strict", "--no-dangling") == ""


def draft(branch: str) -> Draft:
    return Draft(branch, "base", f"Title of {branch}", "Body")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_it_is_a_forge(world: World) -> None:
    forge: Forge = world.forge
    assert (forge.name, forge.repository) == ("local", "forge")


def test_nothing_is_there_before_it_is_needed(tmp_path: Path) -> None:
    forge = LocalForge(tmp_path / "forge.git")
    assert forge.branch_head("base") is None
    assert forge.find_pull_request("work") is None
    assert forge.pull_requests("base") == []
    forge.delete_branch("work", "1" * 40)
    assert list(tmp_path.iterdir()) == []


# --- base branches ----------------------------------------------------------------------------------------------------


def test_a_base_starts_at_the_commit_and_then_stays_where_it_is(world: World) -> None:
    other = world.push("work", {"new": "1"})
    world.forge.ensure_base("base", other, world.work)
    assert world.base() == world.start
    world.forge.ensure_base("base-2", world.start, world.work)
    assert world.forge.branch_head("base-2") == world.start
    world.fsck()


def test_a_base_without_its_commit_anywhere_is_refused(world: World) -> None:
    with pytest.raises(ForgeError, match="could not do its work"):
        world.forge.ensure_base("base-2", "1" * 40, world.work)


def test_a_base_from_a_shallow_clone_is_a_base(tmp_path: Path, world: World) -> None:
    tip = commit_files(world.work, world.start, {"new": "1"})
    world.work.push(str(world.source), tip, "tip", expected=None)
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=tip", world.source.as_uri(), "shallow")
    forge = LocalForge(tmp_path / "other.git")
    forge.ensure_base("base", tip, Repository(tmp_path / "shallow" / ".git"))
    assert forge.branch_head("base") == tip


# --- pull requests ----------------------------------------------------------------------------------------------------


def test_a_pull_request_is_opened_once_and_found_again(world: World) -> None:
    opened = world.open("work", {"new": "1"})
    assert opened == PullRequest(
        number=1,
        url="local://forge/pull/1",
        branch="work",
        base="base",
        head=world.forge.branch_head("work") or "",
        title="Title of work",
        state=PullRequestState.OPEN,
    )
    assert world.forge.ensure_pull_request(draft("work")) == opened
    assert world.forge.find_pull_request("work") == opened
    assert world.forge.wait_until_ready(opened, ChecksRule.REQUIRED, 1.0) == opened
    assert world.forge.update(opened, MergeRequest("squash", opened.head, world.start, "x")) == opened
    assert LocalForge(world.root).find_pull_request("work") == opened
    assert world.open("other", {"other": "1"}).number == 2
    assert world.forge.find_pull_request("none") is None


def test_the_head_of_an_open_pull_request_is_that_of_its_branch(world: World) -> None:
    first = world.open("work", {"new": "1"})
    second = commit_files(world.work, first.head, {"new": "2"})
    world.work.push(world.forge.push_url, second, "work", expected=first.head)
    found = world.forge.find_pull_request("work")
    assert found is not None
    assert (found.number, found.head) == (1, second)


def test_a_pull_request_without_commits_is_refused(world: World) -> None:
    world.work.push(world.forge.push_url, world.start, "work", expected=None)
    with pytest.raises(ForgeError, match="No commits between base and work"):
        world.forge.ensure_pull_request(draft("work"))


def test_a_branch_that_is_behind_its_base_is_refused(world: World) -> None:
    behind = world.push("behind", {"new": "1"})
    beyond = commit_files(world.work, behind, {"x": "1"})
    world.work.push(world.forge.push_url, beyond, "base", expected=world.start)
    with pytest.raises(ForgeError, match="No commits between"):
        world.forge.ensure_pull_request(draft("behind"))


@pytest.mark.parametrize(("branch", "base"), [("none", "base"), ("work", "none")])
def test_a_pull_request_needs_both_branches(world: World, branch: str, base: str) -> None:
    world.push("work", {"new": "1"})
    with pytest.raises(ForgeError, match="There is no branch none"):
        world.forge.ensure_pull_request(Draft(branch, base, "Title", ""))


def test_pull_requests_are_listed_by_their_base(world: World) -> None:
    first, second = world.open("one", {"1": "1"}), world.open("two", {"2": "2"})
    world.forge.ensure_base("elsewhere", world.start, world.work)
    world.forge.ensure_pull_request(Draft("one", "elsewhere", "Other base", ""))
    merged = world.merge(first)
    assert world.forge.pull_requests("base") == [merged, second]
    assert [each.number for each in world.forge.pull_requests("elsewhere")] == [3]


# --- merging ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_merge_moves_the_base_to_the_verified_tree(world: World, method: str) -> None:
    opened = world.open("work", {"new": "1"})
    merged = world.merge(opened, method)
    assert merged.state is PullRequestState.MERGED
    assert merged.head == opened.head
    assert merged.merge_commit == world.base()
    commit, head = world.git.commit(world.base()), world.git.commit(opened.head)
    assert commit.tree == head.tree
    assert commit.parents == ((world.start, opened.head) if method == "merge" else (world.start,))
    assert commit.message == (head.message if method == "rebase" else "Merged\n\nBody\n")
    assert commit.author == ("pytest-pipeline <pytest-pipeline@localhost>" if method == "merge" else head.author)
    assert commit.sha != opened.head
    if method == "rebase":
        assert commit.authored == head.authored
    world.fsck()


@pytest.mark.parametrize("method", METHODS)
def test_a_merge_beside_another_keeps_both(world: World, method: str) -> None:
    first = world.open("first", {"a.txt": "ONE\ntwo\nthree\n"})
    second = world.open("second", {"a.txt": "one\ntwo\nTHREE\n", "new": "2"})
    world.merge(first, method)
    between = world.base()
    merged = world.merge(second, method)
    tree = world.git.tree(merged.merge_commit or "")
    assert tree.read("new") == b"2"
    assert tree.read("a.txt") in (b"ONE\ntwo\nTHREE\n",)
    assert world.git.commit(world.base()).parents[0] == between
    world.fsck()


@pytest.mark.parametrize("method", METHODS)
def test_a_conflict_is_refused_and_names_the_files(world: World, method: str) -> None:
    first = world.open("first", {"a.txt": "1\n", "b.txt": "1\n", "same": "1"})
    second = world.open("second", {"a.txt": "2\n", "b.txt": "2\n", "same": "1"})
    world.merge(first, method)
    before = world.base()
    with pytest.raises(ConflictError, match=r"a\.txt, b\.txt") as caught:
        world.merge(second, method)
    assert caught.value.paths == ("a.txt", "b.txt")
    assert world.base() == before
    assert world.forge.find_pull_request("second") == second


def test_a_conflict_names_odd_paths(world: World) -> None:
    name = "line\nbreak ü.txt"
    first, second = world.open("first", {name: "1\n"}), world.open("second", {name: "2\n"})
    world.merge(first)
    with pytest.raises(ConflictError) as caught:
        world.merge(second)
    assert caught.value.paths == (name,)


def test_rebase_makes_each_commit_again(world: World) -> None:
    first = world.push("work", {"one": "1"})
    second = commit_files(world.work, first, {"two": "2"})
    world.work.push(world.forge.push_url, second, "work", expected=first)
    opened = world.forge.ensure_pull_request(draft("work"))
    world.merge(world.open("other", {"b.txt": "changed\n"}))
    between = world.base()
    merged = world.merge(opened, "rebase")
    chain = list(world.git.first_parents(merged.merge_commit or "", until=between))
    assert [world.git.commit(sha).message for sha in chain] == ["Change two\n", "Change one\n"]
    assert [change.path for change in world.git.changes(between, chain[1])] == ["one"]
    assert [change.path for change in world.git.changes(chain[1], chain[0])] == ["two"]


def test_an_unknown_method_is_refused(world: World) -> None:
    with pytest.raises(ForgeError, match="merge, squash or rebase"):
        world.merge(world.open("work", {"new": "1"}), "octopus")


def test_a_base_that_moved_is_not_merged_into(world: World) -> None:
    first, second = world.open("first", {"1": "1"}), world.open("second", {"2": "2"})
    world.merge(first)
    with pytest.raises(BaseMovedError, match="base is at"):
        world.forge.merge(second, MergeRequest("squash", second.head, world.start, "x"))
    assert world.forge.find_pull_request("second") == second


def test_a_head_that_moved_is_not_merged(world: World) -> None:
    opened = world.open("work", {"new": "1"})
    world.work.push(
        world.forge.push_url, commit_files(world.work, opened.head, {"evil": "1"}), "work", expected=opened.head
    )
    with pytest.raises(BaseMovedError, match="work is at"):
        world.forge.merge(opened, MergeRequest("squash", opened.head, world.start, "x"))
    world.git.run("update-ref", "-d", "refs/heads/work")
    with pytest.raises(BaseMovedError, match="work is at no commit"):
        world.forge.merge(opened, MergeRequest("squash", opened.head, world.start, "x"))
    assert world.base() == world.start


@pytest.mark.parametrize("branch", ["base", "work"])
def test_a_branch_that_moves_in_the_last_moment_is_not_merged(
    world: World, branch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = world.open("work", {"new": "1"})
    elsewhere = commit_files(world.work, opened.head, {"evil": "1"})
    world.work.push(world.forge.push_url, elsewhere, "elsewhere", expected=None)
    intend = Ledger.intend

    def move_first(ledger: Ledger, number: int, intent: Intent) -> None:
        intend(ledger, number, intent)
        world.git.run("update-ref", f"refs/heads/{branch}", elsewhere)

    monkeypatch.setattr(Ledger, "intend", move_first)
    with pytest.raises(BaseMovedError):
        world.merge(opened)
    found = world.forge.find_pull_request("work")
    assert found is not None
    assert found.state is PullRequestState.OPEN


def test_a_merged_pull_request_is_merged_once(world: World) -> None:
    opened = world.open("work", {"new": "1"})
    merged = world.merge(opened)
    world.merge(world.open("other", {"other": "1"}))
    after = world.base()
    assert world.merge(opened) == merged
    assert world.forge.merge(opened, MergeRequest("squash", "1" * 40, "2" * 40, "x")) == merged
    assert world.forge.ensure_pull_request(draft("work")) == merged
    world.forge.delete_branch("work", opened.head)
    assert world.merge(opened) == merged
    assert world.base() == after


def test_a_pull_request_that_is_not_known_is_not_merged(world: World) -> None:
    unknown = PullRequest(7, "local://forge/pull/7", "work", "base", world.start, "x", PullRequestState.OPEN)
    with pytest.raises(ForgeError, match="no pull request local://forge/pull/7"):
        world.merge(unknown)


def test_what_reached_the_base_otherwise_is_not_merged_again(world: World) -> None:
    opened = world.open("work", {"new": "1"})
    beyond = commit_files(world.work, opened.head, {"x": "1"})
    world.work.push(world.forge.push_url, beyond, "base", expected=world.start)
    with pytest.raises(ForgeError, match="No commits between base and work"):
        world.merge(opened)


# --- deleting ---------------------------------------------------------------------------------------------------------


def test_a_branch_goes_only_from_where_it_is_expected(world: World) -> None:
    opened = world.open("work", {"new": "1"})
    with pytest.raises(ForgeError, match="so it was not deleted"):
        world.forge.delete_branch("work", world.start)
    world.merge(opened)
    world.forge.delete_branch("work", opened.head)
    world.forge.delete_branch("work", opened.head)
    assert world.forge.branch_head("work") is None


def test_an_open_pull_request_closes_with_its_branch(world: World) -> None:
    opened = world.open("work", {"new": "1"})
    world.forge.delete_branch("work", opened.head)
    found = world.forge.find_pull_request("work")
    assert found is not None
    assert (found.state, found.head) == (PullRequestState.CLOSED, opened.head)
    with pytest.raises(ForgeError, match="is closed"):
        world.forge.merge(opened, MergeRequest("squash", opened.head, world.start, "x"))
    again = world.open("work", {"new": "2"})
    assert (again.number, again.state) == (2, PullRequestState.OPEN)


# --- crashes ----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours may catch it."""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("owner", "seam", "after", "merged"),
    [
        (Ledger, "intend", False, False),
        (Ledger, "intend", True, False),
        (Repository, "update_refs", False, False),
        (Repository, "update_refs", True, True),
        (Ledger, "merged", False, True),
        (Ledger, "merged", True, True),
    ],
)
def test_a_merge_that_was_killed_is_found_or_made_once(
    world: World, monkeypatch: pytest.MonkeyPatch, method: str, owner: type, seam: str, after: bool, merged: bool
) -> None:
    opened = world.open("work", {"new": "1"})
    original = getattr(owner, seam)

    def killed(*arguments: object) -> None:
        if after:
            original(*arguments)
        raise Killed

    request = MergeRequest(method, opened.head, world.start, "Merged")
    with monkeypatch.context() as patch:
        patch.setattr(owner, seam, killed)
        with pytest.raises(Killed):
            world.forge.merge(opened, request)
    moved = world.base()
    assert (moved != world.start) == merged
    forge = LocalForge(world.root)
    if merged:
        found = forge.find_pull_request("work")
        assert found is not None
        assert (found.state, found.merge_commit) == (PullRequestState.MERGED, moved)
    result = forge.merge(opened, request)
    assert result.state is PullRequestState.MERGED
    assert result.merge_commit == world.base()
    assert not merged or world.base() == moved
    expected = [world.base(), *([opened.head] if method == "merge" else []), world.start]
    assert sorted(git(world.root, "rev-list", "base").split()) == sorted(expected)


def test_a_killed_merge_is_found_below_later_ones(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = world.open("first", {"1": "1"}), world.open("second", {"2": "2"})

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "merged", killed)
        with pytest.raises(Killed):
            world.merge(first)
    between = world.base()
    world.merge(second)
    assert [each.merge_commit for each in world.forge.pull_requests("base")] == [between, world.base()]
    world.forge.delete_branch("first", first.head)
    found = world.forge.find_pull_request("first")
    assert found is not None
    assert found.state is PullRequestState.MERGED


def run_worker(world: World, *arguments: str) -> subprocess.Popen[bytes]:
    world.work.run("update-ref", "refs/heads/main", world.start)
    command = [sys.executable, "-m", "tests.forges.merging_worker", str(world.root), str(world.work.git_dir)]
    return subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, cwd=Path(__file__).parents[2])


def test_a_process_that_really_dies_after_the_base_moved_is_found_to_have_merged(world: World) -> None:
    process = run_worker(world, "mortal", "1", "killed")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == -9, stderr.decode()
    (found,) = LocalForge(world.root).pull_requests("base")
    assert (found.state, found.merge_commit) == (PullRequestState.MERGED, world.base())
    world.fsck()


def test_several_processes_merge_everything_exactly_once(world: World) -> None:
    workers = [run_worker(world, f"worker{number}", "5") for number in range(3)]
    for worker in workers:
        _, stderr = worker.communicate(timeout=120)
        assert worker.returncode == 0, stderr.decode()
    pull_requests = world.forge.pull_requests("base")
    assert [each.number for each in pull_requests] == list(range(1, 16))
    assert {each.state for each in pull_requests} == {PullRequestState.MERGED}
    chain = list(world.git.first_parents(world.base(), until=world.start))
    assert sorted(chain) == sorted(each.merge_commit or "" for each in pull_requests)
    names = {f"worker{worker}-{number}.txt" for worker in range(3) for number in range(5)}
    assert set(world.git.tree(world.base()).entries()) == names | {"a.txt", "b.txt"}
    assert git(world.root, "for-each-ref", "--format=%(refname)") == "refs/heads/base"
    world.fsck()


def test_a_pull_request_that_several_open_at_once_is_one(tmp_path: Path) -> None:
    path = tmp_path / "forge.db"
    start = threading.Barrier(8)

    def open_it(number: int) -> int:
        start.wait(timeout=30)
        return Ledger(path).open(draft(f"work-{number % 2}"), "1" * 40).number

    for _ in range(5):
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(open_it, range(8))) == {1, 2}
        path.unlink()


# --- what it keeps ----------------------------------------------------------------------------------------------------


def test_a_ledger_of_a_newer_version_is_refused(world: World) -> None:
    world.open("work", {"new": "1"})
    ledger = world.root.with_suffix(".db")
    connection = sqlite3.connect(ledger)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ForgeError, match="newer pytest-pipeline"):
        world.forge.find_pull_request("work")


def test_a_ledger_that_is_none_is_told_as_an_error_of_the_forge(world: World) -> None:
    world.root.with_suffix(".db").write_bytes(b"no database" * 100)
    with pytest.raises(ForgeError, match="cannot read or write its pull requests"):
        world.forge.find_pull_request("work")


@pytest.mark.parametrize("damaged", [b"no database" * 100, b"\0" * 4096], ids=["all of it", "a page in it"])
def test_a_damaged_ledger_does_not_say_whose_it_is(world: World, damaged: bytes) -> None:
    world.open("work", {"new": "1"})
    ledger = world.root.with_suffix(".db")
    ledger.write_bytes((ledger.read_bytes()[:4096] if damaged[:1] == b"\0" else b"") + damaged)
    with pytest.raises(ForgeError, match="cannot read or write its pull requests"):
        world.forge.identity()


def test_a_forge_is_told_from_others_and_known_where_it_was_moved_to(tmp_path: Path) -> None:
    one, other = LocalForge(tmp_path / "one.git"), LocalForge(tmp_path / "other.git")
    known = one.identity()
    (tmp_path / "one.db").rename(tmp_path / "moved.db")

    assert LocalForge(tmp_path / "moved.git").identity() == known != other.identity()


def test_no_path_of_the_machine_is_kept(world: World, tmp_path: Path) -> None:
    merged = world.merge(world.open("work", {"new": "1"}))
    assert str(tmp_path) not in repr(merged)
    ledger = world.root.with_suffix(".db").read_bytes()
    assert not re.search(re.escape(str(tmp_path)).encode(), ledger)
