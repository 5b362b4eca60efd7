"""A plain HTTP client of the loopback server, and a script that says always the same."""

from __future__ import annotations

import http.client
import json
import select
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pytest_pipeline.agents.claude.rehearsal.script import Answer, Asked, Reply, text, tool_call
from pytest_pipeline.agents.claude.rehearsal.server import DUMMY_KEY, Admission

HELLO = Answer((text("Hello."), tool_call("1", "Bash", {"command": "ls"})), "tool_use", {"output_tokens": 9})
KEY = {"x-api-key": DUMMY_KEY}


@dataclass
class Says:
    """A script that says the same again and again, or raises it, and keeps what it was asked."""

    reply_with: Reply | Exception | Callable[[Asked], Reply] = HELLO
    asked: list[Asked] = field(default_factory=list)

    def reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        if isinstance(self.reply_with, Exception):
            raise self.reply_with
        return self.reply_with(asked) if callable(self.reply_with) else self.reply_with

    def complaint(self) -> str:
        return ""

    def was_asked(self) -> bool:
        return bool(self.asked)


class Client(http.client.HTTPConnection):
    """Speaks with one task run's API over one connection."""

    def __init__(self, admission: Admission) -> None:
        self.address = urlsplit(admission.address)
        super().__init__(self.address.hostname or "", self.address.port, timeout=30)

    def ask(
        self,
        messages: object = (),
        *,
        stream: bool = True,
        path: str = "/v1/messages?beta=true",
        headers: Mapping[str, str] = KEY,
    ) -> http.client.HTTPResponse:
        body = json.dumps({"model": "claude-asked-1", "messages": messages or [], "stream": stream})
        self.request("POST", self.address.path + path, body, dict(headers))
        return self.getresponse()

    def is_quiet(self) -> bool:
        """Whether neither a byte nor the end comes, for as long as that takes on a slow machine."""
        return not select.select([self.sock], [], [], 0.2)[0]


ClientFor = Callable[[object], Client]


def error_of(response: http.client.HTTPResponse) -> tuple[int, str]:
    body = json.loads(response.read())
    assert body["type"] == "error"
    return response.status, body["error"]["type"]


def answering() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("rehearsal")]
