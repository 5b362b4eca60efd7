"""Whether a pull request can be merged, by GitHub's words, and the merge itself."""

from __future__ import annotations

from dataclasses import replace

from pytest_pipeline.errors import ConflictError, ForgeError
from pytest_pipeline.forges import local_merging
from pytest_pipeline.forges.base import MergeRequest
from tests.github_world.answers import Json, Refusal, error, invalid
from tests.github_world.faults import BASE_MODIFIED
from tests.github_world.hosted import Hosted, Surroundings
from tests.github_world.state import SUCCEEDED, Check, Pull

COMMITTER = "GitHub <noreply@github.com>"
METHODS = {
    "merge": ("allow_merge_commit", "Merge commits are not allowed on this repository."),
    "squash": ("allow_squash_merge", "Squash merges are not allowed on this repository."),
    "rebase": ("allow_rebase_merge", "Rebase merges are not allowed on this repository."),
}


def _conflicts(hosted: Hosted, base: str, head: str) -> bool:
    known = hosted.conflicts.get((base, head))
    if known is None:
        try:
            local_merging.make(hosted.git, MergeRequest("merge", head, base, "test merge"))
            known = False
        except (ConflictError, ForgeError):
            known = True
        hosted.conflicts[base, head] = known
    return known


def _latest(hosted: Hosted, sha: str) -> list[Check]:
    return [*hosted.seen_checks(sha, "check"), *hosted.seen_checks(sha, "status")]


def _unmet(hosted: Hosted, pull: Pull, tick: int) -> tuple[list[str], list[str], list[str]]:
    """The required checks that are not there, pending, and failed."""
    by_name = {check.name: check for check in _latest(hosted, pull.now.head_sha)}
    required = hosted.rule(pull.now.base).required
    missing = [name for name in required if name not in by_name]
    there = [(name, by_name[name].result(tick)) for name in required if name in by_name]
    pending = [name for name, result in there if result is None]
    failed = [name for name, result in there if result is not None and result not in SUCCEEDED]
    return missing, pending, failed


def _behind(hosted: Hosted, pull: Pull) -> bool:
    return not hosted.contains(pull.now.head_sha, hosted.branches()[pull.now.base])


def verdict(hosted: Hosted, pull: Pull, tick: int) -> tuple[bool, str]:
    """``mergeable`` and ``mergeable_state`` of an open pull request, computed at once."""
    if _conflicts(hosted, hosted.branches()[pull.now.base], pull.now.head_sha):
        return False, "dirty"
    rule = hosted.rule(pull.now.base)
    if pull.draft:
        return True, "draft"
    if any(_unmet(hosted, pull, tick)) or rule.reviews:
        return True, "blocked"
    if rule.strict and _behind(hosted, pull):
        return True, "behind"
    results = [check.result(tick) for check in _latest(hosted, pull.now.head_sha)]
    return True, "clean" if all(result in SUCCEEDED for result in results) else "unstable"


def _refuse_by_rules(hosted: Hosted, pull: Pull, tick: int) -> None:
    """405 with GitHub's sentences; those of failing and pending checks are not proven by any source."""
    rule = hosted.rule(pull.now.base)
    missing, pending, failed = _unmet(hosted, pull, tick)
    unmet = len(missing) + len(pending) + len(failed)
    sentence = None
    if unmet > 1:
        word = "expected" if missing else "pending" if pending else "failing"
        sentence = f"{unmet} of {len(rule.required)} required status checks are {word}."
    elif unmet:
        word = "expected" if missing else "pending" if pending else "failing"
        sentence = f'Required status check "{(missing + pending + failed)[0]}" is {word}.'
    elif rule.reviews:
        sentence = f"At least {rule.reviews} approving review is required by reviewers with write access."
    elif rule.strict and _behind(hosted, pull):
        sentence = "Head branch is not up to date with the base branch."
    if sentence is not None:
        text = f"Repository rule violations found\n\n{sentence}\n\n" if rule.ruleset else sentence
        raise Refusal(error(405, text))


def merge(hosted: Hosted, pull: Pull, wish: Json, login: str, world: Surroundings) -> str:
    """Merge, and return the id of the commit that the base is at then.

    Raises:
        Refusal: GitHub says no.
    """
    method = wish.get("merge_method", "merge")
    if method not in METHODS:
        raise Refusal(invalid("PullRequest", code="invalid", name="merge_method"))
    setting, sentence = METHODS[method]
    now = pull.now
    if now.state != "open":
        raise Refusal(error(405, "Pull Request is not mergeable"))
    if not getattr(hosted.settings, setting):
        raise Refusal(error(405, sentence))
    if wish.get("sha", now.head_sha) != now.head_sha:
        raise Refusal(error(409, "Head branch was modified. Review and try the merge again."))
    if pull.draft:
        raise Refusal(error(405, "Pull Request is still a draft"))
    _refuse_by_rules(hosted, pull, world.tick)
    base = hosted.branches()[now.base]
    try:
        wanted = MergeRequest(method, now.head_sha, base, _message(hosted, pull, wish))
        made = _by_github(hosted, local_merging.make(hosted.git, wanted))
    except (ConflictError, ForgeError):
        raise Refusal(error(405, "Pull Request is not mergeable")) from None
    hosted.turn(pull, replace(now, state="closed", merged=True, merge_sha=made, merged_by=login))
    if not hosted.move(now.base, made, base):
        pull.faces.pop()
        raise Refusal(error(405, BASE_MODIFIED))
    if hosted.settings.delete_branch_on_merge:
        world.later(world.lag.deletion, lambda: hosted.move(pull.branch, None, now.head_sha))
    return made


def _by_github(hosted: Hosted, made: str) -> str:
    """The commit as GitHub makes it, never the pushed one itself: within one second that would be the same commit."""
    commit = hosted.git.commit(made)
    author = f"{commit.author} {commit.authored}"
    return hosted.git.commit_tree(commit.tree, commit.parents, commit.message, author=author, committer=COMMITTER)


def _message(hosted: Hosted, pull: Pull, wish: Json) -> str:
    """GitHub's own words, where the caller has none."""
    now = pull.now
    if wish.get("merge_method", "merge") == "merge":
        title, body = f"Merge pull request #{pull.number} from {hosted.owner}/{pull.branch}", now.title
    else:
        title, body = f"{now.title} (#{pull.number})", ""
    title, body = wish.get("commit_title") or title, wish.get("commit_message", body) or ""
    return f"{title}\n\n{body}\n" if body else f"{title}\n"


def update_branch(hosted: Hosted, pull: Pull, expected: object, world: Surroundings) -> None:
    """Merge the base into the head, now or a little later.

    What REST says to a repository without this button, and of a closed pull request, is not proven by any source.

    Raises:
        Refusal: GitHub says no.
    """
    now = pull.now
    if not hosted.settings.allow_update_branch:
        raise Refusal(error(403, "Updating the branches of pull requests is not allowed on this repository."))
    if now.state != "open":
        raise Refusal(invalid("PullRequest", code="invalid", name="state"))
    if expected is not None and expected != now.head_sha:
        raise Refusal(error(422, "expected head sha didn't match current head ref."))
    base = hosted.branches()[now.base]
    if not _behind(hosted, pull):
        raise Refusal(error(422, "There are no new commits on the base branch."))
    title = f"Merge branch '{now.base}' into {pull.branch}"
    try:
        made = local_merging.make(hosted.git, MergeRequest("merge", base, now.head_sha, f"{title}\n"))
    except (ConflictError, ForgeError):
        raise Refusal(error(422, "merge conflict between base and head")) from None
    world.later(world.lag.update, lambda: hosted.move(pull.branch, made, now.head_sha))
