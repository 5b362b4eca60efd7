"""A server on the loopback interface that leaves neither thread nor socket behind."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

from pytest_pipeline.errors import HostError

LOOPBACK = "127.0.0.1"
_POLL = 0.05  # seconds until a close is noticed


class Listener(ThreadingTCPServer):
    """Listens on a free port and serves, one thread a connection, until it is closed.

    Args:
        handler: what serves a connection.
        name: of its threads.

    Raises:
        HostError: the machine does not let us listen.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler], name: str) -> None:
        self._name = name
        self._open: set[socket.socket] = set()
        self._answering: list[threading.Thread] = []
        self._lock = threading.Lock()
        try:
            super().__init__((LOOPBACK, 0), handler)
        except OSError as cause:
            raise HostError(
                f"No server can listen on the loopback interface: {cause}. Allow this process to open sockets."
            ) from cause
        self._serving = threading.Thread(target=self.serve_forever, args=(_POLL,), name=name, daemon=True)
        self._serving.start()

    @property
    def origin(self) -> str:
        """The beginning of its URLs."""
        return f"http://{LOOPBACK}:{self.server_address[1]}"

    def close(self) -> None:
        """End every connection, also those that wait for ever."""
        self.shutdown()
        self._serving.join()
        self.server_close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._answering:
            thread.join()

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Serve a connection in a thread of its own."""
        assert isinstance(request, socket.socket)
        with self._lock:
            self._open.add(request)
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), name=self._name, daemon=True
        )
        thread.start()
        self._answering = [each for each in self._answering if each.is_alive()] + [thread]

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close a connection; never while :meth:`close` looks at it."""
        assert isinstance(request, socket.socket)
        with self._lock:
            self._open.discard(request)
            super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: the terminal is pytest's."""
