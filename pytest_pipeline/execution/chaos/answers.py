"""A fault of the way to the forge: what was asked is done, and the answer lost, so that it is asked again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pytest_pipeline.execution.chaos.injecting import Chaos
from pytest_pipeline.forges.base import ChecksRule, Draft, Forge, MergeRequest, Paced, PullRequest
from pytest_pipeline.host.git import Repository

_CHANGES = ("push", "pull request", "merge", "deletion")

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class ForgetfulForge:
    """A forge that has to be asked twice, once in a task.

    Args:
        inner: the forge.
        chaos: says when.
    """

    inner: Forge
    chaos: Chaos

    def _ask(self, change: str, ask: Callable[[], Answer]) -> Answer:
        answer = ask()
        lost = self.chaos.due("answer-lost") and _CHANGES[self.chaos.number("answer-lost", len(_CHANGES))] == change
        return ask() if lost and self.chaos.strike("answer-lost") else answer

    @property
    def name(self) -> str:
        """The forge as the record shows it."""
        return self.inner.name

    @property
    def repository(self) -> str:
        """The repository as the record shows it."""
        return self.inner.repository

    @property
    def push_url(self) -> str:
        """Where git pushes to and fetches from."""
        return self.inner.push_url

    @property
    def waited(self) -> Mapping[str, float]:
        """Seconds waited so far in this process, by reason."""
        return self.inner.waited if isinstance(self.inner, Paced) else {}

    def ensure_base(self, branch: str, commit: str, source: Repository) -> None:
        """Make sure that the branch exists."""
        self.inner.ensure_base(branch, commit, source)

    def branch_head(self, branch: str) -> str | None:
        """The commit that the branch is at."""
        return self.inner.branch_head(branch)

    def push(self, branch: str, commit: str, source: Repository) -> None:
        """Push, perhaps twice."""
        self._ask("push", lambda: self.inner.push(branch, commit, source))

    def fetch(self, branch: str, target: Repository) -> None:
        """Bring the objects of a branch."""
        self.inner.fetch(branch, target)

    def find_pull_request(self, branch: str) -> PullRequest | None:
        """The newest pull request from that branch."""
        return self.inner.find_pull_request(branch)

    def ensure_pull_request(self, draft: Draft) -> PullRequest:
        """The pull request of that branch, perhaps asked for twice."""
        return self._ask("pull request", lambda: self.inner.ensure_pull_request(draft))

    def wait_until_ready(self, pull_request: PullRequest, rule: ChecksRule, timeout: float) -> PullRequest:
        """Wait until it can be merged or refused."""
        return self.inner.wait_until_ready(pull_request, rule, timeout)

    def update(self, pull_request: PullRequest, request: MergeRequest) -> PullRequest:
        """Bring the head up to date."""
        return self.inner.update(pull_request, request)

    def merge(self, pull_request: PullRequest, request: MergeRequest) -> PullRequest:
        """Merge, perhaps asked for twice."""
        return self._ask("merge", lambda: self.inner.merge(pull_request, request))

    def delete_branch(self, branch: str, head: str) -> None:
        """Delete the branch, perhaps asked for twice."""
        self._ask("deletion", lambda: self.inner.delete_branch(branch, head))
