"""Remove what sessions left on GitHub, and nothing that somebody else would miss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_pipeline.errors import ForgeError
from pytest_pipeline.forges.gate_limits import CallKind
from pytest_pipeline.forges.github.answers import refusal
from pytest_pipeline.forges.github.client import each_dict
from pytest_pipeline.forges.github.reading import Reader
from pytest_pipeline.forges.github.remote import Remote
from pytest_pipeline.forges.github.texts import marked_branch
from pytest_pipeline.forges.leftovers import PREFIX, Leftover, OpenPullRequest, gather, refuse_kept

_PAGES = 100  # more than for other lists: what was never cleaned is much
_HEADS = "refs/heads/"


@dataclass(frozen=True)
class Sweeper:
    """Finds what sessions left, and removes it.

    GitHub cannot be asked to delete a branch only if no pull request needs it, so that is looked at just before.

    Args:
        reader: asks GitHub.
        remote: knows the branches.
        delete_branch: deletes a branch if it is still at that commit.
    """

    reader: Reader
    remote: Remote
    delete_branch: Callable[[str, str], None]

    def leftovers(self) -> tuple[Leftover, ...]:
        """Everything that sessions left, in the order in which it can be removed.

        Raises:
            ForgeError: GitHub refuses, or does not answer.
        """
        return gather(self._heads(), self._open_pull_requests())

    def remove(self, leftover: Leftover) -> tuple[OpenPullRequest, ...]:
        """Close our pull requests from the branch and delete it; that it is gone already is fine.

        Returns:
            The pull requests that were closed.

        Raises:
            ForgeError: it is at another commit, a pull request that is not ours needs it, or GitHub refuses.
        """
        name = leftover.branch.name
        from_it = self._open_pull_requests(head=f"{self.reader.client.owner}:{name}")
        into_it = self._open_pull_requests(base=name)
        near = {each.number: each for each in (*from_it, *into_it)}.values()
        tips = self.remote.heads(name, *{each.branch for each in near if each.branch is not None})
        if tips[name] is None:
            return ()
        if tips[name] != leftover.head:
            raise ForgeError(
                f"{name} is at {tips[name]}, not at {leftover.head}, so it was not deleted. Look what moved it."
            )
        refuse_kept(leftover.branch, near, [branch for branch, tip in tips.items() if tip is not None])
        closed = tuple(each for each in near if each.branch == name)
        for each in closed:
            self._close(each.number)
        self.delete_branch(name, leftover.head)
        return closed

    def _heads(self) -> Mapping[str, str]:
        path = f"git/matching-refs/heads/{PREFIX}"
        found = self.reader.answer(lambda: self.reader.client.pages(path, most=_PAGES))
        if not found.ok:
            raise ForgeError(refusal(f"list the branches of {self.reader.client.repository}", found))
        return {
            str(each["ref"]).removeprefix(_HEADS): str(each["object"]["sha"])
            for each in each_dict(found.body)
            if isinstance(each.get("object"), dict)
        }

    def _open_pull_requests(self, **query: str) -> tuple[OpenPullRequest, ...]:
        parameters = {"state": "open", **query}
        found = self.reader.answer(lambda: self.reader.client.pages("pulls", parameters=parameters, most=_PAGES))
        if not found.ok:
            raise ForgeError(refusal(f"list the pull requests of {self.reader.client.repository}", found))
        return tuple(_read(each) for each in each_dict(found.body))

    def _close(self, number: int) -> None:
        """Closing again does no harm, so only an answer that is clear ends it."""
        for last in self.reader.waiting.tries(self.reader.patience.outage):
            answer = self.reader.client.change("PATCH", f"pulls/{number}", CallKind.WRITE, {"state": "closed"})
            if answer.ok:
                return
            shown = self.reader.pull_request(number)
            if shown is not None and shown.get("state") != "open":
                return
            if last or not answer.uncertain:
                raise ForgeError(refusal(f"close pull request {number} of {self.reader.client.repository}", answer))


def _read(raw: Mapping[str, Any]) -> OpenPullRequest:
    head, base = raw["head"], raw["base"]
    at_home = _repository(head) == _repository(base)  # by what GitHub calls it now; None: a fork that is deleted
    branch = str(head["ref"]) if at_home else None
    marked = branch is not None and marked_branch(raw.get("body")) == branch
    return OpenPullRequest(int(raw["number"]), str(raw.get("html_url") or ""), branch, str(base["ref"]), marked)


def _repository(end: Mapping[str, Any]) -> str | None:
    return (end.get("repo") or {}).get("full_name")
