"""Task runs through a recorder, with a plain HTTP client in place of the CLI."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pytest_pipeline.agents.base import AgentRequest
from pytest_pipeline.agents.claude.rehearsal.cassette import Cassette, load, path_of
from pytest_pipeline.agents.claude.rehearsal.recorder import Recorder
from pytest_pipeline.agents.claude.rehearsal.script import Json, tool_call
from tests.agents.claude.rehearsal.real_api import (
    KEY,
    MODEL,
    LiveStandIn,
    RealApi,
    Reply,
    serving,
)
from tests.agents.claude.rehearsal.task_runs import PROMPT, task_run

QUESTION: Json = {"role": "user", "content": [{"type": "text", "text": PROMPT}]}
WRITE = tool_call("1", "Write", {"file_path": "hello.txt", "content": "hi"})


@dataclass(frozen=True)
class Client:
    """What the CLI is to the recorder."""

    base: str
    environment: Mapping[str, str]

    @contextlib.contextmanager
    def open(
        self, body: Json, method: str = "POST", path: str = "/v1/messages?beta=true"
    ) -> Iterator[http.client.HTTPResponse]:
        url = urlsplit(self.base)
        connection = http.client.HTTPConnection(url.hostname or "", url.port)
        headers = {"x-api-key": KEY, "user-agent": "claude-cli/2.1.330 (external, sdk-cli)", "te": "trailers"}
        connection.request(method, url.path + path, json.dumps(body), {**headers, "accept-encoding": "gzip, br"})
        with contextlib.closing(connection):
            yield connection.getresponse()

    def ask(self, *messages: Json, **more: object) -> tuple[int, bytes]:
        with self.open({"model": MODEL, "stream": True, "messages": messages or (QUESTION,), **more}) as response:
            return response.status, response.read()


@contextlib.contextmanager
def recording(place: Path, reply: Reply) -> Iterator[tuple[RealApi, Recorder]]:
    with serving(reply) as api:
        recorder = Recorder(place / "cassettes", LiveStandIn(api.url), {})
        try:
            yield api, recorder
        finally:
            recorder.close()


@contextlib.contextmanager
def admitted(recorder: Recorder, request: AgentRequest) -> Iterator[Client]:
    with recorder.admit(request, request.workspace) as access:
        yield Client(access.environment["ANTHROPIC_BASE_URL"], access.environment)


@contextlib.contextmanager
def one_task_run(place: Path, reply: Reply) -> Iterator[Client]:
    with recording(place, reply) as (_api, recorder), admitted(recorder, task_run(place)) as cli:
        yield cli


def recorded(place: Path, request: AgentRequest | None = None) -> Cassette | None:
    case, run = (request.case, request.run) if request else ("plans.hello/batch-1-task-1-1", 1)
    path = path_of(place / "cassettes", case, run)
    return load(path) if path.exists() else None


def after(*blocks: Json, failed: bool = False) -> tuple[Json, ...]:
    """The conversation after an answer, with results for its tools."""
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], **({"is_error": True} if failed else {})}
        for block in blocks
        if block["type"] == "tool_use"
    ]
    return QUESTION, {"role": "assistant", "content": blocks}, {"role": "user", "content": results}


def with_environment(request: AgentRequest, more: Mapping[str, str]) -> AgentRequest:
    return AgentRequest(**{**vars(request), "environment": {**request.environment, **more}})
