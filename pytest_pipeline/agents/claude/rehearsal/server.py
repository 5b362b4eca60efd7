"""The Messages API on the loopback interface: asks a script for each answer, and carries out its faults."""

from __future__ import annotations

import hmac
import itertools
import json
import secrets
import threading
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from pytest_pipeline.agents.claude.rehearsal import sse
from pytest_pipeline.agents.claude.rehearsal.listening import Listener
from pytest_pipeline.agents.claude.rehearsal.script import Answer, Asked, Fault, Flood, Json, Reply, Script
from pytest_pipeline.trouble import TroubleKind

DUMMY_KEY = "rehearsal-needs-no-key"
"""What the CLI shows as its API key; a request without it is refused, as the real API does."""

_LARGEST_REQUEST = 256 * 1024**2  # bytes; the whole conversation comes with every request
_PIECE = 64 * 1024  # bytes that are sent or thrown away at once
_JSON = "application/json"
_EVENTS = "text/event-stream; charset=utf-8"
_FAULTS = (TroubleKind.STATUS, TroubleKind.DROP, TroubleKind.STALL, TroubleKind.SILENCE, TroubleKind.MALFORMED)
_SCRIPT_RAISED = (
    "The script that plays the model failed: {cause!r}. This is a defect of the rehearsal, not of the agent: report it."
)


class Admission:
    """One task run at the server: the script that answers it, and where.

    Args:
        address: base URL of an API that this task run alone knows.
        script: plays its model.
    """

    def __init__(self, address: str, script: Script) -> None:
        self.address = address
        self._script = script
        self._defect = ""
        self._lock = threading.Lock()

    def reply(self, asked: Asked) -> Reply:
        """What the script says. Whatever it raises becomes the complaint, and an answer that ends the CLI."""
        with self._lock:
            try:
                return _sendable(self._script.reply(asked))
            except Exception as cause:  # scripts come from cassettes and from other people
                self._defect = _SCRIPT_RAISED.format(cause=cause)
                return Fault(TroubleKind.STATUS, 500, message=self._defect, retry=False)

    def complaint(self) -> str:
        """Why the script could not go on; or nothing."""
        return self._defect or self._script.complaint()


class Server:
    """Answers any number of task runs at once, each by its own script, until it is closed.

    Raises:
        HostError: the machine does not let us listen.
    """

    def __init__(self) -> None:
        self._listener = _Listener()

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        return int(self._listener.server_address[1])

    def admit(self, script: Script) -> Admission:
        """Let a task run in; only who knows the address that it gets is answered by its script."""
        token = secrets.token_urlsafe(18)
        admission = Admission(f"{self._listener.origin}/{token}", script)
        self._listener.admissions[token] = admission
        return admission

    def dismiss(self, admission: Admission) -> None:
        """Forget a task run; its address is not known any more."""
        self._listener.admissions.pop(admission.address.rpartition("/")[2], None)

    def close(self) -> None:
        """End every connection, also those that wait for ever; neither thread nor socket stays."""
        self._listener.close()


class _Listener(Listener):
    """Knows who may ask."""

    def __init__(self) -> None:
        self.admissions: dict[str, Admission] = {}
        self.numbers = itertools.count(1)
        super().__init__(_Exchange, "rehearsal")


class _Exchange(BaseHTTPRequestHandler):
    """One connection: requests and what they get."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is several small writes
    server: _Listener

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Print nothing."""

    def do_GET(self) -> None:
        self._send_json(200, {}) if self._admission() else self._send_error(404)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        length = self._length()
        if not 0 <= length <= _LARGEST_REQUEST:
            self.close_connection = True
            self._send_error(413 if length > 0 else 411)
            return
        admission, refusal = self._admission(), self._refusal()
        if admission is None or refusal:
            self._skip(length)
            self._send_error(refusal)
            return
        asked = _asked(self.rfile.read(length))
        if asked is None:
            self._send_error(400)
        elif self._place().endswith("count_tokens"):
            self._send_json(200, {"input_tokens": length // 4})
        else:
            self._carry_out(admission.reply(asked), asked)

    def _place(self) -> str:
        return urlsplit(self.path).path.lstrip("/")

    def _admission(self) -> Admission | None:
        return self.server.admissions.get(self._place().partition("/")[0])

    def _refusal(self) -> int:
        """The status of a request that no script is asked about; 0 where there is none."""
        if self._admission() is None:
            return 404
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        key = self.headers.get("x-api-key") or bearer
        if not hmac.compare_digest(key.encode(), DUMMY_KEY.encode()):
            return 401
        known = ("v1/messages", "v1/messages/count_tokens")
        return 0 if self._place().partition("/")[2] in known else 404

    def _length(self) -> int:
        try:
            return int(self.headers.get("content-length", ""))
        except ValueError:
            return -1

    def _skip(self, length: int) -> None:
        while length > 0 and (got := self.rfile.read(min(length, _PIECE))):
            length -= len(got)

    def _carry_out(self, reply: Reply, asked: Asked) -> None:
        if isinstance(reply, Fault):
            self._fail(reply, asked)
        elif isinstance(reply, Flood):
            form = sse.flood_events if _streams(asked) else sse.flood_message
            self._send_pieces(form(reply, **self._signed(asked)), _form(asked))
        elif _streams(asked):
            self._send(200, b"".join(sse.events(reply, **self._signed(asked))), _EVENTS)
        else:
            self._send_json(200, sse.message(reply, **self._signed(asked)))

    def _fail(self, fault: Fault, asked: Asked) -> None:
        if fault.kind is TroubleKind.STATUS:
            self._send_error(fault.status, fault.message, _headers(fault))
            return
        begun = sse.beginning(**self._signed(asked)) if _streams(asked) else b'{"id": "msg_'
        if fault.kind is TroubleKind.MALFORMED:
            self._send(200, begun + sse.malformed() if _streams(asked) else begun, _form(asked))
            return
        if fault.kind is not TroubleKind.SILENCE:
            self._begin(200, {"content-type": _form(asked), "transfer-encoding": "chunked"})
            self._send_chunk(begun)
        if fault.kind is not TroubleKind.DROP:
            self._wait()
        self.close_connection = True

    def _wait(self) -> None:
        """Until the client goes, or the server is closed."""
        while self.connection.recv(_PIECE):
            pass

    def _signed(self, asked: Asked) -> dict[str, str]:
        # A number for each answer: the CLI takes messages with the same id for parts of one.
        return {"model": str(asked.body.get("model", "")), "number": f"{next(self.server.numbers):08}"}

    def _send_error(self, status: int, message: str = "", headers: Mapping[str, str] | None = None) -> None:
        self._send(status, json.dumps(sse.error(status, message)).encode("ascii"), _JSON, headers or {})

    def _send_json(self, status: int, body: Json) -> None:
        self._send(status, json.dumps(body).encode("ascii"), _JSON)

    def _send(self, status: int, body: bytes, form: str, headers: Mapping[str, str] | None = None) -> None:
        self._begin(status, {"content-type": form, "content-length": str(len(body)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("request-id", f"req_{next(self.server.numbers):08}")
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()

    def _send_pieces(self, pieces: Iterable[bytes], form: str) -> None:
        self._begin(200, {"content-type": form, "transfer-encoding": "chunked"})
        for piece in pieces:
            self._send_chunk(piece)
        self._send_chunk(b"")

    def _send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


def _sendable(reply: object) -> Reply:
    """The reply itself, if it can be put into words."""
    if isinstance(reply, Answer):
        for _event in sse.events(reply, model="", number=""):
            pass
    elif isinstance(reply, Fault):
        if reply.kind not in _FAULTS:
            raise ValueError(f"{reply.kind} is not a fault of the way")
        if reply.kind is TroubleKind.STATUS and not 400 <= reply.status <= 599:
            raise ValueError(f"{reply.status} is not the status of an error")
    elif not isinstance(reply, Flood):
        raise TypeError(f"{reply!r} is not a reply")
    return reply


def _asked(body: bytes) -> Asked | None:
    """The request, or None where it is not one."""
    try:
        request = json.loads(body)
    except ValueError:
        return None
    messages = request.get("messages") if isinstance(request, dict) else None
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        return None
    return Asked(sum(each.get("role") == "assistant" for each in messages), messages, request)


def _streams(asked: Asked) -> bool:
    return asked.body.get("stream") is True


def _form(asked: Asked) -> str:
    return _EVENTS if _streams(asked) else _JSON


def _headers(fault: Fault) -> dict[str, str]:
    headers = {}
    if fault.retry_after is not None:
        headers["retry-after"] = f"{fault.retry_after:g}"
    if fault.retry is not None:
        headers["x-should-retry"] = str(fault.retry).lower()
    return headers
