"""A Messages API that only says that all is done, and keeps what it was asked: headers, too."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pytest_pipeline.agents.claude.rehearsal import sse
from pytest_pipeline.agents.claude.rehearsal.script import Answer, text


@dataclass
class Api:
    """What was asked of it.

    Args:
        address: its base URL.
        status: what it answers: 200, or an error.
        headers: of each request, names in lower case.
        bodies: of each request.
    """

    address: str = ""
    status: int = 200
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[dict[str, object]] = field(default_factory=list)


@contextlib.contextmanager
def loopback(status: int = 200) -> Iterator[Api]:
    """Serve until the context ends."""
    api = Api(status=status)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            return

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            api.headers.append({name.lower(): value for name, value in self.headers.items()})
            api.bodies.append(body)
            answer = Answer((text("All is done."),), "end_turn", {"input_tokens": 100, "output_tokens": 10})
            good = b"".join(sse.events(answer, model=body["model"], number="1"))
            data = good if api.status == 200 else json.dumps(sse.error(api.status)).encode()
            self.send_response(api.status)
            self.send_header("content-type", "text/event-stream" if api.status == 200 else "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        api.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
