"""Workspaces: where an agent works on one task run. What it leaves there is not trusted.

A work tree is used again for the next task, because making 5,000 files is what costs; what is in it is compared with
our own index, outside the agent's reach, and its ``.git`` is new each time.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline.errors import HostError
from pytest_pipeline.host.git import Repository
from pytest_pipeline.host.git_work_tree import remove

_SMALL_FILE = 64 * 1024


class WorkspaceError(HostError):
    """The agent has replaced its workspace by something else."""


@dataclass(frozen=True)
class Workspace:
    """One leased work tree.

    Args:
        path: the directory that the agent works in.
        repository: the run's git directory with this work tree and our own index.
        commit: the commit that it starts from.
        home: private HOME of the agent and of verification commands.
        temporary: private TMPDIR.
        identity: device and inode of the directory, to notice that it was replaced.
    """

    path: Path
    repository: Repository
    commit: str
    home: Path
    temporary: Path
    identity: tuple[int, int]

    def restore(self) -> None:
        """Bring the files back to :attr:`commit`, whatever was done to them; HOME and TMPDIR are empty again."""
        self._check()
        self.repository.restore_work_tree(self.commit)
        for private in (self.home, self.temporary):
            remove(str(private))
            private.mkdir()

    def snapshot(self) -> str:
        """The id of the tree as it lies there now, ignored files left out.

        Raises:
            WorkspaceError: the directory is no longer ours.
            NestedRepositoryError: there is a git repository in it.
        """
        self._check()
        return self.repository.write_tree_of_work_tree(self.commit)

    def agent_committed(self) -> bool:
        """Whether the agent made commits of its own. Only told, never relied on: the agent could hide it."""
        git = self.path / ".git"
        head = _small_text(git / "HEAD")
        if head.startswith("ref: refs/"):
            name = head.removeprefix("ref: ")
            head = _small_text(git / name) if ".." not in name else ""
        return head not in ("", self.commit)  # "": it removed its .git, or packed its refs

    def is_ours(self) -> bool:
        """Whether the directory is still the one that was leased."""
        try:
            found = os.lstat(self.path)
        except OSError:
            return False
        return stat.S_ISDIR(found.st_mode) and (found.st_dev, found.st_ino) == self.identity

    def _check(self) -> None:
        if not self.is_ours():
            what = "was replaced by something else" if os.path.lexists(self.path) else "is gone"
            raise WorkspaceError(f"The workspace {self.path} {what}.")


def _small_text(path: Path) -> str:
    """The first bytes of a regular file, not following a link."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return ""
        return file.read(200).decode("utf-8", "replace").strip()


def _is_full(place: Path) -> bool:
    """Whether not even a small file fits there any more."""
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize < _SMALL_FILE or (found.f_files > 0 and found.f_favail == 0)


class Workspaces:
    """The workspaces of one process.

    Args:
        scratch: directory for all of them.
        most_kept: how many may stay for the user to look at.
    """

    def __init__(self, scratch: Path, most_kept: int) -> None:
        self._scratch = scratch
        self._most_kept = most_kept
        self._free: list[Path] = []
        self._made = 0
        self._lenders: set[Path] = set()
        self.kept: list[Path] = []

    def lease(self, store: Repository, commit: str, branch: str) -> Workspace:
        """A work tree at ``commit`` with a new ``.git`` that borrows the run's objects, on a branch of that name.

        Raises:
            HostError: it cannot be made; says so where the disk is full, which git does not.
        """
        try:
            return self._leased(store, commit, branch)
        except (HostError, OSError) as error:
            if _is_full(self._scratch):
                raise HostError(
                    f"There is no room for a workspace in {self._scratch}: the disk is full. Free space there, or set "
                    "TMPDIR to another place."
                ) from error
            raise

    def _leased(self, store: Repository, commit: str, branch: str) -> Workspace:
        place = self._free.pop() if self._free else self._new_place()
        try:
            return self._furnish(place, store, commit, branch)
        except HostError:
            if not any((place / "work").iterdir()):
                raise
            remove(str(place))  # what the last agent left cannot be mended: start from nothing
            return self._furnish(self._new_place(), store, commit, branch)

    def give_back(self, workspace: Workspace, *, keep: bool) -> Path | None:
        """End a lease.

        Args:
            workspace: what :meth:`lease` gave.
            keep: whether it is to stay for the user to look at, if there is room for one more.

        Returns:
            The directory that was kept, or None.
        """
        place = workspace.path.parent
        if keep and len(self.kept) < self._most_kept:
            self.kept.append(workspace.path)
            self._lenders.add(workspace.repository.git_dir)
            return workspace.path
        if not workspace.is_ours():
            remove(str(place))
        else:
            for private in ("home", "tmp"):
                remove(str(place / private))
            self._free.append(place)
        return None

    def adopt(self, kept: Path, store: Path) -> None:
        """Know of a workspace that another process of the session keeps.

        Args:
            kept: the workspace.
            store: the git directory that it borrows objects from.
        """
        self.kept.append(kept)
        self._lenders.add(store)

    def needs(self, store: Path) -> bool:
        """Whether a workspace that is kept borrows objects from there; without them git is of no use in it."""
        return store in self._lenders

    def close(self) -> None:
        """Remove all but the kept ones."""
        for place in self._scratch.iterdir() if self._scratch.is_dir() else ():
            if not any(path.is_relative_to(place) for path in self.kept):
                remove(str(place))
        if not self.kept:
            remove(str(self._scratch))

    def _new_place(self) -> Path:
        self._made += 1
        place = self._scratch / f"{os.getpid()}-{self._made}"
        (place / "work").mkdir(parents=True)
        return place

    def _furnish(self, place: Path, store: Repository, commit: str, branch: str) -> Workspace:
        work, index = place / "work", place / "index"
        for private in ("home", "tmp"):
            (place / private).mkdir(exist_ok=True)
        repository = Repository(store.git_dir, work_tree=work, index=index)
        repository.restore_work_tree(commit)
        repository.plant_clone(commit, branch)
        found = os.lstat(work)
        return Workspace(work, repository, commit, place / "home", place / "tmp", (found.st_dev, found.st_ino))
