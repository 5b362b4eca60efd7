"""What a session stands on: the commit that its runs start from, and the forge that its pull requests live on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.events import ForgeWaiting
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.execution.target import Target, find_mirror, find_target, mirror
from pytest_pipeline.forges.base import Forge
from pytest_pipeline.forges.local import LocalForge
from pytest_pipeline.host.git import Repository
from pytest_pipeline.settings import Settings


@dataclass(frozen=True)
class Plot:
    """Ground that is made ready.

    Args:
        target: where the runs start, as the record calls it.
        mirror: holds the starting commit and its history.
        base: that commit.
        forge: where pull requests live.
        notes: lines for the header.
        forge_id: what tells an embedded forge from others; empty: the repository's name does.
    """

    target: Target
    mirror: Repository
    base: str
    forge: Forge
    notes: tuple[str, ...] = ()
    forge_id: str = ""


@dataclass(frozen=True)
class Wish:
    """What a session is going to do on its ground.

    Args:
        task_runs: how many tasks in all runs together.
        merge_methods: the ways in which they are to be merged; none where nothing is merged.
        checks: the rules about checks that they ask for.
        prefix: what the names of a run's branches begin with.
        start: the commit that runs start from where a session goes on; empty: found by the settings.
    """

    task_runs: int
    merge_methods: tuple[str, ...]
    checks: tuple[str, ...]
    prefix: str
    start: str = ""


class Ground(Protocol):
    """Ground that was found; nothing is made yet."""

    def prepare(self, layout: Layout, wish: Wish, on_wait: Callable[[ForgeWaiting], None]) -> Plot:
        """Make it ready, after making sure that what the session is going to do will be allowed.

        Raises:
            PipelineError: something is missing or forbidden; says what and how to mend it.
        """

    def close(self) -> None:
        """Let go of connections and secrets."""


def find_ground(settings: Settings, base: str | None, plans: Path, rootdir: Path, forge: Forge | None) -> Ground:
    """Find what a session is to stand on, by its settings.

    Args:
        settings: name repository and forge.
        base: commit or branch given by the user, or None.
        plans: directory of the first plan.
        rootdir: pytest's root directory.
        forge: chosen by a hook, or None.

    Raises:
        SettingsError: there is no such repository, commit, forge or token.
    """
    if forge is None and settings.forge == "github":
        from pytest_pipeline.execution.github_ground import GitHubGround

        return GitHubGround.find(settings, base, plans, rootdir)
    if forge is None and settings.forge != "local":
        raise SettingsError(
            f"There is no forge {settings.forge!r}. Use --forge local or --forge github, or a conftest with that hook."
        )
    return _GroundHere(find_target(settings.repo, base, plans, rootdir), settings.author, forge)


def known_mirror(wish: Wish, layout: Layout) -> tuple[Repository, str] | None:
    """The mirror of the commit that a session goes on from, and that commit; None: it is found like a new one's."""
    found = find_mirror(wish.start, layout) if wish.start else None
    return None if found is None else (found, wish.start)


@dataclass(frozen=True)
class _GroundHere:
    """A repository of this machine, with the embedded forge or that of a hook."""

    target: Target
    author: str
    forge: Forge | None

    def prepare(self, layout: Layout, wish: Wish, on_wait: Callable[[ForgeWaiting], None]) -> Plot:
        source, base = known_mirror(wish, layout) or mirror(self.target.at(wish.start), layout, self.author)
        if self.forge is not None:
            return Plot(self.target, source, base, self.forge)
        embedded = LocalForge(layout.forge)
        return Plot(self.target, source, base, embedded, forge_id=embedded.identity())

    def close(self) -> None:
        return
