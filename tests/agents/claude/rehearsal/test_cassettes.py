from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_pipeline.agents.base import AgentRequest
from pytest_pipeline.agents.claude.rehearsal.cassette import Cassette, Exchange, load, path_of, write
from pytest_pipeline.agents.claude.rehearsal.cassettes import player_for
from pytest_pipeline.agents.claude.rehearsal.gateway import Rehearsal
from pytest_pipeline.agents.claude.rehearsal.places import Places
from pytest_pipeline.agents.claude.rehearsal.recorder import Recorder
from pytest_pipeline.agents.claude.rehearsal.script import Answer, Asked, Fault, Json, text, tool_call
from pytest_pipeline.errors import SettingsError
from tests.agents.claude.rehearsal.real_api import (
    MODEL,
    Got,
    LiveStandIn,
    Reply,
    Sent,
    refusal,
    serving,
    streamed,
)
from tests.agents.claude.rehearsal.task_runs import PROMPT, do, task_run, tree

THINKING: Json = {"type": "thinking", "thinking": "A greeting, then.", "signature": "EqQBCkYIBxgCKkA="}


def model_of(request: AgentRequest) -> Reply:
    """Thinks, writes two files at once, looks at one that is not there, runs a command, and is done."""
    place = request.workspace
    turns: list[tuple[Json, ...]] = [
        (
            THINKING,
            text("I write."),
            tool_call("1", "Write", {"file_path": f"{place}/hello.txt", "content": "Grüße\n"}),
            tool_call("2", "Write", {"file_path": f"{place}/{{{{workspace}}}}.txt", "content": "{{workspace}}\n"}),
        ),
        (tool_call("3", "Read", {"file_path": f"{place}/missing.txt"}),),
        (tool_call("4", "Bash", {"command": f"cp {place}/hello.txt {place}/copy.txt"}),),
        (text("Done."),),
    ]
    return lambda got: streamed(*turns[got.turn], usage={"input_tokens": 11, "output_tokens": 5})


def record(cli: Path, cassettes: Path, request: AgentRequest, reply: Reply | None = None) -> dict[str, bytes]:
    with (
        serving(reply or model_of(request)) as api,
        contextlib.closing(Recorder(cassettes, LiveStandIn(api.url), {})) as recorder,
    ):
        did = do(cli, recorder, request)
    assert did.completed.exit_code == 0, did.printed[-2000:]
    return did.tree


@contextlib.contextmanager
def playing(cassettes: Path) -> Iterator[Rehearsal]:
    rehearsal = Rehearsal(player_for(cassettes), rehearses="cassette")
    with contextlib.closing(rehearsal):
        yield rehearsal


def test_what_a_model_did_once_is_done_again_elsewhere(claude_cli: Path, tmp_path: Path) -> None:
    there = record(claude_cli, tmp_path / "cassettes", task_run(tmp_path / "there"))

    with playing(tmp_path / "cassettes") as rehearsal:
        again = do(claude_cli, rehearsal, task_run(tmp_path / "here", nr=4))

    assert there["hello.txt"] == there["copy.txt"] == "Grüße\n".encode()
    assert there["{{workspace}}.txt"] == b"{{workspace}}\n"
    assert again.tree == there
    assert again.complaint == ""
    assert again.completed.exit_code == 0
    cassette = load(path_of(tmp_path / "cassettes", "plans.hello/batch-1-task-1-1", 1))
    assert cassette.exchanges[0].content[0] == THINKING
    assert [each.aftermath for each in cassette.exchanges] == [
        (),
        ("Write succeeded", "Write succeeded"),
        ("Read failed",),
        ("Bash succeeded",),
    ]
    assert cassette.cli.count(".") == 2


def test_it_is_done_again_behind_a_link(claude_cli: Path, tmp_path: Path) -> None:
    there = record(claude_cli, tmp_path / "cassettes", task_run(tmp_path / "there"))
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    with playing(tmp_path / "cassettes") as rehearsal:
        again = do(claude_cli, rehearsal, task_run(tmp_path / "link"))

    assert (again.tree, again.complaint) == (there, "")


def test_trouble_while_recording_is_not_played_again(claude_cli: Path, tmp_path: Path) -> None:
    request = task_run(tmp_path / "there")
    refusals = [refusal(429, {"retry-after": "0"}), refusal(529)]
    model = model_of(request)
    there = record(claude_cli, tmp_path / "cassettes", request, lambda got: refusals.pop() if refusals else model(got))

    with playing(tmp_path / "cassettes") as rehearsal:
        again = do(claude_cli, rehearsal, task_run(tmp_path / "here"))

    assert (again.tree, again.complaint) == (there, "")
    assert "api_retry" not in again.printed


def test_an_answer_that_was_cut_is_played_whole(claude_cli: Path, tmp_path: Path) -> None:
    request = task_run(tmp_path / "there")

    to_cut = [True, False, True]

    def reply(got: Got) -> Sent:
        whole = model_of(request)(got)
        return dataclasses.replace(whole, pieces=_cut(whole)) if to_cut and to_cut.pop() else whole

    there = record(claude_cli, tmp_path / "cassettes", request, reply)

    with playing(tmp_path / "cassettes") as rehearsal:
        again = do(claude_cli, rehearsal, task_run(tmp_path / "here"))

    assert (again.tree, again.complaint) == (there, "")
    assert not to_cut


def _cut(sent: Sent) -> Iterator[bytes]:
    yield next(iter(sent.pieces))
    raise ConnectionAbortedError


def test_task_runs_at_once_are_recorded_and_played_each_by_its_own(claude_cli: Path, tmp_path: Path) -> None:
    def reply(got: Got) -> Sent:
        words = next(each["text"] for each in got.body["messages"][0]["content"] if "Write number" in each["text"])
        number = words.split()[-1]
        call = tool_call("1", "Bash", {"command": f"echo {number} > number.txt"})
        return streamed(call) if got.turn == 0 else streamed(text("Done."))

    def requests(place: Path) -> list[AgentRequest]:
        return [
            task_run(place / str(nr), prompt=f"Write number {nr}", case=f"plan/task-{nr % 2}", nr=nr) for nr in range(3)
        ]

    with serving(reply) as api, ThreadPoolExecutor(3) as pool:
        recorder = Recorder(tmp_path / "cassettes", LiveStandIn(api.url), {})
        recorded = [each.tree for each in pool.map(lambda r: do(claude_cli, recorder, r), requests(tmp_path / "a"))]
        recorder.close()
    with playing(tmp_path / "cassettes") as rehearsal, ThreadPoolExecutor(3) as pool:
        played = [each.tree for each in pool.map(lambda r: do(claude_cli, rehearsal, r), requests(tmp_path / "b"))]

    assert recorded == played == [{"number.txt": f"{number}\n".encode()} for number in range(3)]


def test_a_tool_that_fails_where_it_succeeded_is_told(claude_cli: Path, tmp_path: Path) -> None:
    record(claude_cli, tmp_path / "cassettes", task_run(tmp_path / "there"))
    request = task_run(tmp_path / "here")
    (request.workspace / "hello.txt").mkdir()

    with playing(tmp_path / "cassettes") as rehearsal:
        did = do(claude_cli, rehearsal, request)

    path = path_of(tmp_path / "cassettes", request.case, 1)
    assert did.complaint == (
        f"{path}: in answer 2, the tool Write failed where it succeeded when it was recorded. Record it again with "
        f"`--agent claude --record-cassette {tmp_path / 'cassettes'}`."
    )
    assert did.completed.exit_code == 1
    assert "copy.txt" not in did.tree


@pytest.mark.parametrize("change", ["prompt", "case", "file"])
def test_a_task_without_a_cassette_that_fits_is_not_begun(claude_cli: Path, tmp_path: Path, change: str) -> None:
    cassettes = tmp_path / "cassettes"
    write(cassettes, _cassette(task_run(tmp_path / "there")))
    request = task_run(tmp_path / "here")
    path = path_of(cassettes, request.case, 1)
    if change == "prompt":
        request = dataclasses.replace(request, prompt=PROMPT + "And a farewell.\n")
        told = f"The prompt of this task no longer matches its cassette {path}: "
    elif change == "case":
        request = dataclasses.replace(request, case="plans.hello/batch-1-task-1-2")
        told = f"There is no cassette for the task plans.hello/batch-1-task-1-2 in {cassettes}. Record it with "
    else:
        path.write_bytes(path.read_bytes()[:-200])
        told = f"{path}: this cassette cannot be used: it is no whole JSON text ("

    with playing(cassettes) as rehearsal:
        did = do(claude_cli, rehearsal, request)

    assert did.complaint.startswith(told)
    assert "--record-cassette" in did.complaint
    assert did.completed.exit_code == 1
    assert did.tree == {}
    assert did.printed.count('"type":"api_retry"') == 0


# From here on the script itself is asked.

FIRST: tuple[Json, ...] = ({"role": "user", "content": PROMPT},)
CALL = tool_call("1", "Write", {"file_path": "{{workspace}}/a", "content": ""})
EXCHANGES = (
    Exchange(0, (), "claude-one", (dict(CALL),), "tool_use", {"input_tokens": 3}),
    Exchange(1, ("Write succeeded",), "claude-two", ({"type": "text", "text": "Done."},), "end_turn", {}),
)


def _cassette(request: AgentRequest, *exchanges: Exchange) -> Cassette:
    prompt = Places.of(request).prompt_hash(request.prompt)
    return Cassette(request.case, request.run, "2.1.330", MODEL, prompt, exchanges or EXCHANGES)


def _asked(*messages: Json) -> Asked:
    return Asked(sum(each["role"] == "assistant" for each in messages), messages, {"messages": messages})


def _then(*messages: Json, name: str = "Write", failed: object = None) -> tuple[Json, ...]:
    call = tool_call("1", name, {})
    result = {"type": "tool_result", "tool_use_id": "toolu_1", **({} if failed is None else {"is_error": failed})}
    return (*messages, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]})


def test_answers_come_in_their_order_and_again_when_they_are_asked_for_again(tmp_path: Path) -> None:
    request = task_run(tmp_path)
    write(tmp_path, _cassette(request))
    script = player_for(tmp_path)(request)

    first = script.reply(_asked(*FIRST))
    assert script.reply(_asked(*FIRST)) == first
    second = script.reply(_asked(*_then(*FIRST)))
    assert script.reply(_asked(*FIRST)) == first
    assert script.reply(_asked(*_then(*FIRST))) == second

    assert isinstance(first, Answer)
    assert first.content[0]["input"] == {"file_path": f"{request.workspace}/a", "content": ""}
    assert (first.stop_reason, first.usage, first.model) == ("tool_use", {"input_tokens": 3}, "claude-one")
    assert second == Answer((text("Done."),), "end_turn", {}, "claude-two")
    assert script.complaint() == ""


@pytest.mark.parametrize(
    ("asked", "difference"),
    [
        ([FIRST, _then(*FIRST, failed=True)], "in answer 2, the tool Write failed where it succeeded"),
        ([FIRST, _then(*FIRST, name="Bash")], "in answer 2, the CLI tells of Bash succeeded where it told of Write"),
        ([FIRST, (*FIRST, *FIRST)], "in answer 2, the CLI tells of no tool where it told of Write succeeded"),
        ([_then(*FIRST)], "in answer 1, the CLI tells of Write succeeded where it told of no tool"),
        ([FIRST, _then(*_then(*FIRST))], "in answer 2, the conversation holds 2 answers, not 1"),
        (
            [FIRST, _then(*FIRST), (*_then(*FIRST), *FIRST)],
            "in answer 3, the model is asked more than when it was recorded, where it ended after 2",
        ),
    ],
)
def test_where_recording_and_task_run_go_apart_is_told(
    tmp_path: Path, asked: list[tuple[Json, ...]], difference: str
) -> None:
    request = task_run(tmp_path)
    path = write(tmp_path, _cassette(request))
    script = player_for(tmp_path)(request)
    replies = [script.reply(_asked(*each)) for each in asked]

    assert all(isinstance(each, Answer) for each in replies[:-1])
    fault = replies[-1]
    assert isinstance(fault, Fault)
    assert (fault.status, fault.retry, fault.message) == (400, False, script.complaint())
    assert script.complaint().startswith(f"{path}: {difference}")
    assert script.complaint().endswith(f"Record it again with `--agent claude --record-cassette {tmp_path}`.")
    assert isinstance(script.reply(_asked(*_then(*FIRST), *FIRST, *FIRST)), Fault), "there is no way back"


def test_reminders_and_the_cli_s_own_words_make_no_difference(tmp_path: Path) -> None:
    request = task_run(tmp_path)
    write(tmp_path, _cassette(request))
    script = player_for(tmp_path)(request)
    script.reply(_asked({"role": "user", "content": [text("Today is Monday."), text(PROMPT)]}, *FIRST))

    reminded = (*_then(*FIRST, failed=False), {"role": "system", "content": "12 tokens left"})

    assert isinstance(script.reply(_asked(*reminded)), Answer)
    assert script.complaint() == ""


def test_a_directory_without_cassettes_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--cassette .*nowhere is no directory\. .*--record-cassette"):
        player_for(tmp_path / "nowhere")
    with pytest.raises(SettingsError, match=r"--cassette .* holds no cassette\. .*--record-cassette"):
        player_for(tmp_path)
    assert tree(tmp_path) == {}
