"""What the gate allows when, under a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_pipeline.errors import ForgeError
from pytest_pipeline.forges.gate import Gate
from pytest_pipeline.forges.gate_files import FileTurnstile, write_state
from pytest_pipeline.forges.gate_limits import CallKind, GateLimits, Wait, told
from pytest_pipeline.forges.gate_state import State
from tests.forges.gate_desk import ID, START, Desk

READ, WRITE, CONTENT, PUSH, MERGE = CallKind
CHANGES = (WRITE, CONTENT, PUSH, MERGE)
FREE = GateLimits(spacing=0, content_per_minute=None, content_per_hour=None, pushes_per_minute=None)


# --- changes keep their distance --------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", CHANGES)
@pytest.mark.parametrize("second", CHANGES)
def test_a_change_waits_until_a_second_after_the_last_one_has_ended(
    desk: Desk, first: CallKind, second: CallKind
) -> None:
    assert desk.waits(desk.gate(), first, lasting=0.7) == 0
    other = desk.gate()
    assert desk.waits(other, second) == 1.0
    assert desk.told == [("spacing", 1.0)]
    assert other.waited == {"spacing": pytest.approx(1.0)}


def test_reads_wait_for_nothing_and_are_waited_for_by_nobody(desk: Desk) -> None:
    gate = desk.gate()
    assert desk.waits(gate, WRITE) == 0
    assert [desk.waits(gate, READ) for _ in range(5)] == [0] * 5
    desk.clock.now += 1
    assert desk.waits(gate, WRITE) == 0


def test_the_distance_is_counted_also_after_a_call_that_raised(desk: Desk) -> None:
    gate = desk.gate()

    def interrupted() -> None:
        with gate.call(WRITE):
            desk.clock.now += 5
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert desk.waits(desk.gate(), WRITE) == 1.0


def test_a_change_whose_holder_died_counts_from_when_that_is_found(desk: Desk) -> None:
    desk.directory.mkdir()
    write_state(desk.state_file, State(last_write=START - 100, write_open=True), START - 100)
    assert desk.waits(desk.gate(), READ) == 0
    assert desk.waits(desk.gate(), WRITE) == 1.0


# --- windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name"), [(CONTENT, "content"), (MERGE, "content")])
@pytest.mark.parametrize(
    ("limits", "window"),
    [(GateLimits(0, 10, None), 60.0), (GateLimits(0, None, 10), 3600.0)],
    ids=["minute", "hour"],
)
def test_content_slows_down_at_nine_tenths_and_stops_at_the_limit(
    desk: Desk, kind: CallKind, name: str, limits: GateLimits, window: float
) -> None:
    waits = [desk.waits(desk.gate(limits), kind) for _ in range(12)]
    assert waits[:9] == [0] * 9
    assert waits[9] == window / 10
    assert waits[10] == window * 9 / 10
    assert {reason for reason, _ in desk.told} == {name}
    assert desk.waits(desk.gate(limits), WRITE) == desk.waits(desk.gate(limits), READ) == 0


def test_pushes_are_counted_by_repository(desk: Desk) -> None:
    limits = GateLimits(0, pushes_per_minute=2)
    assert [desk.waits(desk.gate(limits), PUSH) for _ in range(3)] == [0, 0, 60.0]
    assert desk.told == [("pushes", 60.0)]
    assert desk.waits(desk.gate(limits, "owner/other"), PUSH) == 0
    assert desk.waits(desk.gate(limits, "Owner/Name"), PUSH) == 0
    assert desk.waits(desk.gate(limits, "OWNER/name"), PUSH) > 0


def test_merges_are_not_counted_by_repository_unless_it_is_asked_for(desk: Desk) -> None:
    assert [desk.waits(desk.gate(FREE), MERGE) for _ in range(5)] == [0] * 5
    desk.clock.now += 60
    limits = GateLimits(0, None, None, merges_per_minute=1)
    assert [desk.waits(desk.gate(limits), MERGE) for _ in range(2)] == [0, 60.0]
    assert desk.told == [("merges", 60.0)]
    assert desk.waits(desk.gate(limits, "owner/other"), MERGE) == 0


# --- the hourly limit -------------------------------------------------------------------------------------------------


def primary(remaining: int, seconds: float, more: Mapping[str, object] | None = None) -> dict[str, object]:
    """Headers of an answer; the gate adds a second to the reset, for it is cut to whole ones."""
    limit = {"X-RateLimit-Limit": 5000, "X-RateLimit-Remaining": remaining}
    return {**limit, "X-RateLimit-Reset": int(START + seconds - 1), **(more or {})}


@pytest.mark.parametrize("kind", [READ, WRITE, CONTENT, MERGE])
def test_the_last_tenth_of_the_hour_is_spread_until_the_reset(desk: Desk, kind: CallKind) -> None:
    gate = desk.gate(FREE)
    desk.hears(gate, 200, headers=primary(501, 1000))
    assert desk.waits(gate, kind) == 0
    desk.hears(gate, 200, headers=primary(499, 1000))
    assert desk.waits(gate, kind) == 2.0
    assert desk.told == [("primary", 2.0)]
    desk.clock.now = START + 10
    desk.hears(gate, 200, kind=PUSH, headers=primary(0, 1000))
    assert desk.waits(gate, PUSH) == 0
    assert desk.waits(gate, kind) == 990
    assert desk.waits(gate, kind) == 0


def test_the_hour_of_another_resource_does_not_count(desk: Desk) -> None:
    gate = desk.gate(FREE)
    desk.hears(gate, 200, headers=primary(0, 1000, {"X-RateLimit-Resource": "search"}))
    assert desk.waits(gate, READ) == 0
    desk.hears(gate, 200, headers=primary(0, 1000, {"X-RateLimit-Resource": "core"}))
    assert desk.waits(gate, READ) == 1000


def test_the_reset_is_read_by_githubs_clock(desk: Desk) -> None:
    gate = desk.gate(FREE)
    desk.hears(gate, 200, headers=primary(0, 1000, {"Date": "Fri, 15 Jan 2027 08:15:00 GMT"}))  # 900 s after ours
    assert desk.waits(gate, READ) == 100


@pytest.mark.parametrize("name", ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"])
@pytest.mark.parametrize("value", ["", "none", "-1", "1e999", "9" * 400])
def test_headers_that_are_no_numbers_mean_nothing(desk: Desk, name: str, value: str) -> None:
    gate = desk.gate(FREE)
    desk.hears(gate, 200, headers={**primary(0, 1000), name: value})
    assert desk.waits(gate, READ) == 0


# --- limits -----------------------------------------------------------------------------------------------------------

SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
LIMITS: Mapping[str, tuple[int, str, Mapping[str, object], float]] = {
    "429": (429, "", {}, 60),
    "retry-after": (429, "", {"Retry-After": 42}, 42),
    "retry-after before the reset": (
        403,
        SECONDARY,
        {"Retry-After": 42, **primary(0, 500, {"X-RateLimit-Resource": "graphql"})},
        42,
    ),
    "retry-after as a date": (429, "", {"Retry-After": "Fri, 15 Jan 2027 08:02:00 GMT"}, 120),
    "retry-after of nothing": (429, "", {"Retry-After": "0"}, 1),
    "retry-after for ever": (429, "", {"Retry-After": "999999999"}, 6 * 3600),
    "retry-after that is none": (429, "", {"Retry-After": "soon"}, 60),
    "403 with retry-after alone": (403, "Forbidden", {"Retry-After": 7}, 7),
    "secondary without a time": (403, SECONDARY, {}, 60),
    "content": (
        403,
        "You have exceeded a secondary rate limit and have been temporarily blocked from content.",
        {},
        60,
    ),
    "abuse of old": (403, "You have triggered an abuse detection mechanism.", {}, 60),
    "secondary with requests left": (403, SECONDARY, primary(4000, 500), 60),
    "primary": (403, "API rate limit exceeded for user ID 1.", primary(0, 500), 500),
    "primary as 429": (429, "API rate limit exceeded", primary(0, 500), 500),
    "primary that is over": (403, "API rate limit exceeded", primary(0, -5), 60),
    "primary by another clock": (403, "", primary(0, 1000, {"Date": "Fri, 15 Jan 2027 08:15:00 GMT"}), 100),
    "too quickly": (422, "Validation Failed; was submitted too quickly", {}, 60),
    "code abuse": (422, '{"errors": [{"resource": "Issue", "code": "abuse", "field": "body"}]}', {}, 60),
    "code abuse, as the client words it": (422, "Validation Failed; body abuse", {}, 60),
    "GraphQL": (200, "API rate limit already exceeded for user ID 1.", primary(0, 500), 500),
    "GraphQL secondary": (200, SECONDARY, {"Retry-After": 9}, 9),
    "GraphQL by its type": (200, "RATE_LIMITED", {}, 60),
}


@pytest.mark.parametrize(("status", "message", "headers", "seconds"), LIMITS.values(), ids=LIMITS.keys())
def test_a_limit_holds_back_every_call_of_every_process(
    desk: Desk, status: int, message: str, headers: Mapping[str, object], seconds: float
) -> None:
    verdict = desk.hears(desk.gate(FREE), status, message, headers)
    assert (verdict.limited, round(verdict.seconds, 3)) == (True, seconds)
    kept = desk.state_file.read_bytes()
    for kind in CallKind:
        desk.clock.now = START
        desk.state_file.write_bytes(kept)
        patient = GateLimits(0, patience=1e9)
        assert desk.waits(desk.gate(patient), kind) == seconds
        assert desk.told[-1] == ("blocked", seconds)


@pytest.mark.parametrize(
    ("status", "message", "headers"),
    [
        (0, "", {}),
        (200, "", primary(4000, 500)),
        (201, "API rate limit exceeded", {}),
        (401, "Bad credentials", {}),
        (403, "Resource not accessible by personal access token", primary(4000, 500)),
        (404, "Not Found", {}),
        (405, "Base branch was modified. Review and try the merge again.", {}),
        (422, "Validation Failed; A pull request already exists for owner:no-abuse.", {}),
        (422, "Validation Failed; A pull request already exists for owner:abuse", {}),
        (502, "Server Error", {"Retry-After": 9}),
    ],
)
def test_other_answers_hold_back_nobody(desk: Desk, status: int, message: str, headers: Mapping[str, object]) -> None:
    gate = desk.gate(FREE)
    assert not desk.hears(gate, status, message, headers).limited
    assert desk.waits(gate, WRITE) == 0


def test_limits_in_a_row_double_the_wait_and_a_good_answer_ends_the_row(desk: Desk) -> None:
    gate = desk.gate(FREE)
    assert [desk.hears(gate, 403, SECONDARY).seconds for _ in range(4)] == [60, 120, 240, 480]
    assert not desk.hears(gate, 200, kind=READ).limited  # a read says nothing of changes
    assert not desk.hears(gate, 502).limited
    assert desk.hears(gate, 403, SECONDARY).seconds == 960
    assert not desk.hears(gate, 404).limited
    assert desk.hears(gate, 403, SECONDARY, kind=READ).seconds == 60
    desk.hears(gate, 200, kind=READ)
    assert desk.hears(gate, 403, SECONDARY).seconds == 60
    desk.clock.now += 2 * 3600
    assert desk.hears(gate, 403, SECONDARY).seconds == 60


def test_after_too_many_limits_in_a_row_everybody_gives_up_and_later_one_may_try(desk: Desk) -> None:
    limits = GateLimits(spacing=0, strikes=3)
    for _ in range(2):
        desk.hears(desk.gate(limits), 403, SECONDARY)
    with pytest.raises(ForgeError, match=r"3 times in a row.*secondary rate limit.*Wait 4 min at least"):
        desk.hears(desk.gate(limits), 403, SECONDARY)
    now = desk.clock.now
    with pytest.raises(ForgeError, match=r"3 times in a row.*Wait 4 min at least, then start again"):
        desk.waits(desk.gate(limits), READ)
    assert desk.clock.now == now
    desk.clock.now += 240
    assert desk.waits(desk.gate(limits), READ) == 0
    with pytest.raises(ForgeError, match="4 times in a row"):
        desk.hears(desk.gate(limits), 403, SECONDARY)


# --- patience ---------------------------------------------------------------------------------------------------------


def test_a_wait_beyond_all_patience_is_not_begun(desk: Desk) -> None:
    desk.hears(desk.gate(FREE), 429, headers={"Retry-After": 500})
    with pytest.raises(
        ForgeError, match=r"GitHub asks to wait 500 s\. That is more than the 499 s .* Start the session"
    ):
        desk.waits(desk.gate(GateLimits(patience=499)), READ)
    with pytest.raises(ForgeError, match="more than the 100 s"), desk.gate().call(READ, patience=100):
        pass
    assert (desk.clock.spent(), desk.told) == (0, [])
    assert desk.waits(desk.gate(GateLimits(patience=500)), READ) == 500


def test_what_one_has_waited_already_is_told_when_the_rest_is_too_long(desk: Desk) -> None:
    desk.hears(desk.gate(FREE), 429, headers={"Retry-After": 30})

    def limited_again(reason: str, seconds: float) -> None:
        desk.clock.sleep(seconds)
        desk.hears(other, 429, headers={"Retry-After": 20})

    other = desk.gate(FREE)
    waiting = Gate(FileTurnstile(desk.directory, ID, clock=desk.clock), FREE, limited_again, sleep=lambda seconds: None)
    with (
        pytest.raises(ForgeError, match=r"wait 20 s\. It has waited 30 s already\. That is more than the 40 s that"),
        waiting.call(READ, patience=40),
    ):
        pass


def test_somebody_elses_turn_is_waited_for_and_told_of_and_not_for_ever(desk: Desk) -> None:
    waiting = desk.gate(GateLimits(patience=30))
    with (
        desk.gate().call(READ),
        pytest.raises(ForgeError, match=r"more than 30 s with the same token\. .*\(Ctrl-Z\), and end it\."),
        waiting.call(READ),
    ):
        pass
    assert desk.clock.spent() == pytest.approx(30, abs=0.03)
    ((reason, seconds),) = desk.told
    assert reason == "turn"
    assert seconds == pytest.approx(5, abs=0.03)
    assert waiting.waited == {"turn": pytest.approx(30, abs=0.03)}
    assert desk.waits(waiting, READ) == 0


def test_every_wait_is_a_sentence() -> None:
    sentences = [told(reason.value, 42.4) for reason in Wait]
    assert told("blocked", 42.4) == "GitHub asks to wait 42 s."
    assert len(set(sentences)) == len(Wait)
    assert all("42 s" in sentence and sentence.endswith(".") for sentence in sentences)


def test_calls_are_not_made_within_calls_nor_answers_heard_outside(desk: Desk) -> None:
    gate = desk.gate()
    with gate.call(READ), pytest.raises(RuntimeError, match="within a call"), gate.call(READ):
        pass
    with pytest.raises(RuntimeError, match="within the call"):
        gate.heard(200, {}, "")
