"""Opening a session: everything that can be wrong is found here, before the first agent starts."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from platform import python_version

from pytest_pipeline import __version__
from pytest_pipeline.errors import SettingsError
from pytest_pipeline.execution.cast import REFERENCE, choose_cast
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.execution.pipeline import Agents, Pipeline
from pytest_pipeline.execution.steps import Observer, now
from pytest_pipeline.execution.target import Target, find_target, mirror
from pytest_pipeline.execution.workspace import Workspaces
from pytest_pipeline.forges.base import Forge
from pytest_pipeline.forges.local import LocalForge
from pytest_pipeline.host.git import Repository, Tree
from pytest_pipeline.host.git_work_tree import remove
from pytest_pipeline.plans.model import Plan
from pytest_pipeline.record.costs import bare, limit
from pytest_pipeline.record.model import SessionRecord
from pytest_pipeline.record.store import Store
from pytest_pipeline.settings import Settings


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
) -> Opened:
    """Find the target, open the store, make sure of agents and forge, and write the session down.

    Args:
        settings: the session's settings.
        plans: the plans of this session by path, at least one.
        rootdir: pytest's root directory.
        agents: chooses the agent for settings.
        forge: chosen by a hook, or None.
        observer: who looks on.

    Raises:
        PipelineError: something is missing or does not fit; says what and how to mend it.
    """
    chosen = [settings.with_plan(plan.options.values) for plan in plans.values()]
    cast = choose_cast(settings, plans, agents)
    first = rootdir / next(iter(plans))
    target = find_target(settings.repo, _one_base(chosen, plans), first.parent, rootdir)
    layout = Layout.create(_state_place(first.parent, rootdir) / settings.state_dir, new_session_id())
    with ExitStack() as undo:
        undo.callback(remove, str(layout.scratch))
        forge = forge or _forge(settings, layout)
        source, base = mirror(target, layout, settings.author)
        pipeline = Pipeline(
            settings=settings,
            layout=layout,
            rootdir=rootdir,
            base=base,
            mirror=source,
            store=Store.open(settings.store or layout.store_url),
            forge=forge,
            agents=agents,
            observer=observer,
            workspaces=Workspaces(layout.scratch, settings.max_workspaces),
            plans=plans,
        )
        undo.callback(pipeline.store.close)
        facts = {
            **cast.facts,
            **({"max_cost": bare(limit(settings.max_cost))} if settings.max_cost is not None else {}),
            "forge": forge.name,
            "repository": target.name,
            "base_commit": base,
            "versions": _versions(source),
        }
        pipeline.store.open_session(SessionRecord(layout.session, now(), settings.required, settings.count, facts))
        readable = [] if cast.names == [REFERENCE] else _readable_references(plans, rootdir, target, source.tree(base))
        undo.pop_all()
    return Opened(pipeline, target, facts, cast.notes, tuple(readable))


def _state_place(plans: Path, rootdir: Path) -> Path:
    """The rootdir; where pytest found none and took a directory above the repository, the repository."""
    found = Repository.of_checkout(plans)
    top = found.work_tree.resolve() if found is not None and found.work_tree is not None else rootdir
    return top if rootdir.resolve() in top.parents else rootdir


def _readable_references(plans: Mapping[str, Plan], rootdir: Path, target: Target, base: Tree) -> list[str]:
    """The plans that lie in the target repository with their own solutions, where every agent can read them."""
    if target.source is None or target.source.work_tree is None:
        return []
    top = target.source.work_tree.resolve()
    places = {path: (rootdir / path).resolve() for path, plan in plans.items() if _has_reference(plan)}
    return [
        path
        for path, place in places.items()
        if place.is_relative_to(top) and base.entry(place.relative_to(top).as_posix()) is not None
    ]


def _has_reference(plan: Plan) -> bool:
    return any(task.reference for batch in plan.batches for task in batch.tasks)


def _versions(repository: Repository) -> str:
    git = repository.text("version").removeprefix("git version ")
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


def _forge(settings: Settings, layout: Layout) -> Forge:
    if settings.forge != "local":
        raise SettingsError(f"There is no forge {settings.forge!r}. Use --forge local, or a conftest with that hook.")
    return LocalForge(layout.forge)
