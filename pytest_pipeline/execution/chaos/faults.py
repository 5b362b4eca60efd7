"""The catalogue of faults: at which seam each strikes, and what must become of a task that it strikes."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass

from pytest_pipeline.errors import FailureKind


class Seam(str, enum.Enum):
    """Where a session touches what can fail."""

    AGENT = "agent"
    GIT = "git"
    FORGE = "forge"
    STORE = "store"
    WORKER = "worker"
    CLOCK = "clock"

    def __str__(self) -> str:
        return self.value


class Need(enum.Enum):
    """What must be there for a fault to be possible."""

    LOCAL = enum.auto()  # the embedded forge
    GITHUB = enum.auto()
    SQLITE = enum.auto()  # as the store
    WORKER = enum.auto()  # of xdist: somebody replaces a process that dies
    CHANGES = enum.auto()  # a task that is to change files: one that is to fail proves nothing by failing


@dataclass(frozen=True)
class Fault:
    """One way in which the world fails.

    Args:
        name: as the record shows it.
        seam: where it strikes; a task has at most one fault of each seam.
        kind: the kind of failure that it must end in; None: it must be absorbed.
        what: what is done, in a few words.
        needs: what must be there.
    """

    name: str
    seam: Seam
    kind: FailureKind | None
    what: str
    needs: frozenset[Need] = frozenset()

    @property
    def fatal(self) -> bool:
        """Whether the task must fail."""
        return self.kind is not None


_AGENT = frozenset({Need.CHANGES})
_LOCAL, _GITHUB = frozenset({Need.LOCAL}), frozenset({Need.GITHUB})

CATALOGUE = (
    Fault("agent-killed", Seam.AGENT, FailureKind.AGENT, "the agent leaves half a file and dies by SIGKILL", _AGENT),
    Fault("agent-hangs", Seam.AGENT, FailureKind.AGENT, "the agent never ends, and its wall time is 1 s", _AGENT),
    Fault(
        "agent-overloaded",
        Seam.AGENT,
        FailureKind.INFRASTRUCTURE,
        "the agent's model is overloaded before its first turn",
        _AGENT,
    ),
    Fault("agent-floods", Seam.AGENT, None, "25 MiB of output before the agent works", _AGENT),
    Fault("git-lock-held", Seam.GIT, None, "the run's base branch is locked for half a second while it merges", _LOCAL),
    Fault("push-rejected", Seam.GIT, FailureKind.FORGE, "somebody else has pushed to the task's branch first", _LOCAL),
    Fault(
        "answer-lost",
        Seam.GIT,
        None,
        "a push, pull request, merge or deletion is done twice, because its answer is lost",
    ),
    Fault("github-502", Seam.FORGE, None, "GitHub answers with a proxy's page", _GITHUB),
    Fault("github-reset", Seam.FORGE, None, "the connection to GitHub breaks", _GITHUB),
    Fault("github-secondary", Seam.FORGE, None, "GitHub's secondary limit asks for a second's patience", _GITHUB),
    Fault("github-lag", Seam.FORGE, None, "GitHub answers once more what it said before", _GITHUB),
    Fault(
        "store-busy", Seam.STORE, None, "somebody else writes to the store for up to a second", frozenset({Need.SQLITE})
    ),
    Fault("store-slow", Seam.STORE, None, "somebody else writes to the store at every step", frozenset({Need.SQLITE})),
    Fault(
        "worker-killed",
        Seam.WORKER,
        FailureKind.INFRASTRUCTURE,
        "the worker dies by SIGKILL before or after a step",
        frozenset({Need.WORKER}),
    ),
    Fault("clock-jump", Seam.CLOCK, None, "the clock jumps by an hour, forward or back, and returns at the end"),
)
"""Every fault, by seam."""


def possible(here: Collection[Need]) -> tuple[Fault, ...]:
    """The faults that can be injected where these things are there."""
    return tuple(fault for fault in CATALOGUE if fault.needs <= set(here))
