from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forges.landing_worker import BASE, MESSAGE, WORK
from tests.github_world import GitHubWorld, Hosted, faults
from tests.host.conftest import ROOT

CHANGES = {
    "push of the base": ("POST /*/git-receive-pack", 1),
    "push of the task": ("POST /*/git-receive-pack", 2),
    "opening": ("POST /repos/*/pulls", 1),
    "merge": ("PUT /repos/*/merge", 1),
    "end of the branch": ("DELETE /repos/*/git/refs/heads/*", 1),
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GitHubWorld]:
    with GitHubWorld(tmp_path) as world:
        world.tick = 100
        yield world


@pytest.fixture
def hosted(world: GitHubWorld) -> Hosted:
    return world.add_repository("octo/example")


def worker(world: GitHubWorld, tmp_path: Path, start: str, name: str) -> subprocess.Popen[str]:
    """A process that lands the commit; it shares nothing with another one but the gate."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.forges.landing_worker", world.url, "octo/example", str(tmp_path / name), start],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "TMPDIR": os.environ["TMPDIR"],
            "GH_ENTERPRISE_TOKEN": world.token,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("lag", [0, 2])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_a_killed_process_began_is_ended_once_by_the_next(
    world: GitHubWorld, hosted: Hosted, tmp_path: Path, change: str, done: bool, lag: int
) -> None:
    start = hosted.branches()["main"]
    world.lag.lists = world.lag.pulls = lag
    victims: list[subprocess.Popen[str]] = []

    def kill() -> None:
        victims[0].send_signal(signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, victims[0].pid, os.WEXITED | os.WNOWAIT)

    route, nth = CHANGES[change]
    world.faults.add(route, faults.killed(kill, done=done), nth=nth)
    victims.append(worker(world, tmp_path, start, "first.git"))
    said, _ = victims[0].communicate(timeout=60)
    assert victims[0].returncode == -signal.SIGKILL, said

    second = worker(world, tmp_path, start, "second.git")
    said, _ = second.communicate(timeout=60)

    assert second.returncode == 0, said
    (pull,) = hosted.pulls.values()
    assert (pull.branch, pull.now.base, pull.now.merged) == (WORK, BASE, True)
    assert [face.merged for _, face in pull.faces].count(True) == 1
    assert hosted.branches() == {"main": start, BASE: pull.now.merge_sha}
    merge = hosted.git.commit(hosted.branches()[BASE])
    assert (merge.parents, merge.message) == ((start,), MESSAGE)
    assert hosted.git.tree(merge.tree).read("a.txt") == b"made\n"
