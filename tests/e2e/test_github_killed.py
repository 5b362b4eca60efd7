"""Pytest is killed right before or right after a change at GitHub: what is left, and what the next session does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field

import pytest

from pytest_pipeline.host.descent import proc_rows
from pytest_pipeline.record.store import Store
from tests.e2e.github_calls import MUTATIONS
from tests.e2e.github_injecting import MAKES
from tests.e2e.github_project import GitHubProject
from tests.github_world import faults
from tests.github_world.state import Face
from tests.host.conftest import entries, until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="looks into /proc for the git of a pytest that was killed"
)

Left = tuple[int, int, int]
"""Branches besides main, pull requests, merges."""


@dataclass(frozen=True)
class Moment:
    """A change, which of its kind it is, and what there is before and after it."""

    route: str
    nth: int
    before: Left
    after: Left


MOMENTS = {
    "push of the base": Moment(MUTATIONS["push"], 1, (0, 0, 0), (1, 0, 0)),
    "push of the task": Moment(MUTATIONS["push"], 2, (1, 0, 0), (2, 0, 0)),
    "opening": Moment(MUTATIONS["open"], 2, (2, 0, 0), (2, 1, 0)),  # the first only asks whether the token may
    "merge": Moment(MUTATIONS["merge"], 1, (2, 1, 0), (2, 1, 1)),
    "end of the branch": Moment(MUTATIONS["delete"], 1, (2, 1, 1), (1, 1, 1)),
}


@dataclass
class Victim:
    """A pytest to be killed from within an answer of the server."""

    address: str
    process: list[subprocess.Popen[str]] = field(default_factory=list)

    def kill(self) -> None:
        """Return when it is dead, and also the git that it may have had at work."""
        (process,) = self.process
        process.send_signal(signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        until(lambda: not self._at_work())

    def _at_work(self) -> bool:
        return any(self.address.encode() in each for row in proc_rows() for each in entries(row.pid, "cmdline"))


def left(github: GitHubProject) -> Left:
    return len(github.branches()), len(github.hosted.pulls), len(github.merged())


def faces(github: GitHubProject) -> dict[int, list[tuple[int, Face]]]:
    """Everything that ever happened to every pull request."""
    return {number: list(pull.faces) for number, pull in github.hosted.pulls.items()}


def killed(github: GitHubProject, moment: Moment, *, done: bool) -> None:
    """Run a session up to that moment."""
    victim = Victim(github.world.git_url("octo/example"))
    github.world.faults.add(moment.route, faults.killed(victim.kill, done=done), nth=moment.nth)
    victim.process.append(github.start())
    text, _ = victim.process[0].communicate(timeout=120)
    assert victim.process[0].returncode == -signal.SIGKILL, text
    assert github.world.faults.left == 0


def assert_nothing_is_lost_or_doubled(github: GitHubProject) -> None:
    """What is merged is in its base exactly once, and no head has two open pull requests."""
    pulls, branches = github.hosted.pulls.values(), github.hosted.branches()
    assert all(number == 1 for number in Counter(pull.branch for pull in pulls if pull.now.state == "open").values())
    for pull in pulls:
        if pull.now.merged:
            title = github.hosted.git.text(
                "log", "--format=%H", branches[pull.now.base], f"^{branches['main']}"
            ).split()
            assert title == [pull.now.merge_sha]


def clean(github: GitHubProject, session: str) -> None:
    """Remove what that session left, as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest_pipeline", "clean", "--session", session, "--yes", *github.flags],
        cwd=github.project.path,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(github.project.temporary), **github.project.environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("change", MOMENTS)
def test_a_killed_session_loses_nothing_and_the_next_one_touches_nothing_of_it(
    github: GitHubProject, change: str, done: bool
) -> None:
    moment = MOMENTS[change]
    github.write(MAKES)
    main = github.hosted.branches()["main"]

    killed(github, moment, done=done)

    assert left(github) == (moment.after if done else moment.before)
    with Store.open(f"sqlite:///{github.project.state / 'state.db'}") as store:
        (first,) = [session.id for session in store.sessions()]
    before, happened = github.branches(), faces(github)

    ran = github.run().passed()

    assert {name: sha for name, sha in github.branches().items() if ran.session not in name} == before
    assert {number: each for number, each in faces(github).items() if number in happened} == happened
    assert github.hosted.branches()["main"] == main
    own = [pull for pull in github.hosted.pulls.values() if ran.session in pull.branch]
    assert [pull.now.merged for pull in own] == [True]
    assert_nothing_is_lost_or_doubled(github)

    clean(github, first)

    assert list(github.branches()) == [f"pipeline/{ran.session}/run-01/base"]
    assert [pull.number for pull in github.hosted.pulls.values() if pull.now.state == "open"] == []
    assert_merges_are_kept(github, happened)


def assert_merges_are_kept(github: GitHubProject, happened: dict[int, list[tuple[int, Face]]]) -> None:
    """The cleaning closes what is open, and changes nothing else."""
    for number, before in happened.items():
        now = github.hosted.pulls[number].now
        assert now.merged == before[-1][1].merged
