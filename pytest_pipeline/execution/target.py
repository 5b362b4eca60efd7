"""The repository that tasks are done for. It is only read: no branch, index, stash or file of it is ever touched."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.host.git import Repository

MIRRORED = "refs/heads/base"
"""The ref by which a mirror holds its commit."""

_MIRROR_LIFE = 14 * 24 * 3600  # seconds without use


@dataclass(frozen=True)
class Target:
    """Where every run starts.

    Args:
        name: what the record calls it; no path.
        base: the starting commit; empty when there is no repository, or none with a commit.
        dirty: whether the checkout has changes that are not committed, which no run will see.
        source: the user's repository, or None.
        checkout: where a plan's own path tells whether the base commit holds it; None: nowhere.
    """

    name: str
    base: str
    dirty: bool
    source: Repository | None
    checkout: Repository | None = None

    def at(self, commit: str) -> Target:
        """The same with that starting commit, as a session has it that goes on; empty: as it is.

        Raises:
            SettingsError: the commit is gone.
        """
        if not commit or self.source is None or not self.base:
            return self
        if self.source.resolve(commit) is None:
            raise SettingsError(
                f"The session cannot go on: the commit {commit}, which its runs start from, is gone from {self.name}. "
                "Bring it back, for example with `git fetch`, or start a new session."
            )
        return replace(self, base=commit)


def find_target(repo: str | None, base: str | None, plans: Path, rootdir: Path) -> Target:
    """Find the target repository and the commit to start from.

    Args:
        repo: path given by the user, relative to the rootdir; None: the repository that holds the plans.
        base: commit or branch given by the user; None: HEAD.
        plans: directory of the first plan.
        rootdir: pytest's root directory.

    Raises:
        SettingsError: there is no such repository or commit.
    """
    place = (rootdir / repo) if repo else plans
    found = Repository.of_checkout(place) if place.is_dir() else None
    if found is None:
        if repo:
            raise SettingsError(f"--repo {repo}: there is no git repository. Give the path of one, or leave it out.")
        if base:
            raise SettingsError(
                f"--base-commit {base}: the plans are in no git repository. Run `git init`, or leave it out."
            )
        return Target("(empty)", "", False, None)
    name = (found.work_tree or found.git_dir).name.removesuffix(".git")
    commit = found.resolve(base or "HEAD")
    if commit is None and base:
        raise SettingsError(f"--base-commit {base}: {name} has no such commit or branch. See `git branch --all`.")
    return Target(name, commit or "", found.is_dirty(), found, found)


def mirror(target: Target, layout: Layout, author: str) -> tuple[Repository, str]:
    """A bare repository with the starting commit, its history, and nothing else of the target.

    Args:
        target: what to start from; an empty one gets a first commit without files.
        layout: where mirrors lie.
        author: of that first commit, as ``NAME <MAIL>``.

    Returns:
        The mirror and the starting commit.
    """
    if target.source is None or not target.base:
        empty = Repository.create(_empty(layout))
        tree = empty.text("mktree")
        return empty, empty.commit_tree(tree, [], "Start empty", author=f"{author} 0 +0000")
    origin = str(target.source.git_dir)
    made = mirror_of(target.base, layout, lambda new: new.fetch(origin, [f"{target.base}:{MIRRORED}"]))
    return made, target.base


def mirror_of(commit: str, layout: Layout, fetch: Callable[[Repository], None]) -> Repository:
    """A bare repository with that commit, its history, and nothing else.

    Args:
        commit: the commit.
        layout: where mirrors lie; one that is there already is taken.
        fetch: brings the commit into a new repository, as its :data:`MIRRORED`.
    """
    path = layout.mirror(commit)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _let_go_of_old(path.parent)
        with tempfile.TemporaryDirectory(prefix=".mirror.", dir=path.parent) as draft:
            new = Repository.create(Path(draft, "new"))
            fetch(new)
            try:
                new.git_dir.rename(path)
            except OSError:
                if not (path / "HEAD").is_file():  # else another session has made it meanwhile
                    raise
    os.utime(path)
    return Repository(path)


def find_mirror(commit: str, layout: Layout) -> Repository | None:
    """The mirror that holds a starting commit, or None where this machine has none."""
    places = (layout.mirror(commit), _empty(layout))
    return next((found for found in map(Repository, places) if found.git_dir.is_dir() and found.resolve(commit)), None)


def _empty(layout: Layout) -> Path:
    return layout.state / "mirrors" / "empty.git"


def _let_go_of_old(mirrors: Path) -> None:
    """Mirrors are made again when needed; a session borrows from its own, so only long unused ones go."""
    for path in mirrors.glob("*.git"):
        if path.stat().st_mtime < time.time() - _MIRROR_LIFE:
            shutil.rmtree(path, ignore_errors=True)
