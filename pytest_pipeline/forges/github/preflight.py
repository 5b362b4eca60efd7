"""What can be known of GitHub before any agent is paid: what the token may do, what is demanded, what there is left."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from pytest_pipeline.errors import ForgeError, PipelineError
from pytest_pipeline.findings import Finding
from pytest_pipeline.forges.base import ChecksRule
from pytest_pipeline.forges.gate_budget import Budget
from pytest_pipeline.forges.gate_limits import CallKind
from pytest_pipeline.forges.github.answers import LOST, Answer, knows_no_rules, refusal, remedy
from pytest_pipeline.forges.github.checks import required_by_rules
from pytest_pipeline.forges.github.client import Client, each_dict
from pytest_pipeline.forges.github.demands import SUBJECT, Rules, demands, judge_methods
from pytest_pipeline.forges.github.reading import Reader
from pytest_pipeline.forges.github.waiting import Patience, Waiting
from pytest_pipeline.host.git import GitError, Repository

_OUTAGE = 15.0  # seconds: the user sits there and waits
_REFUSED = re.compile(r"returned error: 40[134]|Authentication failed|could not read Username|not found|denied")
_TITLE = "May this token open pull requests?"
_MAY_BYPASS = ("always", "exempt")


@dataclass(frozen=True)
class Intent:
    """What a session is going to do.

    Args:
        base: the name of a run's base branch; it need not exist.
        branch: the name of a task's branch; it need not exist.
        commit: where runs start; our git has its objects.
        methods: merge methods that tasks ask for; none when nothing is merged.
        rule: which checks must have passed before a merge.
    """

    base: str
    branch: str
    commit: str
    methods: tuple[str, ...] = ("squash",)
    rule: ChecksRule = ChecksRule.REQUIRED


class Preflight:
    """Looks at a repository, and changes nothing there. For one thread.

    Args:
        client: asks the REST interface.
        push_url: where git pushes to; holds no credential.
        push_environment: makes the environment for one git push.
        git: a repository of ours in which git runs.
        waiting: how to wait.
    """

    def __init__(
        self,
        client: Client,
        *,
        push_url: str,
        push_environment: Callable[[], AbstractContextManager[Mapping[str, str]]],
        git: Repository,
        waiting: Waiting | None = None,
    ) -> None:
        self._client = client
        self._push_url = push_url
        self._push_environment = push_environment
        self._git = git
        self._waiting = waiting or Waiting()
        self._reader = Reader(client, self._waiting, Patience(outage=_OUTAGE))
        self._name = client.repository

    def findings(self, intent: Intent, budget: Callable[[], Budget] | None = None) -> tuple[Finding, ...]:
        """All that was found, in the order of a task; what makes no sense after a failure is left out.

        It costs four REST calls and the first request of a git push; two calls more where checks count, and one for
        each ruleset that hinders. An outage is waited out for 15 s.

        What is proven: the server lets this token begin a push, and judges its wish for a pull request by its branches
        (nothing can be merged from a branch into itself), not by its permissions. Classic branch protection shows only
        once a branch exists, and what rules say of a commit only when it is pushed.

        Args:
            intent: what the session is going to do.
            budget: whether its tasks fit into GitHub's limits; asked last, when answers have told what is left.
        """
        return tuple(self._all(intent, budget))

    def _all(self, intent: Intent, budget: Callable[[], Budget] | None) -> Iterator[Finding]:
        try:
            answer = self._reader.answer(lambda: self._client.get(""))
        except PipelineError as error:
            yield Finding.failed("repository", str(error))
            return
        seen = self._seen(answer)
        yield seen
        if not seen.ok:
            return
        checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
            ("push", lambda: self._push(intent, answer)),
            ("pull requests", lambda: self._pull_requests(intent)),
            (SUBJECT, lambda: self._rules(intent, answer.body)),
            ("budget", lambda: self._budget(budget)),
        ]
        for subject, check in checks:
            try:
                yield from check()
            except PipelineError as error:
                yield Finding.failed(subject, str(error))

    def _seen(self, answer: Answer) -> Finding:
        name = answer.body.get("full_name") if answer.ok and isinstance(answer.body, dict) else None
        if not name:
            where = "no answer" if answer.status == LOST else f"status {answer.status}"
            what = f"{self._client.base_url} does not show {self._name} to this token ({where}: {answer.text})."
            return Finding.failed("repository", what, remedy(answer))
        if str(name).lower() != self._name.lower():
            return Finding.failed("repository", f"{self._name} is called {name} now.", f"Name it so: --repo {name}.")
        if answer.body.get("archived"):
            how = "Unarchive it (Settings > General > Danger Zone), or name another."
            return Finding.failed("repository", f"{name} is archived, so nothing can be pushed to it.", how)
        return Finding.good("repository", f"This token sees {name}.")

    def _push(self, intent: Intent, repository: Answer) -> Iterator[Finding]:
        """Ask git itself: what REST tells of permissions is the user's, not a fine-grained token's."""
        said = ""
        for last in self._waiting.tries(_OUTAGE):
            said = self._refused_push(intent)
            if last or not said or _REFUSED.search(said):
                break
        if not said:
            yield Finding.good("push", f"This token may push to {self._name}.")
        elif _REFUSED.search(said):
            what = f"This token may not push to {self._name} (git was told: {_remote(said)})."
            yield Finding.failed("push", what, _writing(repository))
        else:
            how = "Look whether the server answers git as well (a proxy, a firewall), and start again."
            yield Finding.failed("push", f"git could not ask {self._push_url} for a push: {_remote(said)}.", how)

    def _refused_push(self, intent: Intent) -> str:
        refspec = f"{intent.commit}:refs/heads/{intent.base}"
        try:
            with self._push_environment() as environment:
                self._git.run("push", "--dry-run", "--", self._push_url, refspec, environment=environment)
        except GitError as error:  # its text has the token masked only once it has left the context
            return str(error)
        return ""

    def _pull_requests(self, intent: Intent) -> Iterator[Finding]:
        """Ask for one that cannot be made: from a branch, which need not exist, into itself."""
        body = {"title": _TITLE, "head": intent.base, "base": intent.base}
        answer = self._reader.answer(lambda: self._client.change("POST", "pulls", CallKind.WRITE, body))
        if answer.status == 422 and not answer.limited:
            yield Finding.good("pull requests", f"This token may open pull requests in {self._name}.")
        elif answer.status == 404 or _forbidden(answer):
            what = f"This token may not open pull requests in {self._name} (status {answer.status}: {answer.text})."
            yield Finding.failed("pull requests", what, _opening(answer))
        else:
            yield Finding.failed("pull requests", refusal(f"judge a pull request in {self._name}", answer))

    def _rules(self, intent: Intent, repository: Mapping[str, Any]) -> Iterator[Finding]:
        base = self._rules_of(intent.base)
        work = self._rules_of(intent.branch) if base is not None else None
        yield from judge_methods(self._name, repository, base or (), intent.methods)
        if intent.methods and repository.get("delete_branch_on_merge"):
            yield Finding.note("merge", f"{self._name} deletes merged branches itself, which is fine.")
        if base is None or work is None:
            yield Finding.note(SUBJECT, f"{self._name} has no rulesets: its plan or its server knows none.")
            return
        found = list(self._demanded(intent, base, work))
        yield from found
        if not found:
            what = f"No ruleset demands anything of branches such as {intent.base}"
            yield Finding.good(SUBJECT, f"{what} (classic protection shows only once there is one).")
        counted = intent.rule is ChecksRule.ALL or (intent.rule is ChecksRule.REQUIRED and required_by_rules(base))
        if counted and intent.methods:
            yield from self._readable_checks(intent.rule, str(repository["default_branch"]))

    def _rules_of(self, branch: str) -> Rules | None:
        """The rules that a branch of that name has, or would have; None where GitHub knows no rulesets."""
        found = self._reader.answer(lambda: self._client.pages(f"rules/branches/{self._client.quoted(branch)}"))
        if knows_no_rules(found):
            return None
        if not found.ok:
            raise ForgeError(refusal(f"show the rules of {branch}", found))
        return list(each_dict(found.body))

    def _demanded(self, intent: Intent, base: Rules, work: Rules) -> Iterator[Finding]:
        found = demands(base, work, intent.base.partition("/")[0], merges=bool(intent.methods))
        lifted = {each for each in {each.bypass for each in found} if each is not None and self._may_bypass(each)}
        yield from (each.finding for each in found if each.bypass not in lifted)

    def _may_bypass(self, ruleset: int) -> bool:
        answer = self._reader.answer(lambda: self._client.get(f"rulesets/{ruleset}"))
        return answer.ok and answer.body.get("current_user_can_bypass") in _MAY_BYPASS

    def _readable_checks(self, rule: ChecksRule, revision: str) -> Iterator[Finding]:
        if not self._may_read(f"commits/{self._client.quoted(revision)}/status"):
            what = f"This token may not read the commit statuses of {self._name}."
            yield Finding.failed("checks", what, "Give it the permission commit statuses: read, or say `checks: none`.")
        if self._may_read(f"commits/{self._client.quoted(revision)}/check-runs"):
            return
        what = f"This token may not read the check runs of {self._name}; fine-grained tokens cannot"
        if rule is ChecksRule.ALL:
            yield Finding.failed("checks", f"{what}.", "Use a classic token or an app's, or say `checks: required`.")
        else:
            yield Finding.note("checks", f"{what}. A required one that fails is waited for until the time is up.")

    def _may_read(self, path: str) -> bool:
        answer = self._reader.answer(lambda: self._client.get(path, {"per_page": "1"}))
        if not answer.ok and not _forbidden(answer):
            raise ForgeError(refusal(f"show {path} of {self._name}", answer))
        return answer.ok

    def _budget(self, budget: Callable[[], Budget] | None) -> Iterator[Finding]:
        if budget is None:
            return
        found = budget()
        yield Finding.good("budget", found.sentence) if found.fits else Finding.failed("budget", found.sentence)


def _forbidden(answer: Answer) -> bool:
    return answer.status == 403 and not answer.limited


def _remote(said: str) -> str:
    """What the server said, or the last line of git."""
    lines = re.findall(r"remote: (.+)", said) or [said.splitlines()[-1].rpartition(" and printed: ")[2]]
    return " ".join(line.strip() for line in lines).rstrip(".")


def _writing(repository: Answer) -> str:
    """How a token may come to write; only classic ones are told their scopes."""
    scopes = repository.headers.get("x-oauth-scopes")
    if scopes is None:
        return "Give the token the permission contents: write; its user needs write access as well."
    enough = {"repo"} if repository.body.get("private") else {"repo", "public_repo"}
    if enough.isdisjoint(each.strip() for each in scopes.split(",")):
        return "Give the token the scope repo, or use another token."
    return "Give the token's user write access (Settings > Collaborators and teams), or use another token."


def _opening(answer: Answer) -> str:
    if answer.says("GitHub Actions is not permitted"):
        return "Turn on Settings > Actions > General > Allow GitHub Actions to create and approve pull requests."
    if "x-oauth-scopes" in answer.headers:
        return "Give the token the scope repo and its user write access, or use another token."
    return "Give the token the permission pull requests: write, or use another token."
