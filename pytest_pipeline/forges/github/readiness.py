"""Wait until a pull request can be merged or refused: mergeability computed, checks ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_pipeline.errors import BaseMovedError, ChecksError, ForgeError
from pytest_pipeline.forges.base import PullRequest, PullRequestState
from pytest_pipeline.forges.github.answers import refusal
from pytest_pipeline.forges.github.checks import (
    Check,
    Outcome,
    Rule,
    Verdict,
    judge,
    of_check_run,
    of_status,
    required_by_protection,
    required_by_rules,
)
from pytest_pipeline.forges.github.client import each_dict
from pytest_pipeline.forges.github.reading import Reader, read_pull_request

_RULES_SATISFIED = ("clean", "unstable", "has_hooks")


@dataclass(frozen=True)
class Readiness:
    """Asks, waits and asks again.

    Args:
        reader: asks GitHub.
        rule: which checks must have passed.
    """

    reader: Reader
    rule: Rule
    _required: dict[str, frozenset[str]] = field(default_factory=dict)

    def wait(self, pull_request: PullRequest, timeout: float) -> PullRequest:
        """Wait, at most ``timeout`` seconds; a pull request that GitHub will not merge is ready as well, to be refused.

        Raises:
            BaseMovedError: the head is another commit, or must first be brought up to date.
            ChecksError: a check that counts has failed, or never started.
            ForgeError: it is closed or a draft, GitHub refuses, or the time is up.
        """
        waiting, reason = self.reader.waiting, "GitHub does not show it"
        began = waiting.clock()
        for _ in waiting.tries(timeout):
            raw = self.reader.pull_request(pull_request.number)
            waited = waiting.clock() - began
            if raw is not None:
                found = read_pull_request(raw)
                if found.state is PullRequestState.MERGED:
                    return found
                reason = self._reason_to_wait(pull_request, found, raw, waited)
                if not reason:
                    return found
            elif waited > self.reader.patience.visibility:
                break
        raise ForgeError(
            f"The pull request {pull_request.url} is not ready to be merged after {waited:.0f} s: {reason}. "
            "Look at it, and start again or allow more time."
        )

    def _reason_to_wait(self, expected: PullRequest, found: PullRequest, raw: Mapping[str, Any], waited: float) -> str:
        if found.state is PullRequestState.CLOSED:
            raise ForgeError(f"The pull request {found.url} is closed. Open a new one from its branch.")
        if found.head != expected.head:
            if waited > self.reader.patience.visibility:
                raise BaseMovedError(
                    f"The pull request {found.url} is at {found.head}, expected was {expected.head}. Look who pushed."
                )
            return f"GitHub shows the commit {found.head}"
        if raw.get("draft") or raw.get("mergeable_state") == "draft":
            raise ForgeError(f"The pull request {found.url} is a draft. Mark it as ready for review.")
        return self._reason_of_merge(found, raw, waited)

    def _reason_of_merge(self, found: PullRequest, raw: Mapping[str, Any], waited: float) -> str:
        mergeable, state = raw.get("mergeable"), str(raw.get("mergeable_state") or "unknown")
        if mergeable is False or state == "dirty":
            return ""
        if mergeable is None:
            return "GitHub has not found out whether it can be merged"
        if state == "behind":
            raise BaseMovedError(
                f"The pull request {found.url} is behind {found.base}, whose rules want it up to date. "
                "Bring the branch up to date with its base, or take that rule from the pipeline's base branches."
            )
        verdict = self._verdict(found, state)
        self._refuse_red(found, verdict, waited)
        if verdict.outcome is Outcome.PENDING:
            return verdict.describe()
        if state in _RULES_SATISFIED:
            return ""
        if state == "blocked":
            return f"rules of {found.base} block it, for example a review that is missing"
        return f"GitHub calls it {state}"

    def _refuse_red(self, found: PullRequest, verdict: Verdict, waited: float) -> None:
        late = (verdict.missing or verdict.empty) and waited > self.reader.patience.start
        if verdict.outcome is Outcome.FAILED:
            remedy = "Look at them, mend what they found, and start again."
        elif late:
            remedy = (
                "Look whether checks run for this branch; GitHub starts none for what its own Actions token did. "
                "Where there are none to wait for, say `checks: none`."
            )
        else:
            return
        raise ChecksError(f"The checks of {found.url} are not green: {verdict.describe()}. {remedy}")

    def _verdict(self, found: PullRequest, state: str) -> Verdict:
        required = frozenset[str]() if self.rule is Rule.NONE else self._required_of(found.base)
        if self.rule is Rule.NONE or (self.rule is Rule.REQUIRED and not required):
            return Verdict(Outcome.PASSED)
        checks = self._statuses(found.head)
        runs = self._check_runs(found.head)
        if runs is not None:
            return judge(self.rule, checks + runs, required)
        if self.rule is Rule.ALL:
            raise ForgeError(
                f"This token may not read the check runs of {self.reader.client.repository}; fine-grained tokens "
                "cannot. Use a classic token or an app's, or say `checks: required`."
            )
        verdict = judge(self.rule, checks, required)
        satisfied = verdict.outcome is Outcome.PENDING and state in _RULES_SATISFIED
        return Verdict(Outcome.PASSED) if satisfied else verdict  # GitHub's own word on the required ones

    def _statuses(self, head: str) -> list[Check]:
        found = self.reader.answer(lambda: self.reader.client.pages(f"commits/{head}/status", "statuses"))
        if not found.ok:
            raise ForgeError(refusal(f"show the statuses of {head}", found))
        return [of_status(each) for each in each_dict(found.body)]

    def _check_runs(self, head: str) -> list[Check] | None:
        found = self.reader.answer(lambda: self.reader.client.pages(f"commits/{head}/check-runs", "check_runs"))
        if found.status == 403 and not found.limited:
            return None
        if not found.ok:
            raise ForgeError(refusal(f"show the check runs of {head}", found))
        return [of_check_run(each) for each in each_dict(found.body)]

    def _required_of(self, base: str) -> frozenset[str]:
        """Names that rulesets and classic protection demand, asked once for a base branch."""
        if base not in self._required:
            client = self.reader.client
            place = client.quoted(base)
            rules = self.reader.answer(lambda: client.pages(f"rules/branches/{place}"))
            branch = self.reader.answer(lambda: client.get(f"branches/{place}"))
            for answer in (rules, branch):
                if not answer.ok and answer.status != 404:  # servers of one's own may be too old to have rulesets
                    raise ForgeError(refusal(f"show the rules of {base}", answer))
            names = required_by_rules(each_dict(rules.body)) if rules.ok else set()
            names |= required_by_protection(branch.body) if branch.ok else set()
            self._required[base] = frozenset(names)
        return self._required[base]
