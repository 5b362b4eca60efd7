"""One cassette: what the model answered in one task run, as a file that a reviewer can read."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pytest_pipeline.errors import HostError, SettingsError

FORMAT = "pytest-pipeline cassette"
VERSION = 1
_T = TypeVar("_T")
_RUN_FILE = re.compile(r"run-(\d+)\.json")


@dataclass(frozen=True)
class Exchange:
    """One question and its answer.

    Args:
        turn: how many answers of the model the conversation held already.
        aftermath: how the tools went that the answer before had called, for example ``Write succeeded``.
        model: the id that answered.
        content: the answer's blocks, with placeholders for paths and without secrets.
        stop_reason: why the model stopped.
        usage: token counts by name.
    """

    turn: int
    aftermath: tuple[str, ...]
    model: str
    content: tuple[dict[str, object], ...]
    stop_reason: str
    usage: Mapping[str, int]


@dataclass(frozen=True)
class Cassette:
    """One recorded task run.

    Args:
        case: the task, see :class:`~pytest_pipeline.agents.base.AgentRequest`.
        run: number of the recorded run.
        cli: version of the CLI that asked; empty if it did not say.
        model: the model that was asked for.
        prompt_sha256: see :meth:`~pytest_pipeline.agents.claude.rehearsal.places.Places.prompt_hash`.
        exchanges: in their order.
    """

    case: str
    run: int
    cli: str
    model: str
    prompt_sha256: str
    exchanges: tuple[Exchange, ...]


def path_of(directory: Path, case: str, run: int) -> Path:
    """Where the cassette of a task run lies."""
    return directory / case / f"run-{run:02d}.json"


def find(directory: Path, case: str, run: int) -> Path | None:
    """The cassette for a task run: its own, else that of the lowest run that was recorded, else None."""
    recorded = {int(found[1]): path for path in _listed(directory / case) if (found := _RUN_FILE.fullmatch(path.name))}
    return recorded.get(run, recorded[min(recorded)]) if recorded else None


def holds_any(directory: Path) -> bool:
    """Whether there is a cassette in that directory or below it."""
    return any(_RUN_FILE.fullmatch(path.name) for path in directory.rglob("run-*.json"))


def record_again(directory: Path) -> str:
    """The sentence that says how to get a cassette that fits."""
    return f"Record it again with `--agent claude --record-cassette {directory}`."


def write(directory: Path, cassette: Cassette) -> Path:
    """Keep a cassette, whole or not at all, in place of an older one.

    Args:
        directory: the directory of all cassettes.
        cassette: what was recorded.

    Returns:
        Its file.

    Raises:
        HostError: it cannot be written.
    """
    path = path_of(directory, cassette.case, cassette.run)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(_encoded(cassette))
        os.replace(unfinished, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise HostError(
            f"The cassette {path} cannot be written: {error.strerror or error}. Free space or mend the permissions "
            "of its directory, and record again."
        ) from None
    return path


def load(path: Path) -> Cassette:
    """Read a cassette.

    Raises:
        SettingsError: it is none, is damaged, or is of a version that is not known.
    """
    try:
        raw = json.loads(path.read_bytes())
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise ValueError(f'it does not say "format": "{FORMAT}"')
        if raw.get("version") != VERSION:
            raise ValueError(f"it has version {raw.get('version')!r}, and only version {VERSION} is known")
        return _decoded(raw)
    except OSError as error:
        what = error.strerror or str(error)
    except KeyError as error:
        what = f"the field {error} is missing"
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"it is no whole JSON text ({error})"
    except (ValueError, TypeError) as error:
        what = str(error)
    raise SettingsError(
        f"{path}: this cassette cannot be used: {what}. Restore the file from version control, or delete it and "
        "record the task again with --record-cassette."
    )


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _encoded(cassette: Cassette) -> bytes:
    raw = {
        "format": FORMAT,
        "version": VERSION,
        "case": cassette.case,
        "run": cassette.run,
        "cli": cassette.cli,
        "model": cassette.model,
        "prompt_sha256": cassette.prompt_sha256,
        "exchanges": [
            {
                "turn": each.turn,
                "aftermath": list(each.aftermath),
                "model": each.model,
                "content": list(each.content),
                "stop_reason": each.stop_reason,
                "usage": dict(sorted(each.usage.items())),
            }
            for each in cassette.exchanges
        ],
    }
    try:
        return (json.dumps(raw, indent=2, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can hold
        return (json.dumps(raw, indent=2) + "\n").encode()


def _decoded(raw: Mapping[str, object]) -> Cassette:
    return Cassette(
        case=_of(str, raw, "case"),
        run=_of(int, raw, "run"),
        cli=_of(str, raw, "cli"),
        model=_of(str, raw, "model"),
        prompt_sha256=_of(str, raw, "prompt_sha256"),
        exchanges=tuple(_exchange(each) for each in _list_of(dict, raw, "exchanges")),
    )


def _exchange(raw: Mapping[str, object]) -> Exchange:
    usage = _of(dict, raw, "usage")
    return Exchange(
        turn=_of(int, raw, "turn"),
        aftermath=tuple(_list_of(str, raw, "aftermath")),
        model=_of(str, raw, "model"),
        content=tuple(_list_of(dict, raw, "content")),
        stop_reason=_of(str, raw, "stop_reason"),
        usage={name: _of(int, usage, name) for name in usage},
    )


def _list_of(kind: type[_T], raw: Mapping[str, object], name: str) -> list[_T]:
    values = _of(list, raw, name)
    for value in values:
        if not isinstance(value, kind):
            raise TypeError(f"the field '{name}' holds {value!r}")
    return values


def _of(kind: type[_T], raw: Mapping[str, object], name: str) -> _T:
    value = raw[name]
    if not isinstance(value, kind):
        raise TypeError(f"the field '{name}' holds {value!r}")
    return value
