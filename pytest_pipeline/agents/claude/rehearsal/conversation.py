"""What a request of the CLI is, whatever paths, times and reminders are in it: which question, after what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from pytest_pipeline.agents.claude.rehearsal.script import Json


def messages_of(body: Json) -> Sequence[Json]:
    """The conversation that a request holds; empty where it holds none."""
    messages = body.get("messages")
    return [each for each in messages if isinstance(each, dict)] if isinstance(messages, list) else []


def fingerprint(messages: Sequence[Json]) -> str:
    """SHA-256 of a conversation. A request that is made again, after trouble on the way, has the same."""
    return sha256(json.dumps(messages).encode()).hexdigest()


def turn_of(messages: Sequence[Json]) -> int:
    """How many answers of the model a conversation holds."""
    return sum(each.get("role") == "assistant" for each in messages)


def aftermath(messages: Sequence[Json]) -> tuple[str, ...]:
    """How the tools went that the last answer called, in the order of the calls: ``Write succeeded``.

    Nothing else of a request is compared with its recording: reminders, environment and counts of tokens that the
    CLI adds to it differ from run to run and from version to version.
    """
    failed: dict[object, bool] = {}
    calls: list[tuple[object, object]] = []
    for message in messages:
        blocks = list(_blocks(message))
        if message.get("role") == "assistant":
            calls = [(block.get("id"), block.get("name")) for block in blocks if block.get("type") == "tool_use"]
        for block in blocks:
            if block.get("type") == "tool_result":
                failed[block.get("tool_use_id")] = bool(block.get("is_error"))
    return tuple(f"{name} {_WORDS[failed.get(number)]}" for number, name in calls)


def belongs(body: Json, prompt: str) -> bool:
    """Whether a request is part of a task run, and not one that the CLI makes on its own account.

    Before or beside the work it may ask for a title, or whether the account has quota left.
    """
    messages = messages_of(body)
    return bool(body.get("tools")) or turn_of(messages) > 0 or any(_holds(each, prompt) for each in messages[:1])


_WORDS = {True: "failed", False: "succeeded", None: "was not run"}


def _blocks(message: Json) -> Iterator[Mapping[str, object]]:
    content = message.get("content")
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict):
            yield block


def _holds(message: Json, prompt: str) -> bool:
    texts = [message.get("content"), *(block.get("text") for block in _blocks(message))]
    return any(isinstance(text, str) and prompt.strip() in text for text in texts)
