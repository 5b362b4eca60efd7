"""A session on GitHub whose pytest was killed around a change is taken up again, and everything is done once."""

from __future__ import annotations

import sys

import pytest

from tests.e2e.github_injecting import MAKES
from tests.e2e.github_project import GitHubProject
from tests.e2e.test_github_killed import MOMENTS, assert_nothing_is_lost_or_doubled, killed
from tests.e2e.world import Ran
from tests.github_world import Rule

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="looks into /proc for the git of a pytest that was killed"
)


def assert_done_once(github: GitHubProject, ran: Ran, main: str) -> None:
    """One pull request, merged, into the base of the one session; nothing else is there."""
    assert list(github.branches()) == [f"pipeline/{ran.session}/run-01/base"]
    assert [pull.now.merged for pull in github.hosted.pulls.values()] == [True]
    assert github.hosted.branches()["main"] == main
    assert_nothing_is_lost_or_doubled(github)


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("change", MOMENTS)
def test_a_killed_session_is_taken_up_and_done_once(github: GitHubProject, change: str, done: bool) -> None:
    github.write(MAKES)
    main = github.hosted.branches()["main"]
    killed(github, MOMENTS[change], done=done)

    ran = github.run("plans", "--resume").passed()

    assert_done_once(github, ran, main)


def test_a_head_that_github_brought_up_to_date_before_the_kill_is_merged(github: GitHubProject) -> None:
    """The branch is no longer at the commit that the record knows."""
    github.write(MAKES)
    main = github.hosted.branches()["main"]
    killed(github, MOMENTS["merge"], done=False)
    (pull,) = github.hosted.pulls.values()
    github.hosted.protect("pipeline/*/base", Rule(strict=True))
    git = github.hosted.git
    base = f"refs/heads/{pull.now.base}"
    tree, old = git.text("rev-parse", f"{base}^{{tree}}"), git.text("rev-parse", base)
    head = git.text("rev-parse", f"refs/heads/{pull.branch}")
    message = "Merge the base into the branch"
    updated = git.commit_tree(git.commit(head).tree, [head, old], message, author="GitHub <noreply@example.org>")
    assert tree
    git.run("update-ref", f"refs/heads/{pull.branch}", updated)
    github.hosted.refresh()

    ran = github.run("plans", "--resume").passed()

    assert_done_once(github, ran, main)
    assert ran.last("1.1").properties["updated_commit"] == updated
