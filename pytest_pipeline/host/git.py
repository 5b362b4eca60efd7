"""The one way to run git: a fixed environment, no configuration but ours, no hook, no credential but the one handed in.

Commands go through :mod:`pytest_pipeline.host.process`; trees and blobs are read in-process with GitPython, which spares
a process per look-up and reads no configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pytest_pipeline.errors import HostError
from pytest_pipeline.host.process import Captured


class GitError(HostError):
    """A git command failed; the text holds the command and what it printed."""


@dataclass(frozen=True)
class Entry:
    """One file of a tree: its mode (``100644``, ``100755``, ``120000``, ``160000``) and object id."""

    mode: str
    sha: str


@dataclass(frozen=True)
class Change:
    """One path that differs between two trees; ``old`` or ``new`` is None where it is not there."""

    path: str
    old: Entry | None
    new: Entry | None


@dataclass(frozen=True)
class RefUpdate:
    """One compare and swap of a ref. ``new`` None deletes; ``old`` None: must not exist."""

    name: str
    new: str | None
    old: str | None


class Tree:
    """A tree that can be asked for its files without a work tree and without following symlinks."""

    def entries(self) -> Mapping[str, Entry]:
        """Every file by path, sorted (read once, kept)."""
        raise NotImplementedError

    def read(self, path: str) -> bytes | None:
        """The content of the blob at that path; None where there is none (also for directories, symlinks, submodules)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Repository:
    """A git directory of ours, perhaps with a work tree that is not trusted and an index of our own.

    Args:
        git_dir: the git directory.
        work_tree: directory whose files are looked at; its own ``.git`` is never read.
        index: index file, kept outside the work tree.
    """

    git_dir: Path
    work_tree: Path | None = None
    index: Path | None = None

    @classmethod
    def create(cls, git_dir: Path, *, alternates: Sequence[Path] = ()) -> Repository:
        """A new bare repository that borrows the objects of others (their ``objects`` directories)."""
        raise NotImplementedError

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        environment: Mapping[str, str] = MappingProxyType({}),
        check: bool = True,
        timeout: float = 600.0,
    ) -> Captured:
        """Run ``git <arguments>`` here.

        Raises:
            GitError: it failed and ``check`` is true.
        """
        raise NotImplementedError

    def text(self, *arguments: str) -> str:
        """The stripped output of :meth:`run`."""
        raise NotImplementedError

    def resolve(self, revision: str) -> str | None:
        """The commit id that a revision names, or None."""
        raise NotImplementedError

    def tree(self, commit_or_tree: str) -> Tree:
        """The tree of a commit, in-process."""
        raise NotImplementedError

    def changes(self, old: str, new: str) -> tuple[Change, ...]:
        """What differs between two commits or trees, without rename detection, sorted by path."""
        raise NotImplementedError

    def commit_tree(self, tree: str, parents: Sequence[str], message: str, *, author: str) -> str:
        """Make a commit; ``author`` is ``NAME <MAIL>``, also the committer. Returns its id."""
        raise NotImplementedError

    def update_refs(self, updates: Sequence[RefUpdate]) -> bool:
        """All of the updates in one transaction, or none; False when a ref is not at its old value."""
        raise NotImplementedError

    def fetch(
        self, source: str, refspecs: Sequence[str], *, environment: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Fetch objects and refs from a path or URL, without tags."""
        raise NotImplementedError

    def push(
        self,
        target: str,
        commit: str,
        branch: str,
        *,
        expected: str | None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Push ``commit`` to ``refs/heads/<branch>``, which must be at ``expected`` (None: must not exist, or be at commit).

        Raises:
            GitError: refused.
        """
        raise NotImplementedError

    def first_parents(self, tip: str, *, until: str) -> Iterator[str]:
        """Commits from ``tip`` back along first parents, ``until`` excluded; in-process."""
        raise NotImplementedError
