"""What a path in a plan means in a tree: a file, a directory with all that is in it, or a glob."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

from pytest_pipeline.host.git import Entry
from pytest_pipeline.plans.model import FileChange, Verb

Entries = Mapping[str, Entry]


def plain(path: str) -> str:
    """Without ``./`` and a trailing slash."""
    return posixpath.normpath(path)


def covers(declared: str, path: str) -> bool:
    """Whether a declared file, directory or glob means this path."""
    wanted = plain(declared)
    return (
        path == wanted
        or path.startswith(f"{wanted}/")
        or fnmatchcase(path, wanted)
        or fnmatchcase(path, wanted.replace("**/", ""))  # `a/**/b` means a/b too
    )


def is_one_file(declared: str, *trees: Entries) -> bool:
    """Whether the path means itself alone, because a tree has that very file or nothing else can be meant."""
    wanted = plain(declared)
    if any(wanted in entries for entries in trees):
        return True
    return not declared.endswith("/") and not any(matching(declared, entries) for entries in trees)


def matching(declared: str, entries: Entries) -> tuple[str, ...]:
    """The files of a tree that a declared path means; one of exactly that name goes before a glob."""
    wanted = plain(declared)
    return (wanted,) if wanted in entries else tuple(path for path in entries if covers(declared, path))


def made_paths(files: Collection[FileChange]) -> tuple[str, ...]:
    """The declared paths that are there after the task: what it creates, changes, renames to or tests."""
    made = (Verb.CREATE, Verb.MODIFY, Verb.CHANGE, Verb.TEST)
    paths = [
        each.target if each.verb is Verb.RENAME else each.path for each in files if each.verb in (*made, Verb.RENAME)
    ]
    return tuple(path for path in paths if path is not None)


def listed(paths: Sequence[str]) -> str:
    """The first five, and how many more there are."""
    shown = ", ".join(paths[:5])
    return shown if len(paths) <= 5 else f"{shown} and {len(paths) - 5} more"
