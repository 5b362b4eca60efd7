"""Listening: an address, a token, and a server on it until Ctrl-C."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Sequence

import uvicorn

from pytest_pipeline.errors import HostError
from pytest_pipeline.server.app import make_app
from pytest_pipeline.server.connections import Connection
from pytest_pipeline.server.services import Place
from pytest_pipeline.server.tokens import ApiToken

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Names of this machine that a Host header may hold in any case."""

_CONNECTIONS = 3000
_ENDING_SECONDS = 2
_IDLE_SECONDS = 75  # more than most who ask again and again let pass in between


def serve(
    place: Place, token: ApiToken, *, host: str, port: int, names: Sequence[str], say: Callable[[str], None]
) -> None:
    """Serve until Ctrl-C or SIGTERM. Executions go on when the server has ended.

    Args:
        place: where it works.
        token: what requests must bring.
        host: the address to listen on.
        port: 0: any that is free.
        names: further names of this server.
        say: is told the address when it can be used.

    Raises:
        HostError: the address cannot be listened on.
    """
    # A shell starts what runs in the background with SIGINT ignored; executions would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with listening(host, port) as listener:
        hosts = frozenset(each.lower() for each in (*LOOPBACK, host, *names))
        server = uvicorn.Server(configuration(make_app(place, token, hosts)))
        say(f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}")
        server.run(sockets=[listener])


def configuration(app: object) -> uvicorn.Config:
    """How uvicorn serves: its own parser with bounded headers and patience, no log, nobody's headers believed."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type] # uvicorn has types of its own for what starlette has
        http=Connection,
        ws="none",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_level="warning",
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_ENDING_SECONDS,
    )


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; its connections send at once what they have.

    Raises:
        HostError: the address cannot be listened on.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=2048)
        # asyncio does it only where the socket names its protocol; else each body waits 40 ms for its head's receipt
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise HostError(
            f"The server cannot listen on {host}, port {port}: {error}. Choose others with --host and --port."
        ) from error
