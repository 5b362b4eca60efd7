"""The REST routes of pull requests."""

from __future__ import annotations

from dataclasses import replace

from tests.github_world import bodies, mergeability
from tests.github_world.answers import Answer, Json, Refusal, error, invalid, page
from tests.github_world.routes import Call, route
from tests.github_world.state import Face, Pull

LONGEST_BODY = 65_536


def _pull(call: Call, number: str) -> Pull:
    pull = call.hosted.pulls.get(int(number))
    if pull is None:
        raise Refusal(error(404, "Not Found"))
    return pull


def _full(call: Call, pull: Pull, face: Face) -> Json:
    """What only the read of one pull request, and the answers to writes, hold."""
    body = bodies.pull(call.api, call.hosted, pull, face, call.token)
    mergeable, state = _mergeable(call, pull, face)
    at = call.hosted
    several = not face.merged and face.base in at.branches()
    commits = at.git.text("rev-list", "--count", face.head_sha, f"^{at.branches()[face.base]}") if several else "1"
    merged_by = bodies.user(call.api, face.merged_by) if face.merged_by else None
    return body | {
        "merged": face.merged,
        "mergeable": mergeable,
        "mergeable_state": state,
        "rebaseable": mergeable,
        "merged_by": merged_by,
        "comments": 0,
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": int(commits),
        "additions": 0,
        "deletions": 0,
        "changed_files": 0,
    }


def _mergeable(call: Call, pull: Pull, face: Face) -> tuple[bool | None, str]:
    if face.state != "open" or pull.now.state != "open":
        return None, "unknown"
    if pull.unknown_reads > 0 or call.world.now() < pull.unknown_until:
        return None, "unknown"
    return mergeability.verdict(call.hosted, pull, call.world.tick)


@route("GET", r"/pulls/(\d+)")
def get_pull(call: Call, number: str) -> Answer:
    """One pull request; reading it is what makes GitHub compute whether it can be merged."""
    pull = _pull(call, number)
    face = pull.seen(call.world.tick, call.world.lag.pulls)
    if face is None:
        raise Refusal(error(404, "Not Found"))
    body = _full(call, pull, face)
    pull.unknown_reads = max(0, pull.unknown_reads - 1)
    return Answer(200, body)


@route("GET", r"/pulls/(\d+)/merge")
def get_merged(call: Call, number: str) -> Answer:
    """Whether it is merged."""
    face = _pull(call, number).seen(call.world.tick, call.world.lag.pulls)
    return Answer(204) if face is not None and face.merged else error(404, "Not Found")


@route("GET", "/pulls")
def list_pulls(call: Call) -> Answer:
    """Pull requests in their simple form, newest first; a head without its owner is ignored, as GitHub does."""
    query = call.request.query
    state, base = query.get("state", "open"), query.get("base")
    owner, _, branch = query.get("head", "").rpartition(":")
    found: list[tuple[int, Json]] = []
    for pull in call.hosted.pulls.values():
        face = pull.seen(call.world.tick, call.world.lag.lists)
        if face is None or (state != "all" and face.state != state) or (base and face.base != base):
            continue
        home = (pull.fork or call.hosted.full_name).partition("/")[0]
        if owner and (owner.lower() != home.lower() or branch != pull.branch):
            continue
        found.append((pull.number, bodies.pull(call.api, call.hosted, pull, face, call.token)))
    newest_first = query.get("direction", "desc") == "desc"
    ordered = [body for _, body in sorted(found, key=lambda each: each[0], reverse=newest_first)]
    return page(ordered, call.request, call.url)


@route("POST", "/pulls", writes="pull_requests")
def post_pull(call: Call) -> Answer:
    """Open one."""
    wish = call.request.json()
    owner, _, branch = str(wish.get("head") or "").rpartition(":")
    base, title = str(wish.get("base") or ""), str(wish.get("title") or "")
    known = call.hosted.seen_branches()
    if not title:
        raise Refusal(invalid("Issue", code="missing_field", name="title"))
    if len(str(wish.get("body") or "")) > LONGEST_BODY:
        long = "body is too long (maximum is 65536 characters)"
        raise Refusal(invalid("Issue", code="custom", name="body", message=long))
    if branch not in known or owner.lower() not in ("", call.hosted.owner.lower()):
        raise Refusal(invalid("PullRequest", code="invalid", name="head"))
    if base not in known:
        raise Refusal(invalid("PullRequest", code="invalid", name="base"))
    _refuse_second(call, branch, base)
    _refuse_empty(call, branch, base)
    number = max(call.hosted.pulls, default=0) + 1
    pull = Pull(number, call.token.login, branch, bool(wish.get("draft")), known[base])
    call.hosted.pulls[number] = pull
    call.hosted.turn(pull, Face("open", title, wish.get("body"), base, known[branch]))
    call.hosted.forget_mergeability(pull)
    body = _full(call, pull, pull.now) | {"mergeable": None, "mergeable_state": "unknown", "rebaseable": None}
    return Answer(201, body, {"Location": str(body["url"])})


def _refuse_second(call: Call, branch: str, base: str) -> None:
    if any(pull.branch == branch and pull.now.base == base for pull in call.hosted.open_pulls()):
        text = f"A pull request already exists for {call.hosted.owner}:{branch}."
        raise Refusal(invalid("PullRequest", code="custom", message=text))


def _refuse_empty(call: Call, branch: str, base: str) -> None:
    known = call.hosted.seen_branches()
    if call.hosted.contains(known[base], known[branch]):
        text = f"No commits between {base} and {branch}"
        raise Refusal(invalid("PullRequest", code="custom", message=text))
    common = call.hosted.git.run("merge-base", known[base], known[branch], check=False)
    if common.exit_code:
        text = f"The {branch} branch has no history in common with {base}"
        raise Refusal(invalid("PullRequest", code="custom", message=text))


@route("PATCH", r"/pulls/(\d+)", writes="pull_requests")
def patch_pull(call: Call, number: str) -> Answer:
    """Edit, close, reopen."""
    pull, wish = _pull(call, number), call.request.json()
    face = pull.now
    state = wish.get("state", face.state)
    if face.merged and state == "open":
        raise Refusal(invalid("PullRequest", code="invalid", name="state"))
    if state == "open" != face.state:
        known = call.hosted.branches()
        if pull.branch not in known or face.base not in known:
            raise Refusal(invalid("PullRequest", code="invalid", name="state"))
        _refuse_second(call, pull.branch, face.base)
        face = replace(face, head_sha=known[pull.branch])
    face = replace(face, state=state, title=wish.get("title", face.title), body=wish.get("body", face.body))
    call.hosted.turn(pull, face)
    return Answer(200, _full(call, pull, face))


@route("PUT", r"/pulls/(\d+)/merge")
def put_merge(call: Call, number: str) -> Answer:
    """Merge."""
    made = mergeability.merge(call.hosted, _pull(call, number), call.request.json(), call.token.login, call.world)
    return Answer(200, {"sha": made, "merged": True, "message": "Pull Request successfully merged"})


@route("PUT", r"/pulls/(\d+)/update-branch", writes="pull_requests")
def put_update_branch(call: Call, number: str) -> Answer:
    """Merge the base into the head."""
    pull = _pull(call, number)
    mergeability.update_branch(call.hosted, pull, call.request.json().get("expected_head_sha"), call.world)
    return Answer(202, {"message": "Updating pull request branch.", "url": f"{call.api}/repos/{call.hosted.full_name}"})
