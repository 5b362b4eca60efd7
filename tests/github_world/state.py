"""What a GitHub knows besides git: users' tokens, repositories' settings, pull requests, checks."""

from __future__ import annotations

from dataclasses import dataclass, field

SUCCEEDED = ("success", "neutral", "skipped")


@dataclass(frozen=True)
class Token:
    """A token.

    Args:
        text: the secret.
        login: whose it is.
        permission: write; contents: all but pull requests; read; or none: then private repositories are not found.
        fine_grained: one that cannot read check runs.
    """

    text: str
    login: str
    permission: str = "write"
    fine_grained: bool = False

    def may(self, permission: str) -> bool:
        """Whether it may write ``contents`` or ``pull_requests``."""
        return self.permission == "write" or self.permission == permission


@dataclass
class Budget:
    """The primary limit of one user, and what it is counted with.

    Args:
        limit: requests in an hour.
        used: so many are spent.
        reset: when the hour ends, in seconds since the epoch.
    """

    limit: int = 5000
    used: int = 0
    reset: float = 0.0

    @property
    def remaining(self) -> int:
        """What is left."""
        return max(0, self.limit - self.used)


@dataclass
class Lag:
    """How far reading is behind writing, in REST requests (of anybody) after the change.

    Args:
        refs: a branch's change is not seen by REST (also when a pull request is opened).
        lists: a pull request's change is not seen in lists.
        pulls: a new pull request is not found by its number; a merge or a close of it is not seen.
        mergeable: so many reads of a pull request say null, after each change of its head or base.
        mergeable_seconds: and it is null for so long by the world's clock.
        deletion: GitHub deletes the head branch so much later, where the repository says so.
        update: ``update-branch`` takes so long.
    """

    refs: int = 0
    lists: int = 0
    pulls: int = 0
    mergeable: int = 0
    mergeable_seconds: float = 0.0
    deletion: int = 0
    update: int = 0


@dataclass(frozen=True)
class Rule:
    """What is demanded of a branch, or of all whose names match a pattern.

    Args:
        required: names of checks that must have succeeded.
        strict: the head must be up to date with its base.
        reviews: so many approvals are missing for ever.
        pushes: whether it may be pushed to directly.
        ruleset: it is part of a ruleset, not of classic branch protection.
        number: the ruleset's id.
        bypass: who asks may bypass the ruleset: never, always, pull_requests_only or exempt.
        on_create: whether checks are demanded of a new branch, too.
        methods: the merge methods that the rule about pull requests allows; none: it does not say.
        others: more rules of the ruleset, by their types. They are shown, but nothing is refused because of them.
    """

    required: tuple[str, ...] = ()
    strict: bool = False
    reviews: int = 0
    pushes: bool = True
    ruleset: bool = False
    number: int = 1
    bypass: str = "never"
    on_create: bool = False
    methods: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """A check of one commit, and its course in REST requests since it was made.

    Args:
        name: its name, or its context.
        outcome: success, failure, neutral, cancelled, skipped, timed_out; None: it never ends.
        kind: check (a check run) or status (a commit status).
        starts: it is not seen before so many requests.
        ends: it is pending before so many requests.
        made: how many requests there had been.
    """

    name: str
    outcome: str | None = "success"
    kind: str = "check"
    starts: int = 0
    ends: int = 0
    made: int = 0

    def seen(self, tick: int) -> bool:
        """Whether it has started."""
        return tick > self.made + self.starts

    def result(self, tick: int) -> str | None:
        """The outcome, or None while it is pending."""
        return self.outcome if tick > self.made + max(self.starts, self.ends) else None


@dataclass(frozen=True)
class Face:
    """What of a pull request changes, at one time."""

    state: str
    title: str
    body: str | None
    base: str
    head_sha: str
    merged: bool = False
    merge_sha: str | None = None
    merged_by: str | None = None


@dataclass
class Pull:
    """A pull request: its faces over time, each with the number of REST requests there had been.

    ``fork`` is the repository that its head lies in, when that is not this one; "" is one that was deleted.
    """

    number: int
    author: str
    branch: str
    draft: bool
    base_sha: str
    faces: list[tuple[int, Face]] = field(default_factory=list)
    unknown_reads: int = 0
    fork: str | None = None
    unknown_until: float = 0.0

    @property
    def now(self) -> Face:
        """As it is."""
        return self.faces[-1][1]

    def seen(self, tick: int, lag: int) -> Face | None:
        """As it was so many requests ago, or None."""
        known = [face for made, face in self.faces if tick > made + lag]
        return known[-1] if known else None


@dataclass(frozen=True)
class Logged:
    """One request that was answered, or not.

    Args:
        method: its verb.
        path: decoded, below the API's base (git: below the root).
        query: as it was sent.
        status: of the answer; 0: the connection was reset.
        authorized: whether it carried a credential.
        login: whose, or None.
        began: ``time.monotonic()`` of its arrival.
        ended: ... and of its answer.
        counted: whether it counted against the primary limit.
        kind: api or git.
    """

    method: str
    path: str
    query: str
    status: int
    authorized: bool
    login: str | None
    began: float
    ended: float
    counted: bool
    kind: str
