from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_pipeline.errors import ForgeError
from pytest_pipeline.forges.base import Draft, MergeRequest, PullRequest, PullRequestState
from pytest_pipeline.forges.leftovers import Sweepable
from pytest_pipeline.forges.local import LocalForge
from pytest_pipeline.forges.local_ledger import Intent, Ledger
from pytest_pipeline.host.git import Repository
from tests.host.git_world import commit_files, git, source_repository, workspace

RUN = "pipeline/20261126-120523-a1b2c3/run-01"
BASE = f"{RUN}/base"
TASK = f"{RUN}/plans.hello/batch-1-task-1-1"
OTHER = f"{RUN}/plans.hello/batch-1-task-1-2"


class World:
    """A local forge with what a session leaves."""

    def __init__(self, tmp_path: Path) -> None:
        self.start = source_repository(tmp_path / "source", {"a.txt": "a\n"})
        self.work = workspace(tmp_path, tmp_path / "source", self.start)
        self.root = tmp_path / "forge.git"
        self.forge = LocalForge(self.root)
        self.forge.ensure_base(BASE, self.start, self.work)

    def open(self, branch: str, base: str = BASE) -> PullRequest:
        head = commit_files(self.work, self.start, {branch.replace("/", "_"): "1"})
        self.work.push(self.forge.push_url, head, branch, expected=None)
        return self.forge.ensure_pull_request(Draft(branch, base, "Title", "Body"))

    def branches(self) -> list[str]:
        return git(self.root, "for-each-ref", "--format=%(refname:lstrip=2)").splitlines()

    def state(self, branch: str) -> PullRequestState:
        found = self.forge.find_pull_request(branch)
        assert found is not None
        return found.state


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_forge_that_was_never_used_has_nothing_and_is_not_made(tmp_path: Path) -> None:
    forge: Sweepable = LocalForge(tmp_path / "forge.git")
    assert isinstance(forge, Sweepable)
    assert forge.leftovers() == ()
    assert list(tmp_path.iterdir()) == []


def test_what_a_session_left_is_listed_and_removed(world: World) -> None:
    first, second = world.open(TASK), world.open(OTHER)
    found = world.forge.leftovers()
    assert [each.branch.name for each in found] == [TASK, OTHER, BASE]
    assert [each.head for each in found] == [first.head, second.head, world.start]
    assert [[pull.url for pull in each.pull_requests] for each in found] == [[first.url], [second.url], []]
    assert [[pull.number for pull in world.forge.remove(each)] for each in found] == [[1], [2], []]
    assert world.branches() == []
    assert world.state(TASK) is world.state(OTHER) is PullRequestState.CLOSED
    assert [world.forge.remove(each) for each in found] == [(), (), ()]


def test_what_is_not_ours_survives(world: World) -> None:
    for branch in ("main", f"{RUN}/mine", "pipeline-mine"):
        Repository(world.root).run("update-ref", f"refs/heads/{branch}", world.start)
    world.open("feature", "main")
    for each in world.forge.leftovers():
        world.forge.remove(each)
    assert world.branches() == ["feature", "main", "pipeline-mine", f"{RUN}/mine"]
    assert world.state("feature") is PullRequestState.OPEN


def test_a_pull_request_of_another_branch_keeps_the_base(world: World) -> None:
    world.open(TASK)
    world.open("feature")
    task, base = world.forge.leftovers()
    assert "is open into it" in base.kept
    world.forge.remove(task)
    with pytest.raises(ForgeError, match=r"was not deleted: pull request #2 \(local://forge/pull/2\)"):
        world.forge.remove(base)
    assert world.branches() == ["feature", BASE]


def test_a_base_waits_for_the_branches_of_its_tasks(world: World) -> None:
    world.open(TASK)
    _, base = world.forge.leftovers()
    with pytest.raises(ForgeError, match="from a branch that stays"):
        world.forge.remove(base)
    assert world.state(TASK) is PullRequestState.OPEN
    git(world.root, "update-ref", "-d", f"refs/heads/{TASK}")
    world.forge.remove(base)
    assert world.branches() == []


def test_a_branch_that_moved_stays_with_its_pull_request(world: World) -> None:
    world.open(TASK)
    task, _ = world.forge.leftovers()
    moved = commit_files(world.work, task.head, {"more": "1"})
    world.work.push(world.forge.push_url, moved, TASK, expected=task.head)
    with pytest.raises(ForgeError, match=f"{TASK} is at {moved}, not at {task.head}"):
        world.forge.remove(task)
    assert world.state(TASK) is PullRequestState.OPEN


def test_a_merge_of_which_a_killed_process_told_nobody_is_no_open_pull_request(world: World) -> None:
    opened = world.open(TASK)
    ledger = Ledger(world.root.with_suffix(".db"))
    world.forge.merge(opened, MergeRequest("squash", opened.head, world.start, "Merged\n"))
    row = ledger.get(opened.number)
    assert row is not None
    assert row.merge_commit is not None
    ledger._write("UPDATE pull_request SET state = 'open', merge_commit = NULL")
    assert ledger.intents(opened.number) == [Intent(opened.head, world.start, row.merge_commit)]
    task, base = world.forge.leftovers()
    assert (task.pull_requests, base.kept) == ((), "")


def test_two_cleaners_at_once_leave_nothing_and_complain_of_nothing(world: World) -> None:
    for number in range(12):
        world.open(f"{RUN}/plans.hello/batch-1-task-{number}")
    listed = world.forge.leftovers()
    with ThreadPoolExecutor(3) as pool:
        clean = [pool.submit(lambda: [LocalForge(world.root).remove(each) for each in listed]) for _ in range(3)]
        closed = [sum(map(len, each.result())) for each in clean]
    assert world.branches() == []
    assert sum(closed) >= 12
