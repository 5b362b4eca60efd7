"""What sessions leave on a forge: which branches are theirs, how old they are, and what forbids removing one."""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Protocol, runtime_checkable

from pytest_pipeline.errors import ForgeError

PREFIX = "pipeline/"
"""What every branch of a session begins with."""

_SESSION = r"(?P<start>[0-9]{8}-[0-9]{6})-[0-9a-f]{6}"
_BRANCH = re.compile(
    rf"(?P<run>{PREFIX}(?P<session>{_SESSION})/run-[0-9]{{2,}})/"
    r"(?:(?P<base>base)|[A-Za-z0-9_.-]+/batch(?:-[a-z0-9]+)*-task(?:-[a-z0-9]+)*)"
)


class BranchKind(str, enum.Enum):
    """What a branch is for."""

    BASE = "base"  # what a run has merged
    TASK = "task"

    def __str__(self) -> str:
        return self.value


def session_start(session: str) -> datetime | None:
    """When a session began, in UTC, by its id; None for what is no id of a session."""
    found = re.fullmatch(_SESSION, session)
    try:
        return datetime.strptime(found["start"], "%Y%m%d-%H%M%S").replace(tzinfo=timezone.utc) if found else None
    except ValueError:  # no such day
        return None


@dataclass(frozen=True)
class OwnBranch:
    """A branch that a session has made, known by the form of its name alone.

    Args:
        name: the branch.
        run: the part of its name that all branches of the run share.
        session: id of the session.
        started: when the session began, in UTC.
        kind: what it is for.
    """

    name: str
    run: str
    session: str
    started: datetime
    kind: BranchKind

    @classmethod
    def read(cls, name: str) -> OwnBranch | None:
        """Tell from the name; None when not every part of it is as sessions write it."""
        found = _BRANCH.fullmatch(name)
        started = session_start(found["session"]) if found else None
        if found is None or started is None:
            return None
        kind = BranchKind.BASE if found["base"] else BranchKind.TASK
        return cls(name, found["run"], found["session"], started, kind)


@dataclass(frozen=True)
class OpenPullRequest:
    """An open pull request, whoever made it.

    Args:
        number: its number.
        url: its page.
        branch: where it comes from; None: from another repository.
        base: the branch that it is to be merged into.
        marked: whether it says itself that the pipeline made it for that branch.
    """

    number: int
    url: str
    branch: str | None
    base: str
    marked: bool


@dataclass(frozen=True)
class Leftover:
    """A branch that a session left, and what hangs on it.

    Args:
        branch: the branch.
        head: the commit that it is at.
        pull_requests: open pull requests from it, all made by the pipeline.
        kept: why it must not be removed; empty when it may.
    """

    branch: OwnBranch
    head: str
    pull_requests: tuple[OpenPullRequest, ...] = ()
    kept: str = ""


@runtime_checkable
class Sweepable(Protocol):
    """A forge that knows what sessions left on it. Each method raises ForgeError when the forge does not answer."""

    @property
    def name(self) -> str:
        """The forge as the record shows it, for example ``local``."""

    @property
    def repository(self) -> str:
        """The repository as the record shows it."""

    def leftovers(self) -> tuple[Leftover, ...]:
        """Everything that sessions left, in the order in which it can be removed."""

    def remove(self, leftover: Leftover) -> tuple[OpenPullRequest, ...]:
        """Close the pipeline's pull requests from the branch and delete it; that it is gone already is fine.

        Returns:
            The pull requests that were closed.

        Raises:
            ForgeError: it is no longer at ``leftover.head``, somebody else's pull request needs it, or the forge
                refuses.
        """


def gather(heads: Mapping[str, str], pull_requests: Iterable[OpenPullRequest]) -> tuple[Leftover, ...]:
    """Pick out what sessions left, a run's base after the branches of its tasks: its removal would close theirs.

    Args:
        heads: branches of the forge and their commits, ours and others.
        pull_requests: all that are open.
    """
    touching: dict[str | None, list[OpenPullRequest]] = {}
    for each in pull_requests:
        for end in {each.branch, each.base}:
            touching.setdefault(end, []).append(each)
    own = [branch for branch in map(OwnBranch.read, heads) if branch is not None]
    found: list[Leftover] = []
    staying: set[str] = set()
    for branch in sorted(own, key=lambda each: (each.session, each.kind is BranchKind.BASE, each.name)):
        near = touching.get(branch.name, [])
        kept = _reason_to_keep(branch, near, staying)
        if kept:
            staying.add(branch.name)
        mine = tuple(each for each in near if each.branch == branch.name and each.marked)
        found.append(Leftover(branch, heads[branch.name], mine, kept))
    return tuple(found)


def refuse_kept(branch: OwnBranch, pull_requests: Iterable[OpenPullRequest], staying: Collection[str]) -> None:
    """Look again just before the removal.

    Args:
        branch: the branch that is to be deleted.
        pull_requests: the open ones from it and into it.
        staying: branches that are there and have one of them.

    Raises:
        ForgeError: one of them would be closed with the branch, and must not be.
    """
    kept = _reason_to_keep(branch, pull_requests, staying)
    if kept:
        raise ForgeError(f"{branch.name} was not deleted: {kept}. Merge or close that one first.")


def _reason_to_keep(branch: OwnBranch, pull_requests: Iterable[OpenPullRequest], staying: Collection[str]) -> str:
    """A forge closes every open pull request from or into a branch that it deletes."""
    for each in pull_requests:
        shown = f"pull request #{each.number} ({each.url})"
        if each.branch == branch.name and not each.marked:
            return f"{shown}, which the pipeline has not made, is open from it"
        if each.base == branch.name and not _belongs(each, branch):
            return f"{shown}, which the pipeline has not made for this run, is open into it"
        if each.base == branch.name and each.branch in staying:
            return f"{shown} is open into it, from a branch that stays"
    return ""


def _belongs(pull_request: OpenPullRequest, base: OwnBranch) -> bool:
    """Whether it is a task's, into the base of that task's own run."""
    task = OwnBranch.read(pull_request.branch or "") if pull_request.marked else None
    return task is not None and (base.kind, task.run) == (BranchKind.BASE, base.run)
