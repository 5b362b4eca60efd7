"""Whether a merge commit is what a record says of it: its trailers, its parents, its files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_pipeline.execution.outcome import judge, still_holds
from pytest_pipeline.host.git import Repository
from pytest_pipeline.plans.model import Task, Verb
from pytest_pipeline.record.claims import Claim
from pytest_pipeline.record.junit import clean
from pytest_pipeline.record.model import Outcome, TaskRunKey

_TRAILERS = re.compile(r"^Pipeline-\w+:.*$", re.MULTILINE)


@dataclass(frozen=True)
class MergeClaim:
    """A merge that a record claims.

    Args:
        claim: the test case.
        commit: the merge commit; the run's base branch holds it.
        task: the task as the plan has it; None: not known.
        start: the commit that the run started from.
        commits: the commits of the base branch since then, the newest first.
    """

    claim: Claim
    commit: str
    task: Task | None
    start: str
    commits: Sequence[str]

    @property
    def held_to(self) -> Task | None:
        """The task whose declarations the merge must fulfil: what failed may have failed because it does not."""
        return self.task if self.claim.outcome is Outcome.PASSED else None


def false_about(merge: MergeClaim, git: Repository) -> Iterator[str]:
    """A sentence for everything that is not as the record says.

    Args:
        merge: the claim.
        git: holds the commits.
    """
    claim, facts = merge.claim, merge.claim.facts
    commit = git.commit(merge.commit)
    yield from _trailers(merge, commit.message)
    parent = commit.parents[0]
    if facts.get("merge_base", parent) != parent:
        yield f"The merge commit {merge.commit} of {claim} stands on {parent}; the record says {facts['merge_base']}."
    began = facts.get("parent_commit", "no commit")
    if began not in (*merge.commits[merge.commits.index(merge.commit) + 1 :], merge.start):
        yield f"The task run of {claim} started from {began} by the record; its base branch was never at it before."
    brought = {facts.get("commit"), facts.get("updated_commit")}
    for other in commit.parents[1:]:
        if other not in brought:
            yield f"The merge commit {merge.commit} of {claim} merges {other}, which the record does not name."
    pushed = facts.get("commit", "")
    if git.resolve(pushed) == pushed and git.commit(pushed).parents != (began,):
        yield f"The commit {pushed} of {claim} does not stand on {began}, as the record says."
    if (task := merge.held_to) is not None:
        judged = judge(task, git.tree(parent), git.tree(merge.commit), git.changes(parent, merge.commit))
        for text in judged.failures:
            yield f"The merge commit {merge.commit} of {claim} is not as its plan declares: {text}"


def lost_at(end: str, merges: Sequence[MergeClaim], git: Repository) -> Iterator[str]:
    """A sentence for everything that tasks brought about and that is gone at the end of a plan.

    Args:
        end: the commit that the final state names.
        merges: what was merged until then, the oldest first.
        git: holds the commits.
    """
    final, superseded = git.tree(end), set[str]()
    for merge in reversed(merges):
        if (task := merge.held_to) is not None:
            base = git.tree(git.commit(merge.commit).parents[0])
            for text in still_holds(task, base, git.tree(merge.commit), final, superseded):
                yield f"What {merge.claim} brought about is not there at {end}: {text}"
        if merge.task is not None:  # a task that failed after its merge has changed its files all the same
            changing = [each for each in merge.task.files if each.verb is not Verb.READ]
            superseded |= {path for each in changing for path in (each.path, each.target) if path}


def trailers_of(key: TaskRunKey) -> list[str]:
    """The trailers that a merge commit of a task run ends in."""
    return [
        f"Pipeline-Session: {key.session}",
        f"Pipeline-Run: {key.run}",
        f"Pipeline-Task: {key.plan}::{key.batch}::{key.task}",
    ]


def trailers_in(message: str) -> list[str]:
    """All lines of a commit message that claim to be such trailers."""
    return [clean(each.strip()) for each in _TRAILERS.findall(message)]


def _trailers(merge: MergeClaim, message: str) -> Iterator[str]:
    expected, found = trailers_of(merge.claim.key), trailers_in(message)
    if found != expected:
        told = ", ".join(found) or "no trailers"
        yield f"The merge commit {merge.commit} of {merge.claim} says {told}; it must say {', '.join(expected)}."
