"""A work tree that is not trusted: bring it to a commit, read it into a tree, without ever believing its ``.git``."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pytest_pipeline.host.git_command import GitError
from pytest_pipeline.host.git_objects import TREE, Objects
from pytest_pipeline.host.process import Captured
from pytest_pipeline.host.removal import remove as remove


class WorkTreeError(GitError):
    """What lies in the work tree cannot be put into a commit; ``path`` says what, where git tells."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class NestedRepositoryError(WorkTreeError):
    """The work tree holds a repository without a commit, at ``path``."""


def sweep(root: Path, objects: Objects, tree: str) -> None:
    """Leave nothing in a work tree but what a tree has a file or directory for, each of the right kind.

    Afterwards no path of the tree leads through a symlink, no directory is closed to us, and no ``.git`` lies anywhere
    but at the root. The contents of files are not looked at.

    Args:
        root: the work tree; made when it is not there.
        objects: where the tree lies.
        tree: id of the tree.
    """
    if root.is_symlink() or not root.is_dir():
        remove(str(root))
        root.mkdir(parents=True)
    waiting = [(str(root), tree)]
    while waiting:
        path, sha = waiting.pop()
        _open_directory(path)
        waiting.extend(_sweep_directory(path, objects, sha, keep=".git" if path == str(root) else ""))


def _sweep_directory(path: str, objects: Objects, sha: str, *, keep: str) -> list[tuple[str, str]]:
    """Sweep one directory; returns the directories of it that are to be swept next."""
    wanted = objects.directory(sha).entries
    below: list[tuple[str, str]] = []
    with os.scandir(path) as found:
        present = list(found)
    for each in present:
        entry = wanted.get(each.name)
        if entry is None:
            if each.name != keep:
                remove(each.path)
        elif each.is_dir(follow_symlinks=False):
            if entry.mode == TREE:
                below.append((each.path, entry.sha))
            else:
                remove(each.path)  # a submodule too: it is an empty directory, which checkout makes
        elif entry.mode == TREE or _has_odd_mode(each):
            remove(each.path)
    return below


def _has_odd_mode(file: os.DirEntry[str]) -> bool:
    """Git looks only at the executable bit when a mode changed in the second in which the file was checked out."""
    mode = file.stat(follow_symlinks=False).st_mode
    return stat.S_ISREG(mode) and mode & 0o7600 != 0o600


def _open_directory(path: str) -> None:
    """Git keeps no modes of directories, so an agent may have left any."""
    mode = os.lstat(path).st_mode
    if mode & 0o700 != 0o700 or mode & (stat.S_ISVTX | stat.S_IWOTH):
        os.chmod(path, 0o755)


def excluded(paths: tuple[str, ...]) -> tuple[tuple[str, ...], bytes]:
    """Arguments and input that keep ``git add`` away from paths."""
    if not paths:
        return (), b""
    lines = [b":(top)", *(b":(top,exclude,literal)" + os.fsencode(path) for path in paths)]
    return ("--pathspec-from-file=-", "--pathspec-file-nul"), b"\0".join(lines)


_NO_COMMIT = "' does not have a commit checked out"
_NOT_ADDABLE = ("can only add regular files", "Permission denied", "invalid path", "File name too long", "short read")


def refused(done: Captured) -> WorkTreeError | None:
    """The error for a ``git add`` that failed for the sake of what the work tree holds; None: for another reason."""
    before, found, _ = done.stderr.partition(_NO_COMMIT)
    if found:
        path = before.rpartition("error: '")[2].rstrip("/")
        return NestedRepositoryError(
            f"The work tree holds a repository of its own without a commit, at {path!r}. Remove its .git directory.",
            path,
        )
    if any(words in done.stderr for words in _NOT_ADDABLE):
        return WorkTreeError(
            f"Something in the work tree cannot be committed: {done.stderr.strip()}. Remove it, or mend its mode."
        )
    return None
