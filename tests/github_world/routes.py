"""The REST routes and who may use them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from tests.github_world import bodies
from tests.github_world.answers import Answer, Json, Refusal, Request, counted_page, error, page
from tests.github_world.hosted import HEADS, Hosted, Surroundings
from tests.github_world.state import Token

NOT_ACCESSIBLE = "Resource not accessible by personal access token"
_HEX = re.compile(r"[0-9a-f]{40}")


class World(Surroundings, Protocol):
    """What routes ask of their world."""

    @property
    def url(self) -> str:
        """The API's base."""


@dataclass(frozen=True)
class Call:
    """A request to a repository, with all that answering it takes."""

    world: World
    request: Request
    token: Token
    hosted: Hosted

    @property
    def api(self) -> str:
        """The API's base."""
        return self.world.url

    @property
    def url(self) -> str:
        """Where it was asked, without the query."""
        return self.api + self.request.path

    def branch(self, name: str) -> str:
        """The commit of a branch as REST knows it.

        Raises:
            Refusal: it is not known.
        """
        sha = self.hosted.seen_branches().get(name)
        if sha is None:
            raise Refusal(error(404, "Not Found"))
        return sha

    def revision(self, name: str) -> str:
        """The commit that a branch's name, a ref, or an id means.

        Raises:
            Refusal: none.
        """
        known = self.hosted.seen_branches()
        sha = known.get(name.removeprefix("heads/").removeprefix(HEADS))
        if sha is None and _HEX.fullmatch(name):
            sha = self.hosted.git.resolve(name)
        if sha is None:
            raise Refusal(error(422, f"No commit found for SHA: {name}"))
        return sha


Route = Callable[..., Answer]
_ROUTES: list[tuple[str, re.Pattern[str], Route, str]] = []


def route(method: str, pattern: str, *, writes: str = "contents") -> Callable[[Route], Route]:
    """Register a route below ``/repos/owner/name``; its groups are the function's arguments after the call.

    ``writes`` is the permission that it needs, unless it is a GET.
    """

    def register(function: Route) -> Route:
        _ROUTES.append((method, re.compile(pattern), function, "" if method == "GET" else writes))
        return function

    return register


def _candidates(rest: str) -> Iterator[tuple[str, Route, str, tuple[str, ...]]]:
    for method, pattern, function, writes in _ROUTES:
        match = pattern.fullmatch(rest)
        if match:
            yield method, function, writes, match.groups()


def dispatch(call: Call, rest: str) -> Answer:
    """Answer a call to a repository; ``rest`` is the path behind its name.

    Raises:
        Refusal: it is not allowed, or there is no such thing.
    """
    for method, function, writes, arguments in _candidates(rest):
        if method != call.request.method:
            continue
        if writes and not call.token.may(writes):
            raise Refusal(error(403, NOT_ACCESSIBLE, headers={"X-Accepted-GitHub-Permissions": f"{writes}=write"}))
        if writes and call.hosted.settings.archived:
            raise Refusal(error(403, "Repository was archived so is read-only."))
        return function(call, *arguments)
    raise Refusal(error(404, "Not Found"))


@route("GET", "")
def get_repository(call: Call) -> Answer:
    """The repository."""
    return Answer(200, bodies.repository(call.api, call.hosted, call.token))


@route("GET", "/branches/(.+)/protection")
def get_protection(call: Call, name: str) -> Answer:
    """Nobody here is an administrator."""
    call.branch(name)
    if call.token.fine_grained:
        return error(403, NOT_ACCESSIBLE)
    return error(404, "Not Found" if call.hosted.rule(name).required else "Branch not protected")


@route("GET", "/branches/(.+)")
def get_branch(call: Call, name: str) -> Answer:
    """A branch."""
    sha = call.hosted.seen_branches().get(name)
    if sha is None:
        return error(404, "Branch not found")
    return Answer(200, bodies.branch(call.api, call.hosted, name, sha))


@route("GET", "/rules/branches/(.+)")
def get_rules(call: Call, name: str) -> Answer:
    """The rules of rulesets; also for a branch that is not there."""
    return page(bodies.rules(call.hosted, call.hosted.rule(name)), call.request, call.url)


@route("GET", r"/rulesets/(\d+)")
def get_ruleset(call: Call, number: str) -> Answer:
    """A ruleset."""
    known = (rule for rule in call.hosted.rules.values() if rule.ruleset and str(rule.number) == number)
    found = next(known, None)
    return error(404, "Not Found") if found is None else Answer(200, bodies.ruleset(call.api, call.hosted, found))


@route("GET", "/commits/(.+)/status")
def get_status(call: Call, revision: str) -> Answer:
    """The combined status: of commit statuses alone."""
    sha, tick = call.revision(revision), call.world.tick
    checks = call.hosted.seen_checks(sha, "status")
    results = [check.result(tick) for check in checks]
    state = "pending" if not results or None in results else "success"
    state = "failure" if any(result not in (None, "success") for result in results) else state
    statuses = [bodies.status(call.api, call.hosted, sha, check, tick) for check in checks]
    more = {"state": state, "sha": sha, "commit_url": f"{call.api}/repos/{call.hosted.full_name}/commits/{sha}"}
    repository = bodies.repository(call.api, call.hosted, call.token)
    return counted_page(
        statuses, call.request, call.url, "statuses", {**more, "url": call.url, "repository": repository}
    )


@route("GET", "/commits/(.+)/check-runs")
def get_check_runs(call: Call, revision: str) -> Answer:
    """The check runs; fine-grained tokens cannot read them."""
    if call.token.fine_grained:
        raise Refusal(error(403, NOT_ACCESSIBLE))
    sha, tick = call.revision(revision), call.world.tick
    runs = [
        bodies.check_run(call.api, call.hosted, sha, check, tick) for check in call.hosted.seen_checks(sha, "check")
    ]
    return counted_page(runs, call.request, call.url, "check_runs")


@route("GET", "/commits/([^/]+)/pulls")
def get_pulls_of_commit(call: Call, revision: str) -> Answer:
    """The pull requests whose head or merge it is."""
    sha = call.revision(revision)
    found: list[Json] = []
    for pull in call.hosted.pulls.values():
        face = pull.seen(call.world.tick, call.world.lag.lists)
        if face is not None and sha in (face.head_sha, face.merge_sha):
            found.append(bodies.pull(call.api, call.hosted, pull, face, call.token))
    return page(found, call.request, call.url)


@route("GET", "/commits/(.+)")
def get_commit(call: Call, revision: str) -> Answer:
    """A commit."""
    return Answer(200, bodies.commit(call.api, call.hosted, call.revision(revision)))
