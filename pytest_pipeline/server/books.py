"""What was asked for, written down before anything is started: the only thing that a server keeps besides the store.

Each execution is a directory of its own in the state directory. Nothing in it is ever changed.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

from pytest_pipeline.errors import HostError
from pytest_pipeline.values import execution as checked_id

_REQUEST = "execution.json"
_LAUNCH = re.compile(r"launch-(\d+)\.json")
_TAIL = 64 * 1024  # bytes of a log that are looked through for errors
_ERROR = re.compile(r"^ERROR: .*$", re.MULTILINE)


@dataclass(frozen=True)
class PlannedTask:
    """A task as the plan had it when it was started."""

    id: str
    title: str


@dataclass(frozen=True)
class PlannedBatch:
    """A batch as the plan had it then."""

    number: str
    title: str
    tasks: tuple[PlannedTask, ...]


@dataclass(frozen=True)
class Execution:
    """A session that somebody has asked for.

    Args:
        id: given by us; the session has it as a fact.
        created: when it was asked for.
        plan: the plan's file, as an absolute path without symbolic links.
        shown: its name for readers.
        arguments: options for pytest that were asked for.
        resumed: those of them that a resumed session has to be told again.
        count: how many runs were asked for.
        batches: what is scheduled.
    """

    id: str
    created: datetime
    plan: str
    shown: str
    arguments: tuple[str, ...]
    resumed: tuple[str, ...]
    count: int
    batches: tuple[PlannedBatch, ...]


@dataclass(frozen=True)
class Launch:
    """One start of the process of an execution; each resumption is a further one.

    Args:
        number: from 1.
        at: when.
        log: what it printed.
    """

    number: int
    at: datetime
    log: Path


def new_execution_id() -> str:
    """An id that sorts by time and cannot be guessed."""
    return f"exec_{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(6)}"


class Book:
    """The executions of a state directory.

    Args:
        state: the project's state directory.
    """

    def __init__(self, state: Path) -> None:
        self._place = state / "executions"
        self._known: dict[str, Execution] = {}

    def lock_of(self, plan: str) -> Path:
        """The file that the process which executes a plan holds the lock of."""
        return self._place / "plans" / f"{_digest(plan)}.lock"

    def add(self, execution: Execution) -> None:
        """Write an execution down, durably.

        Raises:
            HostError: that cannot be done.
        """
        _write(
            self._directory(execution.id) / _REQUEST, {**asdict(execution), "created": execution.created.isoformat()}
        )
        self._known[execution.id] = execution

    def get(self, name: str) -> Execution | None:
        """The execution of that id; None: there is none."""
        if name not in self._known and (found := self._read(name)) is not None:
            self._known[name] = found
        return self._known.get(name)

    def ids(self) -> list[str]:
        """The ids of all executions, the newest first."""
        if not self._place.is_dir():
            return []
        return sorted((each.name for each in self._place.iterdir() if _is_id(each.name)), reverse=True)

    def after(self, name: str | None) -> Iterator[Execution]:
        """The executions that are older than that one, the newest first; None: all of them."""
        for each in self.ids():
            if (name is None or each < name) and (found := self.get(each)) is not None:
                yield found

    def begin_launch(self, execution: Execution) -> Launch:
        """Write down, durably, that the process of an execution is going to be started.

        Raises:
            HostError: that cannot be done.
        """
        last = self.last_launch(execution.id)
        number, at = (last.number + 1 if last else 1), datetime.now(timezone.utc)
        _write(self._directory(execution.id) / f"launch-{number:03d}.json", {"at": at.isoformat()})
        return Launch(number, at, self._log(execution.id, number))

    def last_launch(self, name: str) -> Launch | None:
        """The newest start of an execution; None: it never came to that."""
        numbers = [
            int(found[1]) for each in self._directory(name).glob("launch-*") if (found := _LAUNCH.match(each.name))
        ]
        if not numbers:
            return None
        number = max(numbers)
        told = json.loads((self._directory(name) / f"launch-{number:03d}.json").read_text("utf-8"))
        return Launch(number, datetime.fromisoformat(told["at"]), self._log(name, number))

    def _log(self, name: str, number: int) -> Path:
        return self._directory(name) / f"launch-{number:03d}.log"

    def _directory(self, name: str) -> Path:
        return self._place / name

    def _read(self, name: str) -> Execution | None:
        if not _is_id(name):
            return None
        try:
            told = json.loads((self._directory(name) / _REQUEST).read_text("utf-8"))
        except OSError:
            return None
        return _execution(told)


def errors_of(launch: Launch) -> str:
    """What pytest said in the end of why it could not work; empty where it said nothing of that kind."""
    try:
        with launch.log.open("rb") as file:
            file.seek(max(0, launch.log.stat().st_size - _TAIL))
            told = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(line.removeprefix("ERROR: ") for line in _ERROR.findall(told))


def silent_since(launch: Launch) -> datetime | None:
    """When pytest said the last thing, so when it ended at the earliest; None: it never said anything, nor began."""
    try:
        return datetime.fromtimestamp(launch.log.stat().st_mtime, timezone.utc)
    except OSError:
        return None


def _is_id(text: str) -> bool:
    try:
        checked_id(text)
    except ValueError:
        return False
    return True


def _execution(told: Mapping[str, Any]) -> Execution:
    batches = tuple(
        PlannedBatch(each["number"], each["title"], tuple(PlannedTask(**task) for task in each["tasks"]))
        for each in told["batches"]
    )
    listed = {name: tuple(told[name]) for name in ("arguments", "resumed")}
    return Execution(**{**told, **listed, "created": datetime.fromisoformat(told["created"]), "batches": batches})


def _write(path: Path, content: Mapping[str, object]) -> None:
    """The whole file or none of it, also after a power failure."""
    draft = path.with_suffix(".draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}. Free space or mend its permissions.") from error


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:24]
