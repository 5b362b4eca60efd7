"""Connections that do not wait for ever: uvicorn bounds only those that have been answered and are silent since."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from pytest_pipeline.server.guarding import HEADERS, refused

HEAD_SECONDS = 10.0
"""For a request's line and headers, from the connection or from their first byte."""


DEAF_SECONDS = 60.0
"""For who does not take what is sent."""


class Connection(H11Protocol):
    """One connection: whoever does not say in time what is asked for, or does not take the answer, is hung up on.

    What uvicorn answers itself, before the application is asked, has the headers of every other answer.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._most, self.limit_concurrency = config.limit_concurrency, None
        self._guarded: ASGIApp = self.app
        self.app = self._unless_full
        self._hanging_up: asyncio.TimerHandle | None = None
        self._giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Somebody is there."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Somebody says something."""
        super().data_received(data)
        self._wait_for_head()

    def on_response_complete(self) -> None:
        """An answer was sent."""
        super().on_response_complete()
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Somebody is gone."""
        self._stop_waiting()
        if self._giving_up is not None:
            self._giving_up.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Somebody takes nothing, and much is left to be sent."""
        super().pause_writing()
        self._giving_up = self.loop.call_later(DEAF_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It was taken."""
        if self._giving_up is not None:
            self._giving_up.cancel()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        headers = [(b"content-type", b"application/json"), (b"connection", b"close"), *HEADERS.items()]
        body = json.dumps({"detail": f"{msg} Send HTTP/1.1.", "messages": []}).encode()
        head = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    async def _unless_full(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._most is not None and len(self.connections) >= self._most:
            await refused(send, 503, "Too many are connected. Ask again later.")
        else:
            await self._guarded(scope, receive, send)

    def _wait_for_head(self) -> None:
        """Set the time while neither an answer is being made nor uvicorn's own time for silence runs."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering or self.timeout_keep_alive_task is not None:
            self._stop_waiting()
        elif self._hanging_up is None:
            self._hanging_up = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def _stop_waiting(self) -> None:
        if self._hanging_up is not None:
            self._hanging_up.cancel()
            self._hanging_up = None
