"""Trouble on the way, as a plain HTTP client sees it."""

from __future__ import annotations

import http.client
import json

import pytest

from pytest_pipeline.agents.claude.rehearsal import sse
from pytest_pipeline.agents.claude.rehearsal.script import Fault
from pytest_pipeline.agents.claude.rehearsal.server import Server
from pytest_pipeline.trouble import TroubleKind
from tests.agents.claude.rehearsal.asking import KEY, ClientFor, Says, answering
from tests.host.conftest import until

WAITS = [TroubleKind.STALL, TroubleKind.SILENCE]


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
