"""The seam between the pipeline and the place where pull requests live."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pytest_pipeline.host.git import Repository


class ChecksRule(str, enum.Enum):
    """Which checks must have passed before a merge."""

    REQUIRED = "required"  # those that the rules of the base branch name
    ALL = "all"  # every one that there is, and there must be one
    NONE = "none"

    def __str__(self) -> str:
        return self.value


class PullRequestState(str, enum.Enum):
    """GitHub's words, with a merge told apart from a refusal."""

    OPEN = "open"
    MERGED = "merged"
    CLOSED = "closed"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Draft:
    """A pull request to be: its branch already lies on the forge."""

    branch: str
    base: str
    title: str
    body: str


@dataclass(frozen=True)
class PullRequest:
    """A pull request as the forge knows it now."""

    number: int
    url: str
    branch: str
    base: str
    head: str
    title: str
    state: PullRequestState
    merge_commit: str | None = None


@dataclass(frozen=True)
class MergeRequest:
    """One merge, as compare and swap.

    Args:
        method: merge, squash or rebase.
        head: the commit that the branch must be at.
        base: the commit that the base branch must be at.
        message: full message of the commit that is made (squash and merge).
    """

    method: str
    head: str
    base: str
    message: str


@runtime_checkable
class Paced(Protocol):
    """A forge whose limits make its callers wait."""

    @property
    def waited(self) -> Mapping[str, float]:
        """Seconds waited so far in this process, by reason."""


class Forge(Protocol):
    """Every method is idempotent: called again after a crash, it finds what is there and goes on.

    Each raises ForgeError when the forge refuses or does not answer.
    """

    @property
    def name(self) -> str:
        """The forge as the record shows it, for example ``local``."""

    @property
    def repository(self) -> str:
        """The repository as the record shows it."""

    @property
    def push_url(self) -> str:
        """Where git pushes to and fetches from; never holds a credential."""

    def ensure_base(self, branch: str, commit: str, source: Repository) -> None:
        """Make sure that ``branch`` exists; a new one starts at ``commit``, whose objects lie in ``source``."""

    def branch_head(self, branch: str) -> str | None:
        """The commit that the branch is at, or None."""

    def push(self, branch: str, commit: str, source: Repository) -> None:
        """Push ``commit``, whose objects lie in ``source``, to a new branch; that it is there already is fine.

        Raises:
            ForgeError: the branch is at another commit, or the push is refused.
        """

    def fetch(self, branch: str, target: Repository) -> None:
        """Bring the objects of a branch, and all that they stand on, to ``target``; no ref is written there."""

    def find_pull_request(self, branch: str) -> PullRequest | None:
        """The newest pull request from that branch, in whatever state, or None."""

    def ensure_pull_request(self, draft: Draft) -> PullRequest:
        """The open or merged pull request of that branch, made if there is none."""

    def wait_until_ready(self, pull_request: PullRequest, rule: ChecksRule, timeout: float) -> PullRequest:
        """Wait, at most ``timeout`` seconds, until it can be merged or refused: checks done, mergeability known.

        Raises:
            BehindError: its head must first be brought up to date.
            BaseMovedError: its head is another commit.
            ChecksError: a check that counts has failed, never started or did not end, or a rule blocks the merge.
        """

    def update(self, pull_request: PullRequest, request: MergeRequest) -> PullRequest:
        """Bring the head up to date with the tip of the base; the pull request that is returned has the new head.

        Raises:
            BaseMovedError: the head is neither ``request.head`` nor that brought up to date.
            ConflictError: both changed the same lines; names the files.
        """

    def merge(self, pull_request: PullRequest, request: MergeRequest) -> PullRequest:
        """Merge, or find that it is merged.

        Raises:
            BaseMovedError: head or base is not the expected commit; nothing was merged.
            BehindError: the head must first be brought up to date; nothing was merged.
            ConflictError: it cannot be merged; names the files.
        """

    def delete_branch(self, branch: str, head: str) -> None:
        """Delete the branch if it is still at ``head``; that it is gone already is fine."""
