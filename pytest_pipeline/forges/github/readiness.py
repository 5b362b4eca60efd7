"""Wait until a pull request can be merged or refused: mergeability computed, checks ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_pipeline.errors import BaseMovedError, BehindError, ChecksError, ForgeError
from pytest_pipeline.forges.base import ChecksRule, PullRequest, PullRequestState
from pytest_pipeline.forges.github.answers import knows_no_rules, refusal
from pytest_pipeline.forges.github.checks import (
    Check,
    Outcome,
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


@dataclass
class _Vigil:
    """One wait: what for, and since when.

    Args:
        expected: the pull request with the head that is to be merged.
        rule: which checks must have passed.
        clock: seconds.
    """

    expected: PullRequest
    rule: ChecksRule
    clock: Callable[[], float]
    behind: bool = False
    on_checks: bool = False
    _began: float = field(init=False)
    _idle_since: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def waited(self) -> float:
        """Seconds since it began."""
        return self.clock() - self._began

    def idle(self, *, now: bool) -> float:
        """Seconds for which nothing was at work that could end the wait, as each look has told here."""
        if not now:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = self.clock()
        return 0.0 if self._idle_since is None else self.clock() - self._idle_since


@dataclass(frozen=True)
class Readiness:
    """Asks, waits and asks again.

    Args:
        reader: asks GitHub.
    """

    reader: Reader
    _required: dict[str, frozenset[str]] = field(default_factory=dict)

    def wait(self, pull_request: PullRequest, rule: ChecksRule, timeout: float) -> PullRequest:
        """Wait, at most ``timeout`` seconds; a pull request that GitHub will not merge is ready as well, to be refused.

        Args:
            pull_request: with the head that is to be merged.
            rule: which checks must have passed.
            timeout: seconds.

        Raises:
            BehindError: the head must first be brought up to date.
            BaseMovedError: the head is another commit.
            ChecksError: a check that counts has failed, never started or did not end, or a rule blocks the merge.
            ForgeError: it is closed or a draft, GitHub refuses, or does not make up its mind in time.
        """
        waiting, reason = self.reader.waiting, "GitHub does not show it"
        vigil = _Vigil(pull_request, rule, waiting.clock)
        for last in waiting.tries(timeout):
            raw = self.reader.pull_request(pull_request.number)
            if raw is not None:
                found = read_pull_request(raw)
                if found.state is PullRequestState.MERGED:
                    return found
                reason = self._reason_to_wait(vigil, found, raw, last=last)
                if not reason:
                    return found
            elif vigil.waited > self.reader.patience.visibility:
                break
        kind = ChecksError if vigil.on_checks else ForgeError
        raise kind(
            f"The pull request {pull_request.url} is not ready to be merged after {vigil.waited:.0f} s: {reason}. "
            "Look at it, and start again or allow more time."
        )

    def _reason_to_wait(self, vigil: _Vigil, found: PullRequest, raw: Mapping[str, Any], *, last: bool) -> str:
        expected, mergeable, state = vigil.expected, raw.get("mergeable"), str(raw.get("mergeable_state") or "unknown")
        if found.state is PullRequestState.CLOSED:
            raise ForgeError(f"The pull request {found.url} is closed. Open a new one from its branch.")
        if found.head != expected.head:
            if vigil.waited > self.reader.patience.visibility:
                raise BaseMovedError(
                    f"The pull request {found.url} is at {found.head}, expected was {expected.head}. Look who pushed."
                )
            return f"GitHub shows the commit {found.head}"
        if raw.get("draft") or state == "draft":
            raise ForgeError(f"The pull request {found.url} is a draft. Mark it as ready for review.")
        if mergeable is False or state == "dirty":
            return ""
        if mergeable is None:
            return "GitHub has not found out whether it can be merged"
        if state == "behind":
            return self._behind(vigil, found, last=last)
        return self._reason_of_rules(vigil, found, state)

    def _behind(self, vigil: _Vigil, found: PullRequest, *, last: bool) -> str:
        """Believed when it is said twice: GitHub may say so for a moment after the head was brought up to date."""
        if vigil.behind or last:
            raise BehindError(
                f"The pull request {found.url} is behind {found.base}, whose rules want it up to date. "
                "Bring the branch up to date with its base, or take that rule from the pipeline's base branches."
            )
        vigil.behind = True
        return f"it is behind {found.base}"

    def _reason_of_rules(self, vigil: _Vigil, found: PullRequest, state: str) -> str:
        verdict = self._verdict(vigil.rule, found, state)
        late = vigil.idle(now=not verdict.waiting) > self.reader.patience.start
        vigil.on_checks = verdict.outcome is Outcome.PENDING or state == "blocked"
        if verdict.outcome is not Outcome.PASSED:
            self._refuse_red(found, verdict, late=late)
            return verdict.describe()
        if state in _RULES_SATISFIED:
            return ""
        if state == "blocked" and late:
            raise ChecksError(
                f"The rules of {found.base} block {found.url}, and no check that counts is at work. GitHub says so "
                "when a review is missing, a required check or workflow that does not count here, a signature, or a "
                "resolved conversation. Exempt the branches pipeline/**/* from the rule, give the review, or leave the "
                "merge to people with --no-auto-merge."
            )
        if state == "blocked":
            return f"rules of {found.base} block it, for example a review that is missing"
        return f"GitHub calls it {state}"

    def _refuse_red(self, found: PullRequest, verdict: Verdict, *, late: bool) -> None:
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

    def _verdict(self, rule: ChecksRule, found: PullRequest, state: str) -> Verdict:
        required = frozenset[str]() if rule is ChecksRule.NONE else self._required_of(found.base)
        if rule is ChecksRule.NONE or (rule is ChecksRule.REQUIRED and not required):
            return Verdict(Outcome.PASSED)
        checks = self._statuses(found.head)
        runs = self._check_runs(found.head)
        if runs is not None:
            return judge(rule, checks + runs, required)
        if rule is ChecksRule.ALL:
            raise ForgeError(
                f"This token may not read the check runs of {self.reader.client.repository}; fine-grained tokens "
                "cannot. Use a classic token or an app's, or say `checks: required`."
            )
        verdict = judge(rule, checks, required)
        if verdict.outcome is Outcome.PENDING and state in _RULES_SATISFIED:
            return Verdict(Outcome.PASSED)  # GitHub's own word on the required ones
        # What has not started for all that this token can see may be at work.
        return replace(verdict, waiting=(*verdict.waiting, *verdict.missing), missing=())

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
                if not answer.ok and not knows_no_rules(answer):
                    raise ForgeError(refusal(f"show the rules of {base}", answer))
            names = required_by_rules(each_dict(rules.body)) if rules.ok else set()
            names |= required_by_protection(branch.body) if branch.ok else set()
            self._required[base] = frozenset(names)
        return self._required[base]
