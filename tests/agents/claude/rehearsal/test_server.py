"""The loopback server, asked by a plain HTTP client: answers, refusals, faults, and an end that leaves nothing."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import os
import select
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pytest_pipeline.agents.claude.rehearsal import sse
from pytest_pipeline.agents.claude.rehearsal.gateway import Rehearsal
from pytest_pipeline.agents.claude.rehearsal.script import Answer, Asked, Fault, Flood, Reply, text, tool_call
from pytest_pipeline.agents.claude.rehearsal.server import DUMMY_KEY, Admission, Server
from pytest_pipeline.trouble import TroubleKind
from tests.agents.claude.rehearsal.stage import Stage, request_in
from tests.host.conftest import until

WAITS = [TroubleKind.STALL, TroubleKind.SILENCE]
HELLO = Answer((text("Hello."), tool_call("1", "Bash", {"command": "ls"})), "tool_use", {"output_tokens": 9})
KEY = {"x-api-key": DUMMY_KEY}


@dataclass
class Says:
    """A script that says the same again and again, or raises it, and keeps what it was asked."""

    reply_with: Reply | Exception | Callable[[Asked], Reply] = HELLO
    asked: list[Asked] = field(default_factory=list)

    def reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        if isinstance(self.reply_with, Exception):
            raise self.reply_with
        return self.reply_with(asked) if callable(self.reply_with) else self.reply_with

    def complaint(self) -> str:
        return ""

    def was_asked(self) -> bool:
        return bool(self.asked)


class Client(http.client.HTTPConnection):
    """Speaks with one task run's API over one connection."""

    def __init__(self, admission: Admission) -> None:
        self.address = urlsplit(admission.address)
        super().__init__(self.address.hostname or "", self.address.port, timeout=30)

    def ask(
        self,
        messages: object = (),
        *,
        stream: bool = True,
        path: str = "/v1/messages?beta=true",
        headers: Mapping[str, str] = KEY,
    ) -> http.client.HTTPResponse:
        body = json.dumps({"model": "claude-asked-1", "messages": messages or [], "stream": stream})
        self.request("POST", self.address.path + path, body, dict(headers))
        return self.getresponse()

    def is_quiet(self) -> bool:
        """Whether neither a byte nor the end comes, for as long as that takes on a slow machine."""
        return not select.select([self.sock], [], [], 0.2)[0]


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def client_for(server: Server) -> Iterator[Callable[[object], Client]]:
    with contextlib.ExitStack() as stack:

        def connect(script: object) -> Client:
            admission = server.admit(script if isinstance(script, Says) else Says(script))  # type: ignore[arg-type]
            return stack.enter_context(contextlib.closing(Client(admission)))

        yield connect


ClientFor = Callable[[object], Client]


def error_of(response: http.client.HTTPResponse) -> tuple[int, str]:
    body = json.loads(response.read())
    assert body["type"] == "error"
    return response.status, body["error"]["type"]


def answering() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("rehearsal")]


def test_an_answer_comes_as_a_stream_and_as_one_message_over_one_connection(client_for: ClientFor) -> None:
    client = client_for(HELLO)

    streamed = client.ask()
    assert (streamed.status, streamed.getheader("content-type")) == (200, "text/event-stream; charset=utf-8")
    assembled = sse.assemble(sse.read(streamed.read().splitlines(keepends=True)))
    connection = client.sock
    whole = client.ask(stream=False)
    assert (whole.status, whole.getheader("content-type")) == (200, "application/json")
    plain = json.loads(whole.read())

    assert client.sock is connection
    assert assembled["content"] == plain["content"] == [*HELLO.content]
    assert assembled["model"] == plain["model"] == "claude-asked-1"
    assert assembled["id"] != plain["id"]


def test_a_script_is_told_the_conversation_and_how_often_the_model_has_answered(client_for: ClientFor) -> None:
    script = Says()
    messages = [{"role": role, "content": "ü"} for role in ("user", "assistant", "user", "assistant", "user")]

    client_for(script).ask(messages).read()

    assert (script.asked[0].turn, script.asked[0].messages) == (2, messages)
    assert script.asked[0].body["model"] == "claude-asked-1"


@pytest.mark.parametrize(
    ("path", "headers", "refusal"),
    [
        ("/v1/messages", {}, (401, "authentication_error")),
        ("/v1/messages", {"x-api-key": "sk-ant-real"}, (401, "authentication_error")),
        ("/v1/messages", {"authorization": "Bearer ü".encode().decode("latin-1")}, (401, "authentication_error")),
        ("/v1/models", KEY, (404, "not_found_error")),
        ("", KEY, (404, "not_found_error")),
    ],
)
def test_a_request_that_is_refused_does_not_reach_the_script_nor_harm_the_next(
    client_for: ClientFor, path: str, headers: Mapping[str, str], refusal: tuple[int, str]
) -> None:
    script = Says()
    client = client_for(script)

    assert error_of(client.ask([{"role": "user", "content": "x" * 300_000}], path=path, headers=headers)) == refusal
    assert script.asked == []
    assert client.ask(headers={"authorization": f"Bearer {DUMMY_KEY}"}).status == 200


def test_who_does_not_know_the_address_is_not_answered(server: Server, client_for: ClientFor) -> None:
    script = Says()
    client = client_for(script)
    for path in ("/v1/messages", "/", "//v1/messages", "/guess/v1/messages", "/guess"):
        client.request("POST", path, "{}", KEY)
        assert error_of(client.getresponse()) == (404, "not_found_error")
        client.request("GET", path)
        assert error_of(client.getresponse()) == (404, "not_found_error")
    assert script.asked == []


def test_a_dismissed_task_run_is_not_answered(server: Server) -> None:
    admission = server.admit(Says())
    with contextlib.closing(Client(admission)) as client:
        client.ask().read()
        server.dismiss(admission)
        assert client.ask().status == 404
    server.dismiss(admission)


@pytest.mark.parametrize(("method", "body"), [("HEAD", b""), ("GET", b"{}")])
def test_a_greeting_has_an_answer(server: Server, method: str, body: bytes) -> None:
    path = urlsplit(server.admit(Says()).address).path
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port))) as raw:
        raw.sendall(f"{method} {path}/api/hello HTTP/1.1\r\nconnection: close\r\n\r\n".encode())
        with raw.makefile("rb") as answer:
            head, told = answer.read().split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert told == body


def test_tokens_are_counted(client_for: ClientFor) -> None:
    client = client_for(HELLO)
    tokens = json.loads(client.ask(path="/v1/messages/count_tokens").read())
    assert tokens["input_tokens"] > 0


@pytest.mark.parametrize(
    ("length", "refusal"),
    [
        ("268435457", (413, "request_too_large")),
        ("many", (411, "invalid_request_error")),
        ("-1", (411, "invalid_request_error")),
        (None, (411, "invalid_request_error")),
    ],
)
def test_a_request_without_an_end_in_sight_is_not_read(
    client_for: ClientFor, length: str | None, refusal: tuple[int, str]
) -> None:
    client = client_for(HELLO)
    client.putrequest("POST", client.address.path + "/v1/messages")
    for name, value in {**KEY, "content-length": length}.items():
        if value is not None:
            client.putheader(name, value)
    client.endheaders()

    response = client.getresponse()
    assert error_of(response) == refusal
    assert response.getheader("connection") == "close"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"messages": "x"}', b'{"messages": [3]}', b"{}"])
def test_a_body_that_is_no_request_is_refused(client_for: ClientFor, body: bytes) -> None:
    client = client_for(HELLO)
    client.request("POST", client.address.path + "/v1/messages", body, KEY)
    assert error_of(client.getresponse()) == (400, "invalid_request_error")


def test_a_conversation_of_many_megabytes_arrives(client_for: ClientFor) -> None:
    script = Says()
    client_for(script).ask([{"role": "user", "content": "x" * 20_000_000}]).read()
    assert len(str(script.asked[0].messages[0]["content"])) == 20_000_000


@pytest.mark.parametrize(
    ("fault", "headers"),
    [
        (Fault(TroubleKind.STATUS, 429), {}),
        (Fault(TroubleKind.STATUS, 429, retry_after=2.0), {"retry-after": "2"}),
        (
            Fault(TroubleKind.STATUS, 500, retry_after=0.5, retry=False),
            {"retry-after": "0.5", "x-should-retry": "false"},
        ),
        (Fault(TroubleKind.STATUS, 529, message="Come back later.", retry=True), {"x-should-retry": "true"}),
    ],
)
def test_a_status_has_its_headers_and_words(client_for: ClientFor, fault: Fault, headers: dict[str, str]) -> None:
    client = client_for(fault)
    response = client.ask()

    told = {name: response.getheader(name) for name in ("retry-after", "x-should-retry")}
    assert {name: value for name, value in told.items() if value} == headers
    body = json.loads(response.read())
    assert (response.status, body) == (fault.status, sse.error(fault.status, fault.message))
    assert client.ask().status == fault.status


@pytest.mark.parametrize("stream", [True, False])
def test_a_dropped_answer_has_begun_and_is_not_complete(client_for: ClientFor, stream: bool) -> None:
    response = client_for(Fault(TroubleKind.DROP)).ask(stream=stream)

    with pytest.raises(http.client.IncompleteRead) as cut:
        response.read()
    assert response.status == 200
    assert (b"I begin with" if stream else b'"msg_') in cut.value.partial
    with pytest.raises(sse.BrokenStreamError):
        sse.assemble(sse.read(cut.value.partial.splitlines(keepends=True)))


@pytest.mark.parametrize("stream", [True, False])
def test_a_malformed_answer_is_complete_and_no_json(client_for: ClientFor, stream: bool) -> None:
    response = client_for(Fault(TroubleKind.MALFORMED)).ask(stream=stream)
    body = response.read()

    assert response.status == 200
    with pytest.raises(ValueError):  # noqa: PT011 - JSONDecodeError or BrokenStreamError
        list(sse.read(body.splitlines(keepends=True))) if stream else json.loads(body)


def test_a_stalled_answer_has_begun_and_stays_open(client_for: ClientFor, server: Server) -> None:
    client = client_for(Fault(TroubleKind.STALL))
    response = client.ask()

    begun = b""
    while b"I begin with" not in begun:
        begun += response.read1()
    assert client.is_quiet()
    server.close()
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()


def test_of_silence_there_is_not_one_byte(client_for: ClientFor, server: Server) -> None:
    script = Says(Fault(TroubleKind.SILENCE))
    client = client_for(script)
    client.request("POST", client.address.path + "/v1/messages", b'{"messages": []}', KEY)
    until(script.was_asked)

    assert client.is_quiet()
    server.close()
    with pytest.raises(ConnectionError):
        client.getresponse()


@pytest.mark.parametrize("kind", WAITS)
def test_a_client_that_goes_leaves_no_thread_waiting(client_for: ClientFor, server: Server, kind: TroubleKind) -> None:
    script = Says(Fault(kind))
    client = client_for(script)
    client.request("POST", client.address.path + "/v1/messages", b'{"messages": [], "stream": true}', KEY)
    until(script.was_asked)
    assert len(answering()) == 2

    client.close()
    until(lambda: len(answering()) == 1)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (ZeroDivisionError("by nought"), "by nought"),
        (None, "None is not a reply"),
        (Answer((text("x"), {"type": "odd", "value": {1, 2}}), "end_turn"), "not JSON serializable"),
        (Answer(("text",), "end_turn"), "'str' object"),  # type: ignore[arg-type]
        (Fault(TroubleKind.STATUS, 200), "200 is not the status of an error"),
        (Fault(TroubleKind.FLOOD), "flood is not a fault"),
    ],
)
def test_a_script_that_fails_is_an_error_and_a_complaint(server: Server, reply: object, why: str) -> None:
    admission = server.admit(Says(reply))  # type: ignore[arg-type]
    assert admission.complaint() == ""

    with contextlib.closing(Client(admission)) as client:
        response = client.ask()
        assert error_of(response) == (500, "api_error")

    assert response.getheader("x-should-retry") == "false"
    assert why in admission.complaint()
    assert admission.complaint().endswith("report it.")


@pytest.mark.parametrize("stream", [True, False])
def test_a_flood_is_sent_without_being_kept(client_for: ClientFor, stream: bool) -> None:
    client = client_for(Flood(20_000_000))
    tracemalloc.start()
    try:
        response = client.ask(stream=stream)
        size = 0
        while piece := response.read(64 * 1024):
            size += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 20_000_000
    assert peak < 4_000_000


def test_task_runs_at_once_have_scripts_of_their_own(client_for: ClientFor) -> None:
    together = threading.Barrier(4, timeout=30)

    def echo(asked: Asked) -> Reply:
        together.wait()
        return Answer((text(str(asked.messages[0]["content"])),), "end_turn")

    def talk(client: Client, word: str) -> object:
        return sse.assemble(sse.read(client.ask([{"role": "user", "content": word}])))["content"]

    words = ["one", "two", "three", "four"]
    with ThreadPoolExecutor(len(words)) as pool:
        heard = list(pool.map(talk, [client_for(echo) for _ in words], words))

    assert heard == [[text(word)] for word in words]


def test_a_script_is_asked_from_one_thread_at_a_time(server: Server) -> None:
    inside, crowded = threading.Lock(), []

    def slow(asked: Asked) -> Reply:
        crowded.append(not inside.acquire(blocking=False))
        json.dumps(list(range(50_000)))  # long enough for another thread to come in
        inside.release()
        return HELLO

    admission = server.admit(Says(slow))

    def talk(_number: int) -> int:
        with contextlib.closing(Client(admission)) as client:
            return client.ask().status

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(talk, range(24))) == [200] * 24
    assert crowded == [False] * 24


def test_the_end_leaves_no_thread_and_no_socket() -> None:
    before = sorted(os.listdir("/dev/fd"))
    server = Server()
    scripts = [Says(Fault(kind)) for kind in WAITS] + [Says(Flood(1024**3)), Says()]
    clients = [Client(server.admit(script)) for script in scripts]
    for client, script in zip(clients, scripts, strict=True):
        client.request("POST", client.address.path + "/v1/messages", b'{"messages": [], "stream": true}', KEY)
        until(script.was_asked)
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port))) as idle:
        until(lambda: len(answering()) == 6)

        server.close()
        server.close()

        assert answering() == []
        assert idle.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))
    for client in clients:
        client.close()
    assert sorted(os.listdir("/dev/fd")) == before


def test_a_server_that_nobody_asked_ends_at_once() -> None:
    Server().close()
    assert answering() == []


def test_whatever_clients_do_nothing_is_printed(
    client_for: ClientFor, server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    for garbage in (b"\x16\x03\x01", b"POST\r\n\r\n", b"BREW / HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b""):
        with contextlib.closing(socket.create_connection(("127.0.0.1", server.port))) as raw:
            raw.sendall(garbage)
    for reply in (Flood(50_000_000), Fault(TroubleKind.STALL), Fault(TroubleKind.DROP), HELLO):
        client = client_for(reply)
        client.request("POST", client.address.path + "/v1/messages", b'{"messages": [], "stream": true}', KEY)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # goes with a reset
        client.close()
    client = client_for(HELLO)
    client.putrequest("POST", client.address.path + "/v1/messages")
    client.putheader("content-length", "1000")
    client.endheaders(b"{")
    client.close()
    until(lambda: len(answering()) == 1)
    gc.collect()

    assert capfd.readouterr() == ("", "")


def test_a_rehearsal_lets_a_task_run_in_and_forgets_it(tmp_path: Path) -> None:
    rehearsal = Rehearsal(lambda _request: Says())
    config = tmp_path / "config"
    config.mkdir()
    with contextlib.closing(rehearsal):
        with rehearsal.admit(request_in(tmp_path), config) as access:
            address = access.environment["ANTHROPIC_BASE_URL"]
            assert access.environment == {
                "ANTHROPIC_BASE_URL": address,
                "ANTHROPIC_API_KEY": DUMMY_KEY,
                "NO_PROXY": "127.0.0.1",
                "no_proxy": "127.0.0.1",
            }
            with contextlib.closing(Client(Admission(address, Says()))) as client:
                assert client.ask().status == 200
        with contextlib.closing(Client(Admission(address, Says()))) as client:
            assert client.ask().status == 404
    assert answering() == []
    assert list(config.iterdir()) == []


def test_a_rehearsal_keeps_what_a_proxy_must_not_see(tmp_path: Path) -> None:
    rehearsal = Rehearsal(lambda _request: Says())
    request = request_in(tmp_path, environment={"no_proxy": "example.org"})
    with contextlib.closing(rehearsal), rehearsal.admit(request, tmp_path) as access:
        assert access.environment["no_proxy"] == "example.org,127.0.0.1"


def test_a_rehearsal_passes_the_complaint_of_a_script_on(tmp_path: Path) -> None:
    script = Says(KeyError("lost"))
    with contextlib.closing(Rehearsal(lambda _request: script)) as rehearsal:
        with rehearsal.admit(request_in(tmp_path), tmp_path) as access:
            assert access.complaint() == ""
            with contextlib.closing(Client(Admission(access.environment["ANTHROPIC_BASE_URL"], script))) as client:
                client.ask().read()
        assert "lost" in access.complaint()


def test_a_rehearsal_serves_task_runs_of_several_threads(tmp_path: Path) -> None:
    together = threading.Barrier(6, timeout=30)

    def rehearse(_number: int) -> tuple[int, int]:
        with rehearsal.admit(request_in(tmp_path), tmp_path) as access:
            together.wait()
            with contextlib.closing(Client(Admission(access.environment["ANTHROPIC_BASE_URL"], Says()))) as client:
                return client.ask().status, client.port

    with contextlib.closing(Rehearsal(lambda _request: Says())) as rehearsal, ThreadPoolExecutor(6) as pool:
        outcomes = set(pool.map(rehearse, range(6)))
    assert [status for status, _port in outcomes] == [200]
    assert answering() == []


@pytest.mark.parametrize(("rehearses", "player"), [("scripted", "a script"), ("cassette", "a cassette")])
def test_a_rehearsal_says_what_it_proves_and_what_not(rehearses: str, player: str) -> None:
    rehearsal = Rehearsal(lambda _request: Says(), rehearses)

    (note,) = rehearsal.notes
    assert rehearsal.rehearses == rehearses
    assert player in note
    assert "proves the plan, the pipeline and the CLI's tools" in note
    assert "says nothing about what a model would do" in note
    rehearsal.close()
    assert answering() == []


def test_the_cli_reads_each_block_as_it_was_meant_and_sends_it_back(claude_cli: Path, tmp_path: Path) -> None:
    stage = Stage(claude_cli, tmp_path)
    content = "Zürich, 東京 🗼\n" * 10_000
    call = tool_call("1", "Write", {"file_path": str(stage.workspace / "ü.txt"), "content": content})
    thought = {"type": "thinking", "thinking": "hm " * 10_000 + "so.", "signature": "c2lnbmF0dXJl"}

    def answer(asked: Asked) -> Reply:
        return (
            Answer((text("Done."),), "end_turn")
            if asked.turn
            else Answer((thought, text("ü" * 40_000), call), "tool_use")
        )

    performance = stage.perform(lambda _request: Says(answer))

    assert performance.verdict == (0, False, "completed", None)
    assert (stage.workspace / "ü.txt").read_text() == content
    sent_back = json.dumps(performance.heard.asked[1].messages)
    for piece in (thought["thinking"], thought["signature"], "ü" * 40_000, content):
        assert json.dumps(piece)[1:-1] in sent_back


def test_the_cli_does_not_ask_a_proxy_about_a_rehearsal(claude_cli: Path, tmp_path: Path) -> None:
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:1")
    performance = Stage(claude_cli, tmp_path).perform(
        lambda _request: Says(Answer((), "end_turn")), environment=proxies
    )
    assert performance.verdict == (0, False, "completed", None)


def test_the_cli_stops_at_once_when_a_script_fails(claude_cli: Path, tmp_path: Path) -> None:
    performance = Stage(claude_cli, tmp_path).perform(lambda _request: Says(KeyError("lost")), retries=10)

    assert len(performance.heard.asked) == 1
    assert "lost" in str(performance.result["result"])
    assert "lost" in performance.complaint
