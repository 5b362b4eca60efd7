"""Stands in for the real Messages API: wants its key, has request ids, and answers as a test says."""

from __future__ import annotations

import contextlib
import itertools
import json
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from pytest_pipeline.agents.base import AgentRequest
from pytest_pipeline.agents.claude.gateway import Access
from pytest_pipeline.agents.claude.rehearsal import sse
from pytest_pipeline.agents.claude.rehearsal.listening import Listener
from pytest_pipeline.agents.claude.rehearsal.script import Answer, Json, text

KEY = "sk-ant-api03-not-a-real-one-0123456789"
REQUEST_ID = "req_011CSecretOfTheServer"
_NUMBERS = itertools.count(1)
MODEL = "claude-haiku-5-5"


@dataclass(frozen=True)
class Sent:
    """One HTTP answer. Its pieces are sent one by one; where they raise, the connection is cut."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterable[bytes]


@dataclass(frozen=True)
class Got:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.raw)
        return body

    @property
    def turn(self) -> int:
        return sum(each["role"] == "assistant" for each in self.body["messages"])


Reply = Callable[[Got], Sent]


@dataclass
class RealApi:
    """The server, and all that it was asked."""

    reply: Reply
    got: list[Got] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def serving(reply: Reply, tls: ssl.SSLContext | None = None) -> Iterator[RealApi]:
    api = RealApi(reply)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            if tls is not None:
                self.request = tls.wrap_socket(self.request, server_side=True)
            super().setup()

        def finish(self) -> None:
            super().finish()
            if tls is not None:
                self.request.close()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            got = Got(self.command, self.path, headers, self.rfile.read(int(headers.get("content-length", 0))))
            api.got.append(got)
            sent = api.reply(got) if headers.get("x-api-key") == KEY else refusal(401)
            self.send_response_only(sent.status)
            for name, value in {"request-id": REQUEST_ID, **sent.headers}.items():
                self.send_header(name, value)
            if "content-length" not in sent.headers:
                self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self._send(sent)

        do_GET = do_HEAD = do_POST

        def _send(self, sent: Sent) -> None:
            plain = "content-length" in sent.headers
            try:
                for piece in () if self.command == "HEAD" else sent.pieces:
                    self.wfile.write(piece if plain else b"%x\r\n%b\r\n" % (len(piece), piece))
                if not plain:
                    self.wfile.write(b"0\r\n\r\n")
            except OSError:
                self.close_connection = True

    listener = Listener(Handler, "real-api")
    api.url = listener.origin.replace("http:", "http:" if tls is None else "https:")
    try:
        yield api
    finally:
        listener.close()


def streamed(*blocks: Json, stop: str = "", usage: Mapping[str, int] | None = None) -> Sent:
    """A whole answer as server-sent events."""
    return Sent(200, {"content-type": "text/event-stream; charset=utf-8"}, events(*blocks, stop=stop, usage=usage))


def events(*blocks: Json, stop: str = "", usage: Mapping[str, int] | None = None) -> list[bytes]:
    # A number for each: the CLI takes messages with the same id for parts of one.
    number = f"{next(_NUMBERS)}SecretOfTheServer"
    return list(sse.events(answer(*blocks, stop=stop, usage=usage), model=MODEL, number=number))


def answer(*blocks: Json, stop: str = "", usage: Mapping[str, int] | None = None) -> Answer:
    calls = any(block["type"] == "tool_use" for block in blocks)
    return Answer(blocks, stop or ("tool_use" if calls else "end_turn"), usage or {"input_tokens": 9})


def refusal(status: int, headers: Mapping[str, str] | None = None) -> Sent:
    body = json.dumps(sse.error(status)).encode()
    return Sent(
        status, {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}, [body]
    )


def by_turn(*turns: tuple[Json, ...] | Json) -> Reply:
    """Answers by the number of answers that the conversation holds already, the last one for ever."""
    answers = [turn if isinstance(turn, tuple) else (turn,) for turn in turns]
    return lambda got: streamed(*answers[min(got.turn, len(answers) - 1)])


def one_by_one(*sent: Sent) -> Reply:
    """Answers in this order, whatever is asked."""
    left = iter(sent)
    lock = threading.Lock()

    def reply(_got: Got) -> Sent:
        with lock:
            return next(left, streamed(text("no more")))

    return reply


@dataclass(frozen=True)
class LiveStandIn:
    """The live gateway: hands key and address of the stand-in on."""

    url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    rehearses: str = ""
    notes: tuple[str, ...] = ("live",)

    @contextlib.contextmanager
    def admit(self, request: AgentRequest, config: Path) -> Iterator[Access]:
        yield Access({"ANTHROPIC_BASE_URL": self.url, "ANTHROPIC_API_KEY": KEY, **self.environment}, self.secrets)

    def close(self) -> None:
        pass
