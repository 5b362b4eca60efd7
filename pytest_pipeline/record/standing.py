"""How a session stands, in one word, and what a list says of it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from pytest_pipeline.record import history
from pytest_pipeline.record.criterion import Verdict, judge
from pytest_pipeline.record.history import verdict_of
from pytest_pipeline.record.model import RunRecord, SessionRecord

_INTERRUPTED, _NOT_MET = 2, 8  # exit codes of pytest and of ours


class State(str, enum.Enum):
    """What became of a session."""

    RUNNING = "running"  # a process carries it on
    UNFINISHED = "unfinished"  # its process was killed
    PASSED = "passed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    NOT_MET = "criterion not met"  # nothing failed, and there were too few runs

    def __str__(self) -> str:
        return self.value


class Kept(history.Kept, Protocol):
    """What a store tells of its sessions, and of what they cost."""

    def cost(self, session: str) -> Decimal:
        """US dollars that a session has cost so far."""
        ...


@dataclass(frozen=True)
class Standing:
    """A session as a list shows it.

    Args:
        session: the session.
        state: how it stands.
        verdict: what its runs say about the criterion.
        cost: US dollars so far.
    """

    session: SessionRecord
    state: State
    verdict: Verdict
    cost: Decimal

    @property
    def met(self) -> bool:
        """Whether the criterion was met; under chaos it never is, whatever the runs say."""
        return self.verdict.met if self.session.met is None else self.session.met

    @property
    def seconds(self) -> float | None:
        """How long it took; None: it has not ended."""
        ended = self.session.finished
        return None if ended is None else (ended - self.session.started).total_seconds()


def stand(session: SessionRecord, runs: Sequence[RunRecord], cost: Decimal, *, alive: bool) -> Standing:
    """How a session stands.

    Args:
        session: the session.
        runs: its runs.
        cost: US dollars so far.
        alive: whether a process carries it on.
    """
    verdict = judge(runs, session.required, session.count, chaos="chaos" in session.facts, alive=alive)
    return Standing(session, _state(session, alive=alive), verdict, cost)


def standing_of(store: Kept, session: SessionRecord, *, alive: bool) -> Standing:
    """How a session stands by its store: its criterion counts what :func:`~.history.verdict_of` counts.

    Args:
        store: holds the session.
        session: the session.
        alive: whether a process carries it on.
    """
    verdict = verdict_of(store, session, alive=alive)
    return Standing(session, _state(session, alive=alive), verdict, store.cost(session.id))


def _state(session: SessionRecord, *, alive: bool) -> State:
    if session.finished is None:
        return State.RUNNING if alive else State.UNFINISHED
    known = {0: State.PASSED, _INTERRUPTED: State.INTERRUPTED, _NOT_MET: State.NOT_MET}
    return known.get(session.exit_code or 0, State.FAILED)


def age(standing: Standing, now: datetime) -> float:
    """Seconds since it began."""
    return max(0.0, (now - standing.session.started).total_seconds())
