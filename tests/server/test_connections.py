"""Connections of those who take their time."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from pytest_pipeline.server.connections import Connection
from pytest_pipeline.server.guarding import HEADERS, Bounds
from pytest_pipeline.server.running import configuration
from tests.server.serving import API, TOKEN, Project, events, serving

AUTHORIZED = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_pipeline.server.connections.HEAD_SECONDS", 0.5)


@contextmanager
def connected(client: httpx.Client) -> Iterator[socket.socket]:
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as connection:
        yield connection


def answer(connection: socket.socket) -> str:
    """All that is sent until the server hangs up."""
    found = b""
    while chunk := connection.recv(65536):
        found += chunk
    return found.decode()


@pytest.mark.parametrize("said", ["", "GET /hea", "GET /health HTTP/1.1\r\nHost: localhost\r\n"])
def test_who_does_not_come_to_the_point_is_hung_up_on(client: httpx.Client, said: str) -> None:
    with connected(client) as connection:
        connection.sendall(said.encode())
        assert answer(connection) == ""


def test_a_word_now_and_then_buys_no_time(client: httpx.Client) -> None:
    with connected(client) as connection:
        connection.settimeout(0.05)
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
        for _ in range(400):
            try:
                connection.sendall(b"X: y\r\n")
                assert connection.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:  # it sent to nobody
                pass
            return
    pytest.fail("it was listened to for ever")


def test_a_second_request_must_come_to_the_point_too(client: httpx.Client) -> None:
    with connected(client) as connection:
        connection.sendall(b"GET /static/page.css HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"
        connection.sendall(b"GET /hea")
        assert "HTTP/1.1" not in answer(connection)


def test_between_two_requests_there_is_time(client: httpx.Client) -> None:
    with connected(client) as connection:
        for _ in range(2):
            connection.sendall(b"HEAD /static/page.css HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 ")
            time.sleep(0.7)


def test_who_is_slow_and_comes_to_the_point_is_answered(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_pipeline.server.connections.HEAD_SECONDS", 30)
    with connected(client) as connection:
        for part in (f"GET {API} HT", f"TP/1.1\r\n{AUTHORIZED}", "Connection: close\r\n\r\n"):
            connection.sendall(part.encode())
            time.sleep(0.05)
        assert answer(connection).startswith("HTTP/1.1 200")


def test_a_body_may_take_longer_than_a_head(client: httpx.Client) -> None:
    with connected(client) as connection:
        head = f"POST {API}/start HTTP/1.1\r\n{AUTHORIZED}Connection: close\r\nContent-Length: 2\r\n\r\n"
        connection.sendall(head.encode())
        time.sleep(0.7)
        connection.sendall(b"{}")
        assert answer(connection).startswith("HTTP/1.1 422")


def test_a_body_that_does_not_come_is_not_waited_for(project: Project) -> None:
    with serving(project.place(bounds=Bounds(seconds=0.1))) as client, connected(client) as connection:
        connection.sendall(f"POST {API}/start HTTP/1.1\r\n{AUTHORIZED}Content-Length: 2\r\n\r\n{{".encode())
        assert answer(connection).startswith("HTTP/1.1 408")


class Deaf(asyncio.Transport):
    """Tells when it was given up."""

    def __init__(self) -> None:
        super().__init__()
        self.given_up = asyncio.Event()

    def abort(self) -> None:
        self.given_up.set()


async def left_alone(*, takes: bool) -> Deaf:
    """A connection to which much was sent; whether that was taken after a while."""
    transport, connection = Deaf(), Connection(configuration(nobody), ServerState(), {})
    connection.connection_made(transport)
    connection.pause_writing()
    if takes:
        connection.resume_writing()
        await asyncio.sleep(0.05)
    else:
        await asyncio.wait_for(transport.given_up.wait(), 30)
    return transport


async def nobody(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("it is not asked")


@pytest.mark.parametrize("takes", [True, False])
def test_who_does_not_take_what_is_sent_is_given_up(monkeypatch: pytest.MonkeyPatch, takes: bool) -> None:
    monkeypatch.setattr("pytest_pipeline.server.connections.DEAF_SECONDS", 0.01)
    assert asyncio.run(left_alone(takes=takes)).given_up.is_set() is not takes


def test_a_stream_of_events_goes_on(project: Project) -> None:
    execution = project.execution()
    project.processes.start(execution, is_new=False, arguments=())
    with (
        serving(project.place(keep_alive=0.3)) as client,
        client.stream("GET", f"{API}/{execution.id}/events") as stream,
    ):
        text, chunks = "", stream.iter_text()
        while text.count(": still here") < 3:
            text += next(chunks)
        project.stop()
        text += "".join(chunks)
    assert events(text)[-1][1] == "end"


def test_what_is_no_http_is_answered_with_the_headers_of_security(client: httpx.Client) -> None:
    with connected(client) as connection:
        connection.sendall(b"hello\r\n\r\n")
        found = answer(connection)
    assert found.startswith("HTTP/1.1 400 Bad Request\r\n")
    assert all(f"{name.decode()}: {value.decode()}\r\n" in found for name, value in HEADERS.items())


def test_more_than_can_be_served_are_told_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_pipeline.server.running._CONNECTIONS", 2)
    with serving(project.place()) as client:
        assert client.get(API).status_code == 200
        with connected(client):
            found = httpx.get(f"{client.base_url}/health")
            assert (found.status_code, "Too many" in found.json()["detail"]) == (503, True)
            assert {name: found.headers[name.decode()].encode() for name in HEADERS} == HEADERS
