"""An answer goes through the wire and comes out as it was; what is broken is told."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pytest_pipeline.agents.claude.rehearsal import sse
from pytest_pipeline.agents.claude.rehearsal.script import Answer, Flood, Json, text, tool_call

CITATION = {"type": "char_location", "cited_text": "x", "document_index": 0}
CONTENTS: dict[str, tuple[Json, ...]] = {
    "text": (text("Zürich, 東京 🗼\r\n\t\x1b[0m"),),
    "half a surrogate pair": (text("\ud83d"),),
    "large text": (text("東" * 100_000),),
    "no text": (text(""),),
    "nothing": (),
    "cited text": ({"type": "text", "text": "so it is", "citations": [CITATION, CITATION]},),
    "tool": (text("I write."), tool_call("1", "Write", {"file_path": "ü.txt", "content": "x" * 50_000, "n": [1, {}]})),
    "tool without arguments": (tool_call("1", "Now", {}),),
    "server tool": ({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},),
    "thinking": ({"type": "thinking", "thinking": "hm " * 20_000, "signature": "c2ln"}, text("So.")),
    "hidden thinking": ({"type": "redacted_thinking", "data": "xyz"}, text("So.")),
    "unknown": ({"type": "hologram", "input": {"a": 1}, "depth": 3, "layers": [{"b": None}]},),
}


def sent(answer: Answer) -> bytes:
    return b"".join(sse.events(answer, model="claude-test-1", number="7"))


def received(stream: bytes) -> dict[str, object]:
    return sse.assemble(sse.read(stream.splitlines(keepends=True)))


def data(stream: bytes) -> list[dict[str, object]]:
    return list(sse.read(stream.splitlines(keepends=True)))


@pytest.mark.parametrize("name", CONTENTS)
def test_an_answer_comes_out_as_it_went_in(name: str) -> None:
    answer = Answer(CONTENTS[name], "tool_use", {"input_tokens": 12, "output_tokens": 34})

    whole = received(sent(answer))

    assert whole == sse.message(answer, model="claude-test-1", number="7")
    assert whole["content"] == [*CONTENTS[name]]
    assert (whole["stop_reason"], whole["model"], whole["id"]) == ("tool_use", "claude-test-1", "msg_7")


json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=8,
)
blocks = some.one_of(
    some.builds(text, some.text()),
    some.builds(
        lambda number, name, inputs: tool_call(str(number), name, inputs),
        some.integers(),
        some.text(),
        some.dictionaries(some.text(), json_values, max_size=4),
    ),
    some.builds(lambda words: {"type": "thinking", "thinking": words, "signature": "s"}, some.text()),
)


@given(some.lists(blocks, max_size=5).map(tuple))
def test_any_answer_comes_out_as_it_went_in(content: tuple[Json, ...]) -> None:
    assert received(sent(Answer(content, "end_turn")))["content"] == [*content]


def test_an_answer_names_its_own_model_and_all_its_tokens() -> None:
    usage = {"input_tokens": 5, "cache_read_input_tokens": 6, "cache_creation_input_tokens": 7, "output_tokens": 8}

    whole = received(sent(Answer((text("x"),), "end_turn", usage, model="claude-other-2")))

    assert (whole["model"], whole["usage"]) == ("claude-other-2", usage)


def test_what_has_been_written_counts_at_the_end_only() -> None:
    first, *_, change, last = data(sent(Answer((text("x"),), "end_turn", {"input_tokens": 5, "output_tokens": 800})))

    begun = first["message"]
    assert isinstance(begun, dict)
    assert (begun["content"], begun["stop_reason"]) == ([], None)
    assert (begun["usage"]["input_tokens"], begun["usage"]["output_tokens"]) == (5, 1)
    assert change["usage"] == {"output_tokens": 800}
    assert last == {"type": "message_stop"}


@pytest.mark.parametrize("name", ["tool", "server tool"])
def test_a_tool_is_named_before_its_input_comes(name: str) -> None:
    starts = [
        each["content_block"] for each in data(sent(Answer(CONTENTS[name], "tool_use"))) if "content_block" in each
    ]
    assert {"name", "input"} <= starts[-1].keys()  # type: ignore[attr-defined]
    assert starts[-1]["input"] == {}  # type: ignore[index]


def test_large_texts_and_inputs_come_in_pieces() -> None:
    answer = Answer((text("x" * 100_000), tool_call("1", "Write", {"content": "y" * 100_000})), "tool_use")
    deltas = [each["delta"] for each in data(sent(answer)) if each["type"] == "content_block_delta"]

    kinds = [delta["type"] for delta in deltas if isinstance(delta, dict)]
    assert (kinds.count("text_delta"), kinds.count("input_json_delta")) == (7, 7)


def test_an_event_has_its_name_and_one_line_of_ascii() -> None:
    for event in sse.events(Answer((text("ü\n\n"),), "end_turn"), model="m", number="1"):
        name, body, *rest = event.decode("ascii").split("\n")
        assert name == f"event: {json.loads(body.removeprefix('data: '))['type']}"
        assert rest == ["", ""]


def test_a_flood_has_the_size_that_was_asked_for_in_blocks() -> None:
    stream = b"".join(sse.flood_events(Flood(2_500_000, 1_000_000), model="m", number="1"))

    content = received(stream)["content"]
    assert isinstance(content, list)
    assert [len(block["text"].encode()) for block in content] == [1_000_000, 1_000_000, 500_000]


def test_a_flood_is_the_same_as_one_message() -> None:
    flood = Flood(100_000, 30_000)
    stream = b"".join(sse.flood_events(flood, model="m", number="1"))

    assert json.loads(b"".join(sse.flood_message(flood, model="m", number="1"))) == received(stream)


@pytest.mark.parametrize("form", [sse.flood_events, sse.flood_message])
def test_a_flood_is_not_kept(form: Callable[..., Iterator[bytes]]) -> None:
    tracemalloc.start()
    try:
        size = sum(len(piece) for piece in form(Flood(20_000_000), model="m", number="1"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 20_000_000
    assert peak < 1_000_000


def test_a_stream_may_end_once_the_reason_to_stop_is_known() -> None:
    stream = sent(Answer((text("done"),), "end_turn")).split(b"event: message_stop")[0]
    assert received(stream)["content"] == [text("done")]


def test_comments_pings_and_kinds_of_later_versions_are_passed_over() -> None:
    begin, rest = sent(Answer((text("done"),), "end_turn")).split(b"event: content_block_start", 1)
    extra = b': comment\n\nevent: ping\ndata: {"type": "ping"}\n\nevent: new\ndata: {"type":\ndata: "new"}\n\n'
    whole = received((begin + extra + b"event: content_block_start" + rest).replace(b"\n", b"\r\n"))
    assert whole["content"] == [text("done")]


def cut(kind: str) -> bytes:
    return sent(Answer((text("done"),), "end_turn")).split(f"event: {kind}".encode())[0]


def broken() -> Iterator[tuple[str, bytes]]:
    yield "ends before", b""
    yield "ends before", cut("content_block_stop")
    yield "ends before", cut("message_delta")
    yield "ends before", cut("content_block_stop") + b'data: {"type":"message_delta","delta":{"stop_reason":"x"}}\n\n'
    yield "holds no JSON", sse.beginning(model="m", number="1") + sse.malformed()
    yield "holds no JSON object", b"data: 3\n\n"
    yield "Overloaded", cut("message_delta") + f"data: {json.dumps(sse.error(529))}\n\n".encode()
    yield "does not fit", cut("message_start") + b'data: {"type": "content_block_stop", "index": 0}\n\n'
    yield "does not fit", b'data: {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}\n\n'
    yield "does not fit", cut("content_block_start") + b'data: {"type": "content_block_start", "index": 0}\n\n'


@pytest.mark.parametrize(("why", "stream"), [*broken()])
def test_a_broken_stream_is_told(why: str, stream: bytes) -> None:
    with pytest.raises(sse.BrokenStreamError, match=why):
        received(stream)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (409, "invalid_request_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
        (599, "api_error"),
    ],
)
def test_an_error_has_the_type_of_its_status_and_words(status: int, kind: str) -> None:
    body = sse.error(status)

    assert body["type"] == "error"
    assert isinstance(body["error"], dict)
    assert body["error"]["type"] == kind
    assert body["error"]["message"]
    assert sse.error(status, "No more money.")["error"] == {"type": kind, "message": "No more money."}
