from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pytest_pipeline.agents.claude.rehearsal.recorder import Recorder
from pytest_pipeline.agents.claude.rehearsal.script import text
from tests.agents.claude.rehearsal.real_api import (
    KEY,
    MODEL,
    REQUEST_ID,
    Got,
    LiveStandIn,
    Sent,
    by_turn,
    events,
    one_by_one,
    refusal,
    serving,
    streamed,
)
from tests.agents.claude.rehearsal.recorded_runs import (
    QUESTION,
    Client,
    admitted,
    one_task_run,
    recorded,
    recording,
    with_environment,
)
from tests.agents.claude.rehearsal.task_runs import PROMPT, task_run


def test_headers_path_and_body_go_both_ways_but_for_those_of_the_connection(tmp_path: Path) -> None:
    sent = Sent(201, {"x-ratelimit-left": "3", "keep-alive": "timeout=5", "content-length": "2"}, [b"{}"])
    with serving(lambda _got: sent) as api:
        recorder = Recorder(tmp_path / "cassettes", LiveStandIn(api.url + "/gate/way/"), {})
        with admitted(recorder, task_run(tmp_path)) as cli, cli.open({"model": "é"}) as response:
            status, headers, body = response.status, dict(response.getheaders()), response.read()
        recorder.close()

    (got,) = api.got
    assert (got.method, got.path, got.raw) == ("POST", "/gate/way/v1/messages?beta=true", b'{"model": "\\u00e9"}')
    assert got.headers["x-api-key"] == KEY
    assert got.headers["host"] == urlsplit(api.url).netloc
    assert got.headers["accept-encoding"] == "identity"
    assert "te" not in got.headers
    assert (status, body, headers["x-ratelimit-left"]) == (201, b"{}", "3")
    assert headers["request-id"] == REQUEST_ID
    assert "keep-alive" not in headers


def test_an_answer_is_passed_on_while_it_comes(tmp_path: Path) -> None:
    seen = threading.Event()

    def pieces() -> Iterator[bytes]:
        first, *others = events(text("slowly"))
        yield first
        assert seen.wait(30), "the first bytes have not arrived before the last were sent"
        yield from others

    slow = one_by_one(Sent(200, {"content-type": "text/event-stream"}, pieces()))
    body = {"model": MODEL, "stream": True, "messages": [QUESTION]}
    with one_task_run(tmp_path, slow) as cli, cli.open(body) as response:
        assert response.readline() == b"event: message_start\n"
        seen.set()
        response.read()

    cassette = recorded(tmp_path)
    assert cassette is not None
    assert cassette.exchanges[0].content == (text("slowly"),)


def test_trouble_of_the_api_is_passed_on_and_not_kept(tmp_path: Path) -> None:
    limited = refusal(429, {"retry-after": "7", "x-should-retry": "true"})
    odd = dataclasses.replace(streamed(text("not so")), status=202)
    with one_task_run(tmp_path, one_by_one(limited, streamed(text("now")), odd)) as cli:
        with cli.open({"model": MODEL, "stream": True, "messages": [QUESTION]}) as response:
            assert (response.status, response.getheader("retry-after")) == (429, "7")
            assert response.getheader("x-should-retry") == "true"
            assert json.loads(response.read())["error"]["type"] == "rate_limit_error"
        assert cli.ask()[0] == 200
        assert cli.ask()[0] == 202

    cassette = recorded(tmp_path)
    assert cassette is not None
    assert [each.content for each in cassette.exchanges] == [(text("now"),)]


@pytest.mark.parametrize("announced", [True, False])
def test_an_answer_that_is_cut_is_cut_for_the_cli_and_not_kept(tmp_path: Path, announced: bool) -> None:
    def pieces() -> Iterator[bytes]:
        yield from events(text("half"))[:3]
        raise ConnectionAbortedError

    form = {"content-type": "text/event-stream", **({"content-length": "100000"} if announced else {})}
    with one_task_run(tmp_path, one_by_one(Sent(200, form, pieces()), streamed(text("whole")))) as cli:
        with pytest.raises(http.client.IncompleteRead):
            cli.ask()
        cli.ask()

    cassette = recorded(tmp_path)
    assert cassette is not None
    assert [each.content for each in cassette.exchanges] == [(text("whole"),)]


def test_other_methods_pass_too(tmp_path: Path) -> None:
    def reply(got: Got) -> Sent:
        return Sent(200, {"content-length": "2"}, [b"ok"])

    with recording(tmp_path, reply) as (api, recorder), admitted(recorder, task_run(tmp_path)) as cli:
        with cli.open({}, "HEAD", "/api/hello") as head:
            assert (head.status, head.read()) == (200, b"")
        with cli.open({}, "GET", "/api/hello") as got:
            assert (got.status, got.read()) == (200, b"ok")

    assert [(each.method, each.path) for each in api.got] == [("HEAD", "/api/hello"), ("GET", "/api/hello")]


def test_only_who_knows_the_address_is_let_through(tmp_path: Path) -> None:
    with recording(tmp_path, by_turn(text("hi"))) as (api, recorder):
        with admitted(recorder, task_run(tmp_path)) as cli:
            stranger = Client(cli.base.rpartition("/")[0], {})
            assert stranger.ask()[0] == 404
            assert Client(cli.base + "x", {}).ask()[0] == 404
        assert cli.ask()[0] == 404, "the task run has ended"

    assert api.got == []


def test_an_api_that_cannot_be_reached_is_told_as_the_cli_is_told_of_trouble(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        recorder = Recorder(tmp_path, LiveStandIn(f"http://127.0.0.1:{nobody.getsockname()[1]}"), {})
        with admitted(recorder, task_run(tmp_path)) as cli:
            status, body = cli.ask()
        recorder.close()

    assert status == 502
    message = json.loads(body)["error"]["message"]
    assert message.startswith("The recorder of cassettes cannot reach 127.0.0.1: ")
    assert "HTTPS_PROXY" in message
    assert not list(tmp_path.rglob("run-*.json"))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, which makes the certificate, is not there")
def test_an_api_behind_tls_is_recorded_and_stopped_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2")
    files = ("-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate), "-keyout", str(key))
    subprocess.run((*made, *files), check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    stopped = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield events(text("I"))[0]
        stopped.wait(30)

    stalled = Sent(200, {"content-type": "text/event-stream"}, pieces())
    body = {"model": MODEL, "stream": True, "messages": [QUESTION]}
    with serving(one_by_one(streamed(text("safe")), stalled), tls) as api, contextlib.ExitStack() as held:
        held.callback(stopped.set)
        recorder = Recorder(tmp_path / "cassettes", LiveStandIn(api.url), {})
        with admitted(recorder, task_run(tmp_path)) as cli:
            status, told = cli.ask()
            assert (status, b"certificate verify failed" in told) == (502, True)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with admitted(recorder, task_run(tmp_path)) as cli:
            assert cli.ask()[0] == 200
        with admitted(recorder, task_run(tmp_path, nr=2)) as cli:
            response = held.enter_context(cli.open(body))
            assert response.readline() == b"event: message_start\n"
        with pytest.raises(http.client.IncompleteRead):
            response.read()
        recorder.close()
        assert not stopped.is_set()

    cassette = recorded(tmp_path)
    assert cassette is not None
    assert cassette.exchanges[0].content == (text("safe"),)
    assert recorded(tmp_path, task_run(tmp_path, nr=2)) is None


def test_a_task_run_that_is_stopped_in_the_middle_of_an_answer_leaves_no_cassette_and_no_thread(tmp_path: Path) -> None:
    stopped = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield events(text("I"))[0]
        stopped.wait(30)

    stalled = Sent(200, {"content-type": "text/event-stream"}, pieces())
    before = threading.active_count()
    with recording(tmp_path, one_by_one(streamed(), stalled)) as (_api, recorder), contextlib.ExitStack() as held:
        held.callback(stopped.set)
        with admitted(recorder, task_run(tmp_path)) as cli:
            cli.ask()  # an empty answer, which would be an end if nothing was asked after it
            again = {"role": "user", "content": PROMPT}
            response = held.enter_context(cli.open({"model": MODEL, "stream": True, "messages": [again]}))
            assert response.readline() == b"event: message_start\n"
        with pytest.raises(http.client.IncompleteRead):
            response.read()
        assert not stopped.is_set()

    assert recorded(tmp_path) is None
    assert threading.active_count() == before


def test_no_proxy_comes_between_the_cli_and_the_recorder(tmp_path: Path) -> None:
    request = with_environment(task_run(tmp_path), {"HTTPS_PROXY": "http://proxy", "no_proxy": "intra.net"})
    with recording(tmp_path, by_turn(text("hi"))) as (_api, recorder), admitted(recorder, request) as cli:
        assert cli.environment["NO_PROXY"] == "127.0.0.1"
        assert cli.environment["no_proxy"] == "intra.net,127.0.0.1"
        assert cli.environment["ANTHROPIC_API_KEY"] == KEY


def test_one_connection_serves_for_several_requests(tmp_path: Path) -> None:
    answers = one_by_one(refusal(429), streamed(text("one")), Sent(200, {"content-length": "2"}, [b"{}"]), refusal(529))
    body = json.dumps({"model": MODEL, "stream": True, "messages": [QUESTION]})
    with one_task_run(tmp_path, answers) as cli:
        url = urlsplit(cli.base)
        with contextlib.closing(http.client.HTTPConnection(url.hostname or "", url.port)) as connection:
            statuses = []
            for _ in range(4):
                connection.request("POST", f"{url.path}/v1/messages", body, {"x-api-key": KEY})
                socket_before = connection.sock
                with connection.getresponse() as response:
                    statuses.append((response.status, bool(response.read())))
                assert connection.sock is socket_before is not None

    assert statuses == [(429, True), (200, True), (200, True), (529, True)]
