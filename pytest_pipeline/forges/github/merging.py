"""Merge a pull request exactly once: look, ask, look again; an answer that is lost says nothing, git says all."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pytest_pipeline.errors import BaseMovedError, BehindError, ChecksError, ForgeError
from pytest_pipeline.forges.base import MergeRequest, PullRequest, PullRequestState
from pytest_pipeline.forges.gate_limits import CallKind
from pytest_pipeline.forges.github import texts
from pytest_pipeline.forges.github.answers import Answer, Merging, merging, refusal
from pytest_pipeline.forges.github.landed import find_merge
from pytest_pipeline.forges.github.reading import Reader, read_pull_request
from pytest_pipeline.forges.github.remote import Remote
from pytest_pipeline.forges.local_merging import merge_trees


@dataclass(frozen=True)
class Merger:
    """Merges pull requests.

    To ask twice is safe: GitHub takes only the head that is named, and merges no pull request a second time. It cannot
    be told which commit the base must be at, so that is looked at just before.

    Args:
        reader: asks GitHub.
        remote: knows the branches.
    """

    reader: Reader
    remote: Remote

    def merge(self, pull_request: PullRequest, request: MergeRequest) -> PullRequest:
        """Merge, or find that it is merged.

        Raises:
            BaseMovedError: head or base is not the expected commit; nothing was merged.
            BehindError: the head must first be brought up to date; nothing was merged.
            ConflictError: it cannot be merged; names the files.
            ChecksError: GitHub says that a required check is missing.
            ForgeError: it is closed, or GitHub refuses.
        """
        for last in self.reader.waiting.tries(self.reader.patience.merge):
            merged = self._look(pull_request, request)
            if merged is not None:
                return merged
            answer = self._ask(pull_request, request)
            meaning = merging(answer)
            if meaning is Merging.DONE:
                return _as_merged(pull_request, request, str(answer.body["sha"]))
            merged = self._look(pull_request, request) if last else None
            if merged is not None:
                return merged
            if meaning is Merging.NOT_MERGEABLE:
                self._refuse_conflict(request)
            self._refuse(pull_request, answer, meaning, last=last)
        raise AssertionError("the last try raises")

    def _look(self, pull_request: PullRequest, request: MergeRequest) -> PullRequest | None:
        """The merged pull request, or None while it can be merged as requested."""
        raw = self.reader.pull_request(pull_request.number)
        found = pull_request if raw is None else read_pull_request(raw)
        tips = self.remote.heads(pull_request.branch, pull_request.base)
        head, base = tips[pull_request.branch], tips[pull_request.base]
        landed = found.merge_commit or self._landed(request, base)
        if landed is not None:
            return _as_merged(found, request, landed)
        if found.state is PullRequestState.MERGED:
            return found
        if found.state is PullRequestState.CLOSED:
            raise ForgeError(f"The pull request {found.url} is closed. Open a new one from its branch.")
        expected = ((pull_request.branch, head, request.head), (pull_request.base, base, request.base))
        for branch, tip, wanted in expected:
            if tip != wanted:
                raise BaseMovedError(
                    f"The branch {branch} is at {tip or 'no commit'}, expected was {wanted}; nothing was merged. "
                    "Look what moved it, and merge again from where it is."
                )
        return None

    def _landed(self, request: MergeRequest, base: str | None) -> str | None:
        if base is None or base == request.base:
            return None
        for commit in (base, request.base, request.head):
            self.remote.bring(commit)
        return find_merge(self.remote.git, request, base)

    def _ask(self, pull_request: PullRequest, request: MergeRequest) -> Answer:
        body: dict[str, object] = {"merge_method": request.method, "sha": request.head}
        if request.method != "rebase":
            body.update(texts.commit_parts(request.message))
        return self.reader.client.change("PUT", f"pulls/{pull_request.number}/merge", CallKind.MERGE, body)

    def _refuse_conflict(self, request: MergeRequest) -> None:
        """Name the files in conflict; where git sees none, GitHub may not have computed it yet."""
        for commit in (request.base, request.head):
            self.remote.bring(commit)
        merge_trees(self.remote.git, request.base, request.head)

    def _refuse(self, pull_request: PullRequest, answer: Answer, meaning: Merging, *, last: bool) -> None:
        said = refusal(f"merge {pull_request.url}", answer)
        if meaning is Merging.BEHIND or (last and meaning is Merging.NOT_MERGEABLE):
            # GitHub's merge is not always git's: what it cannot merge and git can, a rebase makes mergeable.
            raise BehindError(said)
        if meaning is Merging.METHOD:
            raise ForgeError(f"{said} Allow this merge method in the settings of the repository, or choose another.")
        if meaning is Merging.QUEUE:
            raise ForgeError(f"{said} Take {pull_request.base} out of the merge queue's rule.")
        if meaning is Merging.REFUSED or (last and meaning is not Merging.CHECKS):
            raise ForgeError(said)
        if last:
            raise ChecksError(said)


def _as_merged(pull_request: PullRequest, request: MergeRequest, merge_commit: str) -> PullRequest:
    return replace(pull_request, state=PullRequestState.MERGED, head=request.head, merge_commit=merge_commit)
