"""Writing into a workspace by path, and never out of it: not by ``..``, not through a symlink, not into ``.git``."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline.errors import HostError, PipelineError

_MODES = {"100644": 0o644, "100755": 0o755}
_MACHINE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE})


class WorkspaceError(PipelineError):
    """A solution asks for something that cannot be done in this workspace."""


@dataclass(frozen=True)
class Workspace:
    """The directory that an agent may change.

    Every method raises WorkspaceError when the path leads out of it or cannot be used, and HostError when the machine
    is at fault (no space, read-only).
    """

    root: Path

    def holds(self, path: str) -> bool:
        """Whether anything is there."""
        entry = self.entry(path)
        return entry.is_symlink() or entry.exists()

    def read(self, path: str) -> str:
        """The content of a file; bytes that are not UTF-8 survive a :meth:`write`."""
        place = self.place(path)
        with _told(path):
            if place.exists() and not place.is_file() and not place.is_dir():
                raise WorkspaceError(f"{path} is no plain file and cannot be read. Name another path in the plan.")
            return place.read_bytes().decode("utf-8", "surrogateescape")

    def content(self, path: str) -> bytes | None:
        """The bytes of a plain file; None where there is none."""
        place = self.place(path)
        with _told(path):
            return place.read_bytes() if place.is_file() else None

    def mode(self, path: str) -> str:
        """Git's mode of a file: whether it can be executed is all that git keeps."""
        with _told(path):
            return "100755" if self.place(path).stat().st_mode & 0o100 else "100644"

    def write(self, path: str, content: str, *, mode: str | None = None) -> None:
        """Write a file exactly, making its directories; ``mode`` is git's, None leaves it as it is."""
        permissions = None if mode is None else plain_permissions(path, mode)
        place = self.place(path)
        with _told(path):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.encode("utf-8", "surrogateescape"))
            if permissions is not None:
                place.chmod(permissions)

    def delete(self, path: str) -> None:
        """Delete a file and the directories that are empty then."""
        entry = self.entry(path)
        with _told(path):
            entry.unlink()
        for directory in entry.parents:
            if directory == self._root or any(directory.iterdir()):
                return
            directory.rmdir()

    def entry(self, path: str) -> Path:
        """Where the path lies, without following a symlink that it is itself."""
        entry = self.place(str(Path(path).parent)) / Path(path).name
        if entry.name.casefold() == ".git" or entry == self._root:
            raise WorkspaceError(f"{path!r} is no file of the repository. Name a path inside it, outside of .git.")
        return entry

    def place(self, path: str) -> Path:
        """Where the file of that path lies, all symlinks followed."""
        try:
            place = (self._root / path).resolve()
        except (OSError, RuntimeError, ValueError) as error:  # a circle of symlinks, a NUL
            raise WorkspaceError(f"{path!r} cannot be used as a path ({error}). Correct it in the plan.") from None
        if not place.is_relative_to(self._root):
            raise WorkspaceError(f"{path} leads out of the workspace, to {place}. Name a path inside the repository.")
        if any(part.casefold() == ".git" for part in place.relative_to(self._root).parts):
            raise WorkspaceError(f"{path} lies in git's own directory. Name a path outside of .git.")
        return place

    @property
    def _root(self) -> Path:
        return self.root.resolve()


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _MACHINE:
            raise HostError(f"{path} could not be written: {error.strerror}. Mend the machine and run again.") from None
        raise WorkspaceError(f"{path} cannot be used: {error.strerror}. Correct the path in the plan.") from None


def plain_permissions(path: str, mode: str) -> int:
    """The permissions of a file whose mode in git that is.

    Raises:
        WorkspaceError: it is a symlink or a submodule.
    """
    if mode not in _MODES:
        raise WorkspaceError(f"{path} has the git mode {mode}, which is no plain file. Make it in a shell block.")
    return _MODES[mode]
