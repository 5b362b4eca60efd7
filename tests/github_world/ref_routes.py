"""The REST routes of git references."""

from __future__ import annotations

from tests.github_world import bodies
from tests.github_world.answers import Answer, Refusal, error, page
from tests.github_world.hosted import HEADS
from tests.github_world.routes import Call, route
from tests.github_world.smart_git import refusal

_GONE = "Reference does not exist"


def _refuse_empty(call: Call) -> None:
    if not call.hosted.branches():
        raise Refusal(error(409, "Git Repository is empty."))


def _refuse_protected(call: Call, branch: str) -> None:
    """The texts of the rules that stop a push; what REST says is not proven by any source."""
    said = refusal(call.hosted, branch)
    if said is not None:
        raise Refusal(error(422, said[1]))


@route("GET", "/git/ref/heads/(.+)")
def get_ref(call: Call, branch: str) -> Answer:
    """One branch, by its whole name."""
    _refuse_empty(call)
    return Answer(200, bodies.reference(call.api, call.hosted, branch, call.branch(branch)))


@route("GET", "/git/matching-refs/heads(?:/(.*))?")
def get_matching_refs(call: Call, prefix: str | None) -> Answer:
    """All branches whose names begin so."""
    known = sorted(call.hosted.seen_branches().items())
    found = [bodies.reference(call.api, call.hosted, *each) for each in known if each[0].startswith(prefix or "")]
    return page(found, call.request, call.url)


@route("POST", "/git/refs")
def post_ref(call: Call) -> Answer:
    """A new branch at a commit that is there."""
    _refuse_empty(call)
    wish = call.request.json()
    name, sha = str(wish.get("ref", "")), str(wish.get("sha", ""))
    if not name.startswith("refs/") or name.count("/") < 2:
        raise Refusal(error(422, "Reference name must start with 'refs/' and contain at least two slashes."))
    branch = name.removeprefix(HEADS)
    if call.hosted.git.resolve(sha) != sha:
        raise Refusal(error(422, "Object does not exist"))
    if not call.hosted.move(branch, sha, None):
        raise Refusal(error(422, "Reference already exists"))
    answer = bodies.reference(call.api, call.hosted, branch, sha)
    return Answer(201, answer, {"Location": str(answer["url"])})


@route("PATCH", "/git/refs/heads/(.+)")
def patch_ref(call: Call, branch: str) -> Answer:
    """Move a branch."""
    wish = call.request.json()
    old, new = call.hosted.branches().get(branch), str(wish.get("sha", ""))
    if old is None:
        raise Refusal(error(422, _GONE))
    if call.hosted.git.resolve(new) != new:
        raise Refusal(error(422, "Object does not exist"))
    _refuse_protected(call, branch)
    if not wish.get("force") and not call.hosted.contains(new, old):
        raise Refusal(error(422, "Update is not a fast forward"))
    if not call.hosted.move(branch, new, old):
        raise Refusal(error(409, "Reference cannot be updated"))
    return Answer(200, bodies.reference(call.api, call.hosted, branch, new))


@route("DELETE", "/git/refs/heads/(.+)")
def delete_ref(call: Call, branch: str) -> Answer:
    """Delete a branch; open pull requests from it or into it are closed."""
    old = call.hosted.branches().get(branch)
    if old is None:
        raise Refusal(error(422, _GONE))
    if branch == call.hosted.settings.default_branch:
        raise Refusal(error(422, "Cannot delete the default branch"))
    _refuse_protected(call, branch)
    if not call.hosted.move(branch, None, old):
        raise Refusal(error(409, "Reference cannot be updated"))
    return Answer(204)
