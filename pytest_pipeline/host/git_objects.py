"""Git's objects, read and written in-process: no process per look-up, no configuration, no environment.

This is the object database of GitPython (gitdb) used directly: a ``git.Repo`` would read GIT_WORK_TREE and the like
from the environment, and importing it runs ``git version``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_pipeline.host.git_command import GitError

if TYPE_CHECKING:
    from gitdb import GitDB, OStream  # type: ignore[import-untyped]

TREE = "040000"
SUBMODULE = "160000"
SYMLINK = "120000"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a tree: its mode (``100644``, ``100755``, ``120000``, ``160000``) and object id."""

    mode: str
    sha: str


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs between two trees; ``old`` or ``new`` is None where it is not there."""

    path: str
    old: Entry | None
    new: Entry | None


@dataclass(frozen=True)
class Commit:
    """A commit; who is ``NAME <MAIL>`` and when is seconds since 1970 and zone, as git writes them."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: str
    authored: str
    committer: str
    committed: str
    message: str


@dataclass(frozen=True, slots=True)
class Directory:
    """One tree object: all that lies directly in it, and once more its directories (name, id) and submodules."""

    entries: Mapping[str, Entry]
    directories: tuple[tuple[str, str], ...]
    submodules: tuple[str, ...]


_DIRECTORIES: dict[str, Directory] = {}
"""Tree objects by id, for every repository: what an id names never changes."""
_MOST_DIRECTORIES = 50_000


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _parse_directory(raw: bytes) -> Directory:
    entries: dict[str, Entry] = {}
    at = 0
    while at < len(raw):
        space = raw.index(b" ", at)
        end = raw.index(b"\0", space)
        mode = raw[at:space].decode("ascii").zfill(6)
        entries[_text(raw[space + 1 : end])] = Entry(mode, raw[end + 1 : end + 21].hex())
        at = end + 21
    return Directory(
        entries,
        tuple((name, entry.sha) for name, entry in entries.items() if entry.mode == TREE),
        tuple(name for name, entry in entries.items() if entry.mode == SUBMODULE),
    )


_AUTHOR = re.compile(r"(?P<who>.*<[^<>]*>)(?: (?P<when>-?\d+ [+-]\d{4}))?")


def _parse_commit(sha: str, raw: bytes) -> Commit:
    head, _, message = _text(raw).partition("\n\n")
    fields: dict[str, list[str]] = {}
    for line in head.split("\n"):
        key, _, value = line.partition(" ")
        fields.setdefault(key, []).append(value)
    who = (*_signed(fields["author"][0]), *_signed(fields["committer"][0]))
    return Commit(sha, fields["tree"][0], tuple(fields.get("parent", ())), *who, message)


def _signed(line: str) -> tuple[str, str]:
    match = _AUTHOR.match(line)
    who, when = (match["who"], match["when"]) if match else ("unknown <>", None)
    return who, when or "0 +0000"


def signature(author: str) -> str:
    """``NAME <MAIL>`` with the time of now, or the time that already follows it.

    Raises:
        GitError: it has no such form.
    """
    match = _AUTHOR.fullmatch(author.strip())
    if match is None:
        raise GitError(f"The author {author!r} cannot be written into a commit. Give it as `NAME <MAIL>`.")
    return f"{match['who']} {match['when'] or f'{int(time.time())} +0000'}"


class Objects:
    """The objects of one repository and of those that it borrows from. For one thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @cached_property
    def _database(self) -> GitDB:
        from gitdb import GitDB

        return GitDB(str(self._directory))

    def _look(self, sha: str, method: str) -> OStream | None:
        """What the database says; asked a second time after a look for packs that came since."""
        from gitdb.exc import ODBError  # type: ignore[import-untyped]

        for _ in range(2):
            try:
                return getattr(self._database, method)(bytes.fromhex(sha))
            except (ODBError, OSError):
                self.__dict__.pop("_database", None)
        return None

    def find(self, sha: str) -> tuple[str, bytes] | None:
        """Type and content of an object, or None."""
        stream = self._look(sha, "stream")
        return None if stream is None else (_text(stream.type), stream.read())

    def get(self, sha: str, kind: str) -> bytes:
        """The content of an object of that kind (``blob``, ``tree``, ``commit``).

        Raises:
            GitError: it is not there, or of another kind.
        """
        found = self.find(sha)
        if found is None or found[0] != kind:
            raise GitError(
                f"The {kind} {sha} is not in {self._directory}. Run `git fsck` there, and fetch what is missing."
            )
        return found[1]

    def directory(self, sha: str) -> Directory:
        """One tree object."""
        known = _DIRECTORIES.get(sha)
        if known is None:
            if len(_DIRECTORIES) >= _MOST_DIRECTORIES:
                _DIRECTORIES.clear()
            known = _DIRECTORIES[sha] = _parse_directory(self.get(sha, "tree"))
        return known

    def blob(self, sha: str) -> bytes:
        """The content of a blob."""
        return self.get(sha, "blob")

    def size(self, sha: str) -> int:
        """The size of an object in bytes, without reading it."""
        found = self._look(sha, "info")
        return len(self.blob(sha)) if found is None else int(found.size)

    def commit(self, sha: str) -> Commit:
        """One commit."""
        return _parse_commit(sha, self.get(sha, "commit"))

    def tree_of(self, commit_or_tree: str) -> str:
        """The tree id of a commit, a tag or a tree."""
        sha = commit_or_tree
        while sha not in _DIRECTORIES:
            found = self.find(sha)
            if found is None or found[0] == "blob":
                raise GitError(f"There is no commit or tree {sha} in {self._directory}. Fetch it, or start anew.")
            if found[0] == "tree":
                break
            sha = _text(found[1].split(b"\n", 1)[0]).split(" ")[1]  # "tree <id>" of a commit, "object <id>" of a tag
        return sha

    def write(self, kind: str, content: bytes, *, expected: str | None = None) -> str:
        """Write an object and return its id.

        Raises:
            GitError: its id is not the expected one.
        """
        from gitdb import IStream

        sha = _text(self._database.store(IStream(kind, len(content), BytesIO(content))).hexsha)
        if expected not in (None, sha):
            raise GitError(f"The {kind} {expected} is damaged: its content is that of {sha}. Run `git fsck`.")
        return sha

    def write_commit(self, tree: str, parents: Sequence[str], message: str, *, author: str, committer: str) -> str:
        """Write a commit and return its id; ``author`` and ``committer`` may end in a time."""
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        lines += [f"author {signature(author)}", f"committer {signature(committer)}"]
        body = message.replace("\0", "").rstrip("\n") + "\n"
        return self.write("commit", _bytes("\n".join(lines) + "\n\n" + body))

    def files(self, tree: str) -> dict[str, Entry]:
        """Every file by path, sorted."""
        found: list[tuple[str, Entry]] = []
        waiting = [("", tree)]
        while waiting:
            prefix, sha = waiting.pop()
            directory = self.directory(sha)
            found.extend((prefix + name, entry) for name, entry in directory.entries.items() if entry.mode != TREE)
            waiting.extend((f"{prefix}{name}/", child) for name, child in directory.directories)
        return dict(sorted(found))

    def submodules(self, tree: str) -> tuple[str, ...]:
        """The paths of all submodules."""
        found: list[str] = []
        waiting = [("", tree)]
        while waiting:
            prefix, sha = waiting.pop()
            directory = self.directory(sha)
            found.extend(prefix + name for name in directory.submodules)
            waiting.extend((f"{prefix}{name}/", child) for name, child in directory.directories)
        return tuple(sorted(found))

    def changes(self, old: str, new: str) -> tuple[Change, ...]:
        """What differs between two trees; equal directories are not read."""
        found: list[Change] = []
        waiting: list[tuple[str, str | None, str | None]] = [("", old, new)]
        while waiting:
            prefix, *pair = waiting.pop()
            before, after = (self.directory(sha).entries if sha else {} for sha in pair)
            for name in before.keys() | after.keys():
                was, now = before.get(name), after.get(name)
                if was == now:
                    continue
                directories = _directory_id(was), _directory_id(now)
                if any(directories):
                    waiting.append((f"{prefix}{name}/", *directories))
                files = _file(was), _file(now)
                if any(files):
                    found.append(Change(prefix + name, *files))
        return tuple(sorted(found, key=lambda change: change.path))

    def first_parents(self, tip: str, *, until: str | None) -> Iterator[Commit]:
        """Commits from ``tip`` back along first parents, ``until`` excluded; ends where a shallow clone ends."""
        sha = tip
        while sha != until:
            commit = self.commit(sha)
            yield commit
            if not commit.parents or sha in self._shallow():
                return
            sha = commit.parents[0]

    def _shallow(self) -> frozenset[str]:
        try:
            return frozenset((self._directory.parent / "shallow").read_text("ascii").split())
        except FileNotFoundError:
            return frozenset()


def _directory_id(entry: Entry | None) -> str | None:
    return entry.sha if entry is not None and entry.mode == TREE else None


def _file(entry: Entry | None) -> Entry | None:
    return entry if entry is not None and entry.mode != TREE else None


class Tree:
    """A tree that can be asked for its files without a work tree and without following symlinks."""

    def __init__(self, objects: Objects, sha: str) -> None:
        self._objects = objects
        self.sha = sha

    @cached_property
    def _files(self) -> Mapping[str, Entry]:
        return self._objects.files(self.sha)

    def entries(self) -> Mapping[str, Entry]:
        """Every file by path, sorted (read once, kept)."""
        return self._files

    def entry(self, path: str) -> Entry | None:
        """The file, symlink or submodule at that path, or None; reads only the directories that lead there."""
        *parents, name = path.split("/")
        sha = self.sha
        for parent in parents:
            below = _directory_id(self._objects.directory(sha).entries.get(parent))
            if below is None:
                return None
            sha = below
        return _file(self._objects.directory(sha).entries.get(name))

    def read(self, path: str) -> bytes | None:
        """The content of the blob at that path; None where there is none (so for directories, symlinks, submodules)."""
        entry = self.entry(path)
        if entry is None or entry.mode in (SYMLINK, SUBMODULE):
            return None
        return self._objects.blob(entry.sha)

    def size(self, path: str) -> int | None:
        """The size in bytes of the file at that path, without reading it; None where :meth:`read` gives None."""
        entry = self.entry(path)
        if entry is None or entry.mode in (SYMLINK, SUBMODULE):
            return None
        return self._objects.size(entry.sha)

    def link(self, path: str) -> bytes | None:
        """Where the symlink at that path points to; None where there is no symlink."""
        entry = self.entry(path)
        if entry is None or entry.mode != SYMLINK:
            return None
        return self._objects.blob(entry.sha)
