"""What no task may leave behind, whatever its plan says. Each finding is a failure of the agent. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pytest_pipeline.execution.paths import covers, listed
from pytest_pipeline.host.git import Change, Entry, Tree
from pytest_pipeline.plans.model import FileChange, Verb

_SYMLINK = "120000"
_SUBMODULE = "160000"
_SCAN_LIMIT = 5 * 1000**2  # larger files are data; nobody merges them by hand
_MARKERS = (re.compile(rb"<<<<<<< "), re.compile(rb"=======\r?$"), re.compile(rb">>>>>>> "))
_GIT_DIRECTORY = re.compile(r"\.git[. ]*(:.*)?|git~\d+[. ]*", re.IGNORECASE)
# HFS+ ignores these characters, so `.g\u200cit` is git's directory there
_INVISIBLE = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_LOST_ON_WINDOWS = re.compile(r"[. ]*(:.*)?$", re.DOTALL)


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
    return _walk(path, tree) is not None


def _walk(path: str, tree: Tree) -> tuple[str, ...] | None:
    """Walk the path as a file system would, with the symlinks of the tree alone.

    Returns:
        The symlinks on the way and the place at its end, or None where it leads out or round in a circle.
    """
    entries: Mapping[str, Entry] = tree.entries()
    ahead, followed = path.split("/")[::-1], list[str]()
    here: list[str] = []
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not here:
                return None
            here.pop()
            continue
        here.append(part)
        place = "/".join(here)
        entry = entries.get(place)
        if entry is not None and entry.mode == _SYMLINK:
            target = _link(place, tree)
            followed.append(place)
            if target.startswith("/") or len(followed) > 40:  # as many as Linux follows
                return None
            here.pop()
            ahead += target.split("/")[::-1]
    return (*followed, "/".join(here))


def protected_changes(
    changes: Sequence[Change], new: Tree, patterns: Collection[str], files: Collection[FileChange]
) -> tuple[str, ...]:
    """Look for changes to files that steer later agents or CI, and that the task does not declare.

    Upper and lower case do not matter, nor what a file system may ignore in a name. What a protected symlink leads to
    is protected too.

    Args:
        changes: what differs between the tree that the agent started from and the new one.
        new: the tree that is to be committed.
        patterns: the protected paths: with ``/`` at the end a directory, with ``/`` in front from the root, else at any
            depth; ``*`` stands for any part of a name.
        files: what the task declares; a file that it only reads is not to be changed.

    Returns:
        One sentence for all of them, or nothing.
    """
    protected = _Protected(patterns, new)
    declared = [path for file in files if file.verb is not Verb.READ for path in (file.path, file.target) if path]
    found = [
        f"`{change.path}`" if change.path.isprintable() else ascii(change.path)
        for change in changes
        if protected.holds(change) and not any(covers(each, change.path) for each in declared)
    ]
    if not found:
        return ()
    steer, them = ("steers", "it") if len(found) == 1 else ("steer", "them")
    return (
        f"{listed(found)} {steer} later agents or CI (protected_paths). Declare {them} under **Files:** if the task is "
        f"to change {them}, or change the setting.",
    )


@dataclass(frozen=True)
class _Pattern:
    """A protected path; ``parts`` are folded."""

    parts: tuple[str, ...]
    rooted: bool
    directory: bool

    @classmethod
    def of(cls, text: str) -> _Pattern:
        parts = tuple(part.replace("[", "[[]") for part in _folded(text))
        return cls(parts, text.startswith(("/", "./")), text.endswith("/"))

    def means(self, parts: Sequence[str], *, is_file: bool) -> bool:
        """Whether it means the path of these folded names; a symlink that leads to a directory stands for it."""
        starts = range(1 if self.rooted else len(parts))
        return any(self._begins(parts[start:], is_file=is_file) for start in starts)

    def _begins(self, parts: Sequence[str], *, is_file: bool) -> bool:
        if not all(fnmatchcase(part, wanted) for part, wanted in zip(parts, self.parts, strict=False)):
            return False
        deeper = len(parts) - len(self.parts)
        return deeper > 0 or not is_file or (deeper == 0 and not self.directory)


class _Protected:
    """The protected paths of a tree, with what their symlinks lead to."""

    def __init__(self, patterns: Collection[str], tree: Tree) -> None:
        self._patterns = [_Pattern.of(each) for each in patterns]
        links = [path for path, entry in tree.entries().items() if entry.mode == _SYMLINK] if patterns else []
        steering = [path for path in links if self._means(path, is_file=False)]
        places = {place for path in steering for place in _walk(path, tree) or () if place}
        self._patterns += [_Pattern.of(f"/{place}") for place in sorted(places)]

    def holds(self, change: Change) -> bool:
        modes = {entry.mode for entry in (change.old, change.new) if entry is not None}
        return self._means(change.path, is_file=modes.isdisjoint((_SYMLINK, _SUBMODULE)))

    def _means(self, path: str, *, is_file: bool) -> bool:
        parts = _folded(path) if self._patterns else []
        return any(pattern.means(parts, is_file=is_file) for pattern in self._patterns)


def _folded(path: str) -> list[str]:
    """The names of a path as the least particular file system compares them."""
    return [_fold(name) for name in path.split("/") if name not in ("", ".")]


def _fold(name: str) -> str:
    bare = _LOST_ON_WINDOWS.sub("", _INVISIBLE.sub("", name))
    return unicodedata.normalize("NFD", bare.casefold())
