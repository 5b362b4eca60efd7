"""Real git against the loopback GitHub: clone, push, and how a push is refused or its answer lost."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.github_world import GitHubWorld, Hosted, Rule, faults
from tests.github_world.asking import ask, git, opened


@pytest.fixture
def clone(world: GitHubWorld, demo: Hosted, tmp_path: Path) -> Path:
    done = git(world, tmp_path, "clone", "--quiet", world.git_url("acme/demo"), "clone")
    assert done.returncode == 0, done.stderr
    return tmp_path / "clone"


def commit(world: GitHubWorld, clone: Path, content: bytes = b"x\n") -> str:
    (clone / "new.txt").write_bytes(content)
    git(world, clone, "add", "--all")
    git(world, clone, "commit", "--quiet", "--message", "Change")
    return git(world, clone, "rev-parse", "HEAD").stdout.strip()


def push(
    world: GitHubWorld, clone: Path, branch: str = "topic", *options: str, token: str | None = None
) -> subprocess.CompletedProcess[str]:
    return git(world, clone, "push", "--porcelain", *options, "origin", f"HEAD:refs/heads/{branch}", token=token)


def test_a_branch_that_is_pushed_can_be_opened_at_once(world: GitHubWorld, demo: Hosted, clone: Path) -> None:
    sha = commit(world, clone)
    assert push(world, clone).returncode == 0
    made = ask(world, "POST", "/repos/acme/demo/pulls", {"title": "T", "head": "topic", "base": "main"})
    assert made.body["head"]["sha"] == sha
    assert {entry.kind for entry in world.requests[:-1]} == {"git"}


def test_a_large_push_comes_in_chunks(world: GitHubWorld, demo: Hosted, clone: Path) -> None:
    commit(world, clone, b"".join(b"%d\n" % (number**5) for number in range(300_000)))
    assert push(world, clone).returncode == 0
    fetched = git(world, clone, "fetch", "--quiet", "origin", "refs/heads/topic")
    assert fetched.returncode == 0, fetched.stderr
    demo.git.run("fsck", "--strict")


def test_a_lease(world: GitHubWorld, demo: Hosted, clone: Path) -> None:
    main, sha = demo.branches()["main"], commit(world, clone)
    assert push(world, clone, "topic", "--force-with-lease=topic:").returncode == 0
    demo.commit("topic", {"other": "1"})
    commit(world, clone)
    for lease in ("topic:", f"topic:{sha}", f"topic:{main}"):
        refused = push(world, clone, "topic", f"--force-with-lease={lease}")
        assert refused.returncode == 1
        assert "(stale info)" in refused.stdout
    refused = push(world, clone)
    assert "(fetch first)" in refused.stdout
    held = push(world, clone, "topic", f"--force-with-lease=topic:{demo.branches()['topic']}")
    assert held.returncode == 0, held.stderr


def test_a_push_moves_the_pull_request(world: GitHubWorld, demo: Hosted, clone: Path) -> None:
    path = opened(world, demo)
    git(world, clone, "fetch", "--quiet", "origin", "topic")
    git(world, clone, "reset", "--quiet", "--hard", "FETCH_HEAD")
    sha = commit(world, clone)
    ask(world, "GET", path)
    world.lag.pulls = 1
    assert push(world, clone).returncode == 0
    assert [ask(world, "GET", path).body["head"]["sha"] == sha for _ in range(2)] == [False, True]


def test_deleting_a_branch_by_a_push_closes_its_pull_request(world: GitHubWorld, demo: Hosted, clone: Path) -> None:
    path = opened(world, demo)
    assert git(world, clone, "push", "--quiet", "origin", ":topic").returncode == 0
    assert ask(world, "GET", path).body["state"] == "closed"


def test_a_token_is_asked_for(world: GitHubWorld, demo: Hosted, tmp_path: Path) -> None:
    anonymous = git(world, tmp_path, "ls-remote", world.git_url("acme/demo"), token="")
    assert "terminal prompts disabled" in anonymous.stderr
    wrong = git(world, tmp_path, "ls-remote", world.git_url("acme/demo"), token="ghp_wrong")
    assert "terminal prompts disabled" in wrong.stderr, "a header that is refused makes git ask for a user"
    assert [(entry.status, entry.authorized) for entry in world.requests] == [(401, False), (401, True)]
    address = world.git_url("acme/demo").replace("http://", "http://x-access-token:ghp_wrong@")
    assert "remote: Invalid username or token." in git(world, tmp_path, "ls-remote", address, token="").stderr
    address = address.replace("ghp_wrong", world.token)
    assert git(world, tmp_path, "ls-remote", address, token="").returncode == 0


def test_a_token_that_is_not_enough(world: GitHubWorld, demo: Hosted, clone: Path) -> None:
    commit(world, clone)
    reader = world.add_token("reader", "read")
    assert git(world, clone, "ls-remote", "origin", token=reader).returncode == 0
    refused = push(world, clone, token=reader)
    assert refused.returncode == 128
    assert "remote: Permission to acme/demo.git denied to reader." in refused.stderr
    stranger = git(world, clone, "ls-remote", "origin", token=world.add_token("stranger", "none"))
    assert "remote: Repository not found." in stranger.stderr
    assert list(demo.branches()) == ["main"]


@pytest.mark.parametrize(
    ("rule", "said", "reason"),
    [
        (Rule(pushes=False), "error: GH006: Protected branch update failed", "protected branch hook declined"),
        (
            Rule(pushes=False, ruleset=True),
            "error: GH013: Repository rule violations found",
            "push declined due to repository rule violations",
        ),
    ],
)
def test_a_branch_that_may_not_be_pushed_to(
    world: GitHubWorld, demo: Hosted, clone: Path, rule: Rule, said: str, reason: str
) -> None:
    demo.protect("release/*", rule)
    sha = commit(world, clone)
    refused = push(world, clone, "release/1")
    assert refused.returncode == 1
    assert f"remote: {said} for refs/heads/release/1." in refused.stderr
    assert f"[remote rejected] ({reason})" in refused.stdout
    assert list(demo.branches()) == ["main"]
    assert push(world, clone, "other").returncode == 0
    assert demo.branches()["other"] == sha


def test_a_push_whose_answer_is_lost(world: GitHubWorld, demo: Hosted, clone: Path) -> None:
    sha = commit(world, clone)
    world.faults.add("POST /acme/demo.git/git-receive-pack", faults.lost(502))
    failed = push(world, clone)
    assert failed.returncode != 0
    assert "502" in failed.stderr
    assert demo.branches()["topic"] == sha


def test_a_push_that_is_reset_before_it_arrives(world: GitHubWorld, demo: Hosted, clone: Path) -> None:
    commit(world, clone)
    world.faults.add("POST */git-receive-pack", faults.reset(), times=9)
    assert push(world, clone).returncode != 0
    assert list(demo.branches()) == ["main"]


def test_several_pushes_at_once(world: GitHubWorld, demo: Hosted, clone: Path, tmp_path: Path) -> None:
    commit(world, clone)
    specs = [f"HEAD:refs/heads/side/{number}" for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda spec: git(world, clone, "push", "--quiet", "origin", spec), specs))
    assert [each.returncode for each in done] == [0] * 4
    assert len(demo.branches()) == 5
