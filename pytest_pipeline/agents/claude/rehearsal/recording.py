"""What is heard of one task run while it goes through the recorder."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_pipeline.agents.base import AgentRequest
from pytest_pipeline.agents.claude.gateway import Access
from pytest_pipeline.agents.claude.rehearsal import sse
from pytest_pipeline.agents.claude.rehearsal.cassette import Cassette, Exchange
from pytest_pipeline.agents.claude.rehearsal.conversation import (
    aftermath,
    belongs,
    fingerprint,
    messages_of,
    turn_of,
)
from pytest_pipeline.agents.claude.rehearsal.places import Places, through_content
from pytest_pipeline.agents.claude.rehearsal.script import Json
from pytest_pipeline.host.redaction import Redactor, looks_secret

_GOES_ON = ("tool_use", "pause_turn")  # stop reasons after which the CLI asks again


@dataclass
class _Question:
    """A request of the CLI; ``answer`` is the last whole one that it got."""

    turn: int
    aftermath: tuple[str, ...]
    answer: Json | None = None


class Recording:
    """Hears one task run.

    Args:
        request: the task run.
        access: what the CLI gets, with the secrets in it.
    """

    def __init__(self, request: AgentRequest, access: Access) -> None:
        self._request = request
        self._places = Places.of(request)
        environment = (*request.environment.items(), *access.environment.items(), *os.environ.items())
        self._secrets = {value for name, value in environment if looks_secret(name)} | set(access.secrets)
        self._questions: dict[str, _Question] = {}
        self._cli = ""
        self._model = ""
        self._lock = threading.Lock()

    def asked(self, path: str, headers: Mapping[str, str], body: bytes) -> str | None:
        """See :class:`~pytest_pipeline.agents.claude.rehearsal.forwarding.Ear`."""
        asked = _object(body) if path == "/v1/messages" else None
        if asked is None or not belongs(asked, self._request.prompt):
            return None
        messages = messages_of(asked)
        name = fingerprint(messages)
        version = re.match(r"claude-cli/(\S+)", headers.get("user-agent", ""))
        with self._lock:
            self._secrets.update(_credentials(headers), _identities(asked))
            self._cli = self._cli or (version[1] if version else "")
            self._model = self._model or str(asked.get("model", ""))
            self._questions.setdefault(name, _Question(turn_of(messages), aftermath(messages)))
        return name

    def answered(self, question: str, status: int, form: str, body: bytes) -> None:
        """See :class:`~pytest_pipeline.agents.claude.rehearsal.forwarding.Ear`; of several answers the last is kept."""
        if status != 200:
            return
        if "event-stream" in form:
            try:
                answer: Json | None = sse.assemble(sse.read(body.splitlines(keepends=True)))
            except sse.BrokenStreamError:
                return
        else:
            answer = _object(body)
        with self._lock:
            if answer is not None and answer.get("stop_reason"):
                self._questions[question].answer = answer

    def cassette(self) -> Cassette | None:
        """What was heard; None if the model did not come to its end."""
        with self._lock:
            answers = [question.answer for question in self._questions.values()]
            if not answers or answers[-1] is None or answers[-1].get("stop_reason") in _GOES_ON:
                return None
            redactor = Redactor(self._secrets)
            return Cassette(
                case=self._request.case,
                run=self._request.run,
                cli=self._cli,
                model=self._model,
                prompt_sha256=self._places.prompt_hash(self._request.prompt),
                exchanges=tuple(
                    self._exchange(question, question.answer, redactor)
                    for question in self._questions.values()
                    if question.answer is not None
                ),
            )

    def _exchange(self, question: _Question, answer: Json, redactor: Redactor) -> Exchange:
        usage = answer.get("usage")
        counts = usage.items() if isinstance(usage, dict) else ()
        return Exchange(
            turn=question.turn,
            aftermath=question.aftermath,
            model=str(answer.get("model", "")),
            content=tuple(through_content(answer.get("content"), lambda text: self._places.hide(redactor.text(text)))),
            stop_reason=str(answer["stop_reason"]),
            usage={name: count for name, count in counts if isinstance(count, int)},
        )


def _credentials(headers: Mapping[str, str]) -> Iterator[str]:
    for name, value in headers.items():
        if name in ("authorization", "cookie") or looks_secret(name.replace("-", "_")):
            yield value
            yield value.partition(" ")[2]


def _identities(asked: Json) -> Iterator[str]:
    """Account, device and session, which the CLI packs into one text."""
    metadata = asked.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if isinstance(user, str):
        yield user
        yield from (value for value in (_object(user.encode()) or {}).values() if isinstance(value, str))


def _object(text: bytes) -> Json | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
