"""What goes wrong between a task and GitHub: the table of the facts, in GitHub's own words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.e2e.github_injecting import Scene, Trouble
from tests.e2e.github_project import GitHubProject
from tests.github_world import Check, Lag, faults
from tests.github_world.answers import Answer, error, invalid
from tests.github_world.asking import ask
from tests.github_world.faults import Fault
from tests.github_world.routes import NOT_ACCESSIBLE
from tests.github_world.world import LOGIN

SHORT_BLOCK = 7  # seconds
RENAMED = "octo/renamed"


def troubled(name: str, *wrong: Fault) -> Trouble:
    """One fault after the other, whatever the run."""
    undone = sum(not (fault.works or fault.passes) for fault in wrong)
    return Trouble(name, lambda scene: wrong, undone=undone)


def happens(name: str, action: Callable[[Scene], object], *, undone: int = 0) -> Trouble:
    """Something happens at GitHub just before the call is answered as always."""
    return Trouble(name, lambda scene: [faults.meanwhile(lambda: action(scene))], undone=undone)


def state(name: str, lag: Lag) -> Trouble:
    """Reading is behind writing for the whole run."""

    def arrange(github: GitHubProject) -> None:
        github.world.lag = lag

    return Trouble(name, arrange=arrange)


def checks(name: str, *found: Check) -> Trouble:
    """What checks do in the whole run."""

    def arrange(github: GitHubProject) -> None:
        github.hosted.ci = list(found)

    return Trouble(name, arrange=arrange)


# --- what passes by itself --------------------------------------------------------------------------------------------

ERRORS = troubled("500, then 502, then 503", *(faults.status(code) for code in (500, 502, 503)))
HTML = troubled("HTML page with 502, then with 200", faults.html(502), faults.html(200))
HTML_502 = troubled("HTML page with 502", faults.html())
RESET = troubled("reset before the work", faults.reset())
CUT = troubled("truncated answer", faults.cut())
SLOW = troubled("slow answer", faults.slow(0.3))
SECONDARY = troubled("secondary limit, retry-after 7", faults.secondary(SHORT_BLOCK))
CONTENT = troubled(
    "content limit 403, then 429, no retry-after",
    faults.secondary(content=True),
    faults.secondary(code=429, content=True),
)
TOO_MANY = troubled("429", faults.status(429, "Too many requests"))
LOST = troubled("answer lost by a reset", faults.lost())
LOST_502 = troubled("answer lost by a 502", faults.lost(502))


def _exhaust(scene: Scene) -> None:
    world = scene.github.world
    budget = world.limits.budget(LOGIN)
    budget.used, budget.reset = budget.limit, world.now() + 30.0


PRIMARY = happens("primary limit used up for 30 s", _exhaust, undone=1)


# --- refusals ---------------------------------------------------------------------------------------------------------

UNAUTHORIZED = troubled("401", faults.status(401, "Bad credentials"))
FORBIDDEN = troubled(
    "403 missing permission",
    faults.status(403, NOT_ACCESSIBLE, {"X-Accepted-GitHub-Permissions": "contents=write"}),
)
NOT_FOUND = troubled("404", faults.status(404, "Not Found"))
MOVED = troubled("301", faults.answered(Answer(301, headers={"Location": "http://127.0.0.1:9/octo/renamed.git"})))


def _rename(scene: Scene) -> None:
    scene.github.world.rename(scene.github.hosted.full_name, RENAMED)


RENAME = happens("the repository is renamed: 301, and 307 for changes", _rename)


# --- of one call alone ------------------------------------------------------------------------------------------------


def says(code: int, message: str, *, times: int = 1) -> Trouble:
    """An answer in GitHub's words."""
    often = "" if times == 1 else f", {times} times"
    return troubled(f"{code} {message.strip().splitlines()[0]}{often}", *[faults.status(code, message)] * times)


TOO_QUICKLY = troubled(
    "422 was submitted too quickly",
    faults.answered(invalid("PullRequest", code="custom", message="was submitted too quickly")),
)
ABUSE = troubled("422 with the code abuse", faults.answered(invalid("PullRequest", code="abuse", name="base")))


def _post(scene: Scene) -> None:
    wish = {"title": "Do 1.1", "head": scene.branch, "base": scene.base}
    made = ask(scene.github.world, "POST", f"/repos/{scene.github.hosted.full_name}/pulls", wish)
    assert made.status == 201, made.body


OPENED_BY_ANOTHER = Trouble(
    "somebody opened it, and lists lag",
    lambda scene: [faults.meanwhile(lambda: _post(scene))],
    lambda github: setattr(github.world.lag, "lists", 6),
)
BEHIND = happens(
    "somebody merged into the base", lambda scene: scene.github.hosted.commit(scene.base, {"theirs.txt": "x\n"})
)
CONFLICT = happens(
    "somebody put the same file into the base",
    lambda scene: scene.github.hosted.commit(scene.base, {"a.txt": "theirs\n"}),
)
PUSHED = happens("somebody pushed to the branch", lambda scene: scene.github.hosted.commit(scene.branch, {"b": "x\n"}))
CLOSED = happens(
    "somebody closed it",
    lambda scene: scene.github.hosted.turn(scene.pull, replace(scene.pull.now, state="closed")),
)
PUSHED_AFTER = Trouble(
    "somebody pushed to the merged branch",
    lambda scene: [Fault(passes=True, after=lambda: scene.github.hosted.commit(scene.branch, {"b": "x\n"}))],
)


def _deny(scene: Scene, *, shown: bool) -> Fault:
    """After an outage GitHub may go on for long to show what was before the merge, or nothing."""
    world = scene.github.world

    def pass_time() -> None:
        world.tick += 20_000 if shown else 0

    denied = error(405, "Pull Request is not mergeable")
    return Fault(denied, works=True, before=pass_time, after=lambda: setattr(world.lag, "pulls", 10_000))


MERGED_AND_OPEN = Trouble(
    "the merge is done, denied with 405, and for long shown as open", lambda scene: [_deny(scene, shown=True)]
)
MERGED_AND_HIDDEN = Trouble(
    "the merge is done, denied with 405, and for long not shown", lambda scene: [_deny(scene, shown=False)]
)


def _deletes(lag: int) -> Callable[[GitHubProject], None]:
    def arrange(github: GitHubProject) -> None:
        github.hosted.settings.delete_branch_on_merge = True
        github.world.lag = replace(github.world.lag, deletion=lag)

    return arrange


DELETED_AT_ONCE = Trouble("GitHub deletes the branch itself", arrange=_deletes(0))
DELETED_LATE = Trouble("GitHub deletes the branch itself, three requests later", arrange=_deletes(3))
DELETED_FIRST = happens(
    "GitHub deletes the branch just before we do",
    lambda scene: scene.github.hosted.move(scene.branch, None, _tip(scene)),
)


def _tip(scene: Scene) -> str:
    return scene.github.hosted.branches()[scene.branch]


PASSING: Sequence[Trouble] = (ERRORS, HTML, RESET, CUT, SLOW, SECONDARY, CONTENT, PRIMARY)
REFUSED: Sequence[Trouble] = (UNAUTHORIZED, FORBIDDEN, NOT_FOUND, RENAME)
GIT_PASSING: Sequence[Trouble] = (ERRORS, HTML_502, RESET, CUT, SLOW, TOO_MANY)
GIT_REFUSED: Sequence[Trouble] = (UNAUTHORIZED, FORBIDDEN, NOT_FOUND, MOVED)
