"""What GitHub answered, and what that means: told apart by status and sentence, because a status alone never says it.

The sentences are those of GitHub; where one is not known, an answer counts as a refusal that is shown to the user.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_pipeline.forges.gate_answers import is_limit

LOST = 0
"""The status of a call that brought no answer: what was asked may have been done."""


@dataclass(frozen=True)
class Answer:
    """One answer of the API.

    Args:
        status: HTTP status, or :data:`LOST`.
        headers: by lower-case name.
        body: the parsed JSON; None where there is none.
        message: GitHub's sentence, or that of the connection which broke.
        errors: what GitHub lists besides: each its own sentence, or ``field code``.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    message: str = ""
    errors: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return 200 <= self.status < 300

    @property
    def uncertain(self) -> bool:
        """Whether what was asked may have been done or not; only a look tells."""
        return self.status == LOST or self.status >= 500

    @property
    def limited(self) -> bool:
        """Whether it is a limit that spoke: nothing was done, and it may be asked again later."""
        return is_limit(self.status, self.headers, self.text)

    @property
    def text(self) -> str:
        """Everything that GitHub said, on one line."""
        parts = [self.message, *self.errors]
        return "; ".join(each.strip().rstrip(".") for each in parts if each.strip()) or "nothing"

    def says(self, *fragments: str) -> bool:
        """Whether one of the fragments is in what GitHub said."""
        said = self.text.lower()
        return any(fragment.lower() in said for fragment in fragments)


def read_errors(body: object) -> tuple[str, tuple[str, ...]]:
    """Message and list of errors of a body, whatever shape it has."""
    if not isinstance(body, dict):
        return "", ()
    listed = body.get("errors")
    found = []
    for each in listed if isinstance(listed, list) else [] if listed is None else [listed]:
        if isinstance(each, dict):
            found.append(str(each.get("message") or f"{each.get('field', '')} {each.get('code', '')}".strip()))
        else:
            found.append(str(each))
    return str(body.get("message") or ""), tuple(found)


class Creation(enum.Enum):
    """What an answer to the creation of a pull request means."""

    MADE = "made"
    EXISTS = "exists"
    NOT_VISIBLE = "not visible"  # REST does not know yet what git was just given, or there is nothing to merge
    UNCERTAIN = "uncertain"
    REFUSED = "refused"


def creation(answer: Answer) -> Creation:
    """Tell apart the answers to ``POST pulls``."""
    if answer.status == 201:
        return Creation.MADE
    if answer.uncertain:
        return Creation.UNCERTAIN
    if answer.status == 422:
        if answer.says("pull request already exists"):
            return Creation.EXISTS
        if answer.says("head invalid", "no commits between", "head sha can't be blank", "head ref must be a branch"):
            return Creation.NOT_VISIBLE
    return Creation.REFUSED


class Merging(enum.Enum):
    """What an answer to a merge means."""

    DONE = "done"
    AGAIN = "again"  # the base moved meanwhile, or another merge of the same pull request is at work
    BEHIND = "behind"  # a rule wants the head up to date with its base
    NOT_MERGEABLE = "not mergeable"  # a conflict, closed, or merged already
    HEAD_MOVED = "head moved"
    CHECKS = "checks"
    METHOD = "method"
    QUEUE = "queue"
    UNCERTAIN = "uncertain"
    REFUSED = "refused"


_MERGING_405 = (
    (Merging.AGAIN, ("base branch was modified", "merge already in progress")),
    (Merging.BEHIND, ("not up to date", "is out of date", "out-of-date", "is behind")),
    (Merging.NOT_MERGEABLE, ("is not mergeable",)),
    (Merging.METHOD, ("merges are not allowed", "commits are not allowed")),
    (Merging.QUEUE, ("merge queue",)),
    (Merging.CHECKS, ("required status check",)),
)


def merging(answer: Answer) -> Merging:
    """Tell apart the answers to ``PUT pulls/N/merge``: of those with status 405 only two pass by themselves."""
    if answer.status == 200:
        return Merging.DONE
    if answer.uncertain:
        return Merging.UNCERTAIN
    if answer.status == 409:
        return Merging.HEAD_MOVED
    if answer.status == 405:
        for meaning, fragments in _MERGING_405:
            if answer.says(*fragments):
                return meaning
    return Merging.REFUSED


class Update(enum.Enum):
    """What an answer to the update of a pull request's branch means."""

    BEGUN = "begun"  # it is done later
    AGAIN = "again"  # the answer was lost, or REST sees other tips than git
    REFUSED = "refused"  # not allowed, or a conflict


def update(answer: Answer) -> Update:
    """Tell apart the answers to ``PUT pulls/N/update-branch``."""
    if answer.status == 202:
        return Update.BEGUN
    stale = answer.status == 422 and answer.says("no new commits on the base", "expected head sha")
    return Update.AGAIN if stale or answer.uncertain else Update.REFUSED


def deleted(answer: Answer) -> bool:
    """Whether a branch is gone by this answer to its deletion; GitHub may itself have been faster."""
    gone = answer.status == 422 and answer.says("reference does not exist")
    return answer.status in (204, 404) or gone


def knows_no_rules(answer: Answer) -> bool:
    """Whether there are no rules to be read: no such branch, a server too old for rulesets, or a plan without them."""
    unpaid = answer.status == 403 and not answer.limited and answer.says("upgrade to")
    return answer.status == 404 or unpaid


def refusal(what: str, answer: Answer) -> str:
    """The sentences for the user: what was not done, what GitHub said, and what to do next."""
    status = f"status {answer.status}" if answer.status != LOST else "no answer"
    return f"GitHub did not {what} ({status}: {answer.text}). {remedy(answer)}"


def remedy(answer: Answer) -> str:
    """What to do about an answer that is a refusal or none, as a sentence."""
    if answer.limited:
        return "Wait some minutes and start again with fewer tasks at a time."
    if answer.uncertain:
        return "Look at githubstatus.com, or at the server if it is your own, and start again when it answers."
    if answer.status == 401:
        return "Use a token that is neither expired nor revoked."
    if answer.status == 403:
        wanted = answer.headers.get("x-accepted-github-permissions")
        permission = wanted or "contents: write and pull requests: write"
        return f"Give the token the permission that it needs ({permission}), or use another token."
    if answer.status == 404:
        return "Look for a mistake in the repository's name; GitHub also says so when the token may not see it."
    if answer.status in (301, 302, 307, 308):
        return "The repository has moved: name it as it is called now."
    if answer.says("repository rule", "protected branch"):
        return "Look at the rules of the repository for this branch, and allow this token's user to do it."
    return "Mend what GitHub says, and start again."
