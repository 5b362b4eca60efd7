"""The calls of a task's life on GitHub, each with the step that makes it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.github_world import Logged

BASE = "base"
"""Stands for the time before a run's first step, in which its base branch is pushed."""


@dataclass(frozen=True)
class Call:
    """One call.

    Args:
        name: as the table shows it.
        step: the step that makes it.
        route: pattern of its verb and path.
        nth: which of the calls of that route in that step it is, from 1.
        opened: whether there is a pull request before it.
        merged: whether that is merged before it.
        git: whether git makes it.
    """

    name: str
    step: str
    route: str
    nth: int = 1
    opened: bool = False
    merged: bool = False
    git: bool = False


_REFS = "GET /*/info/refs"  # of a fetch and of a push alike: within one step there is only one of both
_READ = "POST /*/git-upload-pack"
_WRITE = "POST /*/git-receive-pack"

PUSH_BASE = Call("git push of the base", BASE, _WRITE, git=True)
LS_REMOTE = Call("git ls-remote: refs", "prepare", _REFS, git=True)
LS_REMOTE_PACK = Call("git ls-remote: list", "prepare", _READ, git=True)
PUSH_REFS = Call("git push: refs", "push", _REFS, git=True)
PUSH = Call("git push: pack", "push", _WRITE, git=True)
LIST = Call("GET pulls", "pull request", "GET /repos/*/pulls")
OPEN = Call("POST pulls", "pull request", "POST /repos/*/pulls")
READ = Call("GET pulls/N, before the checks", "checks", "GET /repos/*/pulls/*", opened=True)
RULES = Call("GET rules/branches/BASE", "checks", "GET /repos/*/rules/branches/*", opened=True)
BRANCH = Call("GET branches/BASE", "checks", "GET /repos/octo/example/branches/*", opened=True)
STATUSES = Call("GET commits/SHA/status", "checks", "GET /repos/*/commits/*/status", opened=True)
RUNS = Call("GET commits/SHA/check-runs", "checks", "GET /repos/*/commits/*/check-runs", opened=True)
LOOK = Call("GET pulls/N, before the merge", "merge", "GET /repos/*/pulls/*", opened=True)
MERGE = Call("PUT pulls/N/merge", "merge", "PUT /repos/*/merge", opened=True)
DELETE = Call("DELETE git/refs/heads/BRANCH", "merge", "DELETE /repos/*/git/refs/heads/*", opened=True, merged=True)
CONFIRM = Call("GET pulls/N, after the merge", "outcome", "GET /repos/*/pulls/*", opened=True, merged=True)
FETCH = Call("git fetch of the merge", "outcome", _REFS, nth=2, opened=True, merged=True, git=True)
FETCH_PACK = Call("git fetch: pack", "outcome", _READ, nth=2, opened=True, merged=True, git=True)
EVERY = Call("the first call of each route in each step", BASE, "")
NONE = Call("no single call", BASE, "")

MUTATIONS = {"push": _WRITE, "open": OPEN.route, "merge": MERGE.route, "delete": DELETE.route}
"""The routes that change something; a run pushes twice, its base and its task."""

ALL_ROUTES = (_REFS, _READ, _WRITE, "GET /repos/*", OPEN.route, MERGE.route, DELETE.route)


def mutation(logged: Logged) -> str | None:
    """Which of the mutations a request is."""
    if logged.kind == "git":
        return "push" if logged.method == "POST" and logged.path.endswith("git-receive-pack") else None
    return {"POST": "open", "PUT": "merge", "DELETE": "delete"}.get(logged.method)
