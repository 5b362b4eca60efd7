"""Green or not: commit statuses and check runs together, held against a rule. Pure."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_pipeline.forges.base import ChecksRule


class Outcome(enum.Enum):
    """What a check says, or all of them together."""

    PASSED = "passed"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """A commit status or a check run; ``found`` is GitHub's own word for where it stands."""

    name: str
    outcome: Outcome
    found: str
    url: str = ""


@dataclass(frozen=True)
class Verdict:
    """All checks held against the rule.

    Args:
        outcome: failed as soon as one that counts has failed; pending while one is missing.
        failed: those that count and have failed.
        waiting: names of those that count and have not ended.
        missing: names of those that are required and have not begun.
        empty: whether there is no check at all, although the rule wants one.
    """

    outcome: Outcome
    failed: tuple[Check, ...] = ()
    waiting: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    empty: bool = False

    def describe(self) -> str:
        """What is not green, in a few words."""
        parts = [f"{each.name} ended as {each.found}" + (f" ({each.url})" if each.url else "") for each in self.failed]
        parts += [f"{name} has not ended" for name in self.waiting]
        parts += [f"{name} has not started" for name in self.missing]
        if self.empty:
            parts.append("no check has started")
        return ", ".join(parts) or "all that count are green"


_STATUS = {"success": Outcome.PASSED, "failure": Outcome.FAILED, "error": Outcome.FAILED}
_CONCLUSION = {"success": Outcome.PASSED, "neutral": Outcome.PASSED, "skipped": Outcome.PASSED}


def of_status(raw: Mapping[str, Any]) -> Check:
    """A check from one entry of ``commits/REF/status``."""
    state = str(raw.get("state") or "pending")
    outcome = _STATUS.get(state, Outcome.PENDING)
    return Check(str(raw.get("context") or "default"), outcome, state, str(raw.get("target_url") or ""))


def of_check_run(raw: Mapping[str, Any]) -> Check:
    """A check from one entry of ``commits/REF/check-runs``; a conclusion that is not known has failed."""
    status, conclusion = str(raw.get("status") or "queued"), raw.get("conclusion")
    name, url = str(raw.get("name") or "unnamed"), str(raw.get("html_url") or "")
    if status != "completed" or conclusion is None:
        return Check(name, Outcome.PENDING, status, url)
    return Check(name, _CONCLUSION.get(str(conclusion), Outcome.FAILED), str(conclusion), url)


def judge(rule: ChecksRule, checks: Iterable[Check], required: Collection[str] = ()) -> Verdict:
    """Hold checks against a rule.

    The state that GitHub combines itself is not used: it is pending for ever where there are only check runs.

    Args:
        rule: which of them count.
        checks: statuses and check runs of exactly the head.
        required: names that the rules of the base branch demand.
    """
    if rule is ChecksRule.NONE:
        return Verdict(Outcome.PASSED)
    every = tuple(checks)
    wanted = sorted(set(required))
    counting = every if rule is ChecksRule.ALL else tuple(each for each in every if each.name in wanted)
    begun = {each.name for each in every}
    missing = tuple(name for name in wanted if name not in begun)
    failed = tuple(each for each in counting if each.outcome is Outcome.FAILED)
    waiting = tuple(sorted({each.name for each in counting if each.outcome is Outcome.PENDING}))
    empty = rule is ChecksRule.ALL and not every
    pending = Outcome.PENDING if waiting or missing or empty else Outcome.PASSED
    outcome = Outcome.FAILED if failed else pending
    return Verdict(outcome, failed, waiting, missing, empty)


def required_by_rules(rules: Iterable[Mapping[str, Any]]) -> set[str]:
    """The names in ``rules/branches/BRANCH``, which shows rulesets but no classic protection."""
    names: set[str] = set()
    for rule in rules:
        if rule.get("type") == "required_status_checks":
            listed = (rule.get("parameters") or {}).get("required_status_checks") or ()
            names.update(str(each["context"]) for each in listed if each.get("context"))
    return names


def required_by_protection(branch: Mapping[str, Any]) -> set[str]:
    """The names in ``branches/BRANCH``, which shows classic protection to whoever may read."""
    demanded = (branch.get("protection") or {}).get("required_status_checks") or {}
    return {str(each) for each in demanded.get("contexts") or ()}
