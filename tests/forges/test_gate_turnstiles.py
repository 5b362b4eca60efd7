"""What every turnstile does, wherever those who share a token meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from pytest_pipeline.forges.gate_files import FileTurnstile
from pytest_pipeline.forges.gate_sql import SqlTurnstile
from pytest_pipeline.forges.gate_state import Primary, State
from pytest_pipeline.forges.gate_turnstile import Turnstile
from tests.forges.gate_desk import ID, START

OTHER_ID = ID[::-1]
Maker = Callable[..., Turnstile]


@pytest.fixture(params=["files", "database"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Maker]:
    """Makes turnstiles at the same place, for one token or another."""
    url = request.getfixturevalue("postgres_url") if request.param == "database" else ""

    def made(token_id: str = ID) -> Turnstile:
        found = SqlTurnstile(url, token_id) if url else FileTurnstile(tmp_path / "gates", token_id)
        stack.enter_context(closing(found))
        return found

    with ExitStack() as stack:
        yield made


def test_one_at_a_time_has_the_turn(make: Maker) -> None:
    first, second = make(), make()
    assert first.take()
    assert not second.take()
    first.leave()
    assert second.take()
    assert not first.take()


def test_who_waits_has_the_turn_before_those_who_come_later(make: Maker) -> None:
    first, second, third = make(), make(), make()
    assert first.take()
    assert not second.take()
    first.leave()
    assert not first.take()
    assert not third.take()
    assert second.take()
    assert not third.take()
    third.give_up()
    assert not first.take()
    second.leave()
    assert not third.take()
    assert first.take()


def test_another_token_is_another_turn_and_another_state(make: Maker) -> None:
    ours, theirs = make(), make(OTHER_ID)
    assert ours.take()
    assert theirs.take()
    ours.write(State(strikes=2), ours.now())
    assert theirs.read(theirs.now()) == State()


def test_whoever_closes_has_neither_the_turn_nor_the_place_of_the_next(make: Maker) -> None:
    first, second, third = make(), make(), make()
    assert first.take()
    assert not second.take()
    second.close()
    assert not third.take()
    first.close()
    assert third.take()
    third.leave()
    assert first.take()


def test_leaving_and_giving_up_nothing_is_nothing(make: Maker) -> None:
    first, second = make(), make()
    first.leave()
    first.give_up()
    assert first.take()
    second.leave()
    second.give_up()
    assert not second.take()


def test_what_is_written_is_read_by_all_and_replaced(make: Maker) -> None:
    first, second = make(), make()
    assert second.read(START) == State()
    assert first.take()
    known = State(
        last_write=START - 3,
        content=[START - 9, START - 3],
        pushes={"o/n": [START - 5]},
        merges={"o/ü": [START - 3]},
        primary=Primary(5000, 7, START + 99, START),
        blocked_until=START + 42,
        strikes=3,
        struck_reading=True,
    )
    first.write(known, START)
    assert second.read(START) == known
    first.write(State(strikes=1), START + 1)
    assert second.read(START + 2) == State(strikes=1)


def test_a_change_that_nobody_ended_counts_from_when_that_is_found(make: Maker) -> None:
    first, second = make(), make()
    assert first.take()
    first.write(State(last_write=START - 100, write_open=True), START - 100)
    first.close()
    assert second.read(START) == State(last_write=START, mended=True)


def test_where_the_clock_was_set_back_all_times_move_with_it(make: Maker) -> None:
    turnstile = make()
    assert turnstile.take()
    now = turnstile.now()
    turnstile.write(State(last_write=now + 7200, blocked_until=now + 7230), now + 7200)
    state = turnstile.read(now)
    assert state.last_write == pytest.approx(now)
    assert state.blocked_until == pytest.approx(now + 30)


def test_the_clock_goes_on(make: Maker) -> None:
    first, second = make(), make()
    times = [each.now() for _ in range(3) for each in (first, second)]
    assert times == sorted(times)
    assert times[0] > 1_700_000_000


def test_an_id_is_an_id(make: Maker) -> None:
    for wrong in ("ghp_a-token", "0" * 40, "../x", ""):
        with pytest.raises(ValueError, match=r"^That is not what token_id\(\) gives\.$"):
            make(wrong)
