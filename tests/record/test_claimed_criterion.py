"""What a record says of its criterion over several sessions and under chaos, alone and beside a store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_pipeline.record.claimed_criterion import Known, unconfirmed_history
from pytest_pipeline.record.claims import Claim, Record
from pytest_pipeline.record.consistency import admitted_runs
from pytest_pipeline.record.model import Outcome, RunRecord, SessionRecord
from tests.record.claiming import claim, lies, record
from tests.record.conftest import at

PASSED = claim(1)
FAILED = claim(1, "failed")
AGAIN = claim(1, attempt=2, draws="2")


def third(
    *claims: Claim, streak: int = 3, admitted: int = 3, successful: int = 3, required: int = 3, **facts: str
) -> Record:
    """The record of session S, which counts the runs of sessions A and B before it."""
    told = {"history": "A, B, S", "runs__order": "1", **facts}
    own = claims or (PASSED,)
    return record(*own, required=required, streak=streak, admitted=admitted, successful=successful, **told)


def known(
    *, first: str = "p", second: str = "p", required: int = 3, history: str = "A, B, S", everything: bool = True
) -> Known:
    """What a store holds of it: sessions A and B, whose runs ended like the letters say."""
    ends = {"p": Outcome.PASSED, "f": Outcome.FAILED, "r": Outcome.RUNNING}
    earlier = {
        name: [RunRecord(name, place, place, at(place), ends[end]) for place, end in enumerate(letters, 1)]
        for name, letters in {"A": first, "B": second}.items()
    }
    facts = {"history": history} if history else {}
    return Known(SessionRecord("S", at(0), required, 1, facts), earlier if everything else None)


def test_runs_of_earlier_sessions_are_confirmed_by_the_store_that_holds_them() -> None:
    assert lies(third(), known=known()) == []
    assert [*unconfirmed_history(third(), known())] == []
    honest = third(streak=2, admitted=4, successful=3)
    assert lies(honest, known=known(first="pf")) == []
    assert lies(third(streak=1, successful=2), known=known(second="r")) == []


def test_new_draws_of_all_sessions_count() -> None:
    assert lies(third(AGAIN, runs__redrawn="3")) == []
    assert lies(third(AGAIN, runs__redrawn="2"), known=replace(known(), redrawn=1)) == []
    assert lies(third(AGAIN, runs__redrawn="2"), known=known())[0] == (
        "The record says runs.redrawn 2; from its test cases follows 1."
    )


@pytest.mark.parametrize("beside", [None, known(everything=False), known(history="B, A, S")])
def test_else_they_cannot_be_confirmed(beside: Known | None) -> None:
    assert [*unconfirmed_history(third(), beside)] == [
        "The record counts the runs of 2 sessions from A on too, of which it has no test cases. They cannot be "
        "confirmed without the store that holds them."
    ]
    assert lies(third()) == []


def test_a_history_of_this_session_alone_needs_no_store() -> None:
    alone = third(streak=1, admitted=1, successful=1, history="S")
    assert (lies(alone), [*unconfirmed_history(alone, None)]) == ([], [])
    assert lies(third(history="S"))[0] == "The record says runs.admitted 3; from its test cases follows 1."


def test_a_session_taken_up_again_names_its_history_once_more() -> None:
    twice = third(streak=2, admitted=2, successful=2, history="A, B, S; B, S")
    assert lies(twice, known=known(history="A, B, S; B, S")) == []


@pytest.mark.parametrize("history", ["x", "A, B", "S, A", "A, A, S", "", "A, B, S; x"])
def test_a_history_ends_in_its_own_session(history: str) -> None:
    assert "The history of the record does not end in its own session S, or names one twice." in lies(
        third(history=history)
    )


@pytest.mark.parametrize(
    ("dishonest", "said"),
    [
        (third(FAILED), "The record says that 3 of 3 runs succeeded; 0 of 1 did by its own test cases alone."),
        (third(FAILED, admitted=4), "The record says criterion.streak 3; from its test cases follows 0."),
        (third(PASSED, claim(2), successful=1, streak=1), "1 of 3 runs succeeded; 2 of 2 did by its own test cases"),
        (third(streak=4, admitted=5), "criterion.streak 4, which 3 successful of 5 runs cannot be."),
        (third(streak=0, admitted=5), "criterion.streak 0, which 3 successful of 5 runs cannot be."),
        (third(streak=2), "criterion.streak 2, which 3 successful of 3 runs cannot be."),
        (third(runs__redrawn="3"), "The record says runs.redrawn 3, which cannot be; 0 are by its own test cases."),
        (third(AGAIN), "The record says runs.redrawn 0, which cannot be; 1 are by its own test cases."),
        (third(lower_bound="0.9"), "The record says lower_bound 0.9; from its test cases follows 0.2557."),
        (third(lower_bound_anytime="0.9"), "The record says lower_bound_anytime 0.9; from"),
        (third(criterion__met="no"), "The record says criterion.met no; from its test cases follows yes."),
        (third(required=4, criterion__met="yes"), "The record says criterion.met yes; from its test cases follows no."),
        (third(lower_bound_rule="runs fixed in advance"), "their number was not fixed in advance."),
        (third(criterion__streak="all"), "The record does not say its streak and how many runs"),
        (third(runs__admitted="1000000"), "The record does not say its streak and how many runs"),
    ],
)
def test_what_its_own_runs_leave_impossible_is_a_lie(dishonest: Record, said: str) -> None:
    assert any(said in each for each in lies(dishonest))


def test_with_a_store_the_runs_of_earlier_sessions_count_as_they_ended() -> None:
    assert "The record says criterion.streak 3; from its test cases follows 1." in lies(
        third(), known=known(second="f")
    )


@pytest.mark.parametrize(
    ("told", "beside", "said"),
    [
        (third(), known(required=10), "The record says criterion.required 3; the store says 10."),
        (third(), known(history=""), "The record says history A, B, S; the store says nothing."),
        (third(), known(history="B, S"), "The record says history A, B, S; the store says B, S."),
        (
            record(PASSED, required=3, streak=1, admitted=1, successful=1),
            known(),
            "The record says history nothing; the store says A, B, S.",
        ),
        (third(chaos="seed 7", criterion__met="no"), known(), "The record says chaos seed 7; the store says nothing."),
    ],
)
def test_the_store_knows_what_was_asked_for(told: Record, beside: Known, said: str) -> None:
    assert said in lies(told, known=beside)


def test_what_was_added_after_the_record_was_written_is_no_lie_of_it() -> None:
    assert lies(third(), known=known(history="A, B, S; B, S")) == []


def test_a_label_of_chaos_that_was_taken_off_is_missed() -> None:
    shaken = claim(1, chaos="store-slow (absorbed)")
    stripped = record(shaken, required=1, streak=1, admitted=1, successful=1)
    assert lies(stripped) == [
        "Test cases of the record tell of injected faults, and it does not say that its session was under chaos.",
        "The record is of a session under chaos, which never meets a criterion, and claims that it is met.",
    ]
    honest = record(shaken, required=1, streak=1, admitted=1, successful=1, chaos="seed 7", criterion__met="no")
    assert lies(honest) == []
    beside = Known(SessionRecord("S", at(0), 1, 1, {"chaos": "seed 7"}))
    assert lies(honest, known=beside) == []
    clean = record(PASSED, required=1, streak=1, admitted=1, successful=1)
    assert lies(clean, known=beside) == ["The record says chaos nothing; the store says seed 7."]


def test_of_its_own_runs_those_were_admitted_that_the_order_names() -> None:
    own = (claim(1), claim(2, "completed"), claim(3, "skipped"))
    assert admitted_runs(third(*own, runs__order="2 1")) == [2, 1]
