"""What is asked and what is answered, in GitHub's form: bodies of errors, validators, pages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

Json = dict[str, Any]

DOCUMENTATION = "https://docs.github.com/rest"
DEFAULT_PAGE = 30
LARGEST_PAGE = 100


@dataclass(frozen=True)
class Request:
    """One request.

    Args:
        method: its verb.
        path: decoded, below the API's base (or below the server's root, for git).
        query: the decoded query; the raw one is in ``raw_query``.
        raw_query: as it was sent.
        headers: names in lower case.
        body: as it was sent, without a transfer encoding.
    """

    method: str
    path: str
    query: Mapping[str, str]
    raw_query: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Json:
        """The body as an object.

        Raises:
            Refusal: it is not one.
        """
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            raise Refusal(error(400, "Problems parsing JSON")) from None
        if not isinstance(value, dict):
            raise Refusal(error(400, "Body should be a JSON object"))
        return value


@dataclass
class Answer:
    """One answer: ``body`` is sent as JSON, unless ``raw`` is given."""

    status: int
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    media: str = "application/json; charset=utf-8"

    def data(self) -> bytes:
        """The bytes of the body."""
        if self.raw is not None:
            return self.raw
        return b"" if self.body is None else json.dumps(self.body).encode()


class Refusal(Exception):
    """Ends a route with an answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status}: {answer.body}")
        self.answer = answer


def error(status: int, message: str, *errors: Json, headers: Mapping[str, str] | None = None) -> Answer:
    """An error as GitHub words it; ``errors`` are those of a failed validation."""
    body: Json = {"message": message, "documentation_url": DOCUMENTATION, "status": str(status)}
    if errors:
        body["errors"] = list(errors)
    return Answer(status, body, dict(headers or {}))


def invalid(resource: str, *, code: str, name: str | None = None, message: str | None = None) -> Answer:
    """422 with one failed field."""
    problem: Json = {"resource": resource, "code": code}
    if name is not None:
        problem["field"] = name
    if message is not None:
        problem["message"] = message
    return error(422, "Validation Failed", problem)


def page(items: Sequence[object], request: Request, url: str) -> Answer:
    """One page of a list, with the links to the others."""
    chosen, headers = _cut(items, request, url)
    return Answer(200, chosen, headers)


def counted_page(
    items: Sequence[object], request: Request, url: str, name: str, more: Mapping[str, object] | None = None
) -> Answer:
    """One page of a list that says how many there are."""
    chosen, headers = _cut(items, request, url)
    return Answer(200, {"total_count": len(items), name: chosen, **(more or {})}, headers)


def _cut(items: Sequence[object], request: Request, url: str) -> tuple[list[object], dict[str, str]]:
    size = min(LARGEST_PAGE, max(1, _number(request.query.get("per_page"), DEFAULT_PAGE)))
    number = max(1, _number(request.query.get("page"), 1))
    last = max(1, -(-len(items) // size))

    def link(target: int, relation: str) -> str:
        return f'<{url}?{urlencode({**request.query, "page": target})}>; rel="{relation}"'

    links = []
    if number > 1:
        links += [link(number - 1, "prev"), link(1, "first")]
    if number < last:
        links += [link(number + 1, "next"), link(last, "last")]
    headers = {"Link": ", ".join(links)} if links else {}
    return list(items[(number - 1) * size : number * size]), headers


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdecimal() else default


def conditional(answer: Answer, request: Request) -> Answer:
    """Give a good answer to GET its validator, or nothing but that if the client has it already."""
    if request.method != "GET" or answer.status != 200:
        return answer
    tag = f'W/"{hashlib.sha256(answer.data()).hexdigest()}"'
    known = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    headers = {**answer.headers, "ETag": tag, "Cache-Control": "private, max-age=60, s-maxage=60"}
    return Answer(304, headers=headers) if tag in known else Answer(200, answer.body, headers, answer.raw, answer.media)
