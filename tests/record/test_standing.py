from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from pytest_pipeline.record.model import Outcome, RunRecord, SessionRecord
from pytest_pipeline.record.standing import State, age, stand, standing_of
from pytest_pipeline.record.store import Store
from tests.record.conftest import at

RUNS = [RunRecord("S", 1, 1, at(1), Outcome.PASSED, at(5))]


def ended(code: int | None, *, met: bool | None = None) -> SessionRecord:
    finished: datetime | None = None if code is None else at(60)
    return SessionRecord("S", at(0), 1, 1, {}, finished, 1, met, code)


@pytest.mark.parametrize(
    ("code", "alive", "state"),
    [
        (None, True, State.RUNNING),
        (None, False, State.UNFINISHED),
        (0, False, State.PASSED),
        (1, False, State.FAILED),
        (2, False, State.INTERRUPTED),
        (3, False, State.FAILED),
        (8, False, State.NOT_MET),
        (0, True, State.PASSED),
    ],
)
def test_a_session_stands_as_it_ended(code: int | None, alive: bool, state: State) -> None:
    assert stand(ended(code), RUNS, Decimal(), alive=alive).state is state


def test_what_was_decided_at_the_end_counts_and_else_what_the_runs_say() -> None:
    assert stand(ended(0, met=True), [], Decimal(), alive=False).met
    assert not stand(ended(8, met=False), RUNS, Decimal(), alive=False).met
    assert stand(ended(None), RUNS, Decimal(), alive=False).met


def test_its_criterion_counts_the_runs_of_the_sessions_that_it_names(store: Store) -> None:
    later = SessionRecord("T", at(9), 2, 1, {"history": "S, T"})
    store.finish_run("S", 1, Outcome.PASSED, at(5))
    store.open_session(later)
    store.admit_run("T", 1, at(10))
    store.finish_run("T", 1, Outcome.PASSED, at(15))

    standing = standing_of(store, later, alive=False)

    assert (standing.state, standing.verdict.streak, standing.met) == (State.UNFINISHED, 2, True)
    assert standing_of(store, store.session("S"), alive=True).state is State.RUNNING


def test_its_age_counts_from_its_beginning_and_its_time_to_its_end() -> None:
    standing = stand(ended(0), RUNS, Decimal(), alive=False)
    assert (age(standing, at(90)), standing.seconds) == (90, 60)
    assert age(standing, at(-1)) == 0
    assert stand(ended(None), RUNS, Decimal(), alive=False).seconds is None
