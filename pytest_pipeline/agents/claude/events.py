"""What one line of the Claude CLI's stream says, as small values: whatever comes, reading it never raises.

Fields are those that the CLI was seen to print; what is missing or of another type is read as its empty value, and
texts are cut, so that a value stays small however long its line was.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

TEXT_CHARACTERS = 2_000
NAME_CHARACTERS = 200
BLOCKS = 20
DENIALS = 1_000

_DIAGNOSTIC = "[ede_diagnostic]"  # for the CLI's makers, not for its users
_SUBJECTS = ("file_path", "command", "notebook_path", "pattern", "path", "url", "query", "description", "prompt")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that one or several answers used."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_hour: int = 0  # those of `cache_write` that are kept for an hour, which costs more

    @property
    def total(self) -> int:
        """All tokens."""
        return self.input + self.output + self.cache_read + self.cache_write


@dataclass(frozen=True, slots=True)
class Started:
    """`system/init`: the CLI begins, or begins another turn by itself."""

    model: str = ""
    session_id: str = ""
    version: str = ""
    directory: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """Words of the model."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """The model calls a tool; ``subject`` is the file, command or the like that it is about."""

    id: str
    tool: str
    subject: str


@dataclass(frozen=True, slots=True)
class Said:
    """`assistant`: one piece of an answer; all pieces of one answer have its id and its usage.

    ``error`` is set where the CLI speaks for itself about an API that failed.
    """

    id: str = ""
    model: str = ""
    blocks: tuple[Text | Call, ...] = ()
    usage: Usage = Usage()
    nested: bool = False  # an agent that the agent started
    error: str = ""


@dataclass(frozen=True, slots=True)
class Retrying:
    """`system/api_retry`: a request failed, and the CLI waits before the next."""

    attempt: int = 0
    most: int = 0
    delay: float = 0.0
    status: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Denied:
    """`system/permission_denied`: a call of a tool was denied."""

    id: str
    tool: str


@dataclass(frozen=True, slots=True)
class Working:
    """`tool_progress`: a tool runs for long."""

    tool: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """`result`: a turn is over.

    Args:
        subtype: the CLI's own word for how; no verdict.
        is_error: None where the line does not say it.
        terminal_reason: why it ended.
        text: the last words, or what went wrong.
        turns: answers of the model in this turn, as the CLI counts them.
        cost: US dollars of the whole run so far.
        usage: tokens of the whole run so far.
        models: ids of the models that took part.
        denied: calls that were denied, at most :data:`DENIALS`.
        status: HTTP status of the API's last error.
        error: the CLI's word for what was wrong with the API.
        stopped_by_permission_check: it gave up because nothing was permitted.
    """

    subtype: str = ""
    is_error: bool | None = None
    terminal_reason: str = ""
    text: str = ""
    turns: int | None = None
    cost: Decimal | None = None
    usage: Usage | None = None
    models: tuple[str, ...] = ()
    denied: tuple[Denied, ...] = ()
    status: int | None = None
    error: str = ""
    stopped_by_permission_check: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is no JSON."""


Event: TypeAlias = Started | Said | Retrying | Denied | Working | Ended | Unreadable


def read(line: str) -> Event | None:
    """What a line of the stream says; None: nothing that matters here."""
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError):
        return Unreadable() if line.strip() else None
    if not isinstance(value, dict):
        return None
    kind = _name(value.get("type"))
    if kind == "system":
        kind = f"system/{_name(value.get('subtype'))}"
    reader = _READERS.get(kind)
    return reader(value) if reader else None


def _started(line: Mapping[str, object]) -> Started:
    return Started(
        model=_name(line.get("model")),
        session_id=_name(line.get("session_id")),
        version=_name(line.get("claude_code_version")),
        directory=_text(line.get("cwd")),
    )


def _said(line: Mapping[str, object]) -> Said:
    message = _mapping(line.get("message"))
    return Said(
        id=_name(message.get("id")),
        model=_name(message.get("model")),
        blocks=tuple(itertools.islice(_blocks(message.get("content")), BLOCKS)),
        usage=_usage(_mapping(message.get("usage"))),
        nested=bool(line.get("parent_tool_use_id")),
        error=_name(line.get("error")),
    )


def _blocks(content: object) -> Iterator[Text | Call]:
    for block in _sequence(content):
        part = _mapping(block)
        if part.get("type") == "text":
            yield Text(_text(part.get("text")))
        elif part.get("type") == "tool_use":
            yield Call(_name(part.get("id")), _name(part.get("name")), _subject(_mapping(part.get("input"))))


def _subject(given: Mapping[str, object]) -> str:
    """What a call is about: the value of its telling argument, else its first text."""
    texts = {key: value for key, value in given.items() if isinstance(value, str)}
    known = (texts[key] for key in _SUBJECTS if key in texts)
    return _text(next(known, next(iter(texts.values()), "")))


def _usage(usage: Mapping[str, object]) -> Usage:
    kept = _mapping(usage.get("cache_creation"))
    return Usage(
        input=_count(usage.get("input_tokens")) or 0,
        output=_count(usage.get("output_tokens")) or 0,
        cache_read=_count(usage.get("cache_read_input_tokens")) or 0,
        cache_write=_count(usage.get("cache_creation_input_tokens")) or 0,
        cache_write_hour=_count(kept.get("ephemeral_1h_input_tokens")) or 0,
    )


def _retrying(line: Mapping[str, object]) -> Retrying:
    return Retrying(
        attempt=_count(line.get("attempt")) or 0,
        most=_count(line.get("max_retries")) or 0,
        delay=(_number(line.get("retry_delay_ms")) or 0.0) / 1000,
        status=_count(line.get("error_status")),
        error=_name(line.get("error")),
    )


def _denied(line: Mapping[str, object]) -> Denied:
    return Denied(_name(line.get("tool_use_id")), _name(line.get("tool_name")))


def _working(line: Mapping[str, object]) -> Working:
    return Working(_name(line.get("tool_name")), _number(line.get("elapsed_time_seconds")) or 0.0)


def _ended(line: Mapping[str, object]) -> Ended:
    is_error = line.get("is_error")
    models = _mapping(line.get("modelUsage"))
    return Ended(
        subtype=_name(line.get("subtype")),
        is_error=is_error if isinstance(is_error, bool) else None,
        terminal_reason=_name(line.get("terminal_reason")),
        text=_last_words(line),
        turns=_count(line.get("num_turns")),
        cost=_dollars(line.get("total_cost_usd")),
        usage=_model_usage(models),
        models=tuple(_name(model) for model in itertools.islice(models, BLOCKS)),
        denied=tuple(
            _denied(_mapping(one)) for one in itertools.islice(_sequence(line.get("permission_denials")), DENIALS)
        ),
        status=_count(line.get("api_error_status")),
        error=_name(line.get("api_error")),
        stopped_by_permission_check=line.get("stopped_by_permission_check") is True,
    )


def _last_words(line: Mapping[str, object]) -> str:
    if isinstance(line.get("result"), str):
        return _text(line.get("result"))
    errors = map(_text, itertools.islice(_sequence(line.get("errors")), BLOCKS))
    return "\n".join(error for error in errors if error and not error.startswith(_DIAGNOSTIC))[:TEXT_CHARACTERS]


def _model_usage(models: Mapping[str, object]) -> Usage | None:
    if not models:
        return None
    parts = [_mapping(part) for part in models.values()]

    def total(key: str) -> int:
        return sum(_count(part.get(key)) or 0 for part in parts)

    return Usage(
        total("inputTokens"), total("outputTokens"), total("cacheReadInputTokens"), total("cacheCreationInputTokens")
    )


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _text(value: object, longest: int = TEXT_CHARACTERS) -> str:
    """A text, cut; halves of surrogate pairs, which JSON can hold and UTF-8 cannot, are replaced."""
    return value[:longest].encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _name(value: object) -> str:
    return _text(value, NAME_CHARACTERS)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        return None
    return float(value) if value <= _MOST else None


def _count(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _dollars(value: object) -> Decimal | None:
    number = _number(value)
    return None if number is None else Decimal(f"{number:.9f}".rstrip("0").rstrip("."))


_MOST = 1e15  # far more than any run can use; beyond it a number is a mistake
_READERS: Mapping[str, Callable[[Mapping[str, object]], Event]] = {
    "system/init": _started,
    "system/api_retry": _retrying,
    "system/permission_denied": _denied,
    "assistant": _said,
    "tool_progress": _working,
    "result": _ended,
}
