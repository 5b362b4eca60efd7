"""Answers of the model in the words of the Messages API: as server-sent events, as one message, and back.

The words are those of https://docs.anthropic.com/en/api/messages-streaming and .../api/errors.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus

from pytest_pipeline.agents.claude.rehearsal.script import Answer, Flood, Json

_PIECE = 16 * 1024  # characters of one delta
_USAGE = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
_FLOOD_LINE = "All work and no play makes a model a dull one. " * 22 + "\n"
_ERRORS = {
    400: ("invalid_request_error", "The request is not valid."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "There is a problem with the billing of this account."),
    403: ("permission_error", "This API key may not use the resource."),
    404: ("not_found_error", "Not found"),
    408: ("timeout_error", "The request timed out."),
    413: ("request_too_large", "The request exceeds the maximum size."),
    429: ("rate_limit_error", "This request would exceed the rate limit of your organization."),
    504: ("timeout_error", "The request timed out."),
    529: ("overloaded_error", "Overloaded"),
}


class BrokenStreamError(ValueError):
    """Events that are no whole message; the text says why."""


def message(answer: Answer, *, model: str, number: str) -> dict[str, object]:
    """The answer as one message, as a request without ``stream`` gets it.

    Args:
        answer: what the model says.
        model: the id that answers where the answer names none.
        number: makes the message's id unique in the conversation.
    """
    whole = _envelope(answer.model or model, number)
    whole |= {"content": list(answer.content), "stop_reason": answer.stop_reason, "usage": _usage(answer.usage)}
    return whole


def events(answer: Answer, *, model: str, number: str) -> Iterator[bytes]:
    """The answer as server-sent events, one after the other; the arguments are those of :func:`message`."""
    usage = _usage(answer.usage)
    yield _started(answer.model or model, number, usage)
    for index, block in enumerate(answer.content):
        start, deltas = _taken_apart(block)
        yield _event("content_block_start", index=index, content_block=start)
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    yield from _ended(answer.stop_reason, usage)


def flood_events(flood: Flood, *, model: str, number: str) -> Iterator[bytes]:
    """The flood as server-sent events, made as they are asked for; the arguments are those of :func:`message`."""
    yield _started(model, number, _usage({}))
    for index, pieces in enumerate(_flood_blocks(flood)):
        yield _event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        for piece in pieces:
            yield _event("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})
        yield _event("content_block_stop", index=index)
    yield from _ended("end_turn", _usage({}))


def flood_message(flood: Flood, *, model: str, number: str) -> Iterator[bytes]:
    """The flood as the pieces of one message, made as they are asked for; see :func:`message`."""
    whole = json.dumps(message(Answer((), "end_turn"), model=model, number=number))
    head, tail = whole.split('"content": []')
    yield f'{head}"content": ['.encode("ascii")
    for index, pieces in enumerate(_flood_blocks(flood)):
        yield b', {"type": "text", "text": "' if index else b'{"type": "text", "text": "'
        for piece in pieces:
            yield json.dumps(piece)[1:-1].encode("ascii")
        yield b'"}'
    yield f"]{tail}".encode("ascii")


def beginning(*, model: str, number: str) -> bytes:
    """The events of a message that has begun with a text and goes no further."""
    start = {"type": "text", "text": ""}
    delta = {"type": "text_delta", "text": "I begin with"}
    opened = _event("content_block_start", index=0, content_block=start)
    return _started(model, number, _usage({})) + opened + _event("content_block_delta", index=0, delta=delta)


def malformed() -> bytes:
    """An event whose data are no JSON."""
    return b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, "delta": {"type\n\n'


def error(status: int, text: str = "") -> dict[str, object]:
    """The body that goes with an HTTP error.

    Args:
        status: the HTTP status.
        text: its message; empty: what the API says in such a case.
    """
    kind, usual = _ERRORS.get(status, ("invalid_request_error" if status < 500 else "api_error", _phrase(status)))
    return {"type": "error", "error": {"type": kind, "message": text or usual}}


def read(lines: Iterable[bytes]) -> Iterator[dict[str, object]]:
    """The data of a stream of server-sent events, one object after the other.

    Args:
        lines: its lines, with their ends, as a file or an HTTP response gives them.

    Raises:
        BrokenStreamError: data that are no JSON object.
    """
    data: list[bytes] = []
    for line in lines:
        words = line.rstrip(b"\r\n")
        if words.startswith(b"data:"):
            data.append(words[5:])
        elif not words and data:
            yield _object(b"\n".join(data))
            data = []


def assemble(parts: Iterable[Json]) -> dict[str, object]:
    """Put the events of one message together; the opposite of :func:`events`.

    A stream counts as whole once it has named a stop reason, as for the CLI, even if its last event is missing.

    Args:
        parts: the data of the events in their order; kinds that are not known are passed over.

    Raises:
        BrokenStreamError: the stream ends early, holds an ``error``, or is not in order.
    """
    assembly = _Assembly()
    for part in parts:
        try:
            assembly.add(part)
        except (KeyError, TypeError, ValueError) as cause:
            raise BrokenStreamError(f"The event {part.get('type')} does not fit into the answer: {cause!r}.") from cause
    if assembly.whole is None or assembly.whole.get("stop_reason") is None or assembly.unfinished:
        raise BrokenStreamError("The answer ends before it gives a reason to stop.")
    return assembly.whole | {"content": [assembly.blocks[index] for index in sorted(assembly.blocks)]}


class _Assembly:
    """A message of which some events have come."""

    def __init__(self) -> None:
        self.whole: dict[str, object] | None = None
        self.blocks: dict[int, dict[str, object]] = {}
        self.unfinished: dict[int, dict[str, list[str]]] = {}

    def add(self, part: Json) -> None:
        kind = part.get("type")
        if kind == "message_start":
            self.whole = dict(_mapping(part["message"]))
        elif kind == "content_block_start":
            index = _index(part)
            self.blocks[index] = dict(_mapping(part["content_block"]))
            self.unfinished[index] = {}
        elif kind == "content_block_delta":
            self._grow(_index(part), _mapping(part["delta"]))
        elif kind == "content_block_stop":
            self._finish(_index(part))
        elif kind == "message_delta":
            self._change(part)
        elif kind == "error":
            raise ValueError(json.dumps(part.get("error")))

    def _grow(self, index: int, delta: Json) -> None:
        block = self.blocks[index]
        for name, value in delta.items():
            if name == "citation":
                known = block.get("citations")
                block["citations"] = [*(known if isinstance(known, list) else []), value]
            elif name != "type" and isinstance(value, str):
                self.unfinished[index].setdefault(name, []).append(value)
            elif name != "type":
                block[name] = value

    def _finish(self, index: int) -> None:
        block = self.blocks[index]
        for name, pieces in self.unfinished.pop(index).items():
            if name == "partial_json":
                block["input"] = json.loads("".join(pieces) or "{}")
            else:
                block[name] = str(block.get(name) or "") + "".join(pieces)

    def _change(self, part: Json) -> None:
        if self.whole is None:
            raise ValueError("no message_start")
        usage = {name: count for name, count in _mapping(part.get("usage") or {}).items() if count is not None}
        self.whole |= _mapping(part["delta"])
        self.whole["usage"] = {**_mapping(self.whole.get("usage") or {}), **usage}


def _flood_blocks(flood: Flood) -> Iterator[Iterator[str]]:
    piece = _FLOOD_LINE * (_PIECE // len(_FLOOD_LINE))
    for first in range(0, flood.size, flood.block):
        block = min(flood.block, flood.size - first)
        yield (piece[:left] for left in range(block, 0, -len(piece)))


def _taken_apart(block: Json) -> tuple[Json, Iterator[Json]]:
    """A block as it starts, and the deltas that make it whole. What the API sends whole stays whole."""
    kind = block.get("type")
    if kind == "text":
        return _emptied(block, "text"), _text_deltas(block)
    if kind == "thinking":
        return _emptied(block, "thinking", "signature"), _thinking_deltas(block)
    if isinstance(kind, str) and kind.endswith("tool_use") and "input" in block:
        pieces = _pieces(json.dumps(block["input"]))
        return {**block, "input": {}}, ({"type": "input_json_delta", "partial_json": each} for each in pieces)
    return block, iter(())


def _emptied(block: Json, *names: str) -> Json:
    kept = {name: value for name, value in block.items() if name != "citations"}
    return {**kept, **{name: "" for name in names if name in block}}


def _text_deltas(block: Json) -> Iterator[Json]:
    citations = block.get("citations")
    for citation in citations if isinstance(citations, list) else ():
        yield {"type": "citations_delta", "citation": citation}
    for piece in _pieces(str(block.get("text", ""))):
        yield {"type": "text_delta", "text": piece}


def _thinking_deltas(block: Json) -> Iterator[Json]:
    for piece in _pieces(str(block.get("thinking", ""))):
        yield {"type": "thinking_delta", "thinking": piece}
    if block.get("signature"):
        yield {"type": "signature_delta", "signature": block["signature"]}


def _pieces(text: str) -> Iterator[str]:
    return (text[first : first + _PIECE] for first in range(0, len(text), _PIECE))


def _started(model: str, number: str, usage: Mapping[str, int]) -> bytes:
    begun = {**_envelope(model, number), "usage": {**usage, "output_tokens": min(1, usage["output_tokens"])}}
    return _event("message_start", message=begun)


def _ended(stop_reason: str, usage: Mapping[str, int]) -> Iterator[bytes]:
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    yield _event("message_delta", delta=delta, usage={"output_tokens": usage["output_tokens"]})
    yield _event("message_stop")


def _envelope(model: str, number: str) -> dict[str, object]:
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _usage(counts: Mapping[str, int]) -> dict[str, int]:
    return {**dict.fromkeys(_USAGE, 0), **counts}


def _event(kind: str, **fields: object) -> bytes:
    # Escaped as ASCII: a text may hold half a surrogate pair, which UTF-8 does not know.
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode("ascii")


def _object(data: bytes) -> dict[str, object]:
    try:
        value = json.loads(data)
    except ValueError as cause:
        raise BrokenStreamError(f"An event of the answer holds no JSON: {cause}.") from cause
    if not isinstance(value, dict):
        raise BrokenStreamError("An event of the answer holds no JSON object.")
    return value


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError("no JSON object")
    return value


def _index(part: Json) -> int:
    index = part["index"]
    if not isinstance(index, int):
        raise TypeError("no index")
    return index


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"HTTP status {status}"
