from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_pipeline.errors import BaseMovedError, ChecksError, ConflictError, ForgeError
from pytest_pipeline.forges.base import ChecksRule, Forge, PullRequestState
from pytest_pipeline.forges.github.texts import marked_branch
from tests.forges.github_scene import BASE, NAME, WORK, Scene, draft, scene_in
from tests.github_world import Check, faults
from tests.github_world import Rule as BranchRule
from tests.github_world.answers import Answer
from tests.host.git_world import commit_files

METHODS = ("merge", "squash", "rebase")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_in(tmp_path) as scene:
        yield scene


def test_it_is_a_forge(scene: Scene) -> None:
    forge: Forge = scene.forge
    assert (forge.name, forge.repository, forge.push_url) == ("github", NAME, scene.url)
    assert scene.token not in forge.push_url


@pytest.mark.parametrize("method", METHODS)
def test_a_task_goes_all_the_way_in_eight_calls_and_one_push(scene: Scene, method: str) -> None:
    scene.forge.ensure_base(BASE, scene.start, scene.work)
    scene.world.lag.mergeable = 1
    scene.forge.branch_head(BASE)
    before = len(scene.world.requests)
    opened = scene.open({"new": "1"})
    ready = scene.forge.wait_until_ready(opened, ChecksRule.REQUIRED, 60.0)
    assert ready.state is PullRequestState.OPEN
    merged = scene.forge.merge(ready, scene.request(ready, method))
    scene.forge.delete_branch(WORK, opened.head)
    found = scene.forge.find_pull_request(WORK)
    assert found == merged
    assert merged.state is PullRequestState.MERGED
    assert merged.merge_commit == scene.base()
    assert scene.tip(WORK) is None
    commit = scene.hosted.git.commit(scene.base())
    assert commit.tree == scene.work.commit(opened.head).tree
    if method != "rebase":
        assert commit.message == scene.request(ready, method).message
    asked = scene.world.requests[before:]
    counted = [f"{each.method} {each.path}" for each in asked if each.counted and "/branches/" not in each.path]
    assert len(counted) <= 8, counted
    assert sum(each.method == "POST" and "receive-pack" in each.path for each in asked) == 1


def test_a_pull_request_is_opened_once_and_found_again(scene: Scene) -> None:
    opened = scene.open({"new": "1"})
    assert (opened.branch, opened.base, opened.head) == (WORK, BASE, scene.tip(WORK))
    assert opened.title == f"Title of {WORK}"
    assert marked_branch(scene.hosted.pulls[opened.number].now.body) == WORK
    assert scene.forge.ensure_pull_request(draft()) == opened
    assert scene.another().ensure_pull_request(draft()) == opened
    assert scene.another().find_pull_request(WORK) == opened
    assert scene.another().find_pull_request("pipeline/s/run-01") is None
    assert scene.pulls() == 1


def test_a_merged_pull_request_is_found_by_who_knows_nothing(scene: Scene) -> None:
    opened = scene.open({"new": "1"})
    request = scene.request(opened)
    merged = scene.forge.merge(opened, request)
    again = scene.another()
    assert again.ensure_pull_request(draft()) == merged
    assert again.find_pull_request(WORK) == merged
    assert again.merge(opened, request) == merged
    assert again.wait_until_ready(opened, ChecksRule.REQUIRED, 1.0) == merged
    assert scene.pulls() == 1


def test_a_closed_pull_request_is_not_merged_and_another_is_opened(scene: Scene) -> None:
    opened = scene.open({"new": "1"})
    pull = scene.hosted.pulls[opened.number]
    scene.hosted.turn(pull, replace(pull.now, state="closed"))
    with pytest.raises(ForgeError, match=r"is closed\. Open a new one"):
        scene.forge.merge(opened, scene.request(opened))
    with pytest.raises(ForgeError, match=r"is closed\. Open a new one"):
        scene.forge.wait_until_ready(opened, ChecksRule.REQUIRED, 1.0)
    assert scene.forge.ensure_pull_request(draft()).number == 2


@pytest.mark.parametrize(("branch", "base"), [("none", BASE), (WORK, "none")])
def test_a_pull_request_needs_both_branches(scene: Scene, branch: str, base: str) -> None:
    scene.push({"new": "1"})
    with pytest.raises(ForgeError, match=r"no branch none|\(status 422: Validation Failed; base invalid\)"):
        scene.forge.ensure_pull_request(replace(draft(), branch=branch, base=base))


def test_a_pull_request_without_commits_is_refused_by_gits_word(scene: Scene) -> None:
    scene.forge.ensure_base(BASE, scene.start, scene.work)
    scene.forge.ensure_base(WORK, scene.start, scene.work)
    with pytest.raises(ForgeError, match=f"No commits between {BASE} and {WORK}"):
        scene.forge.ensure_pull_request(draft())


# --- lag and lost answers ---------------------------------------------------------------------------------------------

LOST = {
    "lost": faults.lost(),
    "lost with 502": faults.lost(502),
    "cut": faults.cut(),
    "502": faults.status(502),
    "html": faults.html(),
    "reset": faults.reset(),
    "secondary": faults.secondary(1),
    "content": faults.secondary(content=True),
}


@pytest.mark.parametrize("lag", [0, 6])
@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize(
    "route", ["POST /repos/*/pulls", "PUT /repos/*/merge", "DELETE /repos/*", "GET /repos/*/pulls*"]
)
def test_a_fault_of_a_call_leaves_one_merged_pull_request(scene: Scene, route: str, fault: str, lag: int) -> None:
    scene.push({"new": "1"})
    scene.world.lag.lists = scene.world.lag.pulls = scene.world.lag.refs = lag
    scene.world.lag.mergeable = lag // 3
    scene.world.faults.add(route, LOST[fault], times=2)
    opened = scene.forge.ensure_pull_request(draft())
    ready = scene.forge.wait_until_ready(opened, ChecksRule.REQUIRED, 300.0)
    merged = scene.forge.merge(ready, scene.request(ready))
    scene.forge.delete_branch(WORK, opened.head)
    found = scene.forge.find_pull_request(WORK)
    assert found is not None
    assert (found.state, found.merge_commit) == (PullRequestState.MERGED, merged.merge_commit)
    assert merged.merge_commit == scene.base()
    assert scene.hosted.git.commit(scene.base()).parents == (scene.start,)
    assert (scene.pulls(), scene.tip(WORK)) == (1, None)
    assert scene.world.faults.left <= 1  # of two that were planned: after a lost answer nothing may be left to ask


@pytest.mark.parametrize("fault", ["lost", "lost with 502", "502", "reset"])
def test_a_push_of_a_base_survives_a_fault(scene: Scene, fault: str) -> None:
    scene.world.faults.add("POST /*/git-receive-pack", LOST[fault], times=2)
    scene.forge.ensure_base(BASE, scene.start, scene.work)
    assert scene.tip(BASE) == scene.start


@pytest.mark.parametrize("fault", ["502", "reset", "cut"])
def test_a_look_at_a_branch_survives_a_fault(scene: Scene, fault: str) -> None:
    scene.world.faults.add("GET /*/info/refs", LOST[fault], times=2)
    assert scene.forge.branch_head("main") == scene.start


def test_a_look_at_a_branch_that_hangs_is_tried_again(scene: Scene) -> None:
    scene.of_git = {"GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": "1"}
    scene.world.faults.add("GET /*/info/refs", faults.slow(60.0))
    assert scene.forge.branch_head("main") == scene.start


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (faults.status(401), "Use a token that may write"),
        (faults.status(403), "Use a token that may write"),
        (faults.status(404), "Look for a mistake in the repository's name"),
        (
            faults.answered(Answer(301, headers={"Location": "http://127.0.0.1:9/moved.git"})),
            "The repository has moved",
        ),
    ],
    ids=["401", "403", "404", "301"],
)
@pytest.mark.parametrize("route", ["GET /*/info/refs", "POST /*/git-receive-pack"])
def test_a_push_that_is_refused_is_told_at_once(scene: Scene, route: str, answer: faults.Fault, remedy: str) -> None:
    scene.forge.ensure_base(BASE, scene.start, scene.work)
    head = commit_files(scene.work, scene.start, {"new": "1"})
    scene.world.faults.add(route, answer)
    with pytest.raises(ForgeError, match=remedy):
        scene.forge.push(WORK, head, scene.work)
    assert scene.time.sleeps == []


def test_an_outage_that_does_not_end_is_told(scene: Scene) -> None:
    scene.push({"new": "1"})
    scene.world.faults.add("* /repos/*", faults.status(503), times=1000)
    with pytest.raises(ForgeError, match=r"status 503.*githubstatus\.com"):
        scene.forge.ensure_pull_request(draft())
    assert 100 < scene.time.now < 200


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shown", [True, False])
def test_a_merge_that_github_denies_for_long_is_known_by_git(scene: Scene, shown: bool, method: str) -> None:
    opened = scene.open({"new": "1"})
    scene.world.lag.pulls = 10_000
    scene.world.tick += 20_000 if shown else 0  # shown as open, or not at all
    scene.world.faults.add("PUT /repos/*/merge", faults.lost(502))
    merged = scene.forge.merge(opened, scene.request(opened, method))
    assert (merged.state, merged.merge_commit) == (PullRequestState.MERGED, scene.base())
    assert scene.asked("PUT") == 1
    assert scene.forge.find_pull_request(WORK) == merged


def test_another_merge_with_the_same_message_is_not_ours(scene: Scene) -> None:
    first, second = scene.open({"one": "1"}, "first"), scene.open({"two": "2"}, "second")
    request = replace(scene.request(first), message="The same\n")
    scene.forge.merge(first, request)
    with pytest.raises(BaseMovedError, match="nothing was merged"):
        scene.forge.merge(second, replace(request, head=second.head))
    assert scene.forge.merge(second, replace(request, head=second.head, base=scene.base())).merge_commit == scene.base()


def test_another_merge_of_the_same_files_is_not_ours(scene: Scene) -> None:
    first, second = scene.open({"one": "1"}, "first"), scene.open({"one": "1"}, "second")
    start = scene.request(second)
    scene.forge.merge(first, scene.request(first))
    with pytest.raises(BaseMovedError, match="nothing was merged"):
        scene.forge.merge(second, start)


def test_a_pull_request_that_exists_and_is_not_listed_is_not_asked_for_again(scene: Scene) -> None:
    scene.push({"new": "1"})
    scene.world.lag.lists = 6
    scene.world.faults.add("POST /repos/*/pulls", faults.lost())
    assert scene.forge.ensure_pull_request(draft()).number == 1
    assert scene.asked("POST", "/pulls") == 2


# --- readiness --------------------------------------------------------------------------------------------------------


def test_mergeability_that_is_long_not_known_is_waited_for(scene: Scene) -> None:
    opened = scene.open({"new": "1"})
    scene.world.lag.mergeable = 12
    scene.hosted.forget_mergeability(scene.hosted.pulls[opened.number])
    assert scene.forge.wait_until_ready(opened, ChecksRule.REQUIRED, 600.0).state is PullRequestState.OPEN
    assert scene.time.now > 100
    assert max(scene.time.sleeps) <= 15.0
    scene.hosted.forget_mergeability(scene.hosted.pulls[opened.number])
    with pytest.raises(ForgeError, match=r"not ready to be merged after 30 s: GitHub has not found out"):
        scene.forge.wait_until_ready(opened, ChecksRule.REQUIRED, 30.0)


@pytest.mark.parametrize("kind", ["check", "status"])
@pytest.mark.parametrize("rule", [ChecksRule.REQUIRED, ChecksRule.ALL])
def test_a_check_that_starts_late_is_waited_for(scene: Scene, rule: ChecksRule, kind: str) -> None:
    scene.hosted.protect("pipeline/*", BranchRule(required=("tests",)))
    scene.hosted.ci = [Check("tests", kind=kind, starts=10, ends=20)]
    forge = scene.another()
    opened = scene.open({"new": "1"})
    ready = forge.wait_until_ready(opened, rule, 1000.0)
    assert scene.world.tick > 20
    assert forge.merge(ready, scene.request(ready)).state is PullRequestState.MERGED


def test_an_empty_list_is_not_green_when_all_are_wanted(scene: Scene) -> None:
    opened = scene.open({"new": "1"})
    with pytest.raises(ChecksError, match=r"no check has started\. .*checks: none"):
        scene.another().wait_until_ready(opened, ChecksRule.ALL, 1800.0)
    assert scene.another().wait_until_ready(opened, ChecksRule.NONE, 1.0).state is PullRequestState.OPEN
    assert scene.another().wait_until_ready(opened, ChecksRule.REQUIRED, 1.0).state is PullRequestState.OPEN


def test_a_required_check_that_never_starts_is_told(scene: Scene) -> None:
    scene.hosted.protect("pipeline/*", BranchRule(required=("tests",), ruleset=True))
    opened = scene.open({"new": "1"})
    with pytest.raises(ChecksError, match="tests has not started"):
        scene.forge.wait_until_ready(opened, ChecksRule.REQUIRED, 1800.0)


@pytest.mark.parametrize("rule", [ChecksRule.REQUIRED, ChecksRule.ALL])
def test_a_check_that_fails_is_told_at_once(scene: Scene, rule: ChecksRule) -> None:
    scene.hosted.protect("pipeline/*", BranchRule(required=("tests",)))
    scene.hosted.ci = [Check("tests", "failure"), Check("docs", None)]
    opened = scene.open({"new": "1"})
    with pytest.raises(ChecksError, match="tests ended as failure"):
        scene.another().wait_until_ready(opened, rule, 1800.0)
    assert scene.time.now < 60


def test_a_check_that_is_not_required_may_fail(scene: Scene) -> None:
    scene.hosted.protect("pipeline/*", BranchRule(required=("tests",)))
    scene.hosted.ci = [Check("tests"), Check("docs", "failure")]
    opened = scene.open({"new": "1"})
    assert scene.forge.wait_until_ready(opened, ChecksRule.REQUIRED, 60.0).state is PullRequestState.OPEN
    with pytest.raises(ChecksError, match="docs ended as failure"):
        scene.another().wait_until_ready(opened, ChecksRule.ALL, 60.0)


def test_a_token_that_may_not_read_check_runs_takes_githubs_word(scene: Scene) -> None:
    scene.hosted.protect("pipeline/*", BranchRule(required=("tests",)))
    scene.hosted.ci = [Check("tests", ends=25)]
    opened = scene.open({"new": "1"})
    scene.token = scene.world.add_token(fine_grained=True)
    assert scene.another().wait_until_ready(opened, ChecksRule.REQUIRED, 1800.0).state is PullRequestState.OPEN
    assert scene.world.tick > 25
    with pytest.raises(ForgeError, match="may not read the check runs"):
        scene.another().wait_until_ready(opened, ChecksRule.ALL, 60.0)


def test_a_review_that_is_missing_is_named_at_the_end(scene: Scene) -> None:
    scene.hosted.protect("pipeline/*", BranchRule(reviews=1))
    opened = scene.open({"new": "1"})
    with pytest.raises(ChecksError, match=r"rules of .* block it, for example a review"):
        scene.forge.wait_until_ready(opened, ChecksRule.REQUIRED, 60.0)
    with pytest.raises(ForgeError, match="At least 1 approving review is required"):
        scene.forge.merge(opened, scene.request(opened))


# --- merging ----------------------------------------------------------------------------------------------------------


def test_a_conflict_names_its_files(scene: Scene) -> None:
    opened = scene.open({"a.txt": "ONE\ntwo\nthree\n", "new": "1"})
    scene.hosted.commit(BASE, {"a.txt": "other\ntwo\nthree\n"})
    ready = scene.forge.wait_until_ready(opened, ChecksRule.REQUIRED, 60.0)
    with pytest.raises(ConflictError, match=r"both changed a\.txt") as caught:
        scene.forge.merge(ready, scene.request(ready))
    assert caught.value.paths == ("a.txt",)


def test_a_base_that_moved_is_told_and_nothing_is_merged(scene: Scene) -> None:
    opened = scene.open({"new": "1"})
    request = scene.request(opened)
    moved = scene.hosted.commit(BASE, {"other": "1"})
    with pytest.raises(BaseMovedError, match=f"{BASE} is at {moved}"):
        scene.forge.merge(opened, request)
    assert (scene.base(), scene.asked("PUT")) == (moved, 0)
    merged = scene.forge.merge(opened, scene.request(opened))
    assert scene.hosted.git.commit(merged.merge_commit or "").parents == (moved,)


def test_a_head_that_moved_is_told_and_nothing_is_merged(scene: Scene) -> None:
    opened = scene.open({"new": "1"})
    request = scene.request(opened)
    scene.hosted.commit(WORK, {"evil": "1"})
    with pytest.raises(BaseMovedError, match=f"{WORK} is at"):
        scene.forge.merge(opened, request)
    with pytest.raises(BaseMovedError, match="expected was"):
        scene.forge.wait_until_ready(opened, ChecksRule.REQUIRED, 600.0)
    assert scene.base() == scene.start


def test_a_head_that_moves_at_the_last_moment_is_not_merged(scene: Scene) -> None:
    opened = scene.open({"new": "1"})
    evil = faults.meanwhile(lambda: scene.hosted.commit(WORK, {"evil": "1"}))
    scene.world.faults.add("PUT /repos/*/merge", evil)
    with pytest.raises(BaseMovedError, match=f"{WORK} is at"):
        scene.forge.merge(opened, scene.request(opened))
    assert scene.base() == scene.start


def test_a_base_that_was_modified_is_tried_again(scene: Scene) -> None:
    opened = scene.open({"new": "1"})
    scene.world.faults.add(
        "PUT /repos/*/merge", faults.status(405, "Base branch was modified. Review and try the merge again."), times=3
    )
    assert scene.forge.merge(opened, scene.request(opened)).merge_commit == scene.base()
    assert len(scene.time.sleeps) == 3


def test_a_method_that_is_not_allowed_is_told_at_once(scene: Scene) -> None:
    scene.hosted.settings.allow_squash_merge = False
    opened = scene.open({"new": "1"})
    with pytest.raises(ForgeError, match=r"Squash merges are not allowed.*settings of the repository"):
        scene.forge.merge(opened, scene.request(opened))
    assert scene.time.sleeps == []


# --- branches ---------------------------------------------------------------------------------------------------------


def test_a_base_starts_at_the_commit_and_then_stays_where_it_is(scene: Scene) -> None:
    assert scene.forge.branch_head(BASE) is None
    scene.forge.ensure_base(BASE, scene.start, scene.work)
    other = commit_files(scene.work, scene.start, {"x": "1"})
    scene.forge.ensure_base(BASE, other, scene.work)
    assert scene.forge.branch_head(BASE) == scene.start
    assert scene.gate.calls == ["push"]


def test_a_branch_is_deleted_only_where_it_is_expected(scene: Scene) -> None:
    head = scene.push({"new": "1"})
    with pytest.raises(ForgeError, match=f"{WORK} is at {head}, not at {scene.start}"):
        scene.forge.delete_branch(WORK, scene.start)
    assert scene.asked("DELETE") == 0
    scene.forge.delete_branch(WORK, head)
    scene.forge.delete_branch(WORK, head)
    assert (scene.tip(WORK), scene.asked("DELETE")) == (None, 1)


def test_a_branch_that_rest_does_not_know_yet_is_deleted_all_the_same(scene: Scene) -> None:
    opened = scene.open({"new": "1"})
    scene.world.faults.add("DELETE /repos/*", faults.status(404, "Not Found"))
    scene.world.faults.add("DELETE /repos/*", faults.status(422, "Reference does not exist"), nth=2)
    scene.forge.delete_branch(WORK, opened.head)
    assert (scene.tip(WORK), scene.asked("DELETE")) == (None, 3)


def test_a_deletion_that_stays_refused_is_told(scene: Scene) -> None:
    opened = scene.open({"new": "1"})
    scene.world.faults.add("DELETE /repos/*", faults.status(404, "Not Found"), times=1000)
    with pytest.raises(ForgeError, match=r"did not delete the branch .*status 404.*Look for a mistake"):
        scene.forge.delete_branch(WORK, opened.head)
    assert scene.tip(WORK) == opened.head


def test_a_branch_that_github_deletes_first_is_fine(scene: Scene) -> None:
    head = scene.push({"new": "1"})
    gone = faults.meanwhile(lambda: scene.hosted.move(WORK, None, head))
    scene.world.faults.add("DELETE /repos/*", gone)
    scene.forge.delete_branch(WORK, head)
    assert [each.status for each in scene.world.requests if each.method == "DELETE"] == [422]
