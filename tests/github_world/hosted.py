"""A repository that GitHub hosts: a bare one, its settings, and what follows from a change of its branches."""

from __future__ import annotations

import fnmatch
import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from pytest_pipeline.host.git import RefUpdate, Repository
from tests.github_world.state import Check, Face, Lag, Pull, Rule

HEADS = "refs/heads/"
_REMEMBERED = 256  # changes of branches, for the lag: a benchmark makes thousands
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent/github",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "LC_ALL": "C",
}
_SETTINGS = {
    "http.receivepack": "true",
    "receive.autogc": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "uploadpack.allowAnySHA1InWant": "true",
    "uploadpack.allowFilter": "true",
}


class Surroundings(Protocol):
    """What a repository asks of its world."""

    tick: int
    lag: Lag

    @property
    def lock(self) -> AbstractContextManager[bool]:
        """Held while anything changes; for one thread more than once."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def later(self, requests: int, action: Callable[[], object]) -> None:
        """Act after so many REST requests."""


@dataclass
class Settings:
    """Of a repository, named as in GitHub's answer."""

    default_branch: str = "main"
    private: bool = True
    archived: bool = False
    allow_squash_merge: bool = True
    allow_merge_commit: bool = True
    allow_rebase_merge: bool = True
    allow_update_branch: bool = True
    delete_branch_on_merge: bool = False


class Hosted:
    """One repository on GitHub. Who writes to its git directory in another way calls :meth:`refresh`.

    Args:
        number: its id.
        full_name: ``owner/name``.
        git_dir: where its bare repository is made.
        settings: of it.
        world: lag, clock and count of requests.
    """

    def __init__(self, number: int, full_name: str, git_dir: Path, settings: Settings, world: Surroundings) -> None:
        self.id = number
        self.full_name = full_name
        self.git_dir = git_dir
        self.settings = settings
        self.rules: dict[str, Rule] = {}
        self.ci: list[Check] = []
        self.checks: dict[str, list[Check]] = {}
        self.pulls: dict[int, Pull] = {}
        self.conflicts: dict[tuple[str, str], bool] = {}
        self._world = world
        self._views: list[tuple[int, dict[str, str]]] = [(-1, {})]
        self._make()

    def _make(self) -> None:
        self.git_dir.mkdir(parents=True)
        self._git("init", "--quiet", "--bare", "--template=", f"--initial-branch={self.settings.default_branch}", ".")
        with (self.git_dir / "config").open("a") as config:
            for name, value in _SETTINGS.items():
                section, _, key = name.partition(".")
                config.write(f"[{section}]\n\t{key} = {value}\n")

    def _git(self, *arguments: str, stdin: bytes = b"") -> str:
        command = ("git", *arguments)
        done = subprocess.run(command, cwd=self.git_dir, env=ENVIRONMENT, input=stdin, capture_output=True)
        if done.returncode:
            raise RuntimeError(f"{command} failed: {done.stderr.decode()}")
        return done.stdout.decode().strip()

    @property
    def owner(self) -> str:
        """Its owner's login."""
        return self.full_name.partition("/")[0]

    @property
    def git(self) -> Repository:
        """Its bare repository; for one thread."""
        return Repository(self.git_dir)

    def branches(self) -> dict[str, str]:
        """The branches and their commits, after the last change that GitHub knows of."""
        return self._views[-1][1]

    def seen_branches(self) -> dict[str, str]:
        """The branches as REST knows them: perhaps of a while ago."""
        seen = [view for made, view in self._views if self._world.tick > made + self._world.lag.refs]
        return seen[-1] if seen else self._views[0][1]

    def contains(self, tip: str, sha: str) -> bool:
        """Whether a commit is the tip, or behind it."""
        return not self._git("rev-list", "--max-count=1", sha, f"^{tip}")

    def rule(self, branch: str) -> Rule:
        """What is demanded of a branch."""
        matching = (rule for pattern, rule in self.rules.items() if fnmatch.fnmatchcase(branch, pattern))
        return next(matching, Rule())

    def protect(self, pattern: str, rule: Rule) -> None:
        """Demand something of all branches that match."""
        self.rules[pattern] = rule

    def set_check(self, revision: str, check: Check) -> None:
        """Set a check of a branch's tip, or of a commit; one of the same name is replaced."""
        with self._world.lock:
            sha = self.branches().get(revision, revision)
            others = [each for each in self.checks.get(sha, []) if (each.name, each.kind) != (check.name, check.kind)]
            self.checks[sha] = [*others, replace(check, made=self._world.tick)]

    def seen_checks(self, sha: str, kind: str) -> list[Check]:
        """The checks of a commit that have started."""
        return [each for each in self.checks.get(sha, []) if each.kind == kind and each.seen(self._world.tick)]

    def commit(self, branch: str, files: Mapping[str, str | None], message: str = "Change") -> str:
        """Commit to a branch on the server (a new one starts at the default branch); None removes a file."""
        known = self.branches()
        parent = known.get(branch) or known.get(self.settings.default_branch)
        text = message.encode()
        lines = [f"commit {HEADS}{branch}", "committer Octo Cat <octocat@example.org> 1700000000 +0000"]
        stream = "\n".join(lines).encode() + b"\ndata %d\n%s\n" % (len(text), text)
        if parent:
            stream += f"from {parent}\n".encode()
        for name, content in files.items():
            data = (content or "").encode()
            stream += f"D {name}\n".encode() if content is None else b""
            stream += b"" if content is None else f"M 100644 inline {name}\ndata {len(data)}\n".encode() + data + b"\n"
        self._git("fast-import", "--quiet", "--force", stdin=stream)
        self.refresh()
        return self.branches()[branch]

    def move(self, branch: str, new: str | None, old: str | None) -> bool:
        """Compare and swap a branch; False when it is not at ``old``."""
        moved = self.git.update_refs([RefUpdate(HEADS + branch, new, old)])
        if moved:
            self.refresh()
        return moved

    def refresh(self) -> None:
        """Look what git has, and do what GitHub does after a change."""
        with self._world.lock:
            listed = self._git("for-each-ref", "--format=%(objectname) %(refname)", HEADS).splitlines()
            after = {name.removeprefix(HEADS): sha for sha, name in (line.split(" ", 1) for line in listed)}
            before = self.branches()
            if before == after:
                return
            self._views = [*self._views[-_REMEMBERED:], (self._world.tick, after)]
            for branch, sha in after.items():
                if before.get(branch) != sha:
                    self._moved(branch, sha)
            for pull in self.open_pulls():
                gone = pull.fork is None and pull.branch not in after
                if gone or pull.now.base not in after:
                    self.turn(pull, replace(pull.now, state="closed"))

    def _moved(self, branch: str, sha: str) -> None:
        made = self._world.tick
        if sha not in self.checks:
            self.checks[sha] = [replace(check, made=made) for check in self.ci]
        for pull in self.open_pulls():
            if pull.branch == branch and pull.fork is None:
                self.turn(pull, replace(pull.now, head_sha=sha))
                self.forget_mergeability(pull)
            elif pull.now.base == branch:
                self.forget_mergeability(pull)
                if self.contains(sha, pull.now.head_sha):
                    self.turn(pull, replace(pull.now, state="closed", merged=True, merge_sha=sha))

    def forget_mergeability(self, pull: Pull) -> None:
        """It has to be computed anew."""
        pull.unknown_reads = self._world.lag.mergeable
        pull.unknown_until = self._world.now() + self._world.lag.mergeable_seconds

    def open_pulls(self) -> list[Pull]:
        """The open pull requests."""
        return [pull for pull in self.pulls.values() if pull.now.state == "open"]

    def turn(self, pull: Pull, face: Face) -> None:
        """Change a pull request."""
        pull.faces.append((self._world.tick, face))
