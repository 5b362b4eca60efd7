"""Fetch a few new commits from one repository of this machine into another, object by object, without a process.

A fetch between two directories starts several processes. What the pipeline fetches is nearly always one small commit on
top of one that it has; everything else is left to git. Pushes always go through git: they are what is to be proven.
"""

from __future__ import annotations

from pathlib import Path

from pytest_pipeline.host.git_objects import TREE, Commit, Objects

_MOST_COMMITS = 16
_MOST_OBJECTS = 300
_MOST_BYTES = 8 * 1024**2


def objects_of_bare(place: str) -> Objects | None:
    """The objects of a bare repository, where ``place`` is the absolute path of one; else None."""
    path = Path(place)
    try:
        is_bare = path.is_absolute() and "bare = true" in (path / "config").read_text("utf-8", "replace")
    except OSError:
        return None
    return Objects(path / "objects") if is_bare else None


def carry(commit: str, source: Objects, target: Objects) -> bool:
    """Copy a commit and all that it needs, unless that is much; False: nothing that counts was copied, let git do it.

    A commit that is there is taken for whole, as git takes it. So that this stays true wherever a process is killed,
    commits are written after all that they need, parents first.
    """
    commits = _missing_commits(commit, source, target)
    if commits is None:
        return False
    needed: dict[str, str] = {}
    for each in commits:
        parent = source.commit(each.parents[0]).tree
        if not _collect(source, parent, each.tree, needed):
            return False
    found = [(sha, kind, source.get(sha, kind)) for sha, kind in needed.items()]
    if sum(len(content) for _, _, content in found) > _MOST_BYTES:
        return False
    for sha, kind, content in found:
        target.write(kind, content, expected=sha)
    for each in commits:
        target.write("commit", source.get(each.sha, "commit"), expected=each.sha)
    return True


def _missing_commits(tip: str, source: Objects, target: Objects) -> list[Commit] | None:
    """The commits that the target lacks, parents first; None when they are not a short chain on what it has."""
    chain: list[Commit] = []
    for commit in source.first_parents(tip, until=None):
        if target.find(commit.sha) is not None:
            return chain[::-1]
        chain.append(commit)
        others = commit.parents[1:]
        if len(chain) > _MOST_COMMITS or any(target.find(other) is None for other in others):
            return None
    return None


def _collect(source: Objects, old: str, new: str, needed: dict[str, str]) -> bool:
    """Add what the new tree has and the old one has not, by id; False when it becomes too much."""
    waiting: list[tuple[str | None, str]] = [(old, new)]
    while waiting:
        before, after = waiting.pop()
        if before == after or after in needed:
            continue
        known = source.directory(before).entries if before else {}
        directory = source.directory(after)
        needed[after] = "tree"
        for name, entry in directory.entries.items():
            was = known.get(name)
            if entry.mode == TREE:
                waiting.append((was.sha if was is not None and was.mode == TREE else None, entry.sha))
            elif (was is None or was.sha != entry.sha) and name not in directory.submodules:
                needed[entry.sha] = "blob"
        if len(needed) > _MOST_OBJECTS:
            return False
    return True
