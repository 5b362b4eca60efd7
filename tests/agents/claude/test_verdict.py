from __future__ import annotations

import json
from decimal import Decimal

import pytest

from pytest_pipeline.agents.base import AgentStatus, Limits
from pytest_pipeline.agents.claude.verdict import judge

from .runs import LIMITS, RUNS, Told, ended, judged, told

OK, FAILED, TIMEOUT = AgentStatus.OK, AgentStatus.FAILED, AgentStatus.TIMEOUT
BUDGET, TURNS, UNAVAILABLE = AgentStatus.BUDGET, AgentStatus.TURNS, AgentStatus.UNAVAILABLE
AGAIN = True  # another try may help

TABLE = {
    "ok": (OK, not AGAIN, "ended after 2.5 s."),
    "denied": (OK, not AGAIN, "ended after 2.5 s; denied: Write, Bash, Read."),
    "background": (OK, not AGAIN, "ended after"),
    "background-SIGTERM": (FAILED, not AGAIN, "exit status 143 was not"),
    "refusal": (FAILED, not AGAIN, "The model did not take the task"),
    "maxout": (FAILED, not AGAIN, "answers were too long"),
    "maxturns": (TURNS, not AGAIN, "its turns (2). Raise limits.turns"),
    "budget": (BUDGET, not AGAIN, "its budget of 0.01 USD, it cost 0.50 USD. Raise limits.budget_usd"),
    "schema": (FAILED, not AGAIN, '"Failed to provide valid structured output after 5 attempts'),
    "planmode": (FAILED, not AGAIN, "nothing was permitted; denied: Bash ×10. Choose another permission_mode"),
    "nologin": (UNAVAILABLE, not AGAIN, "not logged in. Set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN, or log in"),
    "status-400": (FAILED, not AGAIN, '(status 400): "API Error: 400 message 400"'),
    "status-401": (UNAVAILABLE, not AGAIN, "refuses the credentials (status 401). Check the key or log in again"),
    "status-402": (UNAVAILABLE, not AGAIN, "Look at the account's credit"),
    "status-403": (UNAVAILABLE, not AGAIN, "refuses the credentials (status 403)"),
    "status-404": (UNAVAILABLE, not AGAIN, "selected model (claude-haiku-5-5)"),
    "status-405": (FAILED, not AGAIN, "(status 405)"),
    "status-408": (UNAVAILABLE, AGAIN, "(status 408)"),
    "status-409": (UNAVAILABLE, AGAIN, "(status 409)"),
    "status-413": (FAILED, not AGAIN, 'too large for the model: "Request too large'),
    "status-422": (FAILED, not AGAIN, "(status 422)"),
    "status-429": (UNAVAILABLE, AGAIN, "no more requests for now (status 429)"),
    "retryafter": (UNAVAILABLE, AGAIN, "no more requests for now (status 429)"),
    "status-500": (UNAVAILABLE, AGAIN, "out of order (status 500)"),
    "status-502": (UNAVAILABLE, AGAIN, "out of order (status 502)"),
    "opus529": (UNAVAILABLE, AGAIN, "out of order (status 529)"),
    "status-307": (UNAVAILABLE, AGAIN, "TooManyRedirects"),
    "credit": (UNAVAILABLE, not AGAIN, '"Credit balance is too low". Look at the account'),
    "toolong": (FAILED, not AGAIN, 'too large for the model: "Prompt is too long'),
    "blocking": (FAILED, not AGAIN, 'too large for the model: "Prompt is too long"'),
    "refused": (UNAVAILABLE, AGAIN, "could not be reached"),
    "closed": (UNAVAILABLE, AGAIN, "could not be reached"),
    "silence": (UNAVAILABLE, AGAIN, 'no usable answer: "Request timed out'),
    "malformed": (UNAVAILABLE, AGAIN, 'no usable answer: "API Error: JSON Parse error'),
    "tool-SIGINT": (FAILED, not AGAIN, "was interrupted"),
    "stream-SIGINT": (FAILED, not AGAIN, "was interrupted"),
    "retry-SIGINT": (FAILED, not AGAIN, "was interrupted"),
    "wait-SIGINT": (FAILED, not AGAIN, "without a result"),
    "early-SIGINT": (FAILED, not AGAIN, "without a result"),
    "tool-SIGTERM": (FAILED, not AGAIN, "signal 15 (SIGTERM) before it gave a result"),
    "wait-SIGTERM": (FAILED, not AGAIN, "signal 15 (SIGTERM)"),
    "retry-SIGTERM": (FAILED, not AGAIN, "signal 15 (SIGTERM)"),
    "tool-SIGHUP": (FAILED, not AGAIN, "signal 1 (SIGHUP)"),
    "tool-SIGKILL": (FAILED, not AGAIN, "signal 9 (SIGKILL)"),
    "badflag": (FAILED, not AGAIN, "exit status 1 and without a result: error: unknown option '--no-such-flag'"),
    "badcfg": (FAILED, not AGAIN, ".claude.json: JSON Parse error"),
    "resume": (FAILED, not AGAIN, '"No conversation found with session ID'),
    "empty": (FAILED, not AGAIN, "Input contained only whitespace"),
    "bigstdin": (FAILED, not AGAIN, "piped stdin input exceeds 10MB"),
    "help": (FAILED, not AGAIN, "a prompt that begins with / is taken for a command"),
}


def test_the_table_holds_every_run() -> None:
    assert TABLE.keys() == RUNS.keys()


@pytest.mark.parametrize("name", TABLE)
def test_a_run_of_the_real_cli_is_judged(name: str) -> None:
    status, again, words = TABLE[name]

    result = judged(name)

    assert (result.status, result.retryable) == (status, again), result
    assert words in result.message
    assert result.message.endswith(".")
    assert result.message.isprintable()
    assert len(result.message) < 600


def test_the_figures_of_a_run_are_in_its_result() -> None:
    result = judged("denied")

    assert result.denied == ("Write", "Bash", "Read")
    assert (result.cost_usd, result.cost_estimated) == (Decimal("0.000033"), False)
    assert (result.turns, result.tokens) == (4, 90)
    assert (result.model, result.session_id) == ("claude-haiku-5-5", "5a8f0c1e-0000-4000-8000-000000000000")
    assert result.output == "done"


def test_what_it_wrote_to_stderr_goes_before_its_last_words() -> None:
    run = RUNS["malformed"]

    assert judged("malformed").output == run.stderr


@pytest.mark.parametrize("name", ["tool-SIGTERM", "ok", "retry-SIGTERM", "early-SIGINT"])
def test_a_run_that_took_too_long_is_a_timeout_whatever_it_said(name: str) -> None:
    result = judge(told(name).summary(), ended(143, timed_out=True), LIMITS)

    assert result.status is TIMEOUT
    assert "within 60 s" in result.message
    assert "Raise limits.wall_time" in result.message
    assert ("the API had just answered 429" in result.message) is (name == "retry-SIGTERM")


def test_a_run_that_was_stopped_because_of_its_credentials_is_unavailable() -> None:
    before_the_end = [line for line in RUNS["status-401"].lines if "api_retry" in line or "init" in line]

    result = judge(Told().take(*before_the_end).summary(), ended(143), LIMITS)

    assert (result.status, result.retryable) == (UNAVAILABLE, False)
    assert "refuses the credentials (status 401)" in result.message


def test_a_run_that_went_well_although_it_was_refused_once_is_a_success() -> None:
    refusal = next(line for line in RUNS["status-401"].lines if "api_retry" in line)

    assert judge(Told().take(refusal, *RUNS["ok"].lines).summary(), ended(0), LIMITS).status is OK


def test_a_run_that_hung_after_its_result_has_failed() -> None:
    result = judge(told("ok").summary(), ended(143), LIMITS, hung=True)

    assert result.status is FAILED
    assert "did not end" in result.message


def test_a_run_that_ended_by_itself_while_it_was_being_stopped_is_a_success() -> None:
    assert judge(told("ok").summary(), ended(0), LIMITS, hung=True).status is OK


def test_a_run_that_went_on_after_its_result_needs_another() -> None:
    lines = RUNS["background"].lines[:-1]

    result = judge(Told().take(*lines).summary(), ended(0), LIMITS)

    assert result.status is FAILED
    assert "went on after its result" in result.message


@pytest.mark.parametrize(
    "changed",
    [
        {"is_error": None},
        {"is_error": 0},
        {"terminal_reason": None},
        {"terminal_reason": "new_reason"},
        {"is_error": True},
    ],
    ids=str,
)
def test_a_result_that_does_not_say_success_in_full_is_none(changed: dict[str, object]) -> None:
    *lines, last = RUNS["ok"].lines

    result = judge(Told().take(*lines, json.loads(last) | changed).summary(), ended(0), LIMITS)

    assert result.status is FAILED


def test_an_exit_code_beyond_the_signals_is_one_of_its_own() -> None:
    result = judge(Told().summary(), ended(255), LIMITS)

    assert "exit status 255 and without a result: it said nothing" in result.message


def test_limits_that_nobody_set_are_not_named() -> None:
    unlimited = Limits(wall_time=60.0)

    assert "its turns. Raise" in judge(told("maxturns").summary(), ended(1), unlimited).message
    assert "its budget, it cost 0.50 USD." in judge(told("budget").summary(), ended(1), unlimited).message


def test_of_many_denied_tools_only_some_are_named() -> None:
    denials: list[dict[str, object]] = [
        {"type": "system", "subtype": "permission_denied", "tool_name": f"Tool{n}", "tool_use_id": f"t{n}"}
        for n in range(12)
    ]

    result = judge(Told().take(*denials, *RUNS["ok"].lines).summary(), ended(0), LIMITS)

    assert "denied: Tool0, Tool1, Tool2, Tool3, Tool4, 7 more." in result.message
    assert len(result.denied) == 12
