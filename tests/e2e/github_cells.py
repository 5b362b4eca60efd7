"""Which trouble at which call, and what must come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.e2e import github_calls as calls
from tests.e2e import github_troubles as troubles
from tests.e2e.github_calls import Call
from tests.e2e.github_injecting import Cell, Trouble
from tests.github_world import Check, Lag

_SAYS = {
    troubles.UNAUTHORIZED: "(status 401: Bad credentials). Use a token that is neither expired nor revoked.",
    troubles.FORBIDDEN: (
        "(status 403: Resource not accessible by personal access token). "
        "Give the token the permission that it needs (contents=write), or use another token."
    ),
    troubles.NOT_FOUND: (
        "(status 404: Not Found). Look for a mistake in the repository's name; "
        "GitHub also says so when the token may not see it."
    ),
    troubles.RENAME: "(status 307: Temporary Redirect). The repository has moved: name it as it is called now.",
}
_GIT_SAYS = {
    troubles.UNAUTHORIZED: "Use a token that may write the contents of this repository.",
    troubles.FORBIDDEN: "Use a token that may write the contents of this repository.",
    troubles.NOT_FOUND: "Look for a mistake in the repository's name; the token must see it.",
    troubles.MOVED: "The repository has moved: name it as it is called now.",
}
_WAITS = {troubles.SECONDARY: (7.0, 8.0), troubles.CONTENT: (180.0, 181.0), troubles.PRIMARY: (30.0, 33.0)}
_PASSES_ALL_THE_SAME = {
    (calls.READ, troubles.NOT_FOUND),  # not visible yet
    (calls.LOOK, troubles.NOT_FOUND),
    (calls.CONFIRM, troubles.NOT_FOUND),
    (calls.CONFIRM, troubles.RENAME),  # nothing is changed after it
    (calls.RULES, troubles.NOT_FOUND),  # a server of one's own may be too old for rulesets
    (calls.BRANCH, troubles.NOT_FOUND),
    (calls.DELETE, troubles.NOT_FOUND),  # git still shows the branch, so it is asked again
    (calls.RUNS, troubles.FORBIDDEN),  # a fine-grained token: GitHub's own verdict on the required ones counts
}
_API = (
    *(calls.LIST, calls.OPEN, calls.READ, calls.RULES, calls.BRANCH, calls.STATUSES, calls.RUNS),
    *(calls.LOOK, calls.MERGE, calls.DELETE, calls.CONFIRM),
)
_GIT = (calls.PUSH_BASE, calls.LS_REMOTE, calls.LS_REMOTE_PACK, calls.PUSH_REFS, calls.PUSH, calls.FETCH)
_PUSHED_TWICE = {"push": (2, 3)}  # libcurl repeats by itself what is reset; the second finds it done


def _of_api(call: Call) -> list[Cell]:
    passing = [Cell(call, each, waits=_WAITS.get(each, (0.0, 0.0))) for each in troubles.PASSING]
    refused = [_refused(call, each) for each in troubles.REFUSED]
    return passing + refused


def _refused(call: Call, trouble: Trouble) -> Cell:
    if (call, trouble) in _PASSES_ALL_THE_SAME:
        return Cell(call, trouble)
    return Cell(call, trouble, "forge", _SAYS[trouble])


def _of_git(call: Call) -> list[Cell]:
    passing = [Cell(call, each) for each in troubles.GIT_PASSING]
    return passing + [Cell(call, each, "forge", _GIT_SAYS[each]) for each in troubles.GIT_REFUSED]


_LOST = [
    *(
        Cell(call, trouble)
        for call in (calls.OPEN, calls.MERGE, calls.DELETE)
        for trouble in (troubles.LOST, troubles.LOST_502)
    ),
    *(Cell(call, troubles.LOST, asked=_PUSHED_TWICE) for call in (calls.PUSH_BASE, calls.PUSH)),
    *(Cell(call, troubles.LOST_502) for call in (calls.PUSH_BASE, calls.PUSH)),
]

_OPENING = [
    Cell(calls.OPEN, troubles.TOO_QUICKLY, waits=(60.0, 61.0)),
    Cell(calls.OPEN, troubles.ABUSE, waits=(60.0, 61.0)),
    Cell(calls.OPEN, troubles.OPENED_BY_ANOTHER, asked={"open": (2,)}),  # the other one's is counted
]

_NOT_MERGED = "nothing was merged. Look what moved it"
_MERGING = [
    Cell(calls.MERGE, troubles.says(405, "Base branch was modified. Review and try the merge again.", times=2)),
    Cell(calls.MERGE, troubles.says(405, "Merge already in progress")),
    Cell(calls.MERGE, troubles.says(405, "Pull Request is not mergeable")),
    Cell(calls.MERGE, troubles.says(409, "Head branch was modified. Review and try the merge again.")),
    Cell(calls.MERGE, troubles.says(405, 'Required status check "ci" is expected.')),
    Cell(calls.MERGE, troubles.BEHIND, on_top=2),
    Cell(calls.MERGE, troubles.MERGED_AND_OPEN),
    Cell(calls.MERGE, troubles.MERGED_AND_HIDDEN),
    Cell(calls.MERGE, troubles.CONFLICT, "conflict", "both changed a.txt", asked={"merge": (2,)}),  # on the new base
    Cell(calls.MERGE, troubles.PUSHED, "forge", _NOT_MERGED),
    Cell(calls.MERGE, troubles.CLOSED, "forge", "is closed. Open a new one from its branch."),
    Cell(
        calls.MERGE,
        troubles.says(405, "Squash merges are not allowed on this repository."),
        "forge",
        "Allow this merge method in the settings of the repository, or choose another.",
    ),
    Cell(
        calls.MERGE,
        troubles.says(405, "Changes must be made through the merge queue"),
        "forge",
        "out of the merge queue's rule.",
    ),
    Cell(
        calls.MERGE,
        troubles.says(405, "Repository rule violations found\n\nAt least 1 approving review is required.\n\n"),
        "forge",
        "Look at the rules of the repository for this branch, and allow this token's user to do it.",
    ),
    Cell(calls.MERGE, troubles.says(405, "Pull Request is still a draft"), "forge", "Pull Request is still a draft"),
]

_DELETING = [
    Cell(calls.DELETE, troubles.DELETED_FIRST),
    Cell(calls.NONE, troubles.DELETED_AT_ONCE, asked={"delete": (0,)}),
    Cell(calls.NONE, troubles.DELETED_LATE, asked={"delete": (1,)}),
    Cell(calls.MERGE, troubles.PUSHED_AFTER, "forge", "so it was not deleted. Look what moved it.", ends=(1, 1)),
    Cell(
        calls.DELETE,
        troubles.says(422, "Cannot delete a protected branch"),
        "forge",
        "Look at the rules of the repository for this branch, and allow this token's user to do it.",
    ),
]

_LAGGING = [
    Cell(calls.NONE, troubles.state("lists lag 6 requests", Lag(lists=6))),
    Cell(calls.NONE, troubles.state("refs lag 6 requests", Lag(refs=6)), asked={"open": tuple(range(1, 9))}),
    Cell(calls.NONE, troubles.state("pull requests lag 6 requests", Lag(pulls=6))),
    Cell(
        calls.NONE,
        troubles.state("all of them lag", Lag(lists=6, refs=6, pulls=6, mergeable=2)),
        asked={"open": tuple(range(1, 9))},
    ),
    Cell(calls.NONE, troubles.state("mergeable is null for 8 reads", Lag(mergeable=8))),
    Cell(calls.NONE, troubles.state("mergeable is null for 90 s", Lag(mergeable_seconds=90.0))),
]

_CHECKING = [
    Cell(calls.NONE, troubles.checks("the check starts late", Check("ci", starts=20))),
    Cell(calls.NONE, troubles.checks("the check takes long", Check("ci", ends=40))),
    Cell(calls.NONE, troubles.checks("the check is a status", Check("ci", kind="status", ends=20))),
    Cell(
        calls.NONE,
        troubles.checks("the check fails", Check("ci", "failure")),
        "checks",
        "ci ended as failure",
        ends=(1, 0),
    ),
    Cell(calls.NONE, troubles.checks("the check never starts"), "checks", "ci has not started", ends=(1, 0)),
]

_EVERY_CALL = [
    Cell(calls.EVERY, troubles.HTML_502, asked={"push": (4,), "open": (2,), "merge": (2,), "delete": (2,)}),
    Cell(calls.EVERY, troubles.RESET, asked={"push": (4,), "open": (2,), "merge": (2,), "delete": (2,)}),
    Cell(calls.EVERY, troubles.CUT),
    Cell(calls.EVERY, troubles.LOST, asked={"push": (2, 3, 4)}),
    Cell(calls.EVERY, troubles.LOST_502),
]

GROUPS: Mapping[str, Sequence[Cell]] = {
    **{call.name: _of_api(call) for call in _API},
    **{call.name: _of_git(call) for call in _GIT},
    "lost answers": _LOST,
    "opening": _OPENING,
    "merging": _MERGING,
    "deleting": _DELETING,
    "lags": _LAGGING,
    "checks": _CHECKING,
    "every call": _EVERY_CALL,
}
"""The cells of one session each."""
