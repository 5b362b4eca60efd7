from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_pipeline.errors import BehindError, ChecksError, ForgeError
from pytest_pipeline.forges.base import ChecksRule, PullRequestState
from pytest_pipeline.forges.github.waiting import Patience
from tests.forges.github_scene import BASE, WORK, Scene, scene_in
from tests.github_world import Check, faults
from tests.github_world import Rule as BranchRule

LIMIT = 1800.0  # seconds, as for a task
START = Patience().start
LONG = 90  # requests, three of them in each look: more than START


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_in(tmp_path) as scene:
        yield scene


def ready(scene: Scene, rule: ChecksRule = ChecksRule.REQUIRED, *, timeout: float = LIMIT) -> PullRequestState:
    """What becomes of the pull request of WORK."""
    opened = scene.forge.find_pull_request(WORK) or scene.open({"new": "1"})
    return scene.forge.wait_until_ready(opened, rule, timeout).state


# --- behind -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0.0, LIMIT])
def test_a_head_that_is_behind_is_told_soon(scene: Scene, timeout: float) -> None:
    scene.hosted.protect("pipeline/*", BranchRule(strict=True))
    scene.open({"new": "1"})
    scene.hosted.commit(BASE, {"other": "1"})
    with pytest.raises(BehindError, match=r"is behind .*Bring the branch up to date"):
        ready(scene, timeout=timeout)
    assert scene.time.now <= 2.0


def test_a_head_that_github_calls_behind_only_for_a_moment_is_ready(scene: Scene) -> None:
    scene.hosted.protect("pipeline/*", BranchRule(strict=True))
    scene.open({"new": "1"})
    scene.hosted.commit(BASE, {"other": "1"})
    scene.world.later(2, lambda: scene.hosted.protect("pipeline/*", BranchRule()))
    assert ready(scene) is PullRequestState.OPEN
    assert scene.time.sleeps == [1.0]


def test_a_head_that_does_not_matter_to_the_rules_is_ready(scene: Scene) -> None:
    scene.open({"new": "1"})
    scene.hosted.commit(BASE, {"other": "1"})
    assert ready(scene) is PullRequestState.OPEN


def test_a_draft_is_told_at_once(scene: Scene) -> None:
    opened = scene.open({"new": "1"})
    scene.hosted.pulls[opened.number].draft = True
    with pytest.raises(ForgeError, match="is a draft"):
        ready(scene)
    assert scene.time.now < 10.0


# --- blocked ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [ChecksRule.REQUIRED, ChecksRule.NONE])
def test_a_rule_that_no_check_can_meet_is_not_waited_for_to_the_end(scene: Scene, rule: ChecksRule) -> None:
    scene.hosted.protect("pipeline/*", BranchRule(reviews=1))
    with pytest.raises(ChecksError, match=r"block .*a review is missing.*pipeline/\*\*/\* .*--no-auto-merge\.$"):
        ready(scene, rule)
    assert START < scene.time.now < START + 30


def test_that_wait_begins_when_the_last_check_has_ended(scene: Scene) -> None:
    scene.hosted.protect("pipeline/*", BranchRule(required=("tests",), reviews=1))
    scene.hosted.ci = [Check("tests", starts=8, ends=LONG)]
    with pytest.raises(ChecksError, match="no check that counts is at work"):
        ready(scene)
    assert scene.time.now > 3 * START


def test_a_block_that_is_lifted_is_waited_for(scene: Scene) -> None:
    scene.hosted.protect("pipeline/*", BranchRule(reviews=1))
    scene.open({"new": "1"})
    scene.world.later(8, lambda: scene.hosted.protect("pipeline/*", BranchRule()))
    assert ready(scene) is PullRequestState.OPEN


def test_a_block_that_shows_when_mergeability_was_long_unknown_is_given_its_time(scene: Scene) -> None:
    scene.hosted.protect("pipeline/*", BranchRule(reviews=1))
    scene.world.lag.mergeable = 20
    scene.open({"new": "1"})
    with pytest.raises(ChecksError, match="no check that counts is at work"):
        ready(scene)
    assert scene.time.now > 2 * START


# --- checks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [ChecksRule.REQUIRED, ChecksRule.ALL])
def test_a_check_that_never_ends_is_a_failure_of_checks_when_the_time_is_up(scene: Scene, rule: ChecksRule) -> None:
    if rule is ChecksRule.REQUIRED:
        scene.hosted.protect("pipeline/*", BranchRule(required=("tests",)))
    scene.hosted.ci = [Check("tests", None)]
    with pytest.raises(ChecksError, match=r"not ready to be merged after 600 s: tests has not ended"):
        ready(scene, rule, timeout=600.0)
    scene.world.lag.mergeable = 1000
    scene.hosted.forget_mergeability(scene.hosted.pulls[1])
    with pytest.raises(ForgeError, match="GitHub has not found out") as caught:
        ready(scene, rule, timeout=60.0)
    assert not isinstance(caught.value, ChecksError)


def test_a_check_that_starts_when_another_has_ended_is_waited_for(scene: Scene) -> None:
    scene.hosted.protect("pipeline/*", BranchRule(required=("tests", "deploy")))
    scene.hosted.ci = [Check("tests", ends=LONG), Check("deploy", starts=LONG + 6, ends=LONG + 9)]
    assert ready(scene) is PullRequestState.OPEN
    assert scene.time.now > START


def test_a_check_that_never_starts_is_told_when_the_others_have_ended(scene: Scene) -> None:
    scene.hosted.protect("pipeline/*", BranchRule(required=("tests", "deploy")))
    scene.hosted.ci = [Check("tests", ends=LONG)]
    with pytest.raises(ChecksError, match="deploy has not started"):
        ready(scene)
    assert 3 * START < scene.time.now < LIMIT / 2


def test_a_check_that_a_token_cannot_see_may_take_as_long_as_others(scene: Scene) -> None:
    scene.hosted.protect("pipeline/*", BranchRule(required=("tests",)))
    scene.hosted.ci = [Check("tests", ends=LONG)]
    scene.token = scene.world.add_token(fine_grained=True)
    scene.forge = scene.another()
    assert ready(scene) is PullRequestState.OPEN
    assert scene.time.now > START


def test_looking_again_at_what_has_not_changed_costs_nothing(scene: Scene) -> None:
    scene.hosted.protect("pipeline/*", BranchRule(required=("tests", "lint")))
    scene.hosted.ci = [Check("tests", None), Check("lint", None, kind="status")]
    opened = scene.open({"new": "1"})
    before = len(scene.world.requests)
    with pytest.raises(ChecksError, match="lint has not ended, tests has not ended"):
        scene.forge.wait_until_ready(opened, ChecksRule.REQUIRED, LIMIT)
    asked = scene.world.requests[before:]
    assert len(asked) > 300
    assert [each.path.rpartition("/")[2] for each in asked if each.counted] == [
        "1",
        "base",  # rules
        "base",  # branch
        "status",
        "check-runs",
    ]


@pytest.mark.parametrize("route", ["GET /repos/*/rules/branches/*", "GET /repos/*/branches/*"])
def test_a_repository_whose_plan_knows_no_rules_has_none(scene: Scene, route: str) -> None:
    unpaid = faults.status(403, "Upgrade to GitHub Pro or make this repository public to enable this feature.")
    scene.world.faults.add(route, unpaid)
    assert ready(scene) is PullRequestState.OPEN
    assert scene.world.faults.left == 0


def test_rules_that_may_not_be_read_are_no_absence_of_rules(scene: Scene) -> None:
    scene.world.faults.add("GET /repos/*/rules/branches/*", faults.status(403, "Resource not accessible"))
    with pytest.raises(ForgeError, match="did not show the rules of"):
        ready(scene)
