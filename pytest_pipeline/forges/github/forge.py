"""The forge GitHub: every step looks, acts and looks again, so that each may be repeated after a crash at any point."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace

from pytest_pipeline.errors import ForgeError, HostError
from pytest_pipeline.forges.base import ChecksRule, Draft, MergeRequest, PullRequest, PullRequestState
from pytest_pipeline.forges.gate_limits import CallKind
from pytest_pipeline.forges.github.answers import deleted, refusal
from pytest_pipeline.forges.github.client import Client
from pytest_pipeline.forges.github.merging import Merger
from pytest_pipeline.forges.github.opening import Opening
from pytest_pipeline.forges.github.readiness import Readiness
from pytest_pipeline.forges.github.reading import Reader, read_pull_request
from pytest_pipeline.forges.github.remote import Remote
from pytest_pipeline.forges.github.sweeping import Sweeper
from pytest_pipeline.forges.github.updating import Updating
from pytest_pipeline.forges.github.waiting import Patience, Waiting
from pytest_pipeline.forges.leftovers import Leftover, OpenPullRequest
from pytest_pipeline.host.git import Repository


@contextlib.contextmanager
def _told_as_forge_error() -> Iterator[None]:
    try:
        yield
    except HostError as error:
        raise ForgeError(f"The work with GitHub failed on this machine: {error}") from error


class GitHubForge:
    """A repository on GitHub, or on a GitHub Enterprise server. For one thread.

    Args:
        client: asks the REST interface.
        push_url: where git pushes to and fetches from; holds no credential.
        push_environment: makes the environment for one git push or fetch.
        git: a repository of ours in which git runs, and in which fetched objects are kept.
        waiting: how to wait.
        patience: how long.
    """

    def __init__(
        self,
        client: Client,
        *,
        push_url: str,
        push_environment: Callable[[], AbstractContextManager[Mapping[str, str]]],
        git: Repository,
        waiting: Waiting | None = None,
        patience: Patience | None = None,
    ) -> None:
        waiting, patience = waiting or Waiting(), patience or Patience()
        self._client = client
        self._remote = Remote(push_url, push_environment, git, client.gate, waiting, patience)
        self._reader = Reader(client, waiting, patience)
        self._opening = Opening(self._reader, self._remote)
        self._readiness = Readiness(self._reader)
        self._updating = Updating(self._reader, self._remote)
        self._merger = Merger(self._reader, self._remote)
        self._sweeper = Sweeper(self._reader, self._remote, self.delete_branch)
        self._numbers: dict[str, int] = {}  # by branch: spares a list
        self._merged: dict[int, PullRequest] = {}  # what GitHub may deny for some minutes after an outage

    @property
    def client(self) -> Client:
        """What asks the REST interface."""
        return self._client

    @property
    def name(self) -> str:
        """The forge as the record shows it."""
        return "github"

    @property
    def repository(self) -> str:
        """The repository as the record shows it: ``owner/name``."""
        return self._client.repository

    @property
    def waited(self) -> Mapping[str, float]:
        """Seconds that GitHub's limits made this process wait so far, by reason."""
        return self._client.gate.waited

    @property
    def push_url(self) -> str:
        """Where git pushes to and fetches from; never holds a credential."""
        return self._remote.url

    @_told_as_forge_error()
    def ensure_base(self, branch: str, commit: str, source: Repository) -> None:
        """Make sure that ``branch`` exists; a new one starts at ``commit``, whose objects lie in ``source``."""
        self._remote.ensure(branch, commit, source)

    @_told_as_forge_error()
    def branch_head(self, branch: str) -> str | None:
        """The commit that the branch is at, or None; asked of git, because REST lags behind."""
        return self._remote.heads(branch)[branch]

    @_told_as_forge_error()
    def push(self, branch: str, commit: str, source: Repository) -> None:
        """Push ``commit``, whose objects lie in ``source``, to a new branch; that it is there already is fine.

        Raises:
            ForgeError: the branch is at another commit, or the push is refused.
        """
        self._remote.push(branch, commit, source)

    @_told_as_forge_error()
    def fetch(self, branch: str, target: Repository) -> None:
        """Bring the objects of a branch, and all that they stand on, to ``target``; no ref is written there."""
        self._remote.fetch(f"refs/heads/{branch}", target)

    @_told_as_forge_error()
    def find_pull_request(self, branch: str) -> PullRequest | None:
        """The newest pull request from that branch, in whatever state, or None."""
        if branch not in self._numbers:
            newest = self._reader.newest(branch)
            if newest is None:
                return None
            self._numbers[branch] = int(newest["number"])
        return self._read(self._numbers[branch])

    def _read(self, number: int) -> PullRequest:
        known = self._merged.get(number)
        for last in self._reader.waiting.tries(self._reader.patience.visibility):
            raw = self._reader.pull_request(number)
            found = None if raw is None else read_pull_request(raw)
            if found is not None and (found.state is PullRequestState.MERGED or known is None):
                return found if found.merge_commit or known is None else replace(found, merge_commit=known.merge_commit)
            if last and known is not None:
                return known  # git has the merge
        raise ForgeError(f"GitHub does not show pull request {number} of {self.repository}. Look whether it is there.")

    @_told_as_forge_error()
    def ensure_pull_request(self, draft: Draft) -> PullRequest:
        """The open or merged pull request of that branch, made if there is none.

        Raises:
            ForgeError: a branch is missing, or the branch holds nothing that the base does not.
        """
        found = self._opening.ensure(draft)
        self._numbers[draft.branch] = found.number
        return found

    @_told_as_forge_error()
    def wait_until_ready(self, pull_request: PullRequest, rule: ChecksRule, timeout: float) -> PullRequest:
        """Wait, at most ``timeout`` seconds, until it can be merged or refused: checks done, mergeability known.

        Raises:
            ChecksError: a check that counts has failed, never started or did not end, or a rule blocks the merge.
            BehindError: the head must first be brought up to date.
            BaseMovedError: the head is another commit.
            ForgeError: it is closed or a draft, or GitHub does not make up its mind in time.
        """
        return self._readiness.wait(pull_request, rule, timeout)

    @_told_as_forge_error()
    def update(self, pull_request: PullRequest, request: MergeRequest) -> PullRequest:
        """Bring the head up to date with the tip of the base; the pull request that is returned has the new head.

        Raises:
            BaseMovedError: the head is neither ``request.head`` nor that brought up to date.
            ConflictError: both changed the same lines; names the files.
            ForgeError: it is closed, or GitHub refuses.
        """
        return self._updating.update(pull_request, request)

    @_told_as_forge_error()
    def merge(self, pull_request: PullRequest, request: MergeRequest) -> PullRequest:
        """Merge, or find that it is merged.

        Raises:
            BaseMovedError: head or base is not the expected commit; nothing was merged.
            BehindError: the head must first be brought up to date; nothing was merged.
            ConflictError: it cannot be merged; names the files.
            ForgeError: it is closed, or GitHub refuses.
        """
        merged = self._merger.merge(pull_request, request)
        self._merged[merged.number] = merged
        return merged

    @_told_as_forge_error()
    def delete_branch(self, branch: str, head: str) -> None:
        """Delete the branch if it is still at ``head``; that it is gone already is fine.

        REST cannot be told which commit it must be at, so that is looked at just before.

        Raises:
            ForgeError: it is at another commit, or GitHub refuses.
        """
        for last in self._reader.waiting.tries(self._reader.patience.outage):
            found = self._remote.heads(branch)[branch]
            if found is None:
                return
            if found != head:
                raise ForgeError(f"{branch} is at {found}, not at {head}, so it was not deleted. Look what moved it.")
            answer = self._client.change("DELETE", f"git/refs/heads/{self._client.quoted(branch)}", CallKind.WRITE)
            if answer.ok:
                return
            if last or not (answer.uncertain or deleted(answer)):
                raise ForgeError(refusal(f"delete the branch {branch}", answer))

    @_told_as_forge_error()
    def leftovers(self) -> tuple[Leftover, ...]:
        """Everything that sessions left, in the order in which it can be removed."""
        return self._sweeper.leftovers()

    @_told_as_forge_error()
    def remove(self, leftover: Leftover) -> tuple[OpenPullRequest, ...]:
        """Close our pull requests from the branch and delete it; that it is gone already is fine.

        Returns:
            The pull requests that were closed.

        Raises:
            ForgeError: it is at another commit, a pull request that is not ours needs it, or GitHub refuses.
        """
        return self._sweeper.remove(leftover)
