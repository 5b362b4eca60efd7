from __future__ import annotations

import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pytest_pipeline.agents.base import AgentRequest
from pytest_pipeline.agents.claude.rehearsal import sse
from pytest_pipeline.agents.claude.rehearsal.cassette import path_of
from pytest_pipeline.agents.claude.rehearsal.recorder import Recorder
from pytest_pipeline.agents.claude.rehearsal.script import Json, text, tool_call
from pytest_pipeline.errors import HostError, SettingsError
from tests.agents.claude.rehearsal.real_api import (
    KEY,
    MODEL,
    REQUEST_ID,
    Got,
    LiveStandIn,
    Sent,
    answer,
    by_turn,
    one_by_one,
    serving,
    streamed,
)
from tests.agents.claude.rehearsal.recorded_runs import (
    QUESTION,
    WRITE,
    Client,
    admitted,
    after,
    one_task_run,
    recorded,
    recording,
    with_environment,
)
from tests.agents.claude.rehearsal.task_runs import PROMPT, task_run


def test_what_the_model_answers_is_passed_on_and_kept(tmp_path: Path) -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "EqQBCkYI"}
    usage = {"input_tokens": 7, "output_tokens": 3, "service_tier": "standard"}
    done = streamed(text("done"), usage=usage)  # type: ignore[arg-type]
    begun = streamed(thinking, WRITE)
    with one_task_run(tmp_path, one_by_one(begun, done)) as cli:
        assert cli.ask() == (200, b"".join(begun.pieces))
        assert cli.ask(*after(WRITE, failed=True)) == (200, b"".join(done.pieces))
        assert recorded(tmp_path) is None, "the task run has not ended"

    cassette = recorded(tmp_path)
    assert cassette is not None
    assert (cassette.case, cassette.run) == ("plans.hello/batch-1-task-1-1", 1)
    assert (cassette.cli, cassette.model) == ("2.1.330", MODEL)
    first, second = cassette.exchanges
    assert first.content == (thinking, WRITE)
    assert (first.turn, first.aftermath, first.stop_reason, first.model) == (0, (), "tool_use", MODEL)
    assert (second.turn, second.aftermath, second.stop_reason) == (1, ("Write failed",), "end_turn")
    assert second.content == (text("done"),)
    assert second.usage["input_tokens"] == 7
    assert "service_tier" not in second.usage


def test_an_answer_that_is_no_stream_is_kept_too(tmp_path: Path) -> None:
    body = json.dumps(sse.message(answer(text("whole")), model=MODEL, number="1")).encode()
    sent = Sent(200, {"content-type": "application/json", "content-length": str(len(body))}, [body])
    with recording(tmp_path, one_by_one(sent)) as (_api, recorder), admitted(recorder, task_run(tmp_path)) as cli:
        assert cli.ask(stream=False) == (200, body)

    cassette = recorded(tmp_path)
    assert cassette is not None
    assert cassette.exchanges[0].content == (text("whole"),)


def test_of_several_answers_to_one_question_the_last_is_kept(tmp_path: Path) -> None:
    with one_task_run(tmp_path, one_by_one(streamed(text("one")), streamed(text("two")))) as cli:
        cli.ask()
        cli.ask()

    cassette = recorded(tmp_path)
    assert cassette is not None
    assert [each.content for each in cassette.exchanges] == [(text("two"),)]


def test_an_empty_answer_and_what_the_cli_asks_then_are_two_exchanges(tmp_path: Path) -> None:
    again = {"role": "user", "content": [*QUESTION["content"], text("Please continue.")]}  # type: ignore[misc]
    with one_task_run(tmp_path, one_by_one(streamed(), streamed(text("sorry")))) as cli:
        cli.ask()
        cli.ask(again)

    cassette = recorded(tmp_path)
    assert cassette is not None
    assert [(each.turn, each.content) for each in cassette.exchanges] == [(0, ()), (0, (text("sorry"),))]


def test_what_the_cli_asks_on_its_own_account_is_not_kept(tmp_path: Path) -> None:
    with one_task_run(tmp_path, lambda got: streamed(text(got.body["messages"][0]["content"]))) as cli:
        cli.ask({"role": "user", "content": "quota"}, max_tokens=1)
        cli.ask({"role": "user", "content": f"Said: {PROMPT}"})
        counted = {"messages": [{"role": "user", "content": f"Count: {PROMPT}"}]}
        with cli.open(counted, "POST", "/v1/messages/count_tokens") as response:
            response.read()
        cli.ask({"role": "user", "content": "Explore."}, tools=[{"name": "Read"}])
        cli.ask({"role": "user", "content": "Sum up."}, {"role": "assistant", "content": "Hm."})

    cassette = recorded(tmp_path)
    assert cassette is not None
    assert [each.content[0]["text"] for each in cassette.exchanges] == [f"Said: {PROMPT}", "Explore.", "Sum up."]


def test_nothing_secret_reaches_the_cassette(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_FORGE_TOKEN", "ghp-of-pytest-itself")
    secrets = {
        "environment": "given-to-the-agent",
        "access": "a-secret-of-the-access",
        "gateway": "a-secret-of-the-gateway",
        "bearer": "seen-in-a-header-only",
        "account": "0d3a6a1e-account-uuid",
        "device": "d7cb7731-device-id",
        "ours": "ghp-of-pytest-itself",
        "key": KEY,
    }
    spoken = " and ".join(secrets.values())
    call = tool_call("1", "Bash", {"command": f"curl -H 'x-api-key: {KEY}' && echo {spoken}", spoken: [spoken]})
    user = json.dumps({"device_id": secrets["device"], "account_uuid": secrets["account"], "session_id": ""})
    request = task_run(tmp_path)
    request = with_environment(request, {"AGENT_TOKEN": secrets["environment"]})
    with serving(by_turn((text(spoken), call), text(spoken))) as api:
        live = LiveStandIn(api.url, {"SOME_API_KEY": secrets["gateway"]}, (secrets["access"],))
        recorder = Recorder(tmp_path / "cassettes", live, {})
        with admitted(recorder, request) as cli:
            _ask_as(cli, f"Bearer {secrets['bearer']}", {"user_id": user}, (QUESTION,))
            _ask_as(cli, f"Bearer {secrets['bearer']}", {"user_id": user}, after(call))
        recorder.close()

    (file,) = [path for path in (tmp_path / "cassettes").rglob("*") if path.is_file()]
    content = file.read_text()
    for secret in (*secrets.values(), user, REQUEST_ID, "SecretOfTheServer", "user_id", "x-api-key: sk"):
        assert secret not in content
    assert "*** and *** and ***" in content
    assert '"type": "tool_use"' in content


def _ask_as(cli: Client, authorization: str, metadata: Json, messages: tuple[Json, ...]) -> None:
    url = urlsplit(cli.base)
    connection = http.client.HTTPConnection(url.hostname or "", url.port)
    body = json.dumps({"model": MODEL, "stream": True, "messages": messages, "metadata": metadata})
    headers = {"x-api-key": KEY, "authorization": authorization, "x-request-id": REQUEST_ID}
    connection.request("POST", f"{url.path}/v1/messages?beta=true", body, headers)
    connection.getresponse().read()
    connection.close()


def test_paths_of_the_task_run_are_placeholders(tmp_path: Path) -> None:
    request = task_run(tmp_path)
    call = tool_call("1", "Write", {"file_path": f"{request.workspace}/a", "content": "{{workspace}}"})
    said = f"HOME is {tmp_path}/home, TMPDIR {tmp_path}/tmp."
    with recording(tmp_path, by_turn(call, text(said))) as (_api, recorder), admitted(recorder, request) as cli:
        cli.ask()
        cli.ask(*after(call))

    cassette = recorded(tmp_path)
    assert cassette is not None
    first, second = cassette.exchanges
    assert first.content[0]["input"] == {"file_path": "{{workspace}}/a", "content": "{{literal:workspace}}"}
    assert second.content == (text("HOME is {{home}}, TMPDIR {{tmpdir}}."),)
    assert str(tmp_path) not in path_of(tmp_path / "cassettes", request.case, 1).read_text()


@pytest.mark.parametrize("asked", [0, 1, 2])
def test_a_task_run_in_which_the_model_did_not_come_to_its_end_leaves_the_older_cassette(
    tmp_path: Path, asked: int
) -> None:
    older = path_of(tmp_path / "cassettes", "plans.hello/batch-1-task-1-1", 1)
    older.parent.mkdir(parents=True)
    older.write_text("older")
    conversations = [(QUESTION,), after(WRITE)]
    with one_task_run(tmp_path, by_turn(WRITE, WRITE)) as cli:
        for messages in conversations[:asked]:
            cli.ask(*messages)

    assert older.read_text() == "older"
    assert list(older.parent.iterdir()) == [older]


def test_an_error_in_the_task_run_leaves_no_cassette(tmp_path: Path) -> None:
    def interrupted() -> None:
        with one_task_run(tmp_path, by_turn(text("done"))) as cli:
            cli.ask()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert recorded(tmp_path) is None


def test_task_runs_at_once_do_not_get_into_each_others_cassettes(tmp_path: Path) -> None:
    requests = [task_run(tmp_path / str(nr), case=f"plan/task-{nr}", nr=nr) for nr in range(1, 9)]
    together = threading.Barrier(len(requests))

    def do(recorder: Recorder, request: AgentRequest) -> None:
        with admitted(recorder, request) as cli:
            together.wait(30)
            call = tool_call("1", "Write", {"content": request.case})
            cli.ask({"role": "user", "content": f"{PROMPT} {request.case}"})
            cli.ask(*after(call), {"role": "user", "content": request.case})
            together.wait(30)

    def reply(got: Got) -> Sent:
        case = got.body["messages"][-1]["content"].split()[-1]
        return streamed(tool_call("1", "Write", {"content": case})) if got.turn == 0 else streamed(text(case))

    with recording(tmp_path, reply) as (_api, recorder), ThreadPoolExecutor(len(requests)) as pool:
        list(pool.map(lambda request: do(recorder, request), requests))

    for request in requests:
        cassette = recorded(tmp_path, request)
        assert cassette is not None
        assert [each.content[0].get("input", each.content[0].get("text")) for each in cassette.exchanges] == [
            {"content": request.case},
            request.case,
        ]


@pytest.mark.parametrize("name", ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"])
def test_only_the_messages_api_can_be_recorded(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is set, .* ANTHROPIC_API_KEY"):
        Recorder(tmp_path, LiveStandIn(""), {name: "1"})

    recorder = Recorder(tmp_path, LiveStandIn("http://127.0.0.1:9", {name: "True"}), {name: "0"})
    with pytest.raises(HostError, match=f"{name} is set"), recorder.admit(task_run(tmp_path), tmp_path):
        raise AssertionError("it was admitted")
    recorder.close()


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host", "http://", "http://host:port"])
def test_an_address_that_is_none_is_told(tmp_path: Path, url: str) -> None:
    recorder = Recorder(tmp_path, LiveStandIn(url), {})
    told = pytest.raises(HostError, match=r"ANTHROPIC_BASE_URL is .* Correct it or unset it\.")
    with told, recorder.admit(task_run(tmp_path), tmp_path):
        raise AssertionError("it was admitted")
    recorder.close()


def test_a_directory_that_is_none_is_told_before_anything_is_paid_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match=r"--record-cassette .*file is no directory"):
        Recorder(tmp_path / "file", LiveStandIn(""), {})


def test_a_recorded_session_is_a_live_one_and_says_where_it_records(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, LiveStandIn(""), {})

    assert recorder.rehearses == ""
    assert recorder.notes[0] == "live"
    assert str(tmp_path) in recorder.notes[1]
