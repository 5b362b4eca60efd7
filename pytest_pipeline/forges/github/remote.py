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

_PASSING = re.compile(
    r"RPC failed|hung up unexpectedly|returned error: (5\d\d|429)|Internal Server Error|\(failed\)|cannot lock ref"
    r"|stale info|early EOF|unexpected disconnect|Connection (reset|refused|timed out)|Failed to connect"
    r"|Could not resolve host|Empty reply|Recv failure",
    re.IGNORECASE,
)
"""What passes by itself, or leaves open whether the push was done; everything else is permanent."""

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
    (re.compile(r"not found", re.IGNORECASE), "Look for a mistake in the repository's name; the token must see it."),
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
        refs = {f"refs/heads/{branch}": branch for branch in branches}
        for last in self.waiting.tries(self.patience.outage):
            try:
                with self.environment() as environment:
                    listed = self.git.run("ls-remote", "--", self.url, *refs, environment=environment)
            except GitError as error:
                self._give_up("read the branches of", error, last=last)
                continue
            tips = dict(_lines(listed.stdout.decode("utf-8", "surrogateescape")))
            return {branch: tips.get(ref) for ref, branch in refs.items()}
        raise AssertionError("the last try raises")

    def ensure(self, branch: str, commit: str, source: Repository) -> None:
        """Make sure that a branch exists; a new one starts at ``commit``, whose objects lie in ``source``.

        Raises:
            ForgeError: it cannot be pushed.
        """
        for last in self.waiting.tries(self.patience.outage):
            if self.heads(branch)[branch] is not None:
                return
            try:
                with self.gate.call(CallKind.PUSH), self.environment() as environment:
                    source.push(self.url, commit, branch, expected=None, environment=environment)
            except GitError as error:
                # The answer may be lost and the push done; or another process was faster.
                if self.heads(branch)[branch] is None:
                    self._give_up(f"push {branch} to", error, last=last)
            else:
                return

    def bring(self, commit: str) -> None:
        """Have a commit of the remote, and what it stands on, in our repository.

        Raises:
            ForgeError: git cannot fetch it.
        """
        for last in self.waiting.tries(self.patience.outage):
            if self.git.resolve(commit) == commit:
                return
            try:
                with self.environment() as environment:
                    self.git.fetch(self.url, [commit], environment=environment)
            except GitError as error:
                self._give_up(f"fetch {commit} from", error, last=last)

    def _give_up(self, what: str, error: GitError, *, last: bool) -> None:
        said = str(error)
        if not last and _PASSING.search(said):
            return
        known = (remedy for pattern, remedy in _REMEDIES if pattern.search(said))
        remedy = next(known, "Look whether the server answers, and start again.")
        raise ForgeError(f"git could not {what} {self.url}: {said} {remedy}") from error


def _lines(listed: str) -> Iterator[tuple[str, str]]:
    for line in listed.splitlines():
        sha, _, ref = line.partition("\t")
        yield ref, sha
