"""Each kind of trouble: what the script says, and what the real CLI makes of it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pytest_pipeline.agents.base import AgentRequest, SolutionForm, SolutionPart
from pytest_pipeline.agents.claude.rehearsal.misbehaving import misbehave, script_for
from pytest_pipeline.agents.claude.rehearsal.script import Answer, Asked, Fault, Flood, Json, Reply, Script
from pytest_pipeline.trouble import Trouble, TroubleKind
from tests.agents.claude.rehearsal.stage import REFERENCE, Performance, Stage, StandIn, request_in

FAULTS = [TroubleKind.STATUS, TroubleKind.DROP, TroubleKind.STALL, TroubleKind.SILENCE, TroubleKind.MALFORMED]
PATIENT = {"CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS": "5000", "API_TIMEOUT_MS": "3000"}
"""The shortest that the CLI knows: 3 s for the first byte, 10 s (its floor) for the next."""


def converse(script: Script, turns: int) -> list[Reply]:
    """What the script says in a conversation in which every tool call succeeds."""
    messages: list[Json] = [{"role": "user", "content": "Do it."}]
    said: list[Reply] = []
    for turn in range(turns):
        asked = Asked(turn, tuple(messages), {"messages": messages})
        said.append(script.reply(asked))
        assert said[-1] == script.reply(asked), "a retried request gets another answer"
        content = said[-1].content if isinstance(said[-1], Answer) else ()
        results = [{"type": "tool_result", "tool_use_id": block.get("id"), "content": "ok"} for block in content]
        messages += [{"role": "assistant", "content": list(content)}, {"role": "user", "content": results}]
    return said


def calls(reply: Reply) -> list[tuple[object, object]]:
    """The tools that an answer calls, with their arguments; it stops for them, or for good."""
    assert isinstance(reply, Answer)
    found = [(block["name"], block["input"]) for block in reply.content if block["type"] == "tool_use"]
    assert reply.stop_reason == ("tool_use" if found else "end_turn")
    return found


def said_by(kind: TroubleKind, place: Path, turns: int, request: AgentRequest | None = None) -> list[Reply]:
    request = request or request_in(place, Trouble(kind))
    return converse(misbehave(request.trouble or Trouble(kind), request, StandIn(request)), turns)


@pytest.mark.parametrize("kind", TroubleKind)
def test_every_kind_has_a_script_that_can_go_on(kind: TroubleKind, tmp_path: Path) -> None:
    request = request_in(tmp_path, Trouble(kind, status=500))
    script = script_for(request)

    assert isinstance(script.reply(Asked(0, (), {})), Answer | Fault | Flood)
    assert script.complaint() == ""


def test_without_trouble_the_reference_is_played(tmp_path: Path) -> None:
    ((name, arguments),) = calls(script_for(request_in(tmp_path)).reply(Asked(0, (), {})))
    assert name == "Write"
    assert REFERENCE[0].content in json.dumps(arguments).replace("\\n", "\n")


def test_the_trouble_of_a_request_is_played(tmp_path: Path) -> None:
    assert calls(script_for(request_in(tmp_path, Trouble(TroubleKind.NOTHING))).reply(Asked(0, (), {}))) == []


@pytest.mark.parametrize("kind", FAULTS)
def test_trouble_on_the_way_ends_after_so_many_requests(kind: TroubleKind, tmp_path: Path) -> None:
    request = request_in(tmp_path)
    trouble = Trouble(kind, status=503, retry_after=2.0, times=2)
    script = misbehave(trouble, request, StandIn(request))

    fault, again, answer = (script.reply(Asked(0, (), {})) for _ in range(3))

    assert fault == again == Fault(kind, 503, 2.0)
    assert calls(answer)[0][0] == "Write"


@pytest.mark.parametrize("kind", FAULTS)
def test_trouble_on_the_way_may_have_no_end(kind: TroubleKind, tmp_path: Path) -> None:
    request = request_in(tmp_path)
    script = misbehave(Trouble(kind, status=503), request, StandIn(request))
    assert {script.reply(Asked(0, (), {})) for _ in range(20)} == {Fault(kind, 503)}


def test_doing_nothing_is_said_to_be_all(tmp_path: Path) -> None:
    assert [calls(reply) for reply in said_by(TroubleKind.NOTHING, tmp_path, 2)] == [[], []]


def test_an_endless_tool_is_called_again_and_again_for_as_long_as_can_be(tmp_path: Path) -> None:
    replies = said_by(TroubleKind.ENDLESS_TOOL, tmp_path, 3)

    ((name, arguments),) = calls(replies[0])
    assert (name, arguments) == (
        "Bash",
        {"command": "while :; do sleep 1; done", "description": "Make trouble", "timeout": 600_000},
    )
    assert len({json.dumps(reply.content) for reply in replies if isinstance(reply, Answer)}) == 3


def test_expense_is_claimed_for_each_answer_of_the_task(tmp_path: Path) -> None:
    claimed = Trouble(TroubleKind.EXPENSIVE, tokens=123_456)
    replies = said_by(TroubleKind.EXPENSIVE, tmp_path, 2, request_in(tmp_path, claimed))

    assert [reply.usage["input_tokens"] for reply in replies if isinstance(reply, Answer)] == [123_456, 123_456]
    assert [len(calls(reply)) for reply in replies] == [1, 0]


def test_expense_leaves_a_fault_of_the_player_alone(tmp_path: Path) -> None:
    request = request_in(tmp_path)
    always = misbehave(Trouble(TroubleKind.STATUS, status=500), request, StandIn(request))
    for kind in (TroubleKind.EXPENSIVE, TroubleKind.GIT_PUSH):
        assert misbehave(Trouble(kind), request, always).reply(Asked(0, (), {})) == Fault(TroubleKind.STATUS, 500)


@pytest.mark.parametrize("kind", [*FAULTS, TroubleKind.GIT_PUSH, TroubleKind.EDIT_SETTINGS, TroubleKind.EXPENSIVE])
def test_a_complaint_of_the_player_is_passed_on(kind: TroubleKind, tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Lost(StandIn):
        def complaint(self) -> str:
            return "I am lost."

    request = request_in(tmp_path)
    assert misbehave(Trouble(kind, status=500), request, Lost(request)).complaint() == "I am lost."


def test_a_daemon_writes_the_first_file_of_the_solution(tmp_path: Path) -> None:
    parts = (SolutionPart(SolutionForm.SHELL, "true"), SolutionPart(SolutionForm.FILE, "it's\n", "a b/ü.txt"))
    request = dataclasses.replace(request_in(tmp_path, Trouble(TroubleKind.DAEMON)), reference=parts)

    ((_name, arguments),) = calls(said_by(TroubleKind.DAEMON, tmp_path, 1, request)[0])
    assert isinstance(arguments, dict)
    at_once = arguments["command"].replace("sleep 20;", "").replace("&)", ")")
    subprocess.run(("sh", "-c", at_once), cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "a b/ü.txt").read_text() == "it's\n"


@pytest.fixture
def stage(claude_cli: Path, tmp_path: Path) -> Stage:
    return Stage(claude_cli, tmp_path)


def play(stage: Stage, trouble: Trouble, **how: object) -> Performance:
    """The CLI in trouble. Nothing of it stays, and nothing is complained about."""
    performance = stage.perform(lambda request: misbehave(trouble, request, StandIn(request)), trouble, **how)  # type: ignore[arg-type]
    assert performance.complaint == ""
    assert not performance.completed.timed_out
    return performance


def is_done(stage: Stage) -> bool:
    return (stage.workspace / "done.txt").exists()


@pytest.mark.parametrize(
    ("status", "retry_after", "requests", "error_type"),
    [
        (401, None, 2, "authentication_error"),
        (429, None, 2, "rate_limit_error"),
        (429, 61.0, 1, "rate_limit_error"),
        (500, None, 2, "api_error"),
        (529, None, 2, "overloaded_error"),
    ],
)
def test_the_cli_gives_up_on_a_status(
    stage: Stage, status: int, retry_after: float | None, requests: int, error_type: str
) -> None:
    performance = play(stage, Trouble(TroubleKind.STATUS, status=status, retry_after=retry_after))

    assert performance.verdict == (1, True, "api_error", status)
    assert performance.result["api_error_type"] == error_type
    assert len(performance.heard.asked) == requests
    assert not is_done(stage)


@pytest.mark.parametrize(
    ("kind", "environment"),
    [
        (TroubleKind.STATUS, {}),
        (TroubleKind.DROP, {}),
        (TroubleKind.MALFORMED, {}),
        (TroubleKind.SILENCE, PATIENT),
    ],
)
def test_the_cli_gets_over_trouble_that_ends(stage: Stage, kind: TroubleKind, environment: dict[str, str]) -> None:
    performance = play(stage, Trouble(kind, status=500, times=1), environment=environment)

    assert performance.verdict == (0, False, "completed", None)
    assert [asked.turn for asked in performance.heard.asked] == [0, 0, 1]
    assert is_done(stage)


@pytest.mark.parametrize("kind", [TroubleKind.DROP, TroubleKind.MALFORMED, TroubleKind.SILENCE])
def test_the_cli_gives_up_on_answers_that_never_come(stage: Stage, kind: TroubleKind) -> None:
    performance = play(stage, Trouble(kind), environment=PATIENT, retries=0)

    assert performance.verdict == (1, True, "api_error", None)
    assert not is_done(stage)


def test_the_cli_asks_anew_for_one_message_when_a_stream_stalls(stage: Stage) -> None:
    performance = play(stage, Trouble(TroubleKind.STALL, times=1), environment=PATIENT)

    assert performance.verdict == (0, False, "completed", None)
    assert [asked.body.get("stream") for asked in performance.heard.asked] == [True, False, True]
    assert is_done(stage)


def test_the_cli_takes_doing_nothing_for_success(stage: Stage) -> None:
    performance = play(stage, Trouble(TroubleKind.NOTHING))

    assert performance.verdict == (0, False, "completed", None)
    assert not is_done(stage)


def test_the_cli_runs_an_endless_tool_until_it_is_ended(stage: Stage) -> None:
    def calls_a_tool(line: dict[str, object]) -> bool:
        return line["type"] == "assistant"

    performance = play(stage, Trouble(TroubleKind.ENDLESS_TOOL), until=calls_a_tool)

    assert performance.completed.exit_code == 143
    assert performance.result == {}


def test_the_cli_denies_a_file_outside_of_the_workspace(stage: Stage) -> None:
    performance = play(stage, Trouble(TroubleKind.WRITE_OUTSIDE))

    (denied,) = _list(performance.result["permission_denials"])
    assert denied["tool_name"] == "Write"
    assert performance.verdict == (0, False, "completed", None)
    assert not (stage.workspace.parent / "outside.txt").exists()
    assert denied["tool_input"]["file_path"] == str(stage.workspace.parent.resolve() / "outside.txt")


def test_the_cli_pushes_what_the_task_made(stage: Stage) -> None:
    performance = play(stage, Trouble(TroubleKind.GIT_PUSH))

    pushed = subprocess.run(
        ("git", "-C", str(stage.remote), "log", "--all", "--format=%an", "--name-only"), capture_output=True, text=True
    )
    assert pushed.stdout.split() == ["Agent", "done.txt"], performance.tool_results()
    assert performance.verdict == (0, False, "completed", None)


def test_the_cli_writes_settings_with_a_hook_besides_the_task(stage: Stage) -> None:
    performance = play(stage, Trouble(TroubleKind.EDIT_SETTINGS))

    settings = json.loads((stage.workspace / ".claude" / "settings.json").read_text())
    assert "SessionStart" in settings["hooks"]
    assert is_done(stage)
    assert performance.verdict == (0, False, "completed", None)


def test_the_cli_leaves_a_daemon_behind(stage: Stage) -> None:
    performance = play(stage, Trouble(TroubleKind.DAEMON))

    assert performance.completed.survivors > 0
    assert performance.verdict == (0, False, "completed", None)
    assert not is_done(stage)


def test_the_cli_passes_a_flood_on(stage: Stage) -> None:
    performance = play(stage, Trouble(TroubleKind.FLOOD))

    sizes = [len(json.dumps(line)) for line in performance.lines if line["type"] == "assistant"]
    assert sum(sizes) > 30 * 1024**2
    assert len(performance.heard.asked) == 1
    assert not is_done(stage)


def test_the_cli_reckons_what_expense_costs(stage: Stage) -> None:
    performance = play(stage, Trouble(TroubleKind.EXPENSIVE, tokens=500_000))

    assert performance.verdict == (0, False, "completed", None)
    assert performance.result["total_cost_usd"] == pytest.approx(4.0, abs=0.01)
    assert is_done(stage)


def _list(value: object) -> list[dict[str, Any]]:
    assert isinstance(value, list)
    return value
