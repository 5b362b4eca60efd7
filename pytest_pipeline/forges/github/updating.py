"""Bring a pull request's head up to date with its base: GitHub merges the base into it, or we rebase it.

Git alone says where the branches are: REST lags behind. Nothing is remembered, so that whoever comes after a crash
finds what is there and goes on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import dropwhile

from pytest_pipeline.errors import BaseMovedError, ConflictError, ForgeError
from pytest_pipeline.forges.base import MergeRequest, PullRequest, PullRequestState
from pytest_pipeline.forges.gate_limits import CallKind
from pytest_pipeline.forges.github.answers import Answer, Update, refusal, update
from pytest_pipeline.forges.github.reading import Reader, read_pull_request
from pytest_pipeline.forges.github.remote import Remote
from pytest_pipeline.forges.local_merging import rebase


@dataclass(frozen=True)
class Updating:
    """Updates the branches of pull requests.

    To ask twice is safe: GitHub updates only the head that is named, a push takes the branch only from there, and a
    rebase makes the same commits in every process.

    Args:
        reader: asks GitHub.
        remote: knows the branches.
    """

    reader: Reader
    remote: Remote

    def update(self, pull_request: PullRequest, request: MergeRequest) -> PullRequest:
        """Bring the head up to date with the tip of the base; the pull request that is returned has the new head.

        GitHub may show the old head for a while; waiting until it can be merged waits that out.

        Args:
            pull_request: the one that is behind.
            request: ``head`` is the commit that the branch was at; it may have been brought up to date since. What
                is to be rebased at the merge is never updated by a merge of the base.

        Raises:
            BaseMovedError: the head is neither ``request.head`` nor that brought up to date, or a branch is gone.
            ConflictError: both changed the same lines; names the files.
            ForgeError: it is closed, or GitHub refuses.
        """
        raw = self.reader.pull_request(pull_request.number)
        found = pull_request if raw is None else read_pull_request(raw)
        if found.state is PullRequestState.MERGED:
            return found
        if found.state is PullRequestState.CLOSED:
            raise ForgeError(f"The pull request {found.url} is closed. Open a new one from its branch.")
        head = self._by_github(pull_request, request) if request.method != "rebase" else None
        return replace(found, head=head or self._by_rebase(pull_request, request))

    def _by_github(self, pull_request: PullRequest, request: MergeRequest) -> str | None:
        """The head that GitHub made; None where it makes none: then we rebase, and name the files in a conflict."""
        tries, begun_from = self._tries(), ""
        while True:
            last = next(tries)
            head, base = self._look(pull_request, request)
            if self._holds(head, base):
                return head
            if last:
                return None
            if begun_from == head:
                continue
            if begun_from:  # GitHub has done what was asked, and the base has moved meanwhile
                tries = self._tries()
                next(tries)
            meaning = update(self._ask(pull_request, head))
            if meaning is Update.BEGUN:
                begun_from = head
            if meaning is Update.REFUSED:
                return None

    def _tries(self) -> Iterator[bool]:
        return self.reader.waiting.tries(self.reader.patience.visibility)

    def _ask(self, pull_request: PullRequest, head: str) -> Answer:
        path = f"pulls/{pull_request.number}/update-branch"
        answer = self.reader.client.change("PUT", path, CallKind.CONTENT, {"expected_head_sha": head})
        if answer.limited:
            raise ForgeError(refusal(f"update the branch of {pull_request.url}", answer))
        return answer

    def _by_rebase(self, pull_request: PullRequest, request: MergeRequest) -> str:
        for _ in self.reader.waiting.tries(self.reader.patience.outage):
            head, base = self._look(pull_request, request)
            if self._holds(head, base) and (request.method != "rebase" or self._is_linear(head, base)):
                return head
            new = self._rebased(pull_request, base, request.head)
            if self.remote.move(pull_request.branch, new, head) == new:
                return new
        raise BaseMovedError(
            f"The branch {pull_request.branch} was moved again and again while it was brought up to date. "
            "Look who pushes to it, and start again."
        )

    def _rebased(self, pull_request: PullRequest, base: str, head: str) -> str:
        try:
            new = rebase(self.remote.git, base, head, committer=None)
        except ConflictError as error:
            raise ConflictError(
                f"{pull_request.url} cannot be brought up to date with {pull_request.base}: both changed "
                f"{', '.join(error.paths)}. Mend that on the branch by hand, or let one task wait for the other.",
                error.paths,
            ) from error
        if new == base:
            raise ForgeError(
                f"{pull_request.base} holds all commits of {pull_request.url} already. Look whether it is merged."
            )
        return new

    def _look(self, pull_request: PullRequest, request: MergeRequest) -> tuple[str, str]:
        """Where head and base are; both are in our repository then, and the head is ours."""
        tips = self.remote.heads(pull_request.branch, pull_request.base)
        head, base = tips[pull_request.branch], tips[pull_request.base]
        if head is None or base is None:
            gone = pull_request.branch if head is None else pull_request.base
            raise BaseMovedError(f"There is no branch {gone} on GitHub any more. Look who deleted it, and start again.")
        for commit in (base, head, request.head):
            self.remote.bring(commit)
        if not self._is_ours(head, base, request.head):
            raise BaseMovedError(
                f"The branch {pull_request.branch} is at {head}, by {self.remote.git.commit(head).author}: neither "
                f"{request.head} nor that brought up to date. Look who pushed it, and start again."
            )
        return head, base

    def _is_ours(self, head: str, base: str, original: str) -> bool:
        """Whether a head is the original: as it was, rebased, or either with the base merged into it."""
        if head == original:
            return True
        chain = self.remote.git.text("rev-list", head, f"^{base}").split()
        own = next(dropwhile(lambda sha: sha != original and self._is_update(sha, base), chain), None)
        if own is None or own == original:
            return own is not None
        with contextlib.suppress(ConflictError):
            onto = self.remote.git.text("merge-base", own, base)
            return rebase(self.remote.git, onto, original, committer=None) == own
        return False

    def _is_update(self, sha: str, base: str) -> bool:
        parents = self.remote.git.commit(sha).parents
        return len(parents) == 2 and self._holds(base, parents[1])

    def _holds(self, tip: str, commit: str) -> bool:
        return not self.remote.git.text("rev-list", "--max-count=1", commit, f"^{tip}")

    def _is_linear(self, head: str, base: str) -> bool:
        return not self.remote.git.text("rev-list", "--merges", "--max-count=1", head, f"^{base}")
