"""The git side: the tips of branches as git itself sees them (REST lags behind), pushes, and objects to look into."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from pytest_pipeline.errors import ForgeError
from pytest_pipeline.forges.gate_limits import CallKind
from pytest_pipeline.forges.github.client import Gate
from pytest_pipeline.forges.github.waiting import Patience, Waiting
from pytest_pipeline.host.git import GitError, Repository

_ID = re.compile(r"[0-9a-f]{40}")
_PASSING = re.compile(
    r"RPC failed|hung up unexpectedly|returned error: (5\d\d|429)|Internal Server Error|\(failed\)|cannot lock ref"
    r"|stale info|early EOF|unexpected disconnect|Connection (reset|refused|timed out)|Failed to connect"
    r"|Could not resolve host|Empty reply|Recv failure|transfer closed|Operation too slow",
    re.IGNORECASE,
)
"""What passes by itself, or leaves open whether the push was done; everything else is permanent."""

_REFUSED = re.compile(r"returned error: (3\d\d|40[134])|could not read Username")
"""Answers that no second try changes, also where git adds that the remote end hung up."""

_REMEDIES = (
    (
        re.compile(r"GH006|protected branch", re.IGNORECASE),
        "Take the branch out of the protection, or allow this token's user to push to it.",
    ),
    (
        re.compile(r"GH013|rule violations", re.IGNORECASE),
        "Look at the rulesets of the repository, and exempt the pipeline's branches or this token's user.",
    ),
    (re.compile(r"GH001|exceeds maximum", re.IGNORECASE), "Keep such large files out of the repository."),
    (
        re.compile(
            r"Authentication failed|could not read|returned error: 40[13]|denied|invalid .*token", re.IGNORECASE
        ),
        "Use a token that may write the contents of this repository.",
    ),
    (
        re.compile(r"not found|returned error: 404", re.IGNORECASE),
        "Look for a mistake in the repository's name; the token must see it.",
    ),
    (re.compile(r"returned error: 3\d\d"), "The repository has moved: name it as it is called now."),
)


@dataclass(frozen=True)
class Remote:
    """A repository on GitHub as git talks to it.

    Args:
        url: where git pushes to and fetches from, without a credential.
        environment: makes the environment in which git may do so.
        git: a repository of ours in which git runs, and in which fetched objects are kept.
        gate: what every push goes through.
        waiting: how to wait.
        patience: how long.
    """

    url: str
    environment: Callable[[], AbstractContextManager[Mapping[str, str]]]
    git: Repository
    gate: Gate
    waiting: Waiting
    patience: Patience

    def heads(self, *branches: str) -> Mapping[str, str | None]:
        """The commits that branches are at; None for one that is not there.

        Raises:
            ForgeError: git cannot read them.
        """
        tips = self.refs(*(f"refs/heads/{branch}" for branch in branches))
        return {branch: tips.get(f"refs/heads/{branch}") for branch in branches}

    def refs(self, *names: str) -> Mapping[str, str]:
        """What refs point to, by full names or ``HEAD``; those that are not there are missing.

        Raises:
            ForgeError: git cannot read them.
        """
        for last in self.waiting.tries(self.patience.outage):
            try:
                with self.environment() as environment:
                    listed = self.git.run("ls-remote", "--", self.url, *names, environment=environment)
            except GitError as error:
                self._give_up("read the branches of", error, last=last)
                continue
            return dict(_lines(listed.stdout.decode("utf-8", "surrogateescape")))
        raise AssertionError("the last try raises")

    def resolve(self, revision: str | None) -> str | None:
        """The commit that a branch, a tag, or a commit's whole id means; of None, that of the default branch.

        An id is only taken for what it says; :meth:`fetch` tells whether it is there.

        Raises:
            ForgeError: git cannot read the refs.
        """
        if revision is None:
            return self.refs("HEAD").get("HEAD")
        if _ID.fullmatch(revision):
            return revision
        names = (f"refs/heads/{revision}", f"refs/tags/{revision}^{{}}", f"refs/tags/{revision}")
        found = self.refs(*names)
        return next((found[name] for name in names if name in found), None)

    def move(self, branch: str, commit: str, old: str) -> str | None:
        """Push a commit of our repository to a branch that is at ``old``, whatever that one stands on.

        Returns:
            Where the branch is then: at ``commit``, unless somebody else moved it, so that nothing was pushed.

        Raises:
            ForgeError: it cannot be pushed.
        """
        return self._pushed(branch, commit, self.git, expected=old)

    def ensure(self, branch: str, commit: str, source: Repository) -> None:
        """Make sure that a branch exists; a new one starts at ``commit``, whose objects lie in ``source``.

        Raises:
            ForgeError: it cannot be pushed.
        """
        if self.heads(branch)[branch] is None:
            self._pushed(branch, commit, source, expected=None)

    def push(self, branch: str, commit: str, source: Repository) -> None:
        """Push ``commit``, whose objects lie in ``source``, to a new branch; that it is there already is fine.

        Raises:
            ForgeError: the branch is at another commit, or it cannot be pushed.
        """
        found = self._pushed(branch, commit, source, expected=None)
        if found != commit:
            raise ForgeError(
                f"{branch} is at {found}, so {commit} was not pushed there. Look who pushed it, or start a new session."
            )

    def _pushed(self, branch: str, commit: str, source: Repository, *, expected: str | None) -> str | None:
        """Push, and look after an error: the answer may be lost and the push done, or another process was faster.

        Returns:
            Where the branch is then.
        """
        for last in self.waiting.tries(self.patience.outage):
            try:
                with self.gate.call(CallKind.PUSH), self.environment() as environment:
                    source.push(self.url, commit, branch, expected=expected, environment=environment)
            except GitError as error:
                found = self.heads(branch)[branch]
                if found != expected:
                    return found
                self._give_up(f"push {branch} to", error, last=last)
            else:
                return commit
        raise AssertionError("the last try raises")

    def bring(self, commit: str) -> None:
        """Have a commit of the remote, and what it stands on, in our repository.

        Raises:
            ForgeError: git cannot fetch it.
        """
        if self.git.resolve(commit) != commit:
            self.fetch(commit, self.git)

    def fetch(self, what: str, target: Repository) -> None:
        """Bring a commit or a full ref name, and all that it stands on, to ``target``; no ref is written there.

        Raises:
            ForgeError: git cannot fetch it.
        """
        for last in self.waiting.tries(self.patience.outage):
            if self._fetched(what, target, last=last):
                return

    def _fetched(self, what: str, target: Repository, *, last: bool) -> bool:
        try:
            with self.environment() as environment:
                target.fetch(self.url, [what], environment=environment)
        except GitError as error:
            self._give_up(f"fetch {what} from", error, last=last)
            return False
        return True

    def _give_up(self, what: str, error: GitError, *, last: bool) -> None:
        said = str(error)
        if not last and _PASSING.search(said) and not _REFUSED.search(said):
            return
        known = (remedy for pattern, remedy in _REMEDIES if pattern.search(said))
        remedy = next(known, "Look whether the server answers, and start again.")
        raise ForgeError(f"git could not {what} {self.url}: {said} {remedy}") from error


def _lines(listed: str) -> Iterator[tuple[str, str]]:
    for line in listed.splitlines():
        sha, _, ref = line.partition("\t")
        yield ref, sha
