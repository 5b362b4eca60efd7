"""Reads that wait out an outage: to read twice does no harm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_pipeline.errors import ForgeError
from pytest_pipeline.forges.base import PullRequest, PullRequestState
from pytest_pipeline.forges.github.answers import Answer, refusal
from pytest_pipeline.forges.github.client import Client, each_dict
from pytest_pipeline.forges.github.waiting import Patience, Waiting


@dataclass(frozen=True)
class Reader:
    """What the parts of the forge ask GitHub with.

    Args:
        client: the connection.
        waiting: how to wait.
        patience: how long.
    """

    client: Client
    waiting: Waiting
    patience: Patience

    def answer(self, ask: Callable[[], Answer]) -> Answer:
        """Ask until there is an answer; the last one, when the patience has ended."""
        for last in self.waiting.tries(self.patience.outage):
            found = ask()
            if last or not found.uncertain:
                break
        return found

    def pull_request(self, number: int) -> Mapping[str, Any] | None:
        """A pull request in full; None while GitHub does not show it.

        Raises:
            ForgeError: GitHub refuses, or does not answer.
        """
        found = self.answer(lambda: self.client.get(f"pulls/{number}"))
        if found.status == 404:
            return None
        if not found.ok or not isinstance(found.body, dict):
            raise ForgeError(refusal(f"show pull request {number} of {self.client.repository}", found))
        return found.body

    def newest(self, branch: str, base: str | None = None) -> Mapping[str, Any] | None:
        """The newest pull request from a branch (into a base), in the short form of lists.

        Raises:
            ForgeError: GitHub refuses, or does not answer.
        """
        # Without the owner GitHub ignores `head` and lists everything, so what is listed is looked at again.
        query = {"state": "all", "head": f"{self.client.owner}:{branch}", "sort": "created", "direction": "desc"}
        if base is not None:
            query["base"] = base
        found = self.answer(lambda: self.client.pages("pulls", parameters=query))
        if not found.ok:
            raise ForgeError(refusal(f"list the pull requests of {self.client.repository}", found))
        ours = [each for each in each_dict(found.body) if self._is_from(each, branch, base)]
        return max(ours, key=lambda each: int(each["number"]), default=None)

    def _is_from(self, raw: Mapping[str, Any], branch: str, base: str | None) -> bool:
        head = raw.get("head") or {}
        home = (head.get("repo") or {}).get("full_name", self.client.repository)
        into = (raw.get("base") or {}).get("ref")
        return (
            head.get("ref") == branch
            and str(home).lower() == self.client.repository.lower()
            and (base is None or into == base)
        )


def read_pull_request(raw: Mapping[str, Any]) -> PullRequest:
    """A pull request from GitHub's form, long or short."""
    merged = bool(raw.get("merged") or raw.get("merged_at"))
    state = PullRequestState.OPEN if raw.get("state") == "open" else PullRequestState.CLOSED
    return PullRequest(
        number=int(raw["number"]),
        url=str(raw.get("html_url") or ""),
        branch=str(raw["head"]["ref"]),
        base=str(raw["base"]["ref"]),
        head=str(raw["head"]["sha"]),
        title=str(raw.get("title") or ""),
        state=PullRequestState.MERGED if merged else state,
        # Before the merge GitHub shows a test merge there.
        merge_commit=raw.get("merge_commit_sha") if merged else None,
    )
