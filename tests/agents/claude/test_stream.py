from __future__ import annotations

import json
import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_pipeline.agents.claude.events import DENIALS, TEXT_CHARACTERS
from pytest_pipeline.agents.claude.stream import Summary

from .runs import RUNS, Told, told

INIT: dict[str, object] = {"type": "system", "subtype": "init", "model": "claude-opus-5-5", "session_id": "s"}
MILLION = 1_000_000


def says(
    name: str, tokens: int = 0, *, model: str = "claude-opus-5-5", parent: str | None = None, **usage: int
) -> dict[str, object]:
    message = {"id": name, "model": model, "content": [], "usage": {"input_tokens": tokens, **usage}}
    return {"type": "assistant", "message": message, "parent_tool_use_id": parent}


def result(**fields: object) -> dict[str, object]:
    return {"type": "result", "is_error": False, "terminal_reason": "completed", "num_turns": 1, **fields}


def denial(number: int, tool: str = "Bash") -> dict[str, object]:
    return {"type": "system", "subtype": "permission_denied", "tool_name": tool, "tool_use_id": f"toolu_{number}"}


def retry(status: object) -> dict[str, object]:
    return {"type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 4, "error_status": status}


def test_nothing_is_known_of_a_run_that_said_nothing() -> None:
    assert Told().summary() == Summary()


def test_a_run_says_who_it_is() -> None:
    summary = told("ok").summary()

    assert (summary.model, summary.session_id, summary.version) == (
        "claude-haiku-5-5",
        "5a8f0c1e-0000-4000-8000-000000000000",
        "2.1.330",
    )


def test_the_model_is_the_one_that_answered() -> None:
    run = Told().take(INIT, says("1", model="claude-sonnet-5-5"), says("2", model="claude-haiku-5-5", parent="toolu_1"))

    assert run.take(says("3", model="<synthetic>")).summary().model == "claude-sonnet-5-5"


def test_where_none_answered_the_model_is_the_one_that_was_asked() -> None:
    assert Told().take(INIT, says("1", model="<synthetic>")).summary().model == "claude-opus-5-5"
    assert Told().take(result(modelUsage={"claude-x": {}})).summary().model == "claude-x"


def test_an_answer_that_comes_in_pieces_is_counted_once() -> None:
    run = Told().take(says("1", MILLION), says("1", MILLION), says("2", MILLION), says("1", MILLION))

    assert run.summary().cost == Decimal(8)
    assert run.summary().tokens == 2 * MILLION
    assert run.summary().turns == 2
    assert run.costs == [Decimal(4), Decimal(8)]


def test_of_the_pieces_of_an_answer_the_last_has_its_usage() -> None:
    assert Told().take(says("1", output_tokens=1), says("1", output_tokens=MILLION)).summary().cost == Decimal(20)


def test_answers_without_an_id_are_counted_each() -> None:
    assert Told().take(says("", MILLION), says("", MILLION)).summary().cost == Decimal(8)


def test_agents_that_the_agent_started_cost_but_are_no_turns() -> None:
    summary = Told().take(says("1", MILLION), says("2", MILLION, parent="toolu_1")).summary()

    assert (summary.cost, summary.turns) == (Decimal(8), 1)


def test_each_answer_has_the_price_of_its_model() -> None:
    run = Told().take(says("1", MILLION), says("2", MILLION, model="claude-sonnet-5-5"))

    assert run.summary().cost == Decimal(6)


def test_a_run_without_a_result_has_an_estimated_cost() -> None:
    summary = told("tool-SIGTERM").summary()

    assert (summary.cost, summary.cost_estimated) == (Decimal("0.0000015"), True)
    assert (summary.turns, summary.tokens) == (1, 11)


def test_a_run_that_began_and_used_nothing_cost_nothing_as_far_as_was_seen() -> None:
    summary = Told().take(INIT).summary()

    assert (summary.cost, summary.cost_estimated, summary.tokens, summary.turns) == (Decimal(0), True, 0, None)


def test_the_cost_is_what_the_result_says() -> None:
    run = told("budget")

    assert (run.summary().cost, run.summary().cost_estimated) == (Decimal("0.50005"), False)
    assert run.costs == [Decimal("0.5000025"), Decimal("0.50005")]


def test_what_follows_a_result_is_added_to_its_cost() -> None:
    summary = Told().take(INIT, says("1"), result(total_cost_usd=0.25), INIT, says("2", MILLION)).summary()

    assert (summary.cost, summary.cost_estimated, summary.turns) == (Decimal("4.25"), True, 2)


def test_a_result_without_a_cost_leaves_the_estimate() -> None:
    summary = Told().take(says("1", MILLION), result(total_cost_usd=None)).summary()

    assert (summary.cost, summary.cost_estimated) == (Decimal(4), True)


@pytest.mark.parametrize("cost", [-1, True, "1", 1e300, float("nan"), float("inf"), 10**400, [], {}], ids=repr)
def test_a_cost_that_is_none_is_unknown(cost: object) -> None:
    assert Told().take(result(total_cost_usd=cost)).summary().cost is None


def test_the_last_result_counts_and_turns_add_up() -> None:
    summary = told("background").summary()

    assert summary.result is not None
    assert summary.result.text == "second"
    assert (summary.cost, summary.turns, summary.tokens) == (Decimal("0.000033"), 3, 90)


def test_a_run_is_finished_until_the_cli_goes_on_by_itself() -> None:
    run = Told()
    seen = []
    for line in RUNS["background"].lines:
        run.now += 1
        run.take(line)
        kind = json.loads(line)
        seen.append((kind["type"], kind.get("subtype"), run.stream.finished_at))

    first = next(index for index, line in enumerate(seen) if line[0] == "result")
    at = 100.0 + first + 1
    assert all(finished is None for *_, finished in seen[:first])
    assert [(kind, finished) for kind, _, finished in seen[first:]] == [
        ("result", at),
        ("system", at),
        ("system", at),
        ("system", at),
        ("system", None),
        ("assistant", None),
        ("result", 100.0 + len(seen)),
    ]
    assert run.summary().finished


@pytest.mark.parametrize("line", [INIT, says("1")], ids=["init", "assistant"])
def test_either_line_of_another_turn_says_that_it_goes_on(line: dict[str, object]) -> None:
    run = Told().take(result(), line)

    assert run.stream.finished_at is None
    assert not run.summary().finished


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_doom_a_run(status: int) -> None:
    run = Told().take(INIT, retry(status))

    assert f"refuses the credentials (status {status})" in run.stream.doomed
    assert run.summary().doomed == run.stream.doomed


@pytest.mark.parametrize("status", [400, 402, 404, 429, 500, None, "401", True, [401]], ids=repr)
def test_no_other_trouble_dooms_it(status: object) -> None:
    assert Told().take(INIT, retry(status)).stream.doomed == ""


def test_trouble_is_forgotten_when_an_answer_follows() -> None:
    run = Told().take(retry(529), says("1", model="<synthetic>") | {"error": "server_error"})
    before = run.summary()
    after = run.take(says("2")).summary()

    assert before.retry is not None
    assert (before.retry.status, before.error) == (529, "server_error")
    assert (after.retry, after.error) == (None, "")


def test_a_denied_call_counts_once_though_the_result_says_it_again() -> None:
    denials = [{"tool_name": "Bash", "tool_use_id": "toolu_1"}, {"tool_name": "Write", "tool_use_id": "toolu_9"}]

    summary = Told().take(denial(1), denial(2), result(permission_denials=denials)).summary()

    assert summary.denied == ("Bash", "Bash", "Write")


def test_lines_that_are_no_json_are_counted_and_others_that_say_nothing_ignored() -> None:
    run = Told().take("{", "no json", "", "  ", "[]", "1", '{"type": "new"}', '{"type": []}', "[" * 100_000)

    assert run.summary() == Summary(unreadable=3)


def test_half_a_surrogate_pair_does_not_come_through() -> None:
    run = Told().take(*(line.replace("second", "\\ud83d") for line in RUNS["background"].lines))

    last = run.summary().result
    assert last is not None
    assert last.text == "?"


def _huge_lines(number: int, size: int) -> list[dict[str, object]]:
    huge = f"{number}{'x' * size}"
    call = {"type": "tool_use", "id": huge, "name": huge, "input": {huge: huge, "command": huge}}
    message = {"id": huge, "model": huge, "content": [call, {"type": "text", "text": huge}]}
    return [
        {**INIT, "model": huge, "session_id": huge, "cwd": huge, "claude_code_version": huge},
        {"type": "assistant", "message": message},
        denial(number, huge) | {"tool_use_id": huge},
        {"type": "assistant", "message": message | {"model": "<synthetic>"}, "error": huge},
        retry(429) | {"error": huge},
        result(result=huge, subtype=huge, api_error=huge, permission_denials=[denial(number, huge)]),
        result(errors=[huge] * 9, terminal_reason=huge, modelUsage={huge: {}}),
    ]


def test_what_is_kept_of_a_run_stays_small_however_much_it_says() -> None:
    size = 200_000
    run = Told()
    tracemalloc.start()
    try:
        for number in range(10):
            run.take(*_huge_lines(number, size))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < size
    assert len(repr(run.summary())) < 20_000
    assert len("".join(run.events)) < 10_000


def test_only_the_last_answers_are_remembered() -> None:
    run = Told().take(*(says(str(number), MILLION) for number in range(300)), says("299", MILLION))
    before = run.summary().cost

    assert before == Decimal(1_200)
    assert run.take(says("0", MILLION)).summary().cost == Decimal(1_204)


def test_many_denials_and_many_answers_are_bounded() -> None:
    run = Told().take(*(denial(number) for number in range(2 * DENIALS)))
    run.take(*(says(str(number), MILLION) for number in range(2_000)))

    assert len(run.summary().denied) == DENIALS
    assert run.summary().cost == Decimal(8_000)


def test_a_line_of_fifty_megabytes_is_read_and_dropped() -> None:
    run = Told().take(result(result="é" * 25 * MILLION))

    last = run.summary().result
    assert last is not None
    assert last.text == "é" * TEXT_CHARACTERS


# Objects as the stream has them, with any value in any place.
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=4,
)
_USAGE = st.dictionaries(
    st.sampled_from(["input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_creation"]), _ANY
)
_BLOCK = st.fixed_dictionaries({"type": st.sampled_from(["text", "tool_use", "new"]) | _ANY}) | st.fixed_dictionaries(
    {"type": st.just("tool_use"), "id": _ANY, "name": _ANY, "input": st.dictionaries(st.just("command"), _ANY) | _ANY}
)
_MESSAGE = st.fixed_dictionaries(
    {}, optional={"id": _ANY, "model": _ANY, "content": st.lists(_BLOCK, max_size=3) | _ANY, "usage": _USAGE | _ANY}
)
_FIELDS = (  # noqa: SIM905 - of all kinds of lines
    "is_error terminal_reason result errors num_turns total_cost_usd modelUsage permission_denials api_error_status "
    "api_error model session_id cwd error_status attempt max_retries retry_delay_ms error tool_name tool_use_id "
    "elapsed_time_seconds parent_tool_use_id"
).split()
_LINE = st.fixed_dictionaries(
    {"type": st.sampled_from(["system", "assistant", "result", "tool_progress", "user"]) | _ANY},
    optional={
        "subtype": st.sampled_from(["init", "api_retry", "permission_denied"]) | _ANY,
        "message": _MESSAGE | _ANY,
        **dict.fromkeys(_FIELDS, _ANY),
    },
)


@given(st.lists(_LINE | _ANY, max_size=4))
@settings(max_examples=150, deadline=None)
@example([{"type": "result", "total_cost_usd": float("inf"), "errors": [1, None, "\ud800"]}])
def test_no_json_makes_it_raise_or_say_what_cannot_be_said(lines: list[object]) -> None:
    run = Told().take(*(json.dumps(line) for line in lines))

    summary = run.summary()
    assert len(repr(summary)) < 20_000
    assert summary.cost is None or summary.cost >= 0
    assert all(each.isprintable() and len(each) <= 100 for each in run.events)
    "".join([*run.events, *summary.denied, summary.model or "", summary.error]).encode()


@given(st.text())
@settings(deadline=None)
@example('{"type": "result", "num_turns": ' + "9" * 5_000 + "}")
@example('{"type": "assistant", "message": ' + '{"a":' * 50_000)
def test_no_text_makes_it_raise(text: str) -> None:
    assert Told().take(text).summary().unreadable in (0, 1)
