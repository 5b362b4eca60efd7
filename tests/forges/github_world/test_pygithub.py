"""The real PyGithub believes that this is GitHub."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import github
import pytest

from tests.github_world import Check, GitHubWorld, Hosted, faults


@pytest.fixture
def client(world: GitHubWorld) -> Iterator[github.Github]:
    for handler in list(logging.getLogger("github").handlers):
        logging.getLogger("github").removeHandler(handler)
    client = github.Github(
        auth=github.Auth.Token(world.token),
        base_url=world.url,
        retry=None,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )
    yield client
    client.close()


def test_the_whole_life_of_a_pull_request(world: GitHubWorld, demo: Hosted, client: github.Github) -> None:
    world.lag.mergeable = 1
    head = demo.commit("topic", {"a.txt": "1\n"}, "Add a")
    demo.set_check("topic", Check("build"))
    repository = client.get_repo("acme/demo")
    assert repository.permissions.push
    assert repository.allow_squash_merge
    pull = repository.create_pull(base="main", head="topic", title="Add a", body="Text")
    assert pull.raw_data["mergeable"] is None
    pull.update()
    pull.update()
    assert (pull.mergeable, pull.mergeable_state, pull.head.sha) == (True, "clean", head)
    assert pull.update() is False, "304: nothing has changed"
    assert [each.number for each in repository.get_pulls(head="acme:topic", state="all")] == [1]
    commit = repository.get_commit(head)
    assert [run.conclusion for run in commit.get_check_runs()] == ["success"]
    assert commit.get_combined_status().state == "pending"
    merged = pull.merge(merge_method="squash", sha=head, commit_title="Add a (#1)")
    assert merged.sha == demo.branches()["main"]
    repository.get_git_ref("heads/topic").delete()
    pull.update()
    assert (pull.merged, pull.merge_commit_sha, pull.merged_by.login) == (True, merged.sha, client.get_user().login)
    assert [ref.ref for ref in repository.get_git_matching_refs("heads/")] == ["refs/heads/main"]
    limit = client.get_rate_limit().rate
    assert limit.remaining == 5000 - sum(entry.counted for entry in world.requests)


def test_errors_become_its_exceptions(world: GitHubWorld, demo: Hosted, client: github.Github) -> None:
    repository = client.get_repo("acme/demo")
    with pytest.raises(github.UnknownObjectException):
        repository.get_pull(7)
    with pytest.raises(github.GithubException, match="No commits between"):
        repository.create_pull(base="main", head="main", title="T")
    world.faults.add("GET *", faults.secondary(), nth=1)
    with pytest.raises(github.RateLimitExceededException):
        repository.get_branch("main")
    world.revoke(world.token)
    with pytest.raises(github.BadCredentialsException):
        repository.get_branch("main")


def test_more_than_a_page(world: GitHubWorld, demo: Hosted, client: github.Github) -> None:
    for number in range(31):
        demo.commit(f"many/{number}", {"a": str(number)})
    found = client.get_repo("acme/demo").get_git_matching_refs("heads/many")
    assert len(list(found)) == 31
    assert found.totalCount == 31
