"""Let something go wrong in each run of a session, at a call of its own, and keep what came of it."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from pytest_pipeline.events import RunFinished, StepStarted
from pytest_pipeline.forges import gate_opening
from pytest_pipeline.forges.gate import Gate
from pytest_pipeline.forges.gate_files import FileTurnstile
from pytest_pipeline.forges.github import connection
from pytest_pipeline.forges.github.waiting import Waiting
from tests.e2e.github_calls import ALL_ROUTES, BASE, EVERY, Call, mutation
from tests.e2e.github_project import GitHubProject
from tests.e2e.world import Ran, task
from tests.github_world import Check, Lag, Rule
from tests.github_world.faults import Fault
from tests.github_world.state import Pull

MAKES = task(files=["Create: `a.txt`"], does="echo made > a.txt")
_REQUIRED = "ci"


class Clock:
    """The time of forge, gate and GitHub alike; only sleeping moves it."""

    def __init__(self) -> None:
        self._now = time.time()

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds

    def wind(self, github: GitHubProject, patch: pytest.MonkeyPatch) -> None:
        """Let everybody live by it."""
        waiting = Waiting(self.now, self.sleep, lambda: 0.5)
        patch.setattr(connection, "Waiting", lambda: waiting)
        patch.setattr(gate_opening, "FileTurnstile", functools.partial(FileTurnstile, clock=self.now))
        patch.setattr(gate_opening, "Gate", functools.partial(Gate, sleep=self.sleep))
        github.world.clock = self.now


@dataclass(frozen=True)
class Scene:
    """One run, for troubles that need to know more.

    Args:
        github: the project and its GitHub.
        prefix: what the run's branches begin with, up to the slash; empty before its first step.
    """

    github: GitHubProject
    prefix: str

    @property
    def base(self) -> str:
        """Its base branch."""
        return f"{self.prefix}/base"

    @property
    def branch(self) -> str:
        """The branch of its task."""
        return f"{self.prefix}/plans.p/batch-1-task-1-1"

    @property
    def pull(self) -> Pull:
        """Its pull request."""
        (found,) = [each for each in self.github.hosted.pulls.values() if each.branch == self.branch]
        return found


@dataclass(frozen=True)
class Trouble:
    """What goes wrong.

    Args:
        name: as the table shows it.
        faults: of the next calls, one after the other; made when the call's step begins.
        arrange: something that holds for the whole run.
        undone: how many requests are answered without being done.
    """

    name: str
    faults: Callable[[Scene], Sequence[Fault]] = lambda scene: ()
    arrange: Callable[[GitHubProject], object] = lambda github: None
    undone: int = 0


@dataclass(frozen=True)
class Cell:
    """One trouble at one call, and what must come of it.

    Args:
        call: the call.
        trouble: what goes wrong.
        kind: the failure kind; empty: the task passes.
        says: what its message must hold.
        waits: seconds, at least and at most, that the gate waits.
        asked: how often mutations may be asked where that is not as everywhere.
        on_top: commits on top of the base's start in the end, when it passes.
        ends: pull requests and merges in the end, when it fails; None: those that were there before the call.
    """

    call: Call
    trouble: Trouble
    kind: str = ""
    says: str = ""
    waits: tuple[float, float] = (0.0, 0.0)
    asked: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    on_top: int = 1
    ends: tuple[int, int] | None = None


@dataclass(frozen=True)
class Found:
    """What came of a cell.

    Args:
        kind: the failure kind; empty where it passed.
        message: what was said of it.
        waited: seconds that the gate waited.
        pulls: the pull requests from the branch of its task.
        branches: the run's branches and their commits, without the prefix.
        on_top: so many commits are in the base on top of its start.
        asked: how often each mutation was asked.
        left: faults that did not come up.
    """

    kind: str
    message: str
    waited: float
    pulls: tuple[Pull, ...]
    branches: Mapping[str, str]
    on_top: int
    asked: Mapping[str, int]
    left: int

    @property
    def merges(self) -> int:
        """How often a pull request of the task became merged."""
        faces = [[face.merged for _, face in pull.faces] for pull in self.pulls]
        return sum(now and not before for each in faces for before, now in zip([False, *each], each, strict=False))


class Injector:
    """A plugin of the pytest that is tested: run N of its session meets the Nth cell.

    Args:
        github: the project and its GitHub.
        cells: one for each run.
    """

    def __init__(self, github: GitHubProject, cells: Sequence[Cell]) -> None:
        self._github = github
        self._cells = cells
        self.left: list[int] = []
        self.asked: list[Counter[str]] = []
        self.refused: dict[int, str] = {}
        self._began = 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        """The session is open; the first run is going to begin."""
        self._begin(0)

    def pytest_pipeline_step_started(self, event: StepStarted) -> None:
        """Lay the trouble of the step."""
        cell = self._cells[event.task.run - 1]
        if event.step == cell.call.step or cell.call is EVERY:
            self._lay(cell, f"pipeline/{event.task.session}/run-{event.task.run:02d}")

    def pytest_pipeline_run_finished(self, event: RunFinished) -> None:
        """Note what was asked, and bring the next run into its trouble."""
        world = self._github.world
        self.left.append(0 if self._cells[event.run - 1].call is EVERY else world.faults.left)
        self.asked.append(Counter(filter(None, map(mutation, world.requests[self._began :]))))
        if event.run < len(self._cells):
            self._begin(event.run)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what is said of a run that failed before its first step: the record knows no attempt then."""
        if report.failed and report.when == "setup":
            self.refused[len(self.left) + 1] = report.longreprtext

    def _begin(self, index: int) -> None:
        quiet(self._github)
        self._began = len(self._github.world.requests)
        cell = self._cells[index]
        cell.trouble.arrange(self._github)
        if cell.call.step == BASE:
            self._lay(cell, "")

    def _lay(self, cell: Cell, prefix: str) -> None:
        planned = self._github.world.faults
        planned.clear()
        for fault in cell.trouble.faults(Scene(self._github, prefix)):
            for route in ALL_ROUTES if cell.call is EVERY else (cell.call.route,):
                planned.add(route, fault, nth=cell.call.nth)


def quiet(github: GitHubProject) -> None:
    """A GitHub with which nothing is wrong, and whose base branches demand one check."""
    github.world.faults.clear()
    github.world.lag = Lag()
    github.world.limits.budgets.clear()
    github.hosted.settings.delete_branch_on_merge = False
    github.hosted.ci = [Check(_REQUIRED), Check("another", kind="status")]
    if github.hosted.full_name != "octo/example":
        github.world.rename(github.hosted.full_name, "octo/example")


def run_cells(github: GitHubProject, cells: Sequence[Cell], patch: pytest.MonkeyPatch) -> list[Found]:
    """One session, with a run for each cell."""
    Clock().wind(github, patch)
    github.hosted.protect("pipeline/*/base", Rule(required=(_REQUIRED,)))
    github.write(MAKES)
    start = github.hosted.branches()["main"]
    injector = Injector(github, cells)

    ran = github.run("plans", "--count", str(len(cells)), "-k", "1.1", plugins=[injector])

    assert len(injector.left) == len(cells), ran.text
    assert github.hosted.branches()["main"] == start
    return [_found(github, ran, injector, run, start) for run in range(1, len(cells) + 1)]


def _found(github: GitHubProject, ran: Ran, injector: Injector, run: int, start: str) -> Found:
    scene = Scene(github, f"pipeline/{ran.session}/run-{run:02d}")
    branches = {
        name.removeprefix(f"{scene.prefix}/"): sha
        for name, sha in github.branches().items()
        if name.startswith(f"{scene.prefix}/")
    }
    pulls = tuple(each for each in github.hosted.pulls.values() if each.branch == scene.branch)
    on_top = int(github.hosted.git.text("rev-list", "--count", branches.get("base", start), f"^{start}"))
    recorded = [each.attempts[-1] for each in ran.task_runs if each.key.run == run and each.attempts]
    if recorded:
        kind, message = str(recorded[0].failure_kind or ""), recorded[0].message
        waited = float(recorded[0].properties.get("forge_waited", 0))
    else:
        (kind, _, message), waited = injector.refused[run].partition(": "), 0.0
    return Found(kind, message, waited, pulls, branches, on_top, injector.asked[run - 1], injector.left[run - 1])
