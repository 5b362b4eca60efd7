"""The loopback server, asked by a plain HTTP client: answers, refusals, and an end that leaves nothing."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import socket
import threading
import tracemalloc
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from pytest_pipeline.agents.claude.rehearsal import sse
from pytest_pipeline.agents.claude.rehearsal.script import Answer, Asked, Fault, Flood, Reply, text
from pytest_pipeline.agents.claude.rehearsal.server import DUMMY_KEY, Server
from pytest_pipeline.trouble import TroubleKind
from tests.agents.claude.rehearsal.asking import HELLO, KEY, Client, ClientFor, Says, answering, error_of
from tests.host.conftest import until

WAITS = [TroubleKind.STALL, TroubleKind.SILENCE]


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
