"""Passes what the CLI asks on to the real API and the answer back as it comes, and lets somebody listen.

It goes straight to the API: a proxy that the environment names is not used.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from pytest_pipeline.agents.claude.rehearsal.listening import Listener
from pytest_pipeline.errors import HostError

_CONNECT = 30.0  # seconds until a server that does not take the connection is given up
_PIECE = 64 * 1024
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
_OURS = {"host", "accept-encoding", "expect"}  # headers that are about the CLI's connection to us


class Ear(Protocol):
    """Hears what one task run asks and is answered. Asked from several threads."""

    def asked(self, path: str, headers: Mapping[str, str], body: bytes) -> str | None:
        """A request has come.

        Args:
            path: without the task run's secret, without query.
            headers: with names in small letters.
            body: as it came.

        Returns:
            A name for it if its answer is of interest.
        """

    def answered(self, question: str, status: int, form: str, body: bytes) -> None:
        """An answer has come, or the part of it that was there when the connection broke.

        Args:
            question: what :meth:`asked` gave.
            status: its HTTP status.
            form: its content type.
            body: in no encoding.
        """


class Forwarder:
    """A server on the loopback interface between the CLIs of a session and the API.

    Raises:
        HostError: the machine does not let us listen.
    """

    def __init__(self) -> None:
        self._listener = _Listener(_Passage, "cassette-recorder")

    @contextlib.contextmanager
    def route(self, upstream: str, ear: Ear) -> Iterator[str]:
        """Open a way for one task run; at its end every connection of it is closed and everything was heard.

        Args:
            upstream: base URL of the API.
            ear: who listens.

        Yields:
            The base URL for the CLI; nobody else knows it.

        Raises:
            HostError: the base URL of the API cannot be used.
        """
        token = secrets.token_urlsafe(18)
        way = _Way(upstream, ear)
        self._listener.ways[token] = way
        try:
            yield f"{self._listener.origin}/{token}"
        finally:
            del self._listener.ways[token]
            way.close()

    def close(self) -> None:
        """End everything."""
        self._listener.close()


class _Listener(Listener):
    """The server, and the ways that are open."""

    def __init__(self, handler: type[BaseHTTPRequestHandler], name: str) -> None:
        self.ways: dict[str, _Way] = {}
        super().__init__(handler, name)


class _Way:
    """Where the requests of one task run go."""

    def __init__(self, upstream: str, ear: Ear) -> None:
        self.ear = ear
        self.url = _checked(upstream)
        self._open: set[socket.socket] = set()
        self._running = 0
        self._closed = False
        self._changed = threading.Condition()

    @property
    def prefix(self) -> str:
        """What the API's paths begin with."""
        return self.url.path.rstrip("/")

    @contextlib.contextmanager
    def connection(self, client: socket.socket) -> Iterator[HTTPConnection]:
        """A connection to the API, which ends when this way is closed.

        Args:
            client: the CLI's connection; it ends then, too.
        """
        kind = HTTPSConnection if self.url.scheme == "https" else HTTPConnection
        upstream = kind(self.url.hostname or "", self.url.port, timeout=_CONNECT)
        with self._changed:
            self._running += 1
        sockets = {client}
        try:
            upstream.connect()
            upstream.sock.settimeout(None)  # how long an answer may take is the CLI's own business
            sockets.add(upstream.sock)
            with self._changed:
                self._open |= sockets
                if self._closed:
                    raise ConnectionAbortedError("the task run has ended")
            yield upstream
        finally:
            with self._changed:  # a socket must not be closed while close() looks at it
                self._open -= sockets
                upstream.close()
                self._running -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """End all connections, and wait until what came through them was heard."""
        with self._changed:
            self._closed = True
            for each in self._open:
                with contextlib.suppress(OSError):
                    # The plain one: that of an SSL socket forgets its state while a thread reads from it.
                    socket.socket.shutdown(each, socket.SHUT_RDWR)
            self._changed.wait_for(lambda: self._running == 0, timeout=_CONNECT)


class _Passage(BaseHTTPRequestHandler):
    """One connection of a CLI."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # what is small must not wait for more
    server: _Listener

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # a client may go at any time
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Print nothing."""

    def do_POST(self) -> None:
        self._begun = False
        token, slash, rest = self.path[1:].partition("/")
        way = self.server.ways.get(token)
        length = self.headers.get("content-length", "0")
        if way is None or not length.isdigit():
            self._refuse(404 if way is None else 411, "not_found_error", "There is nothing here.")
            return
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        question = way.ear.asked(slash + rest.partition("?")[0], headers, body)
        try:
            with way.connection(self.connection) as upstream:
                self._ask(upstream, way.prefix + slash + rest, body)
                with upstream.getresponse() as response:
                    self._pass_back(response, way.ear, question)
        except (OSError, HTTPException, ValueError) as cause:
            self._give_up(way, cause)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST

    def _ask(self, upstream: HTTPConnection, path: str, body: bytes) -> None:
        upstream.putrequest(self.command, path, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP_BY_HOP | _OURS:
                upstream.putheader(name, value)
        upstream.putheader("Accept-Encoding", "identity")  # we read along, and know no zstd
        upstream.putheader("Connection", "close")
        upstream.endheaders(body or None)

    def _pass_back(self, response: HTTPResponse, ear: Ear, question: str | None) -> None:
        length = response.getheader("content-length")
        bare = self.command == "HEAD" or response.status in (204, 304)
        self._begun = True
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if length is None and not bare:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if bare:
            return
        heard: list[bytes] = []
        try:
            for piece in _pieces(response, length):
                heard.append(piece)  # before it is sent: the CLI may end as soon as it has the last of it
                self.wfile.write(piece if length is not None else b"%x\r\n%b\r\n" % (len(piece), piece))
        finally:
            if question is not None:
                form = response.getheader("content-type") or ""
                ear.answered(question, response.status, form, b"".join(heard))
        if length is None:
            self.wfile.write(b"0\r\n\r\n")

    def _give_up(self, way: _Way, cause: Exception) -> None:
        """Say why there is no answer; where one has begun, end the connection as the API has done."""
        self.close_connection = True
        if not self._begun:
            words = f"The recorder of cassettes cannot reach {way.url.hostname}: {cause}. It uses no HTTPS_PROXY."
            self._refuse(502, "api_error", words)

    def _refuse(self, status: int, kind: str, words: str) -> None:
        body = json.dumps({"type": "error", "error": {"type": kind, "message": words}}).encode()
        self.close_connection = True
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _pieces(response: HTTPResponse, length: str | None) -> Iterator[bytes]:
    """The body as it comes in.

    Raises:
        ConnectionError: it ends before its announced length.
        HTTPException: it ends before its last chunk.
    """
    left = int(length) if length is not None else None
    while left != 0:
        piece = response.read1(_PIECE if left is None else min(_PIECE, left))
        if piece:
            left = None if left is None else left - len(piece)
            yield piece
        elif left is None:
            return
        else:
            raise ConnectionAbortedError(f"{left} bytes of the answer are missing")


def _checked(upstream: str) -> SplitResult:
    url = urlsplit(upstream)
    try:
        port = url.port
    except ValueError:
        port = -1
    if url.scheme in ("http", "https") and url.hostname and port != -1:
        return url
    raise HostError(f"ANTHROPIC_BASE_URL is {upstream!r}, which is no URL of an API. Correct it or unset it.")
