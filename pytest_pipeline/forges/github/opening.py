"""Open a pull request exactly once, whatever is lost, late or there already."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_pipeline.errors import ForgeError
from pytest_pipeline.forges.base import Draft, PullRequest, PullRequestState
from pytest_pipeline.forges.gate_limits import CallKind
from pytest_pipeline.forges.github import texts
from pytest_pipeline.forges.github.answers import Answer, Creation, creation, refusal
from pytest_pipeline.forges.github.reading import Reader, read_pull_request
from pytest_pipeline.forges.github.remote import Remote


@dataclass(frozen=True)
class Opening:
    """Finds or makes pull requests.

    Args:
        reader: asks GitHub.
        remote: knows the branches.
    """

    reader: Reader
    remote: Remote

    def ensure(self, draft: Draft) -> PullRequest:
        """The open or merged pull request of that branch and base, made if there is none.

        GitHub allows one open pull request for a head and a base, so creating again after a lost answer can at worst
        be told that it exists; only the list may then lag.

        Raises:
            ForgeError: GitHub refuses, a branch is missing, or there is nothing to merge.
        """
        exists: Answer | None = None
        for last in self.reader.waiting.tries(self.reader.patience.visibility):
            known = self._known(draft)
            if known is not None:
                return known
            answer = exists or self._create(draft)
            meaning = creation(answer)
            if meaning is Creation.MADE:
                return read_pull_request(answer.body)
            if meaning is Creation.EXISTS:
                exists = answer
            if meaning is Creation.NOT_VISIBLE:
                self._expect_commits(draft)
            if meaning is Creation.REFUSED or last:
                what = f"open a pull request from {draft.branch} into {draft.base}"
                raise ForgeError(refusal(what, answer))
        raise AssertionError("the last try raises")

    def _known(self, draft: Draft) -> PullRequest | None:
        raw = self.reader.newest(draft.branch, draft.base)
        found = None if raw is None else read_pull_request(raw)
        return None if found is None or found.state is PullRequestState.CLOSED else found

    def _create(self, draft: Draft) -> Answer:
        body = {
            "title": texts.title(draft.title),
            "body": texts.body(draft.body, draft.branch),
            "head": draft.branch,
            "base": draft.base,
            "maintainer_can_modify": False,
        }
        return self.reader.client.change("POST", "pulls", CallKind.CONTENT, body)

    def _expect_commits(self, draft: Draft) -> None:
        """GitHub sees no branch or no commits: true, or too early? Git knows."""
        tips = self.remote.heads(draft.branch, draft.base)
        for branch, tip in tips.items():
            if tip is None:
                raise ForgeError(f"There is no branch {branch} on GitHub. Push it, then open the pull request.")
        head, base = tips[draft.branch], tips[draft.base]
        assert head is not None
        assert base is not None
        self.remote.bring(head)
        self.remote.bring(base)
        if not self.remote.git.text("rev-list", "--max-count=1", head, f"^{base}"):
            raise ForgeError(
                f"No commits between {draft.base} and {draft.branch}. Commit a change to the branch first."
            )
