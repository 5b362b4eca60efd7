"""The paces that a user may name, and what is remembered where nothing is limited."""

from __future__ import annotations

import pytest

from pytest_pipeline.forges.gate_limits import PACES, CallKind, GateLimits, begin, limits_of
from pytest_pipeline.forges.gate_state import State
from tests.forges.gate_desk import START, Desk

CONTENT, MERGE, PUSH, READ = CallKind.CONTENT, CallKind.MERGE, CallKind.PUSH, CallKind.READ


def test_there_are_three_paces_and_the_first_is_what_holds_where_none_is_named() -> None:
    assert PACES == ("careful", "documented", "off")
    assert limits_of("careful") == GateLimits()
    with pytest.raises(KeyError):
        limits_of("fast")


def test_documented_is_what_github_documents_and_no_more(desk: Desk) -> None:
    limits = limits_of("documented")
    assert [desk.waits(desk.gate(limits), kind) for kind in (PUSH, PUSH, MERGE, MERGE)] == [0, 1.0, 1.0, 1.0]
    assert [desk.waits(desk.gate(limits), PUSH) for _ in range(20)] == [1.0] * 20
    stamps = [START - 3000 + each for each in range(500)]
    assert limits.window_wait(stamps, limits.content_per_hour, 3600, START) == 600
    assert limits.window_wait(stamps[:449], limits.content_per_hour, 3600, START) == 0
    assert limits.window_wait([START] * 80, limits.content_per_minute, 60, START) == 60
    assert limits.window_wait([START] * 71, limits.content_per_minute, 60, START) == 0


def test_off_waits_for_nothing_but_what_the_server_says(desk: Desk) -> None:
    gate = desk.gate(limits_of("off"))
    assert {desk.waits(gate, kind) for _ in range(60) for kind in CallKind} == {0}
    few = {"X-RateLimit-Limit": 5000, "X-RateLimit-Remaining": 1, "X-RateLimit-Reset": int(START + 99)}
    desk.hears(gate, 200, headers=few)
    assert desk.waits(gate, READ) == 0
    desk.hears(gate, 200, headers={**few, "X-RateLimit-Remaining": 0})
    assert desk.waits(gate, READ) == 100
    desk.hears(gate, 429, headers={"Retry-After": 42})
    assert desk.waits(gate, READ) == 42


def test_what_nothing_limits_is_not_remembered_without_end() -> None:
    state = State()
    for number in range(1200):
        for kind in (MERGE, PUSH):
            begin(state, kind, "owner/name", START + number / 100)
    for stamps in (state.content, state.merges["owner/name"], state.pushes["owner/name"]):
        assert stamps == [START + number / 100 for number in range(200, 1200)]
