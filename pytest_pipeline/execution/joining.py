"""Taking part in a session that another process has opened."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_pipeline.errors import ForgeError, SettingsError
from pytest_pipeline.events import ForgeWaiting
from pytest_pipeline.execution.holding import both, join_workers
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.execution.pipeline import Agents, Pipeline
from pytest_pipeline.execution.steps import Observer
from pytest_pipeline.execution.target import find_mirror
from pytest_pipeline.execution.workspace import Workspaces
from pytest_pipeline.forges.base import Forge
from pytest_pipeline.forges.gate_limits import told
from pytest_pipeline.forges.local import LocalForge
from pytest_pipeline.host.git import Repository
from pytest_pipeline.host.git_work_tree import remove
from pytest_pipeline.host.machine import machine
from pytest_pipeline.plans.model import Plan
from pytest_pipeline.record.database import spans_machines
from pytest_pipeline.record.model import SessionRecord
from pytest_pipeline.record.store import Store
from pytest_pipeline.settings import Settings

if TYPE_CHECKING:
    from pytest_pipeline.execution.github_ground import GitHubGround
    from pytest_pipeline.forges.github.remote import Remote


@dataclass(frozen=True)
class Handover:
    """What another process must be told to take part; it crosses nothing but the channel between the two.

    Args:
        session: id of the session.
        state: the state directory; empty for a worker that makes one of its own.
        scratch: the scratch directory of the process that has opened the session; empty likewise.
        machine: where that process is, see :func:`~pytest_pipeline.host.machine.machine`.
        opener: the pytest that has opened it, see :func:`~pytest_pipeline.execution.holding.opener_of`.
        repository: address of the repository on GitHub; empty for other forges.
        token: for it; empty for other forges.
        source: where the token was found.
    """

    session: str
    state: str
    scratch: str
    machine: str
    opener: str
    repository: str = ""
    token: str = field(default="", repr=False)
    source: str = ""

    def to_wire(self) -> dict[str, str]:
        """Plain texts."""
        return asdict(self)

    @classmethod
    def from_wire(cls, wire: Mapping[str, str]) -> Handover:
        """The inverse of :meth:`to_wire`."""
        return cls(**wire)

    @property
    def is_from_here(self) -> bool:
        """Whether this process sees the directories, and the processes, of the one that has opened the session."""
        return bool(self.state) and self.machine == machine()


def refuse_apart(settings: Settings) -> None:
    """Refuse workers that do not see this machine's files, where the session keeps something in them.

    Raises:
        SettingsError: the forge or the store is of one machine alone.
    """
    if settings.forge != "github":
        raise SettingsError(
            f"Workers on other machines (--tx ssh=, socket=) cannot use --forge {settings.forge}, which lies here. "
            "Use --forge github, or workers of this machine with -n."
        )
    if settings.store is None or not spans_machines(settings.store):
        raise SettingsError(
            "Workers on other machines (--tx ssh=, socket=) cannot share a store that is no server of PostgreSQL. Name "
            "one with --pipeline-store postgresql+psycopg://USER@HOST/DATABASE, or use workers of this machine with -n."
        )


def join_session(
    settings: Settings,
    handover: Handover,
    plans: Mapping[str, Plan],
    *,
    worker: str,
    rootdir: Path,
    started: Path,
    agents: Agents,
    forge: Forge | None,
    observer: Observer,
) -> Pipeline:
    """The session as this process sees it.

    Args:
        settings: the same as those of the session.
        handover: as the opening process gave it.
        plans: the plans as this process has collected them, by path.
        worker: name of this process, unique in the session.
        rootdir: pytest's root directory.
        started: where this process was started; on another machine its state directory is made there, and not in the
            rootdir, in which xdist removes at the next session what it has not sent.
        agents: chooses the agent for settings.
        forge: chosen by a hook, or None.
        observer: who looks on.

    Raises:
        PipelineError: the session is not there, its plans have changed, or what it needs is missing here.
    """
    with ExitStack() as undo:
        if handover.is_from_here:
            layout = Layout(Path(handover.state), handover.session, Path(handover.scratch)).of_worker(worker)
        else:
            refuse_apart(settings)
            layout = Layout.create(started / settings.state_dir, handover.session, worker)
        undo.callback(remove, str(layout.scratch))
        store = Store.open(settings.store or layout.store_url)
        undo.callback(store.close)
        record = store.session(handover.session)
        _refuse_other_plans(record, plans)
        place = join_workers(layout, store, handover.opener)
        undo.callback(place.close)
        base = record.facts["base_commit"]
        if forge is None and handover.token:
            found, forge, let_go = _joined_github(settings, handover, layout, base, observer)
        else:
            found, forge, let_go = _mirror_here(base, layout), forge or LocalForge(layout.forge), _nothing
        undo.pop_all()
    return Pipeline(
        settings=settings,
        layout=layout,
        rootdir=rootdir,
        base=base,
        mirror=found,
        store=store,
        forge=forge,
        agents=agents,
        observer=observer,
        workspaces=Workspaces(layout.scratch, settings.max_workspaces),
        plans=plans,
        let_go=both(let_go, place.close),
        resumed=len(store.invocations(handover.session)) > 1,
        owns=not handover.is_from_here,
        is_guest=not handover.is_from_here,
    ).with_chaos()


def _joined_github(
    settings: Settings, handover: Handover, layout: Layout, base: str, observer: Observer
) -> tuple[Repository, Forge, Callable[[], None]]:
    """Mirror and forge of a session on GitHub in this process, and what lets go of them."""
    from pytest_pipeline.execution.github_ground import GitHubGround
    from pytest_pipeline.forges.github.address import Address
    from pytest_pipeline.forges.github.token import Token

    with ExitStack() as undo:
        address = Address.parse(handover.repository, api_url=settings.github_api)
        ground = GitHubGround.joined(settings, address, Token(handover.token, handover.source))
        undo.callback(ground.close)
        connection = ground.connect(
            lambda reason, seconds: observer.forge_waiting(
                ForgeWaiting(handover.session, reason, seconds, told(reason, seconds))
            )
        )
        mirror = find_mirror(base, layout)
        if mirror is None:
            look = Repository.create(layout.scratch / "look.git")
            mirror = _fetched(ground, base, connection.remote(look), layout)
        forge = connection.forge(Repository.create(layout.hosted, alternates=[mirror.objects]))
        return mirror, forge, undo.pop_all().close


def _fetched(ground: GitHubGround, base: str, remote: Remote, layout: Layout) -> Repository:
    try:
        return ground.mirror(base, remote, layout)
    except ForgeError as error:
        raise SettingsError(
            f"The worker cannot fetch the commit that runs start from. If it is not on GitHub yet, push it. {error}"
        ) from error


def _mirror_here(base: str, layout: Layout) -> Repository:
    found = find_mirror(base, layout)
    if found is None:
        raise SettingsError(
            f"There is no mirror of {base} below {layout.state}. Workers on other machines need --forge github, and a "
            "store that they share."
        )
    return found


def _refuse_other_plans(record: SessionRecord, plans: Mapping[str, Plan]) -> None:
    known = dict(re.findall(r"(.+?) ([0-9a-f]{16})(?:, |$)", record.facts.get("plans", "")))
    changed = [path for path, plan in plans.items() if known.get(path, plan.digest) != plan.digest]
    if changed:
        raise SettingsError(
            f"{', '.join(changed)} changed while the session ran. Leave plans as they are until it has ended, and "
            "start again."
        )


def _nothing() -> None:
    return
