"""Records what a live model answers, as cassettes for rehearsals."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_pipeline.agents.base import AgentRequest
from pytest_pipeline.agents.claude.gateway import Access, Gateway
from pytest_pipeline.agents.claude.rehearsal.cassette import write
from pytest_pipeline.agents.claude.rehearsal.forwarding import Forwarder
from pytest_pipeline.agents.claude.rehearsal.recording import Recording
from pytest_pipeline.errors import HostError, SettingsError

_API = "https://api.anthropic.com"
_OTHER_WAYS = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")
_TRUE = ("1", "true", "yes", "on")
_NOT_RECORDABLE = (
    "{name} is set, and only what comes from the Messages API itself can be recorded. Unset it and give "
    "ANTHROPIC_API_KEY, or leave out --record-cassette."
)


class Recorder:
    """A :class:`~pytest_pipeline.agents.claude.gateway.Gateway` to a live model that keeps what it answers.

    The CLI speaks with a server of ours on the loopback interface, which speaks with the API. Only a task run in
    which the model came to its end leaves a cassette.

    Args:
        directory: where cassettes are written.
        upstream: the gateway to the live model.
        environ: where credentials come from; None: the environment of this process.

    Raises:
        SettingsError: nothing can be recorded there, or from what the environment names.
    """

    def __init__(self, directory: Path, upstream: Gateway, environ: Mapping[str, str] | None = None) -> None:
        self._directory = directory
        self._upstream = upstream
        self._forwarder: Forwarder | None = None
        self._lock = threading.Lock()
        name = _other_way(os.environ if environ is None else environ)
        if name:
            raise SettingsError(_NOT_RECORDABLE.format(name=name))
        if directory.exists() and not (directory.is_dir() and os.access(directory, os.W_OK)):
            raise SettingsError(f"--record-cassette {directory} is no directory that can be written to. Name another.")

    @property
    def rehearses(self) -> str:
        """Nothing: a live model answers."""
        return self._upstream.rehearses

    @property
    def notes(self) -> tuple[str, ...]:
        """Where the cassettes go."""
        return (*self._upstream.notes, f"records cassettes in {self._directory}: read them before you publish them")

    @contextlib.contextmanager
    def admit(self, request: AgentRequest, config: Path) -> Iterator[Access]:
        """Grant the live gateway's access, by way of our server; its end writes the cassette.

        Raises:
            HostError: the cassette cannot be written, or the live gateway says so.
        """
        with self._upstream.admit(request, config) as access:
            name = _other_way(access.environment)
            if name:
                raise HostError(_NOT_RECORDABLE.format(name=name))
            recording = Recording(request, access)
            with self._started().route(access.environment.get("ANTHROPIC_BASE_URL") or _API, recording) as address:
                yield dataclasses.replace(access, environment=_redirected(access, request, address))
        cassette = recording.cassette()
        if cassette is not None:
            write(self._directory, cassette)

    def close(self) -> None:
        """End our server and the live gateway."""
        with self._lock:
            if self._forwarder is not None:
                self._forwarder.close()
                self._forwarder = None
        self._upstream.close()

    def _started(self) -> Forwarder:
        with self._lock:
            self._forwarder = self._forwarder or Forwarder()
            return self._forwarder


def _other_way(environment: Mapping[str, str]) -> str:
    """The variable that makes the CLI speak with somebody else than the Messages API; or nothing."""
    return next((name for name in _OTHER_WAYS if environment.get(name, "").strip().lower() in _TRUE), "")


def _redirected(access: Access, request: AgentRequest, address: str) -> dict[str, str]:
    """The CLI's environment, with our server for the API, and no proxy between us."""
    both = {**request.environment, **access.environment}
    direct = {name: ",".join(filter(None, (both.get(name), "127.0.0.1"))) for name in ("NO_PROXY", "no_proxy")}
    return {**access.environment, **direct, "ANTHROPIC_BASE_URL": address}
