"""What the rulesets of a repository demand of the pipeline's branches, and what that means for a session. Pure.

Source: GitHub's description of ``GET rules/branches/BRANCH`` and its "Available rules for rulesets". Who may bypass a
ruleset is not in there: the rules are listed all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_pipeline.findings import Finding

SUBJECT = "rules"
METHODS = {
    "merge": ("allow_merge_commit", "Allow merge commits"),
    "squash": ("allow_squash_merge", "Allow squash merging"),
    "rebase": ("allow_rebase_merge", "Allow rebase merging"),
}
"""Merge methods: their field in the repository's description, and their name in its settings."""

_HARMLESS = frozenset({"non_fast_forward", "required_linear_history", "copilot_code_review"})
"""Nothing is ever pushed by force, merge methods are judged apart, and a review by Copilot stops nothing."""

_REVIEWS = ("require_code_owner_review", "require_last_push_approval", "required_reviewers")
_EXCLUDE = "Exclude refs/heads/{}/**/* from that ruleset (Settings > Rules > Rulesets)"
_BYPASS = f"{_EXCLUDE}, or put this token's user on its bypass list."
_UNMERGED = f"{_EXCLUDE}, or leave the pull requests open with --no-auto-merge."

Rules = Sequence[Mapping[str, Any]]
"""Entries of ``rules/branches/BRANCH``."""


@dataclass(frozen=True)
class Demand:
    """One rule, and what it means.

    Args:
        finding: the same for the user.
        bypass: id of the ruleset that it does not hinder whoever may bypass; None: it hinders everybody, or nobody.
    """

    finding: Finding
    bypass: int | None = None


@dataclass(frozen=True)
class _Rule:
    """A rule as GitHub lists it; ``prefix`` is what the names of the pipeline's branches begin with."""

    raw: Mapping[str, Any]
    prefix: str

    @property
    def type(self) -> str:
        return str(self.raw.get("type") or "without a name")

    @property
    def parameters(self) -> Mapping[str, Any]:
        found = self.raw.get("parameters")
        return found if isinstance(found, dict) else {}

    @property
    def ruleset(self) -> int:
        return int(self.raw.get("ruleset_id") or 0)

    @property
    def source(self) -> str:
        return f"Ruleset {self.ruleset} of {self.raw.get('ruleset_source') or 'the repository'}"

    @property
    def may_be_unmet_at_first(self) -> bool:
        return bool(self.parameters.get("do_not_enforce_on_create"))

    @property
    def checks(self) -> str:
        """What must have passed, in words."""
        if self.type != "required_status_checks":
            return "workflows"
        listed = self.parameters.get("required_status_checks") or ()
        names = [str(each["context"]) for each in listed if isinstance(each, dict) and each.get("context")]
        return f"{'check' if len(names) == 1 else 'checks'} {' and '.join(names)}"

    def failed(self, what: str, remedy: str, *, liftable: bool = False) -> Demand:
        finding = Finding.failed(SUBJECT, f"{self.source} {what}.", remedy.format(self.prefix))
        return Demand(finding, self.ruleset if liftable else None)

    def note(self, what: str) -> Demand:
        return Demand(Finding.note(SUBJECT, f"{self.source} {what}."))


def demands(base: Rules, work: Rules, prefix: str, *, merges: bool) -> tuple[Demand, ...]:
    """What the rules mean, each once.

    Args:
        base: rules of a run's base branch.
        work: rules of a task's branch.
        prefix: what the names of both begin with, up to the first slash.
        merges: whether pull requests are merged.
    """
    found = [each for raw in base for each in _of_base(_Rule(raw, prefix), merges=merges)]
    found += [each for raw in work for each in _of_work(_Rule(raw, prefix), merges=merges)]
    return tuple(dict.fromkeys(found))


def _of_base(rule: _Rule, *, merges: bool) -> Iterator[Demand]:
    if rule.type in ("required_status_checks", "workflows"):
        strict = ", up to date with its base" if rule.parameters.get("strict_required_status_checks_policy") else ""
        start = "" if rule.may_be_unmet_at_first else "; runs can only start where they are"
        yield rule.note(
            f"wants the {rule.checks} to be green in each pull request{strict}, which waits for that{start}"
        )
    elif rule.type == "pull_request":
        yield from _reviews(rule) if merges else ()
    elif rule.type == "merge_queue":
        if merges:
            yield rule.failed("wants merges to go through a merge queue, which the pipeline does not", _UNMERGED)
    elif rule.type == "update":
        if merges:
            yield rule.failed("lets nobody change the bases of runs, so nothing can be merged into them", _UNMERGED)
    elif rule.type == "deletion":
        yield rule.note("lets nobody delete the bases of runs, so they stay until you do")
    else:
        yield from _of_both(rule)


def _of_work(rule: _Rule, *, merges: bool) -> Iterator[Demand]:
    if rule.type in ("required_status_checks", "workflows"):
        if not rule.may_be_unmet_at_first:
            what = f"wants the {rule.checks} to be green before it takes a commit, so no task can push its branch"
            yield rule.failed(what, _BYPASS, liftable=True)
    elif rule.type == "deletion":
        if merges:
            what = "lets nobody delete the tasks' branches, which would fail each task after its merge"
            yield rule.failed(what, _BYPASS, liftable=True)
    elif rule.type not in ("pull_request", "merge_queue", "update"):  # they stop no new branch
        yield from _of_both(rule)


def _of_both(rule: _Rule) -> Iterator[Demand]:
    if rule.type == "creation":
        yield rule.failed("lets nobody make the pipeline's branches", _BYPASS, liftable=True)
    elif rule.type == "required_signatures":
        yield rule.failed("demands signed commits, which the pipeline's are not", _BYPASS, liftable=True)
    elif rule.type not in _HARMLESS:
        yield rule.note(
            f"has the rule {rule.type} for the pipeline's branches, which only a push or a merge puts to test"
        )


def _reviews(rule: _Rule) -> Iterator[Demand]:
    count = int(rule.parameters.get("required_approving_review_count") or 0)
    if count:
        reviews = "an approving review" if count == 1 else f"{count} approving reviews"
        yield rule.failed(f"demands {reviews}, so each pull request would wait for ever", _UNMERGED)
        return
    for name in _REVIEWS:
        if rule.parameters.get(name):
            yield rule.note(f"may demand a review of a pull request ({name}), which would then wait for ever")


def judge_methods(name: str, repository: Mapping[str, Any], rules: Rules, methods: Sequence[str]) -> Iterator[Finding]:
    """Whether the repository and the rules of a run's base allow the merge methods that tasks ask for.

    Args:
        name: of the repository.
        repository: its description; without the settings of merges for whoever may not see them.
        rules: of a run's base branch.
        methods: what tasks ask for.
    """
    shown = [method for method in METHODS if repository.get(METHODS[method][0]) is not None]
    on = [method for method in shown if repository[METHODS[method][0]]]
    free = [method for method in on if not _forbidding(rules, method)]
    other = f", or choose --merge-method {' or '.join(free)} (merge_method in a plan)" if free else ""
    for method in methods:
        if (ruleset := _forbidding(rules, method)) is not None:
            what = f"{ruleset} does not allow the merge method {method}."
            yield Finding.failed("merge", what, f"Allow it there (Settings > Rules > Rulesets){other}.")
        elif method in on:
            yield Finding.good("merge", f"{name} allows the merge method {method}.")
        elif method in shown:
            what = f"{name} does not allow the merge method {method}."
            place = f"Settings > General > Pull Requests > {METHODS[method][1]}"
            yield Finding.failed("merge", what, f"Turn on {place}{other}.")
        else:
            what = f"GitHub does not show this token whether {name} allows the merge method {method}."
            yield Finding.note("merge", what)


def _forbidding(rules: Rules, method: str) -> str | None:
    """The first ruleset that does not allow the method, in words."""
    for rule in (_Rule(raw, "") for raw in rules):
        allowed = rule.parameters.get("allowed_merge_methods")
        if (allowed and method not in allowed) or (rule.type == "required_linear_history" and method == "merge"):
            return rule.source
    return None
