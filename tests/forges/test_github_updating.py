from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_pipeline.errors import BaseMovedError, BehindError, ConflictError, ForgeError
from pytest_pipeline.forges.base import ChecksRule, MergeRequest, PullRequest, PullRequestState
from pytest_pipeline.forges.gate_limits import CallKind
from pytest_pipeline.forges.github.client import Client
from pytest_pipeline.host.git import Commit, Repository
from tests.forges.github_scene import BASE, NAME, WORK, RecordingGate, Scene, draft, scene_in
from tests.github_world import Check, faults, mergeability
from tests.github_world import Rule as BranchRule
from tests.host.git_world import AUTHOR, commit_files

METHODS = ("merge", "squash", "rebase")
UPDATE = "PUT /repos/*/update-branch"
PUSH = "POST /*/git-receive-pack"
EMPTY = ("", "")
FAULTS = {
    "lost": faults.lost(),
    "lost with 502": faults.lost(502),
    "502": faults.status(502),
    "reset": faults.reset(),
}
REST_FAULTS = FAULTS | {
    "cut": faults.cut(),
    "html": faults.html(),
    "secondary": faults.secondary(1),
    "content": faults.secondary(content=True),
}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_in(tmp_path) as scene:
        yield scene


@pytest.fixture
def busy(scene: Scene) -> Iterator[Scene]:
    """A scene in which others ask REST while we sleep: the world's time is counted in requests."""
    client = Client(NAME, scene.token, base_url=scene.world.url, gate=RecordingGate())
    sleep = scene.time.sleep

    def sleep_while_others_ask(seconds: float) -> None:
        sleep(seconds)
        client.get("branches/main")

    scene.time.sleep = sleep_while_others_ask  # type: ignore[method-assign]
    scene.forge = scene.another()
    yield scene
    client.close()


def behind(scene: Scene) -> PullRequest:
    """A pull request whose base has moved on."""
    opened = scene.open({"new": "1"})
    scene.hosted.commit(BASE, {"other": "1"})
    return opened


def update(scene: Scene, pull_request: PullRequest, method: str = "squash") -> PullRequest:
    """As a process does it that is new, and knows the head that was pushed."""
    return scene.another().update(pull_request, scene.request(pull_request, method))


def head(scene: Scene) -> Commit:
    """The commit that the branch is at, by the server's own files."""
    return scene.hosted.git.commit(scene.tip(WORK) or "")


def pushes(scene: Scene) -> int:
    return scene.gate.calls.count("push")


# --- by GitHub, and by us ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["merge", "squash"])
def test_github_merges_the_base_into_the_head(scene: Scene, method: str) -> None:
    opened = behind(scene)
    before = len(scene.gate.calls)
    updated = update(scene, opened, method)
    assert updated == replace(opened, head=scene.tip(WORK) or "")
    assert head(scene).parents == (opened.head, scene.base())
    assert [each for each in scene.gate.calls[before:] if each != "read"] == ["content"]


def test_what_is_rebased_at_the_merge_is_rebased_by_us(scene: Scene) -> None:
    opened = behind(scene)
    updated = update(scene, opened, "rebase")
    assert updated == replace(opened, head=scene.tip(WORK) or "")
    assert head(scene).parents == (scene.base(),)
    assert set(scene.hosted.git.tree(updated.head).entries()) == {"a.txt", "b.txt", "new", "other"}
    assert scene.asked("PUT") == 0


def test_a_head_that_is_up_to_date_stays(scene: Scene) -> None:
    opened = scene.open({"new": "1"})
    for method in METHODS:
        assert update(scene, opened, method) == opened
    assert (scene.asked("PUT"), pushes(scene), scene.time.sleeps) == (0, 1, [])


def test_a_rebase_changes_nothing_but_where_the_commits_stand(scene: Scene) -> None:
    scene.forge.ensure_base(BASE, scene.start, scene.work)
    tree = scene.work.commit(commit_files(scene.work, scene.start, {"new": "1"})).tree
    by = {"author": "Ada <a@example.org> 1600000000 +0100", "committer": "Bob <b@example.org> 1600000001 -0200"}
    first = scene.work.commit_tree(tree, [scene.start], "First\n\nBody\n", **by)
    tree = scene.work.commit(commit_files(scene.work, first, {"a.txt": "one\ntwo\nTHREE\n"})).tree
    second = scene.work.commit_tree(tree, [first], "Second\n", **by)
    with scene.push_environment() as environment:
        scene.work.push(scene.url, second, WORK, expected=None, environment=environment)
    opened = scene.forge.ensure_pull_request(draft())
    base = scene.hosted.commit(BASE, {"a.txt": "ONE\ntwo\nthree\n"})
    updated = update(scene, opened, "rebase")
    git = scene.hosted.git
    made = [git.commit(git.commit(updated.head).parents[0]), git.commit(updated.head)]
    for old, new in zip((first, second), made, strict=True):
        changed = {"sha": new.sha, "tree": new.tree, "parents": new.parents}
        assert new == replace(scene.work.commit(old), **changed)  # type: ignore[arg-type]
    assert made[0].parents == (base,)
    assert git.tree(updated.head).read("a.txt") == b"ONE\ntwo\nTHREE\n"


@pytest.mark.parametrize(
    "answer",
    [
        faults.status(403, "Resource not accessible by integration"),
        faults.status(404, "Not Found"),
        faults.status(422, "A sentence that nobody has seen"),
        faults.status(422, "merge conflict between base and head"),  # in which git sees none
    ],
)
def test_where_github_does_not_update_we_rebase(scene: Scene, answer: faults.Fault) -> None:
    opened = behind(scene)
    scene.world.faults.add(UPDATE, answer)
    assert update(scene, opened).head == scene.tip(WORK)
    assert head(scene).parents == (scene.base(),)
    assert scene.asked("PUT") == 1
    assert scene.time.now < 10.0


def test_where_the_repository_does_not_allow_it_we_rebase(scene: Scene) -> None:
    scene.hosted.settings.allow_update_branch = False
    opened = behind(scene)
    assert update(scene, opened).head == scene.tip(WORK)
    assert head(scene).parents == (scene.base(),)


def test_a_limit_is_no_reason_to_push(scene: Scene) -> None:
    opened = behind(scene)
    scene.world.faults.add(UPDATE, faults.secondary(content=True), times=100)
    with pytest.raises(ForgeError, match=r"did not update the branch of .*secondary rate limit"):
        update(scene, opened)
    assert pushes(scene) == 1


def test_an_update_that_does_not_come_is_not_waited_for_for_ever(scene: Scene) -> None:
    scene.world.lag.update = 12
    opened = behind(scene)
    updated = update(scene, opened)
    assert 60.0 <= scene.time.now < 70.0
    assert scene.asked("PUT") == 1
    for _ in range(20):
        scene.forge.find_pull_request(WORK)  # so that the late update has its turn
    assert scene.tip(WORK) == updated.head
    assert head(scene).parents == (scene.base(),)


# --- lag, lost answers and crashes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [0, 6])
@pytest.mark.parametrize("fault", REST_FAULTS)
def test_a_fault_of_the_update_leaves_one_merge_of_the_base(busy: Scene, fault: str, lag: int) -> None:
    scene, opened = busy, behind(busy)
    scene.world.lag.lists = scene.world.lag.pulls = scene.world.lag.refs = lag
    scene.world.lag.update = lag // 2
    scene.world.faults.add(UPDATE, REST_FAULTS[fault], times=2)
    updated = update(scene, opened)
    assert updated.head == scene.tip(WORK)
    assert head(scene).parents == (opened.head, scene.base())
    ready = scene.forge.wait_until_ready(updated, ChecksRule.REQUIRED, 300.0)
    assert scene.forge.merge(ready, scene.request(ready)).merge_commit == scene.base()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", ["squash", "rebase"])
def test_a_fault_of_the_push_leaves_one_rebased_commit(scene: Scene, method: str, fault: str) -> None:
    scene.hosted.settings.allow_update_branch = False
    opened = behind(scene)
    scene.world.faults.add(PUSH, FAULTS[fault], times=2)
    updated = update(scene, opened, method)
    assert updated.head == scene.tip(WORK)
    assert head(scene).parents == (scene.base(),)
    ready = scene.forge.wait_until_ready(updated, ChecksRule.REQUIRED, 300.0)
    assert scene.forge.merge(ready, scene.request(ready, method)).merge_commit == scene.base()


@pytest.mark.parametrize("method", ["squash", "rebase"])
@pytest.mark.parametrize("fault", ["502", "reset"])
@pytest.mark.parametrize("route", ["GET /repos/*/pulls/*", "GET /*/info/refs", "POST /*/git-upload-pack"])
def test_a_fault_of_a_read_is_waited_out(scene: Scene, route: str, fault: str, method: str) -> None:
    opened = behind(scene)
    scene.world.faults.add(route, FAULTS[fault], times=2)
    assert update(scene, opened, method).head == scene.tip(WORK)
    assert scene.base() in head(scene).parents
    assert scene.world.faults.left == 0


@pytest.mark.parametrize(
    "said", ["There are no new commits on the base branch.", "expected head sha didn't match current head ref."]
)
def test_rest_that_sees_other_tips_than_git_is_asked_again(scene: Scene, said: str) -> None:
    opened = behind(scene)
    scene.world.faults.add(UPDATE, faults.status(422, said), times=3)
    update(scene, opened)
    assert head(scene).parents == (opened.head, scene.base())
    assert scene.asked("PUT") == 4


def test_an_outage_of_the_push_that_does_not_end_is_told(scene: Scene) -> None:
    opened = behind(scene)
    scene.world.faults.add(PUSH, faults.status(503), times=1000)
    with pytest.raises(ForgeError, match=rf"(?s)git could not push {WORK} to .*503.*start again"):
        update(scene, opened, "rebase")
    assert scene.tip(WORK) == opened.head
    assert 100 < scene.time.now < 200


class Crash(BaseException):
    """The process ends here."""


class CrashingGate(RecordingGate):
    """Ends the process when a call of that kind has been made, before its answer is looked at."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        with super()._turn():
            yield
            if self.calls[-1] == self.kind:
                raise Crash


@pytest.mark.parametrize("lag", [0, 6])
@pytest.mark.parametrize(
    ("method", "kind"), [("squash", CallKind.CONTENT), ("squash", CallKind.PUSH), ("rebase", CallKind.PUSH)]
)
def test_a_crash_after_a_change_is_gone_on_from(busy: Scene, method: str, kind: CallKind, lag: int) -> None:
    scene = busy
    scene.hosted.settings.allow_update_branch = kind is not CallKind.PUSH
    opened = behind(scene)
    request = scene.request(opened, method)
    scene.world.lag.update = lag
    scene.world.lag.pulls = lag
    scene.gate = CrashingGate(kind.value)
    with pytest.raises(Crash):
        scene.another().update(opened, request)
    scene.gate = RecordingGate()
    updated = scene.another().update(opened, request)
    assert updated.head == scene.tip(WORK)
    expected = (scene.base(),) if kind is CallKind.PUSH else (opened.head, scene.base())
    assert head(scene).parents == expected
    assert pushes(scene) == 0, "it was there already"
    assert scene.another().update(opened, request).head == updated.head


@pytest.mark.parametrize("allowed", [True, False])
def test_another_machine_knows_what_was_done(scene: Scene, tmp_path: Path, allowed: bool) -> None:
    scene.hosted.settings.allow_update_branch = allowed
    opened = behind(scene)
    request = scene.request(opened)
    updated = update(scene, opened)
    other = scene.another(Repository.create(tmp_path / "other.git"))
    assert other.update(opened, request) == updated
    tip = scene.hosted.commit(BASE, {"more": "1"})
    assert other.update(opened, request).head == scene.tip(WORK)
    assert head(scene).parents[-1] == tip


def test_a_commit_that_we_would_write_otherwise_is_known_too(scene: Scene) -> None:
    scene.forge.ensure_base(BASE, scene.start, scene.work)
    plain = scene.work.run("cat-file", "commit", commit_files(scene.work, scene.start, {"new": "1"})).stdout
    signed = plain.replace(b"\n\n", b"\nencoding ISO-8859-1\n\n", 1)
    made = scene.work.run("hash-object", "-t", "commit", "-w", "--stdin", stdin=signed).stdout.decode().strip()
    with scene.push_environment() as environment:
        scene.work.push(scene.url, made, WORK, expected=None, environment=environment)
    opened = scene.forge.ensure_pull_request(draft())
    scene.hosted.commit(BASE, {"other": "1"})
    first = update(scene, opened)
    scene.hosted.commit(BASE, {"more": "1"})
    second = update(scene, first)
    assert head(scene).parents == (first.head, scene.base())
    assert update(scene, opened) == second


# --- conflicts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "allowed"), [("squash", True), ("squash", False), ("rebase", True)])
def test_a_conflict_names_its_files_and_changes_nothing(scene: Scene, method: str, allowed: bool) -> None:
    scene.hosted.settings.allow_update_branch = allowed
    opened = scene.open({"a.txt": "ONE\ntwo\nthree\n", "b.txt": "B\n", "new": "1"})
    moved = scene.hosted.commit(BASE, {"a.txt": "other\ntwo\nthree\n", "b.txt": "other\n"})
    with pytest.raises(
        ConflictError, match=rf"pull/1 cannot be .* with {BASE}: both changed a\.txt, b\.txt\. "
    ) as told:
        update(scene, opened, method)
    assert told.value.paths == ("a.txt", "b.txt")
    assert (scene.tip(WORK), scene.base(), pushes(scene)) == (opened.head, moved, 1)


# --- others -----------------------------------------------------------------------------------------------------------


def evil(scene: Scene) -> str:
    return scene.hosted.commit(WORK, {"evil": "1"})


@pytest.mark.parametrize("method", ["squash", "rebase"])
def test_a_head_that_somebody_pushed_is_not_updated(scene: Scene, method: str) -> None:
    opened = behind(scene)
    pushed = evil(scene)
    with pytest.raises(BaseMovedError, match=rf"is at {pushed}, by Octo Cat <.*neither {opened.head} nor"):
        update(scene, opened, method)
    assert (scene.tip(WORK), scene.asked("PUT"), pushes(scene)) == (pushed, 0, 1)


@pytest.mark.parametrize(("method", "route"), [("squash", UPDATE), ("rebase", PUSH)])
def test_a_head_that_somebody_pushes_at_the_last_moment_is_not_updated(scene: Scene, method: str, route: str) -> None:
    opened = behind(scene)
    scene.world.faults.add(route, faults.meanwhile(lambda: evil(scene)))
    with pytest.raises(BaseMovedError, match="by Octo Cat"):
        update(scene, opened, method)
    assert scene.hosted.git.tree(head(scene).sha).read("evil") == b"1"


def test_an_update_that_comes_while_we_push_is_taken(scene: Scene) -> None:
    opened = behind(scene)
    scene.world.faults.add(UPDATE, faults.status(403, "Not now"))
    late = faults.meanwhile(lambda: mergeability.update_branch(scene.hosted, scene.hosted.pulls[1], None, scene.world))
    scene.world.faults.add(PUSH, late)
    assert update(scene, opened).head == scene.tip(WORK)
    assert head(scene).parents == (opened.head, scene.base())


def make(scene: Scene, parents: list[str], files: dict[str, str | bytes | None], message: str = "Merge") -> str:
    """Move the branch to a commit that somebody made."""
    tree = scene.work.commit(commit_files(scene.work, parents[0], files)).tree
    made = scene.work.commit_tree(tree, parents, message, author=AUTHOR)
    with scene.push_environment() as environment:
        scene.work.push(scene.url, made, WORK, expected=scene.tip(WORK), environment=environment)
    return made


def strange_merge(scene: Scene, opened: PullRequest) -> str:
    tree = scene.work.commit(commit_files(scene.work, scene.start, {"side": "1"})).tree
    side = scene.work.commit_tree(tree, [scene.start], "Side", author=f"{AUTHOR} 1600000000 +0000")
    return make(scene, [opened.head, side], {"side": "1"})


def strange_on_top(scene: Scene, opened: PullRequest) -> str:
    return make(scene, [update(scene, opened).head], {"evil": "1"})


def strange_instead(scene: Scene, opened: PullRequest) -> str:
    return make(scene, [scene.base()], {"evil": "1"})


def strange_in_conflict(scene: Scene, opened: PullRequest) -> str:
    scene.hosted.commit(BASE, {"new": "other"})
    with scene.push_environment() as environment:
        scene.work.fetch(scene.url, [f"refs/heads/{BASE}"], environment=environment)
    return make(scene, [scene.base()], {"evil": "1"})


def reset_to_base(scene: Scene, opened: PullRequest) -> str:
    scene.hosted.move(WORK, scene.base(), opened.head)
    return scene.base()


@pytest.mark.parametrize(
    "happens", [strange_merge, strange_on_top, strange_instead, strange_in_conflict, reset_to_base]
)
def test_only_an_update_of_our_own_commit_is_ours(scene: Scene, happens: Callable[[Scene, PullRequest], str]) -> None:
    opened = behind(scene)
    with scene.push_environment() as environment:
        scene.work.fetch(scene.url, [f"refs/heads/{BASE}", f"refs/heads/{WORK}"], environment=environment)
    request = scene.request(opened)
    pushed = happens(scene, opened)
    scene.hosted.turn(scene.hosted.pulls[1], replace(scene.hosted.pulls[1].now, state="open", merged=False))
    with pytest.raises(BaseMovedError, match=f"is at {pushed}, by "):
        scene.another().update(opened, request)
    assert scene.tip(WORK) == pushed


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_a_base_that_moves_on_is_followed_by_whoever_knows_the_first_head(
    scene: Scene, first: bool, second: bool
) -> None:
    opened = behind(scene)
    for number, by_github in enumerate((first, second)):
        scene.hosted.settings.allow_update_branch = by_github
        tip = scene.hosted.commit(BASE, {f"more-{number}": "1"})
        updated = update(scene, opened)
        assert updated.head == scene.tip(WORK)
        assert head(scene).parents[-1] == tip
        assert update(scene, opened).head == updated.head
    assert set(scene.hosted.git.tree(updated.head).entries()) == {"a.txt", "b.txt", "new", "other", "more-0", "more-1"}


def test_a_base_that_moves_while_github_updates_is_followed(busy: Scene) -> None:
    opened = behind(busy)
    first = busy.base()
    busy.world.lag.update = 3
    busy.world.later(4, lambda: busy.hosted.commit(BASE, {"late": "1"}))  # after the update was begun
    update(busy, opened)
    git = busy.hosted.git
    assert head(busy).parents[1] == busy.base() != first
    assert git.commit(head(busy).parents[0]).parents == (opened.head, first)
    assert busy.asked("PUT") == 2


def test_a_merge_of_the_base_by_hand_is_undone_for_a_rebase(scene: Scene) -> None:
    opened = behind(scene)
    update(scene, opened, "squash")
    updated = update(scene, opened, "rebase")
    assert updated.head == scene.tip(WORK)
    assert head(scene).parents == (scene.base(),)


@pytest.mark.parametrize("branch", [WORK, BASE])
def test_a_branch_that_is_gone_is_told(scene: Scene, branch: str) -> None:
    opened = behind(scene)
    request = scene.request(opened)
    scene.world.lag.pulls = 10_000
    scene.world.tick += 20_000
    scene.hosted.move(branch, None, scene.tip(branch))
    with pytest.raises(BaseMovedError, match=f"no branch {branch} on GitHub any more"):
        scene.another().update(opened, request)


def test_what_is_closed_or_merged_is_not_updated(scene: Scene) -> None:
    opened = behind(scene)
    pull = scene.hosted.pulls[1]
    scene.hosted.turn(pull, replace(pull.now, state="closed"))
    with pytest.raises(ForgeError, match=r"is closed\. Open a new one"):
        update(scene, opened)
    scene.hosted.turn(pull, replace(pull.now, state="open"))
    merged = scene.forge.merge(opened, scene.request(opened))
    assert update(scene, opened) == merged
    assert scene.tip(WORK) == opened.head


def test_a_base_that_holds_the_commits_already_is_not_pushed_to_the_branch(scene: Scene) -> None:
    opened = behind(scene)
    scene.world.lag.pulls = 10_000
    scene.world.tick += 20_000
    scene.forge.merge(opened, scene.request(opened, "merge"))
    with pytest.raises(ForgeError, match=rf"{BASE} holds all commits of .* already"):
        update(scene, opened)
    assert scene.tip(WORK) == opened.head


# --- and merged then --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_two_pull_requests_into_one_strict_base_are_merged_one_after_the_other(
    scene: Scene, method: str, allowed: bool
) -> None:
    scene.hosted.settings.allow_update_branch = allowed
    scene.hosted.protect("pipeline/s/run-01/base", BranchRule(required=("tests",), strict=True))
    scene.hosted.ci = [Check("tests", starts=4, ends=8)]
    first, second = scene.open({"one": "1"}, "first"), scene.open({"two": "2"}, "second")
    for opened in (first, second):
        ready = opened
        try:
            ready = scene.forge.wait_until_ready(opened, ChecksRule.REQUIRED, 300.0)
        except BehindError:
            updated = scene.forge.update(opened, scene.request(opened, method))
            ready = scene.forge.wait_until_ready(updated, ChecksRule.REQUIRED, 300.0)
        assert scene.forge.merge(ready, scene.request(ready, method)).state is PullRequestState.MERGED
        scene.forge.delete_branch(ready.branch, ready.head)
    git = scene.hosted.git
    assert set(git.tree(scene.base()).entries()) == {"a.txt", "b.txt", "one", "two"}
    assert len(list(git.first_parents(scene.base(), until=scene.start))) == 2


@pytest.mark.parametrize("ruleset", [True, False])
def test_a_merge_that_wants_an_update_first_is_told(scene: Scene, ruleset: bool) -> None:
    scene.hosted.protect("pipeline/s/run-01/base", BranchRule(strict=True, ruleset=ruleset))
    opened = behind(scene)
    with pytest.raises(BehindError, match="not up to date with the base"):
        scene.forge.merge(opened, scene.request(opened))
    assert scene.time.sleeps == []


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_a_merge_after_an_update_whose_answer_is_lost_is_found_by_git(scene: Scene, method: str, shown: bool) -> None:
    opened = behind(scene)
    updated = update(scene, opened, method)
    request: MergeRequest = scene.request(updated, method)
    scene.world.lag.pulls = 10_000
    scene.world.tick += 20_000 if shown else 0
    scene.world.faults.add("PUT /repos/*/merge", faults.lost(502))
    merged = scene.forge.merge(updated, request)
    assert (merged.state, merged.merge_commit) == (PullRequestState.MERGED, scene.base())
    assert scene.asked("PUT", "/merge") == 1
