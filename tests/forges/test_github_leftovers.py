from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_pipeline.errors import ForgeError
from pytest_pipeline.forges.base import Draft, PullRequest
from pytest_pipeline.forges.github.forge import GitHubForge
from pytest_pipeline.forges.leftovers import BranchKind, Leftover, Sweepable
from tests.forges.github_scene import NAME, RecordingGate, Scene, scene_in
from tests.github_world import faults
from tests.github_world.state import Face, Pull

SESSION = "20261126-120523-a1b2c3"
RUN = f"pipeline/{SESSION}/run-01"
BASE = f"{RUN}/base"
TASK = f"{RUN}/plans.hello/batch-1-task-1-1"
OTHER = f"{RUN}/plans.hello/batch-1-task-1-2-attempt-2"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_in(tmp_path) as scene:
        yield scene


def left(scene: Scene, *tasks: str, base: str = BASE) -> list[PullRequest]:
    """What a session leaves that was killed: a base, and branches with their pull requests."""
    scene.hosted.move(base, scene.start, None)
    found = []
    for task in tasks:
        scene.hosted.commit(task, {task.replace("/", "_"): "1"})
        found.append(scene.forge.ensure_pull_request(Draft(task, base, f"Title of {task}", "Body")))
    return found


def somebody_opens(scene: Scene, branch: str, base: str, body: str | None = "Mine", *, fork: str | None = None) -> Pull:
    """A pull request that the pipeline has not made."""
    scene.hosted.commit(branch if fork is None else "elsewhere", {"theirs": branch})
    number = max(scene.hosted.pulls, default=0) + 1
    pull = Pull(number, "octocat", branch, draft=False, base_sha=scene.start, fork=fork)
    scene.hosted.pulls[number] = pull
    head = scene.hosted.branches()[branch if fork is None else "elsewhere"]
    scene.hosted.turn(pull, Face("open", "Theirs", body, base, head))
    return pull


def by_name(forge: GitHubForge) -> dict[str, Leftover]:
    return {each.branch.name: each for each in forge.leftovers()}


def sweep(forge: GitHubForge) -> list[int]:
    """Remove all that may be removed; the numbers of what was closed."""
    return [pull.number for each in forge.leftovers() if not each.kept for pull in forge.remove(each)]


def states(scene: Scene) -> list[str]:
    return [pull.now.state for pull in scene.hosted.pulls.values()]


def test_it_can_be_swept(scene: Scene) -> None:
    forge: Sweepable = scene.forge
    assert isinstance(forge, Sweepable)
    assert (forge.name, forge.repository, forge.leftovers()) == ("github", NAME, ())


def test_what_a_session_left_is_listed_with_its_pull_requests_the_base_last(scene: Scene) -> None:
    first, second = left(scene, TASK, OTHER)
    found = scene.another().leftovers()
    assert [each.branch.name for each in found] == [TASK, OTHER, BASE]
    assert [each.head for each in found] == [first.head, second.head, scene.start]
    assert [[(pull.number, pull.url) for pull in each.pull_requests] for each in found] == [
        [(1, first.url)],
        [(2, second.url)],
        [],
    ]
    assert [each.branch.kind for each in found] == [BranchKind.TASK, BranchKind.TASK, BranchKind.BASE]
    assert {each.branch.session for each in found} == {SESSION}
    assert not any(each.kept for each in found)


def test_it_is_removed_each_pull_request_closed_before_its_branch_goes(scene: Scene) -> None:
    left(scene, TASK, OTHER)
    before = len(scene.world.requests)
    assert sweep(scene.another()) == [1, 2]
    assert states(scene) == ["closed", "closed"]
    assert list(scene.hosted.branches()) == ["main"]
    changes = [f"{each.method} {each.path}" for each in scene.world.requests[before:] if each.method != "GET"]
    refs = f"/repos/{NAME}/git/refs/heads"
    assert [each for each in changes if "upload-pack" not in each] == [
        f"PATCH /repos/{NAME}/pulls/1",
        f"DELETE {refs}/{TASK}",
        f"PATCH /repos/{NAME}/pulls/2",
        f"DELETE {refs}/{OTHER}",
        f"DELETE {refs}/{BASE}",
    ]
    assert [each for each in scene.gate.calls if each not in ("read", "content")] == ["write"] * 5
    assert scene.forge.leftovers() == ()


def test_what_is_not_ours_survives(scene: Scene) -> None:
    left(scene, TASK)
    for branch in ("pipeline/mine", f"{RUN}/mine", f"pipeline-{SESSION}", f"{TASK}.fix"):
        scene.hosted.commit(branch, {"theirs": "1"})
    theirs = somebody_opens(scene, "feature", "main")
    quoting = somebody_opens(scene, "quoting", "main", f"As in\n<!-- pytest-pipeline: {TASK} -->\n")
    copied = somebody_opens(scene, "copied", "main", "<!-- pytest-pipeline: copied -->")
    before = {name: sha for name, sha in scene.hosted.branches().items() if name not in (TASK, BASE)}
    assert sweep(scene.forge) == [1]
    assert scene.hosted.branches() == before
    assert [pull.now.state for pull in (theirs, quoting, copied)] == ["open"] * 3


BODIES = ("Mine", None, "", f"<!-- pytest-pipeline: {TASK}x -->", f"text <!-- pytest-pipeline: {TASK} -->")


@pytest.mark.parametrize("body", BODIES)
def test_a_pull_request_without_our_marker_keeps_the_branch_it_is_open_from(scene: Scene, body: str | None) -> None:
    scene.hosted.move(BASE, scene.start, None)
    pull = somebody_opens(scene, TASK, BASE, body)
    found = by_name(scene.forge)
    assert f"#{pull.number}" in found[TASK].kept
    assert "is open from it" in found[TASK].kept
    assert "is open into it" in found[BASE].kept
    assert sweep(scene.forge) == []
    assert (states(scene), scene.asked("PATCH"), scene.asked("DELETE")) == (["open"], 0, 0)


def test_a_pull_request_into_our_base_keeps_it_and_the_tasks_go(scene: Scene) -> None:
    left(scene, TASK)
    pull = somebody_opens(scene, "feature", BASE)
    found = by_name(scene.forge)
    assert found[BASE].kept
    assert found[TASK].kept == ""
    assert sweep(scene.forge) == [1]
    assert (scene.tip(TASK), scene.tip(BASE)) == (None, scene.start)
    assert pull.now.state == "open"


def test_the_result_of_a_run_on_its_way_into_main_stays(scene: Scene) -> None:
    left(scene, TASK)
    pull = somebody_opens(scene, BASE, "main")
    assert sweep(scene.forge) == [1]
    assert pull.now.state == "open"
    assert scene.tip(BASE) is not None


@pytest.mark.parametrize("fork", ["stranger/example", ""], ids=["fork", "fork-that-is-deleted"])
def test_a_head_of_the_same_name_in_a_fork_is_not_ours_and_does_not_stop_us(scene: Scene, fork: str) -> None:
    left(scene, TASK)
    marked = f"<!-- pytest-pipeline: {TASK} -->"
    into_main = somebody_opens(scene, TASK, "main", marked, fork=fork)
    assert sweep(scene.forge) == [1]
    assert into_main.now.state == "open"
    assert (scene.tip(TASK), scene.tip(BASE)) == (None, None)


@pytest.mark.parametrize("fork", ["stranger/example", ""], ids=["fork", "fork-that-is-deleted"])
def test_a_pull_request_of_a_fork_into_our_base_keeps_it(scene: Scene, fork: str) -> None:
    left(scene, TASK)
    pull = somebody_opens(scene, TASK, BASE, f"<!-- pytest-pipeline: {TASK} -->", fork=fork)
    assert sweep(scene.forge) == [1]
    assert (scene.tip(TASK), scene.tip(BASE)) == (None, scene.start)
    assert pull.now.state == "open"


def test_a_repository_that_was_renamed_knows_its_own_pull_requests(scene: Scene) -> None:
    left(scene, TASK)
    scene.hosted.full_name = "Octo/Example"  # as GitHub writes it; the user may write it in another case
    assert sweep(scene.forge) == [1]
    assert list(scene.hosted.branches()) == ["main"]


# --- between the look and the removal ---------------------------------------------------------------------------------


def test_a_branch_that_moved_since_it_was_listed_stays_with_its_pull_request(scene: Scene) -> None:
    left(scene, TASK)
    task, base = scene.forge.leftovers()
    moved = scene.hosted.commit(TASK, {"more": "1"})
    with pytest.raises(ForgeError, match=f"{TASK} is at {moved}, not at {task.head}, so it was not deleted"):
        scene.forge.remove(task)
    with pytest.raises(ForgeError, match=r"#1 .* is open into it, from a branch that stays\. Merge or close"):
        scene.forge.remove(base)
    assert (states(scene), scene.asked("PATCH"), scene.asked("DELETE")) == (["open"], 0, 0)


@pytest.mark.parametrize(("branch", "base"), [("feature", TASK), ("feature", BASE), (TASK, "main"), (BASE, "main")])
def test_a_pull_request_that_somebody_opens_meanwhile_is_seen(scene: Scene, branch: str, base: str) -> None:
    left(scene, TASK)
    task, run = scene.forge.leftovers()
    target = task if TASK in (branch, base) else run
    if target is run:
        scene.forge.remove(task)
    somebody_opens(scene, branch, base)
    target = replace(target, head=scene.tip(target.branch.name) or "")
    with pytest.raises(ForgeError, match=r"was not deleted: pull request #2 .*the pipeline has not made"):
        scene.forge.remove(target)
    assert scene.hosted.pulls[2].now.state == "open"
    assert scene.tip(target.branch.name) is not None


def test_a_pull_request_that_was_closed_and_a_branch_that_is_gone_are_fine(scene: Scene) -> None:
    left(scene, TASK, OTHER)
    task, other, base = scene.forge.leftovers()
    scene.hosted.turn(scene.hosted.pulls[1], replace(scene.hosted.pulls[1].now, state="closed"))
    scene.hosted.move(OTHER, None, other.head)
    assert [scene.forge.remove(each) for each in (task, other, base)] == [(), (), ()]
    assert list(scene.hosted.branches()) == ["main"]


def test_github_deletes_the_branch_first(scene: Scene) -> None:
    left(scene, TASK)
    task, _ = scene.forge.leftovers()
    gone = faults.meanwhile(lambda: scene.hosted.move(TASK, None, task.head))
    scene.world.faults.add("DELETE /repos/*", gone)
    assert [each.number for each in scene.forge.remove(task)] == [1]
    assert [each.status for each in scene.world.requests if each.method == "DELETE"] == [422]


# --- lag, lost answers, refusals --------------------------------------------------------------------------------------

LOST = {
    "lost": faults.lost(),
    "lost with 502": faults.lost(502),
    "cut": faults.cut(),
    "502": faults.status(502),
    "html": faults.html(),
    "reset": faults.reset(),
    "secondary": faults.secondary(1),
}


@pytest.mark.parametrize("lag", [0, 8])
@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize(
    "route", ["PATCH /repos/*", "DELETE /repos/*", "GET /repos/*/pulls*", "GET /repos/*/matching-refs*"]
)
def test_a_fault_of_a_call_leaves_nothing_behind(scene: Scene, route: str, fault: str, lag: int) -> None:
    left(scene, TASK, OTHER)
    scene.world.tick += 100
    scene.world.lag.lists = scene.world.lag.pulls = scene.world.lag.refs = lag
    scene.world.faults.add(route, LOST[fault], times=2)
    for each in scene.another().leftovers():
        scene.another().remove(each)
    assert list(scene.hosted.branches()) == ["main"]
    assert states(scene) == ["closed", "closed"]
    assert scene.world.faults.left == 0


def test_lists_that_show_for_long_what_is_gone_do_no_harm(scene: Scene) -> None:
    left(scene, TASK)
    scene.world.tick += 20_000
    scene.world.lag.lists = scene.world.lag.refs = scene.world.lag.pulls = 10_000
    assert sweep(scene.forge) == [1]
    assert [each.branch.name for each in scene.forge.leftovers()] == [TASK, BASE], "as GitHub still says"
    assert sweep(scene.another()) == []
    assert (list(scene.hosted.branches()), scene.asked("DELETE")) == (["main"], 2)


def test_a_close_that_github_refuses_leaves_the_branch(scene: Scene) -> None:
    left(scene, TASK)
    task, _ = scene.forge.leftovers()
    scene.world.faults.add("PATCH /repos/*", faults.status(403, "Resource not accessible"))
    with pytest.raises(ForgeError, match=r"did not close pull request 1 of octo/example \(status 403"):
        scene.forge.remove(task)
    assert (scene.tip(TASK), scene.asked("PATCH"), scene.asked("DELETE")) == (task.head, 1, 0)


def test_a_refusal_of_what_is_closed_already_is_no_refusal(scene: Scene) -> None:
    left(scene, TASK)
    task, _ = scene.forge.leftovers()
    scene.world.tick += 2_000
    scene.world.lag.lists = 1_000
    scene.hosted.turn(scene.hosted.pulls[1], replace(scene.hosted.pulls[1].now, state="closed"))
    scene.world.faults.add("PATCH /repos/*", faults.status(422, "Validation Failed"))
    scene.forge.remove(task)
    assert (scene.tip(TASK), scene.asked("PATCH")) == (None, 1)


def test_an_outage_is_told_after_a_while(scene: Scene) -> None:
    left(scene, TASK)
    task, _ = scene.forge.leftovers()
    scene.world.faults.add("PATCH /repos/*", faults.status(503), times=1000)
    with pytest.raises(ForgeError, match=r"status 503.*githubstatus\.com"):
        scene.forge.remove(task)
    assert 100 < scene.time.now < 200
    assert scene.tip(TASK) == task.head


@pytest.mark.parametrize(
    ("route", "what"), [("*/matching-refs/*", "list the branches"), ("*/pulls", "list the pull requests")]
)
def test_a_list_that_is_refused_is_told(scene: Scene, route: str, what: str) -> None:
    scene.world.faults.add(f"GET {route}", faults.status(403, "Resource not accessible"))
    with pytest.raises(ForgeError, match=rf"did not {what} of octo/example \(status 403"):
        scene.forge.leftovers()


# --- many of them -----------------------------------------------------------------------------------------------------


def test_more_than_a_page_of_branches_and_of_pull_requests(scene: Scene) -> None:
    tasks = [f"{RUN}/plans.hello/batch-1-task-{number}" for number in range(115)]
    left(scene)
    for number, task in enumerate(tasks, start=1):
        scene.hosted.move(task, scene.start, None)
        pull = Pull(number, "pipeline-bot", task, draft=False, base_sha=scene.start)
        scene.hosted.pulls[number] = pull
        marker = f"Body\n\n<!-- pytest-pipeline: {task} -->\n"
        scene.hosted.turn(pull, Face("open", task, marker, BASE, scene.start))
    foreign = somebody_opens(scene, "feature", tasks[100])
    found = scene.forge.leftovers()
    assert len(found) == 116
    assert found[-1].branch.name == BASE
    assert [each.branch.name for each in found if each.kept] == [tasks[100], BASE]
    assert sorted(pull.number for each in found for pull in each.pull_requests) == list(range(1, 116))
    assert scene.forge.remove(found[0])
    assert foreign.now.state == "open"


def test_two_cleaners_at_once_leave_nothing_and_complain_of_nothing(scene: Scene) -> None:
    left(scene, TASK, OTHER, f"{RUN}/plans.more/batch-2-task-2-1")
    listed = scene.forge.leftovers()
    forges = [scene.another(gate=RecordingGate()) for _ in range(2)]
    start = threading.Barrier(2)

    def clean(forge: GitHubForge) -> int:
        start.wait()
        return sum(len(forge.remove(each)) for each in listed)

    with ThreadPoolExecutor(2) as pool:
        closed = list(pool.map(clean, forges))
    assert list(scene.hosted.branches()) == ["main"]
    assert states(scene) == ["closed"] * 3
    assert sum(closed) >= 3
