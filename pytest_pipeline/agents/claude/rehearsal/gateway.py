"""The gateway of a rehearsal: every task run gets a script instead of a model, on the loopback interface."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_pipeline.agents.base import AgentRequest
from pytest_pipeline.agents.claude.gateway import Access
from pytest_pipeline.agents.claude.rehearsal.script import Script
from pytest_pipeline.agents.claude.rehearsal.server import DUMMY_KEY, Admission, Server

_NOTES = {
    "scripted": (
        "the Claude CLI is real, a script plays its model from each task's reference. "
        "This proves the plan, the pipeline and the CLI's tools; it says nothing about what a model would do."
    ),
    "cassette": (
        "the Claude CLI is real, a cassette plays what a model answered when it was recorded. "
        "This proves the plan, the pipeline and the CLI's tools; it says nothing about what a model would do today."
    ),
}


@dataclass(frozen=True)
class _Rehearsed(Access):
    """Access to a script, which may have something to complain about."""

    admission: Admission = field(kw_only=True)

    def complaint(self) -> str:
        return self.admission.complaint()


class Rehearsal:
    """Lets any number of CLIs at once talk to their scripts; one server for all, from the first task run on.

    Args:
        script_for: finds what plays the model of a task run.
        rehearses: ``scripted`` or ``cassette``; goes into the record.
    """

    def __init__(self, script_for: Callable[[AgentRequest], Script], rehearses: str = "scripted") -> None:
        self.rehearses = rehearses
        self.notes = (_NOTES[rehearses],)
        self._script_for = script_for
        self._server: Server | None = None
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def admit(self, request: AgentRequest, config: Path) -> Iterator[Access]:
        """Grant a task run access to its script; see :meth:`Gateway.admit`.

        Raises:
            HostError: the machine does not let us listen on the loopback interface.
        """
        script = self._script_for(request)
        server = self._running_server()
        admission = server.admit(script)
        try:
            yield _Rehearsed(_environment(admission, request.environment), admission=admission)
        finally:
            server.dismiss(admission)

    def close(self) -> None:
        """End the server and all of its connections."""
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.close()

    def _running_server(self) -> Server:
        with self._lock:
            if self._server is None:
                self._server = Server()
            return self._server


def _environment(admission: Admission, given: Mapping[str, str]) -> Mapping[str, str]:
    environment = {"ANTHROPIC_BASE_URL": admission.address, "ANTHROPIC_API_KEY": DUMMY_KEY}
    for name in ("NO_PROXY", "no_proxy"):  # a proxy of the machine does not reach its loopback interface
        environment[name] = ",".join(filter(None, (given.get(name), "127.0.0.1")))
    return environment
