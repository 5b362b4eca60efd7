"""What the task runs of one process share: settings, store, forge, agents, workspaces, and the runs they belong to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_pipeline.agents.base import Agent
from pytest_pipeline.errors import ForgeError
from pytest_pipeline.execution.layout import Layout, run_prefix
from pytest_pipeline.execution.steps import Observer, now
from pytest_pipeline.execution.unlanded import unlanded
from pytest_pipeline.execution.workspace import Workspaces
from pytest_pipeline.forges.base import Forge, Paced
from pytest_pipeline.host.git import Repository
from pytest_pipeline.host.git_work_tree import remove
from pytest_pipeline.host.locking import held
from pytest_pipeline.plans.model import Plan
from pytest_pipeline.record.model import Outcome
from pytest_pipeline.record.store import Store
from pytest_pipeline.settings import Settings

if TYPE_CHECKING:
    from pytest_pipeline.execution.chaos.injecting import Chaos

Agents = Callable[[Settings], Agent]
"""Chooses the agent for the settings of a task."""


@dataclass(frozen=True)
class Run:
    """One pass through all selected plans.

    Args:
        number: from 1.
        base_branch: the branch of the forge that its pull requests are merged into.
        start: the commit that it starts from.
        repository: its own objects, on top of the mirror's.
        forge: where the base branch lives.
        merging: while its context lasts, nobody else merges into the base branch: neither on this machine nor on
            another one that shares the store.
    """

    number: int
    base_branch: str
    start: str
    repository: Repository
    forge: Forge
    merging: Callable[[], AbstractContextManager[None]]

    def sync(self) -> str:
        """Bring the base branch's newest objects here and return the commit that it is at.

        Raises:
            ForgeError: the base branch is gone.
        """
        head = self.forge.branch_head(self.base_branch)
        if head is None:
            raise ForgeError(
                f"The branch {self.base_branch} is gone from {self.forge.repository}. "
                "Somebody deleted it; start a new session."
            )
        if self.repository.resolve(head) is None:
            self.forge.fetch(self.base_branch, self.repository)
        return head


@dataclass(frozen=True)
class Pipeline:
    """The session as one process sees it.

    Args:
        settings: the session's settings; a task's own come from :meth:`Settings.with_plan`.
        layout: where things lie.
        rootdir: pytest's root directory, which paths in messages are relative to.
        base: the commit that every run starts from.
        mirror: holds that commit and its history.
        store: the record.
        forge: where pull requests live.
        agents: chooses an agent.
        observer: who looks on.
        workspaces: where agents work.
        plans: the selected plans by path.
        let_go: lets go of what the forge holds.
        resumed: whether the session was taken up again, so that its record may hold more than this process knows.
        owns: whether what lies in the layout is this process's alone; else it leaves that to who opened the session.
        is_guest: whether this process is a worker on another machine than that.
        chaos: what injects faults; None: nobody does.
    """

    settings: Settings
    layout: Layout
    rootdir: Path
    base: str
    mirror: Repository
    store: Store
    forge: Forge
    agents: Agents
    observer: Observer
    workspaces: Workspaces
    plans: Mapping[str, Plan]
    let_go: Callable[[], None] = lambda: None
    resumed: bool = False
    owns: bool = True
    is_guest: bool = False
    chaos: Chaos | None = None
    _runs: dict[int, Run] = field(default_factory=dict)

    def with_chaos(self) -> Pipeline:
        """The same session with faults, where its settings ask for them.

        Raises:
            SettingsError: there is something that must not suffer them.
        """
        if self.settings.chaos is None:
            return self
        from pytest_pipeline.execution.chaos.unleashing import unleash

        return unleash(self, self.settings)

    @property
    def session(self) -> str:
        """Id of the session."""
        return self.layout.session

    @property
    def waited(self) -> float:
        """Seconds that the forge's limits made this process wait so far."""
        return sum(self.forge.waited.values()) if isinstance(self.forge, Paced) else 0.0

    def run(self, number: int) -> Run:
        """The run of that number; when it is new here, it is admitted and its base branch exists afterwards."""
        if number not in self._runs:
            self.store.admit_run(self.session, number, now())
            branch = f"{run_prefix(self.session, number)}/base"
            self.forge.ensure_base(branch, self.base, self.mirror)
            repository = Repository.create(self.layout.run_store(number), alternates=[self.mirror.objects])
            self._runs[number] = Run(number, branch, self.base, repository, self.forge, self._alone(number, branch))
        return self._runs[number]

    def _alone(self, number: int, branch: str) -> Callable[[], AbstractContextManager[None]]:
        if self.store.spans_machines:
            return partial(self.store.alone, f"merge into {branch}")
        return partial(held, self.layout.run_lock(number))

    def finish_run(self, number: int, outcome: Outcome) -> bool:
        """Write how a run ended, and let go of its objects: what was merged is on the forge.

        Those of a run that was interrupted, or that holds a verified commit which was not landed for no fault of its
        task, stay for who takes the session up again.

        Returns:
            Whether it had not ended before, in an earlier process of the session.
        """
        ends = self.store.finish_run(self.session, number, outcome, now())
        self._runs.pop(number, None)
        self._let_go_of_run(number, outcome)
        return ends

    def _let_go_of_run(self, number: int, outcome: Outcome) -> None:
        if outcome is Outcome.PASSED or (outcome is not Outcome.INTERRUPTED and not self._holds_unlanded(number)):
            self._let_go(self.layout.run_store(number))

    def _holds_unlanded(self, number: int) -> bool:
        return any(unlanded(each.attempts) for each in self.store.task_runs(self.session, number))

    def _let_go(self, run_store: Path) -> None:
        if self.owns and run_store.is_dir() and not self.workspaces.needs(run_store):
            remove(str(run_store))

    def close(self) -> None:
        """Let go of the workspaces that nobody wants to look at, of the store, and of what the forge holds."""
        with ExitStack() as stack:
            stack.callback(self.let_go)
            stack.callback(self.store.close)
            stack.callback(self.workspaces.close)
            stack.callback(self._let_go_of_runs)

    def _let_go_of_runs(self) -> None:
        """Those that have not ended stay where the session was opened, for who takes it up again."""
        if self.is_guest:
            for run_store in self.layout.run_stores():
                self._let_go(run_store)
        elif self.owns:
            for run in self.store.runs(self.session):
                if run.outcome is not Outcome.RUNNING:
                    self._let_go_of_run(run.number, run.outcome)

    def shown(self, path: Path) -> str:
        """A path as messages show it: relative to the rootdir where it lies below it."""
        return str(path.relative_to(self.rootdir)) if path.is_relative_to(self.rootdir) else str(path)
