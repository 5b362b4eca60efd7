"""Smart HTTP of real git on the loopback interface, with Basic authentication, and an ear."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent/home",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_HTTP_EXPORT_ALL": "1",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "http.receivepack",
    "GIT_CONFIG_VALUE_0": "true",
    "REMOTE_USER": "x-access-token",
}


@dataclass(frozen=True)
class Heard:
    """One request: its headers as they came, in one text."""

    method: str
    path: str
    authorization: str | None
    headers: str


@dataclass
class GitServer:
    """What it does, and what it heard.

    Args:
        root: its repositories lie below.
        basic: what must stand behind ``Authorization: Basic``.
        status: an error to answer everything with, together with the headers that were sent; 0: none.
        location: where everything is redirected to; empty: nowhere.
        during_push: is called while a git waits for its push.
    """

    root: Path
    basic: str
    origin: str = ""
    status: int = 0
    location: str = ""
    during_push: Callable[[], None] = lambda: None
    heard: list[Heard] = field(default_factory=list)

    def heard_of(self, *secrets: str) -> bool:
        """Whether any of these came in any header or path."""
        return any(secret in heard.headers + heard.path for heard in self.heard for secret in secrets)


class _Handler(BaseHTTPRequestHandler):
    git_server: GitServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        return

    def do_GET(self) -> None:
        server = self.git_server
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        authorization = self.headers.get("authorization")
        server.heard.append(Heard(self.command, self.path, authorization, str(self.headers)))
        if server.location:
            self._answer(301, {"location": server.location + self.path})
        elif server.status:
            self._answer(server.status, {"content-type": "text/plain"}, f"You sent {self.headers}".encode())
        elif authorization != f"Basic {server.basic}":
            self._answer(401, {"www-authenticate": 'Basic realm="GitHub"'})
        else:
            self._backend(body)

    do_POST = do_GET
    do_CONNECT = do_GET

    def _backend(self, body: bytes) -> None:
        if self.command == "POST" and self.path.endswith("/git-receive-pack"):
            self.git_server.during_push()
        path, _, query = self.path.partition("?")
        asked = {
            "GIT_PROJECT_ROOT": str(self.git_server.root),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], env={**_ENVIRONMENT, **asked}, input=body, capture_output=True, check=True
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self._answer(int(headers.pop("Status", "200").split()[0]), headers, content)

    def _answer(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


@contextlib.contextmanager
def git_server(root: Path, basic: str) -> Iterator[GitServer]:
    """Serve until the context ends."""
    server = GitServer(root, basic)
    handler = type("Handler", (_Handler,), {"git_server": server})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.origin = f"http://127.0.0.1:{http.server_port}"
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
