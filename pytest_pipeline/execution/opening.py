"""Opening a session: everything that can be wrong is found here, before the first agent starts."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from socket import gethostname
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from pytest_pipeline import __version__
from pytest_pipeline.errors import SettingsError
from pytest_pipeline.execution.cast import REFERENCE, choose_cast
from pytest_pipeline.execution.ground import Ground, Plot, Wish, find_ground
from pytest_pipeline.execution.holding import both, hold_session, sweep_scratch
from pytest_pipeline.execution.layout import Layout, run_prefix
from pytest_pipeline.execution.pipeline import Agents, Pipeline
from pytest_pipeline.execution.resuming import (
    chaos_fact,
    conditions_fact,
    options_fact,
    refuse_other_work,
    selection_fact,
    tasks_fact,
)
from pytest_pipeline.execution.standing import confirm_bases
from pytest_pipeline.execution.steps import Observer, now
from pytest_pipeline.execution.target import Target
from pytest_pipeline.execution.workspace import Workspaces
from pytest_pipeline.forges.base import Forge
from pytest_pipeline.host.git import Repository
from pytest_pipeline.host.git_command import require_git
from pytest_pipeline.host.git_work_tree import remove
from pytest_pipeline.plans.model import Plan
from pytest_pipeline.record.costs import bare, limit
from pytest_pipeline.record.model import Invocation, SessionRecord
from pytest_pipeline.record.store import Store
from pytest_pipeline.settings import Settings

if TYPE_CHECKING:
    from pytest_pipeline.execution.github_ground import GitHubGround


_MAY_CHANGE = ("agent_version", "versions", "max_cost")
"""Facts of a session that may be others when it is taken up again: the record then holds both."""


class Case(Protocol):
    """An item of a plan, as far as a session tells it from others."""

    @property
    def plan(self) -> str:
        """Path of the plan."""

    @property
    def batch(self) -> str:
        """Number of the batch."""

    @property
    def task(self) -> str:
        """Id of the task."""


@dataclass(frozen=True)
class Opened:
    """An open session, and what its header says.

    Args:
        pipeline: the session as this process sees it.
        target: where its runs start.
        facts: what the record says of it.
        notes: what the agents have to say.
        readable: plans whose solutions an agent can read in its workspace.
    """

    pipeline: Pipeline
    target: Target
    facts: Mapping[str, str]
    notes: tuple[str, ...]
    readable: tuple[str, ...]


@dataclass(frozen=True)
class Prepared:
    """What was settled about a session before its plans were collected, because other processes must be told.

    Args:
        layout: with the session's id; its directories are made.
        ground: found already where that takes a secret out of the environment; None: not yet.
    """

    layout: Layout
    ground: GitHubGround | None


def prepare_session(settings: Settings, first: Path, rootdir: Path) -> Prepared:
    """Settle what can be, before any plan is read.

    Args:
        settings: the session's settings.
        first: a plan of the session.
        rootdir: pytest's root directory.

    Raises:
        PipelineError: something is missing.
    """
    ground = None
    if settings.forge == "github":
        from pytest_pipeline.execution.github_ground import GitHubGround

        ground = GitHubGround.find(settings, None, first.parent, rootdir)
    return Prepared(_layout(settings, first, rootdir), ground)


def _layout(settings: Settings, first: Path, rootdir: Path) -> Layout:
    return Layout.create(state_place(first.parent, rootdir) / settings.state_dir, settings.resume or new_session_id())


def digests(plans: Mapping[str, Plan]) -> str:
    """What tells the texts of plans from others, as a fact for the record."""
    return ", ".join(f"{path} {plan.digest}" for path, plan in sorted(plans.items()))


def new_session_id() -> str:
    """A name for a session: when it began, to the second, and something that makes it unique."""
    return f"{now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def open_session(
    settings: Settings,
    plans: Mapping[str, Plan],
    *,
    rootdir: Path,
    agents: Agents,
    forge: Forge | None,
    observer: Observer,
    selection: Mapping[str, Case] = MappingProxyType({}),
    task_runs: int | None = None,
    prepared: Prepared | None = None,
) -> Opened:
    """Find the target, open the store, make sure of agents and forge, and write the session down.

    Args:
        settings: the session's settings.
        plans: the plans of this session by path, at least one.
        rootdir: pytest's root directory.
        agents: chooses the agent for settings.
        forge: chosen by a hook, or None.
        observer: who looks on.
        selection: the selected items by node id.
        task_runs: how many tasks are selected in all runs together; None: all of them.
        prepared: what was settled before; None: nothing.

    Raises:
        PipelineError: something is missing or does not fit; says what and how to mend it.
    """
    git = require_git()
    chosen = [settings.with_plan(plan.options.values) for plan in plans.values()]
    cast = choose_cast(settings, plans, agents)
    first = rootdir / next(iter(plans))
    base = None if settings.resume is not None else _one_base(chosen, plans)  # else it is the record's
    with ExitStack() as undo:
        ground = _ground(prepared, settings, base, first.parent, rootdir, forge)
        undo.callback(ground.close)
        layout = prepared.layout if prepared is not None else _layout(settings, first, rootdir)
        undo.callback(remove, str(layout.scratch))
        store = Store.open(settings.store or layout.store_url)
        undo.callback(store.close)
        held = hold_session(layout, store)
        undo.callback(held.close)
        before = store.session(layout.session) if settings.resume is not None else None
        start = before.facts["base_commit"] if before else ""
        wish = _wish(settings, plans, layout.session, task_runs, start)
        plot = ground.prepare(layout, wish, observer.forge_waiting)
        pipeline = Pipeline(
            settings=settings,
            layout=layout,
            rootdir=rootdir,
            base=plot.base,
            mirror=plot.mirror,
            store=store,
            forge=plot.forge,
            agents=agents,
            observer=observer,
            workspaces=Workspaces(layout.scratch, settings.max_workspaces),
            plans=plans,
            let_go=both(ground.close, held.session.close),
            resumed=before is not None,
        ).with_chaos()
        facts = {
            **cast.facts,
            **({"max_cost": bare(limit(settings.max_cost))} if settings.max_cost is not None else {}),
            **({"execution": settings.execution} if settings.execution is not None else {}),
            "forge": plot.forge.name,
            **({"forge_id": plot.forge_id} if plot.forge_id else {}),
            "repository": plot.target.name,
            "base_commit": plot.base,
            "plans": digests(plans),
            "versions": _versions(git),
            **chaos_fact(settings),
            "options": options_fact(settings),
            "selection": selection_fact(selection),
            "tasks": tasks_fact((case.plan, case.batch, case.task) for case in selection.values()),
            "conditions": conditions_fact(settings),
        }
        readable = [] if cast.names == [REFERENCE] else _readable_references(plans, rootdir, plot)
        notes = _admit(pipeline, facts, before)
        undo.pop_all()
        held.workers.close()
    return Opened(pipeline, plot.target, facts, (*cast.notes, *plot.notes, *notes), tuple(readable))


def _ground(
    prepared: Prepared | None, settings: Settings, base: str | None, plans: Path, rootdir: Path, forge: Forge | None
) -> Ground:
    if prepared is None or prepared.ground is None or forge is not None:
        return find_ground(settings, base, plans, rootdir, forge)
    return prepared.ground.at(base, plans, rootdir)


def _admit(pipeline: Pipeline, facts: Mapping[str, str], before: SessionRecord | None) -> list[str]:
    """Write the session down; one that is taken up must be the same, and what its last process left is swept.

    Returns:
        What is different from its last process.
    """
    store, session, at, settings = pipeline.store, pipeline.session, now(), pipeline.settings
    mine = Invocation(0, at, gethostname(), os.getpid(), str(pipeline.layout.scratch))
    if before is None:
        store.open_session(SessionRecord(session, at, settings.required, settings.count, facts), mine)
        return []
    refuse_other_work(before, facts)
    confirm_bases(pipeline)
    sweep_scratch(store.invocations(session), mine.host)
    store.begin_invocation(session, mine, resumes="The process that did this is gone; the session was taken up again.")
    changed = [name for name in _MAY_CHANGE if facts.get(name, "") != before.facts.get(name, "").split("; ")[-1]]
    for name in changed:
        store.fact(session, name, facts.get(name, "none"))
    store.fact(session, "resumed", at.isoformat(timespec="seconds"))
    return [
        f"{name} is {facts.get(name, 'none')} from now on, it was {before.facts.get(name, 'none')}" for name in changed
    ]


def _wish(settings: Settings, plans: Mapping[str, Plan], session: str, task_runs: int | None, start: str) -> Wish:
    tasks = [(plan, task) for plan in plans.values() for batch in plan.batches for task in batch.tasks]
    own = [settings.with_plan(plan.options.values, task.options.values) for plan, task in tasks]
    return Wish(
        task_runs=len(tasks) * settings.count if task_runs is None else task_runs,
        merge_methods=tuple(sorted({each.merge_method for each in own if each.auto_merge})),
        checks=tuple(sorted({each.checks for each in own})),
        prefix=run_prefix(session, 0 if start else 1),  # what is asked for must not be there yet
        start=start,
    )


def state_place(plans: Path, rootdir: Path) -> Path:
    """The rootdir; where pytest found none and took a directory above the repository, the repository."""
    found = Repository.of_checkout(plans)
    top = found.work_tree.resolve() if found is not None and found.work_tree is not None else rootdir
    return top if rootdir.resolve() in top.parents else rootdir


def _readable_references(plans: Mapping[str, Plan], rootdir: Path, plot: Plot) -> list[str]:
    """The plans that lie in the target repository with their own solutions, where every agent can read them."""
    checkout = plot.target.checkout
    if checkout is None or checkout.work_tree is None:
        return []
    top, base = checkout.work_tree.resolve(), plot.mirror.tree(plot.base)
    places = {path: (rootdir / path).resolve() for path, plan in plans.items() if _has_reference(plan)}
    return [
        path
        for path, place in places.items()
        if place.is_relative_to(top) and base.entry(place.relative_to(top).as_posix()) is not None
    ]


def _has_reference(plan: Plan) -> bool:
    return any(task.reference for batch in plan.batches for task in batch.tasks)


def _versions(git: str) -> str:
    told = (("pytest-pipeline", __version__), ("pytest", version("pytest")), ("Python", python_version()), ("git", git))
    return ", ".join(f"{name} {number}" for name, number in told)


def _one_base(chosen: list[Settings], plans: Mapping[str, Plan]) -> str | None:
    bases = {settings.base: path for settings, path in zip(chosen, plans, strict=True)}
    if len(bases) > 1:
        told = ", ".join(f"{path}: {base or 'HEAD'}" for base, path in bases.items())
        raise SettingsError(
            f"The plans ask for different bases ({told}), but a run has one. Run them apart, or give --base-commit."
        )
    return next(iter(bases))
