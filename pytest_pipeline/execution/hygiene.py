"""What no task may leave behind, whatever its plan says. Each finding is a failure of the agent. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from pytest_pipeline.host.git import Change, Entry, Tree

_SYMLINK = "120000"
_SUBMODULE = "160000"
_SCAN_LIMIT = 5 * 1000**2  # larger files are data; nobody merges them by hand
_MARKERS = (re.compile(rb"<<<<<<< "), re.compile(rb"=======\r?$"), re.compile(rb">>>>>>> "))
_GIT_DIRECTORY = re.compile(r"\.git[. ]*(:.*)?|git~\d+[. ]*", re.IGNORECASE)
# HFS+ ignores these characters, so `.g\u200cit` is git's directory there
_INVISIBLE = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")


def problems(changes: Sequence[Change], base: Tree, new: Tree, *, max_file_size: int) -> tuple[str, ...]:
    """Look for what must not be committed among the changed files.

    Args:
        changes: what differs between the two trees.
        base: the tree that the agent started from: what was there already is not held against it.
        new: the tree that is to be committed.
        max_file_size: in bytes.

    Returns:
        One sentence for each problem, in the order of the changes.
    """
    found: list[str] = []
    for change in changes:
        found += _path_problems(change)
        if change.new is None:
            continue
        if change.new.mode == _SUBMODULE:
            found.append(f"{change.path} is a nested repository or submodule. Its files must be committed as files.")
        elif change.new.mode == _SYMLINK:
            found += _symlink_problems(change.path, new)
        else:
            found += _file_problems(change, base, new, max_file_size)
    return tuple(found)


def _path_problems(change: Change) -> Iterator[str]:
    if change.path.casefold() == ".gitmodules":
        yield f"{change.path} was changed. A task must not add, change or remove submodules."
    if change.new is not None and any(_is_git_directory(part) for part in change.path.split("/")):
        yield f"{change.path!r} is git's own directory on some system. No file may have such a path."


def _is_git_directory(part: str) -> bool:
    return _GIT_DIRECTORY.fullmatch(_INVISIBLE.sub("", part)) is not None


def _file_problems(change: Change, base: Tree, new: Tree, max_file_size: int) -> Iterator[str]:
    size = new.size(change.path)
    if size is None:
        return
    if size > max_file_size:
        yield f"{change.path} has {size:,} bytes; max_file_size allows {max_file_size:,}."
    if size <= _SCAN_LIMIT and _has_conflict(new.read(change.path)) and not _has_conflict(base.read(change.path)):
        yield f"{change.path} holds conflict markers (<<<<<<<, =======, >>>>>>>)."


def _has_conflict(content: bytes | None) -> bool:
    if content is None or b"\0" in content[:8000] or b"<<<<<<< " not in content:
        return False
    awaited = iter(_MARKERS)
    marker = next(awaited)
    for line in content.split(b"\n"):
        if marker.match(line):
            following = next(awaited, None)
            if following is None:
                return True
            marker = following
    return False


def _symlink_problems(path: str, tree: Tree) -> Iterator[str]:
    target = _link(path, tree)
    if target.startswith("/") or re.match(r"[A-Za-z]:|\\", target):
        yield f"{path} is a symlink to the absolute path {target}. A symlink must stay inside the repository."
    elif not _stays_inside(path, tree):
        yield f"{path} is a symlink to {target}, which leads out of the repository or round in a circle."


def _link(path: str, tree: Tree) -> str:
    return (tree.link(path) or b"").decode("utf-8", "surrogateescape")


def _stays_inside(path: str, tree: Tree) -> bool:
    """Walk the path as a file system would, with the symlinks of the tree alone."""
    entries: Mapping[str, Entry] = tree.entries()
    ahead, followed = path.split("/")[::-1], 0
    here: list[str] = []
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not here:
                return False
            here.pop()
            continue
        here.append(part)
        entry = entries.get("/".join(here))
        if entry is not None and entry.mode == _SYMLINK:
            target = _link("/".join(here), tree)
            followed += 1
            if target.startswith("/") or followed > 40:  # as many as Linux follows
                return False
            here.pop()
            ahead += target.split("/")[::-1]
    return True
