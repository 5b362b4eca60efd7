"""The criterion over time: consecutive successful runs of sessions that can be compared.

A session is about the same subject when it ran the same plans on the same repository. It is compared when also the
plans' texts, the selected tasks, the agent and its version, the models asked for and used, the pipeline's version and
what it was told are the same. The first one that differs ends the look back: what lies behind it was another
experiment.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pytest_pipeline.record.criterion import Verdict, judge
from pytest_pipeline.record.model import Outcome, RunRecord, SessionRecord

_PLAN = re.compile(r"(?:^|, )(.+?) [0-9a-f]{16}(?=, |$)")

_CONDITIONS = (
    ("plans", "another plan text"),
    ("tasks", "other tasks selected"),
    ("agent", "another agent"),
    ("agent_version", "another version of the agent"),
    ("model", "another model"),
    ("rehearsal", "another kind of rehearsal"),
    ("conditions", "other options"),
)
"""Facts that must be equal, and what is said of a session where one is not."""


@dataclass(frozen=True)
class History:
    """Sessions that can be compared, up to the current one.

    Args:
        sessions: the oldest first; the current one is the last.
        runs: all their runs in the order in which they were admitted, numbered through.
        ended_by: why the look back ended; empty where there was nothing more.
    """

    sessions: tuple[SessionRecord, ...]
    runs: tuple[RunRecord, ...]
    ended_by: str = ""

    def told(self) -> str:
        """The history in a sentence or two."""
        verdict = judge(self.runs, 1, None)
        since = f"{self.sessions[0].started:%Y-%m-%d}"
        count = len(self.sessions)
        which = "this session alone" if count == 1 else f"{count} sessions since {since}"
        told = (
            f"history: streak {verdict.streak}, longest {verdict.longest}; {verdict.successful} of {verdict.admitted} "
            f"runs succeeded in {which}"
        )
        return f"{told}; {self.ended_by}" if self.ended_by else told


def look_back(sessions: Sequence[SessionRecord], current: str, store: Kept) -> History:
    """The sessions that a session can be compared with.

    Sessions under chaos count for nothing, and end nothing.

    Args:
        sessions: all that the store holds, in the order in which they were opened.
        current: id of the one to start from.
        store: tells of their runs, and the models that they used.
    """
    [place] = [place for place, each in enumerate(sessions) if each.id == current]
    newest, earlier = sessions[place], sessions[:place]
    found, ended_by, models = [newest], "", _Models()
    models.are_shared_by(newest, store)
    for each in reversed(earlier):
        if _subject(each) != _subject(newest) or "chaos" in each.facts:
            continue
        difference = _difference(newest, each) or ("" if models.are_shared_by(each, store) else "another model used")
        if difference:
            ended_by = f"the session before them, {each.id}, had {difference}"
            break
        found.append(each)
    ordered = tuple(reversed(found))
    return History(ordered, in_a_row(store.runs(each.id) for each in ordered), ended_by)


class _Models:
    """The models that the sessions so far have used, as agents tell: nobody need have asked for one.

    A session that failed may have come to use fewer of them.
    """

    def __init__(self) -> None:
        self._used: frozenset[str] | None = None
        self._may_be_more = True

    def are_shared_by(self, session: SessionRecord, store: Kept) -> bool:
        """Whether a session has used the same ones."""
        used = frozenset(store.models(session.id))
        may_be_more = any(run.outcome is not Outcome.PASSED for run in store.runs(session.id))
        known = used if self._used is None else self._used
        fits = used == known or (may_be_more and used < known) or (self._may_be_more and used > known)
        if fits:
            self._used, self._may_be_more = used | known, may_be_more and self._may_be_more
        return fits


def in_a_row(sessions: Iterable[Iterable[RunRecord]]) -> tuple[RunRecord, ...]:
    """The runs of several sessions, the oldest session first, in the order of admission and numbered through."""
    runs = [run for each in sessions for run in sorted(each, key=lambda run: run.admitted)]
    return tuple(replace(run, number=number, admitted=number) for number, run in enumerate(runs, 1))


class Kept(Protocol):
    """What a store tells of its sessions."""

    def runs(self, session: str) -> Sequence[RunRecord]:
        """The runs of a session."""
        ...

    def redrawn(self, session: str) -> Collection[int]:
        """Numbers of its runs in which an agent had begun more than once on a task."""
        ...

    def models(self, session: str) -> Collection[str]:
        """The models that its agents told that they used."""
        ...


def verdict_of(store: Kept, session: SessionRecord, *, alive: bool = False) -> Verdict:
    """What counts for a session's criterion: its runs, with ``--count-history`` those of earlier sessions too.

    Everything that is told of a session is told from this: its end, its list, its page, its record made again.

    Args:
        store: holds the session.
        session: the session.
        alive: whether a process carries it on.
    """
    own = judge(
        store.runs(session.id),
        session.required,
        session.count,
        chaos="chaos" in session.facts,
        alive=alive,
        redrawn=store.redrawn(session.id),
    )
    named = sessions_named(session.facts.get("history", ""))
    if not named:
        return own
    runs = {each: store.runs(each) for each in named}
    return _verdict_over([*runs.values()], own, redrawn(store, runs))


def redrawn(store: Kept, sessions: Mapping[str, Sequence[RunRecord]]) -> int:
    """How many successful runs of sessions, given by id, had a task that was drawn anew."""
    return sum(judge(runs, 1, None, redrawn=store.redrawn(each)).redrawn for each, runs in sessions.items())


def _verdict_over(sessions: Sequence[Sequence[RunRecord]], own: Verdict, redrawn: int) -> Verdict:
    """What the runs of several sessions say; one looks every time, so their number was never fixed in advance.

    Args:
        sessions: the runs of each session, the oldest first; those of the current one are the last.
        own: what the current session's runs say; runs are named by the numbers that they have there.
        redrawn: successful runs in all of them with a new draw.
    """
    *earlier, current = sessions
    over = [[_as_it_was_left(run) for run in each] for each in earlier]
    judged = judge(in_a_row([*over, current]), own.required, None, chaos=own.chaos, alive=own.alive)
    return replace(judged, broken_by=own.broken_by, overlapping=own.overlapping, order=own.order, redrawn=redrawn)


def _as_it_was_left(run: RunRecord) -> RunRecord:
    """A run that an earlier session left under way never ends."""
    return replace(run, outcome=Outcome.INTERRUPTED) if run.outcome is Outcome.RUNNING else run


def sessions_named(fact: str) -> tuple[str, ...]:
    """The sessions that the fact ``history`` names, the oldest first; of a session taken up again its last one."""
    return tuple(filter(None, fact.rpartition("; ")[2].split(", ")))


def _subject(session: SessionRecord) -> tuple[object, ...]:
    return tuple(_PLAN.findall(session.facts.get("plans", ""))), session.facts.get("repository")


def _difference(newest: SessionRecord, earlier: SessionRecord) -> str:
    for name, what in _CONDITIONS:
        if newest.facts.get(name, "") != earlier.facts.get(name, ""):
            return what
    if _version(newest) != _version(earlier):
        return "another version of pytest-pipeline"
    return ""


def _version(session: SessionRecord) -> str:
    return session.facts.get("versions", "").partition(",")[0]
