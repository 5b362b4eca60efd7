"""A loopback server, and clients of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from pytest_pipeline.agents.claude.rehearsal.server import Server
from tests.agents.claude.rehearsal.asking import Client, ClientFor, Says


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def client_for(server: Server) -> Iterator[ClientFor]:
    with contextlib.ExitStack() as stack:

        def connect(script: object) -> Client:
            admission = server.admit(script if isinstance(script, Says) else Says(script))  # type: ignore[arg-type]
            return stack.enter_context(contextlib.closing(Client(admission)))

        yield connect
