"""Judges what a task did by two trees, and never by anybody's word. Pure: no git, no file system."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from pytest_pipeline.execution.paths import Entries, covers, is_one_file, listed, matching, plain
from pytest_pipeline.host.git import Change, Tree
from pytest_pipeline.plans.model import Condition, Expectation, FileChange, Relation, Task, Verb


@dataclass(frozen=True)
class Findings:
    """What is wrong with the tree that a task left.

    Args:
        failures: sentences, each with what was expected and what was found.
        undeclared: changed paths that the task does not name; empty when it names none at all.
        idle: whether nothing changed although changes are expected, which is the agent's failure.
    """

    failures: tuple[str, ...]
    undeclared: tuple[str, ...]
    idle: bool = False


def judge(
    task: Task, base: Tree, new: Tree, changes: Sequence[Change], *, ignored: Collection[str] = frozenset()
) -> Findings:
    """Hold a tree against what its task declares.

    Args:
        task: what should have been done.
        base: the tree that the agent started from.
        new: the tree that is to be committed, or the one that was merged.
        changes: what differs between the two.
        ignored: paths that are in the workspace, but kept out of the tree by ``.gitignore``.
    """
    idle = task.expect is Expectation.CHANGES and not changes
    old_entries, new_entries = base.entries(), new.entries()
    failures = [
        *_expectation_failures(task.expect, changes),
        *(text for file in task.files for text in _file_failures(file, old_entries, new_entries, ignored)),
        *(text for condition in task.conditions for text in _condition_failures(condition, new)),
    ]
    return Findings(tuple(failures), _undeclared(task, changes), idle)


def still_holds(task: Task, base: Tree, merged: Tree, final: Tree, superseded: Collection[str]) -> tuple[str, ...]:
    """Whether what a task brought about is still there at the end of the run.

    Args:
        task: a task that was merged.
        base: the tree before its merge.
        merged: the tree right after its merge.
        final: the tree at the end.
        superseded: paths, directories and globs that later tasks declare: theirs to answer for.

    Returns:
        A sentence for each path that is no longer as the task left it, and for each condition that no longer holds.
    """
    trees = base.entries(), merged.entries(), final.entries()
    kept = [path for path in _outcome_paths(task, *trees[:2]) if not _covered(path, superseded)]
    lost = [text for path in kept for text in _loss(path, *trees)]
    conditions = [each for each in task.conditions if not _covered(plain(each.path), superseded)]
    return (*lost, *(text for each in conditions for text in _condition_failures(each, final)))


def _expectation_failures(expect: Expectation, changes: Sequence[Change]) -> Iterator[str]:
    if expect is Expectation.CHANGES and not changes:
        yield "Expected the agent to change files; it changed nothing."
    if expect is Expectation.NO_CHANGES and changes:
        yield f"Expected the agent to change nothing; it changed {listed([each.path for each in changes])}."


def _file_failures(file: FileChange, base: Entries, new: Entries, ignored: Collection[str]) -> Iterator[str]:
    if file.verb is Verb.READ:
        yield from _touched(file.path, base, new)
        return
    judge_path, expected = _RULES[file.verb]
    found = judge_path(file.path, base, new)
    if found:
        yield f"Expected {file.path} {expected}; {found}.{_ignored_note(file.path, ignored)}"
    if file.verb is Verb.RENAME and file.target and not matching(file.target, new):
        note = _ignored_note(file.target, ignored)
        yield f"Expected {file.path} to be renamed to {file.target}; {file.target} is not there.{note}"


def _created(path: str, base: Entries, new: Entries) -> str:
    now = matching(path, new)
    if any(each not in base for each in now):
        return ""
    return "it was there before the task" if now else "it is not there"


def _modified(path: str, base: Entries, new: Entries) -> str:
    before = matching(path, base)
    if any(each in new and new[each] != base[each] for each in before):
        return ""
    if not before:
        return "it was not there before the task"
    return "it was not changed" if any(each in new for each in before) else "it is not there any more"


def _changed(path: str, base: Entries, new: Entries) -> str:
    now = matching(path, new)
    if any(base.get(each) != new[each] for each in now):
        return ""
    return "it was not changed" if now else "it is not there"


def _deleted(path: str, base: Entries, new: Entries) -> str:
    if not matching(path, base):
        return "it was not there before the task"
    if plain(path) in base:
        return "it is still there" if plain(path) in new else ""
    left = matching(path, new)
    return f"{listed(left)} is still there" if left else ""


def _present(path: str, base: Entries, new: Entries) -> str:
    del base  # a test may have been there before
    return "" if matching(path, new) else "it is not there"


_RULES: dict[Verb, tuple[Callable[[str, Entries, Entries], str], str]] = {
    Verb.CREATE: (_created, "to be created"),
    Verb.MODIFY: (_modified, "to be modified"),
    Verb.CHANGE: (_changed, "to be created or modified"),
    Verb.DELETE: (_deleted, "to be deleted"),
    Verb.RENAME: (_deleted, "to be renamed"),
    Verb.TEST: (_present, "to be there as a test"),
}


def _touched(path: str, base: Entries, new: Entries) -> Iterator[str]:
    touched = sorted(each for each in {*matching(path, base), *matching(path, new)} if base.get(each) != new.get(each))
    if touched:
        what = "it" if touched == [plain(path)] else listed(touched)
        yield f"Expected {path} only to be read; {what} was changed."


def _ignored_note(path: str, ignored: Collection[str]) -> str:
    if not any(covers(path, each) or covers(each, plain(path)) for each in ignored):
        return ""
    return " It lies in the workspace, but .gitignore keeps it out of the commit: change .gitignore or the plan."


def _condition_failures(condition: Condition, tree: Tree) -> Iterator[str]:
    if condition.relation is Relation.ABSENT:
        there = matching(condition.path, tree.entries())
        if there:
            yield f"Expected {condition.path} to be absent; {listed(there)} is there."
        return
    expected = f"Expected {condition.path} to {_VERBS[condition.relation]} {condition.argument!r}"
    content = tree.read(plain(condition.path))
    if content is None:
        yield f"{expected}; there is no such file."
        return
    try:
        if not _holds(condition, content.decode("utf-8", "replace")):
            yield f"{expected}; it does not."
    except re.error as error:
        yield f"{expected}; that is no regular expression ({error})."


_VERBS = {Relation.CONTAINS: "contain", Relation.MATCHES: "match"}


def _holds(condition: Condition, text: str) -> bool:
    if condition.relation is Relation.CONTAINS:
        return condition.argument in text
    return re.search(condition.argument, text, re.MULTILINE) is not None


def _undeclared(task: Task, changes: Sequence[Change]) -> tuple[str, ...]:
    if not task.files:
        return ()
    declared = [path for file in task.files for path in (file.path, file.target) if path]
    declared += [condition.path for condition in task.conditions]
    return tuple(change.path for change in changes if not _covered(change.path, declared))


def _covered(path: str, declared: Collection[str]) -> bool:
    return any(covers(each, path) for each in declared)


def _outcome_paths(task: Task, base: Entries, merged: Entries) -> list[str]:
    """The concrete files that the task answers for: of a directory or glob, those that it changed."""
    paths: dict[str, None] = {}
    for file in task.files:
        for declared in (file.path, file.target):
            if declared is None or file.verb is Verb.READ:
                continue
            if is_one_file(declared, base, merged):
                paths[plain(declared)] = None
            else:
                both = {*matching(declared, base), *matching(declared, merged)}
                paths.update(dict.fromkeys(sorted(each for each in both if base.get(each) != merged.get(each))))
    return list(paths)


def _loss(path: str, base: Entries, merged: Entries, final: Entries) -> Iterator[str]:
    if final.get(path) == merged.get(path):
        return
    if final.get(path) == base.get(path):
        became = "was reverted to what it was before"
    elif path not in final:
        became = "is gone"
    elif path not in merged:
        became = "is there again"
    else:
        became = "was overwritten"
    yield f"Expected {path} to stay as the task left it; it {became}."
