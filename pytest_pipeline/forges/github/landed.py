"""Whether a merge is in the base already: git knows, also when the answer was lost and GitHub shows the old state."""

from __future__ import annotations

from pytest_pipeline.forges.base import MergeRequest
from pytest_pipeline.host.git import Commit, Repository


def find_merge(git: Repository, request: MergeRequest, tip: str) -> str | None:
    """The commit by which ``request`` was merged, among those that came to the base since; None: it was not.

    Args:
        git: holds head, base and tip.
        request: the merge that may have happened.
        tip: the commit that the base branch is at now.
    """
    for sha in git.first_parents(tip, until=request.base):
        commit = git.commit(sha)
        if commit.parents and _is_it(git, request, commit):
            return sha
    return None


def _is_it(git: Repository, request: MergeRequest, commit: Commit) -> bool:
    """A message alone proves nothing: the commit must also do what the branch does."""
    head = git.commit(request.head)
    if request.method == "merge":
        return commit.parents[1:] == (request.head,)
    if request.method == "rebase":
        same = (commit.message.strip(), commit.authored) == (head.message.strip(), head.authored)
        return same and _paths(git, commit.parents[0], commit.sha) == _paths(git, head.parents[0], head.sha)
    if commit.message.strip() != request.message.strip():
        return False
    start = git.text("merge-base", request.base, request.head)
    return _paths(git, commit.parents[0], commit.sha) == _paths(git, start, request.head)


def _paths(git: Repository, old: str, new: str) -> list[str]:
    return [change.path for change in git.changes(old, new)]
