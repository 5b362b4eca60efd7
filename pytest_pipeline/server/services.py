"""What the routes work with, put together once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_pipeline.host.redaction import Redactor
from pytest_pipeline.server.books import Book
from pytest_pipeline.server.feeds import Feeds
from pytest_pipeline.server.guarding import Bounds
from pytest_pipeline.server.masking import masked_json
from pytest_pipeline.server.processes import Command, Processes
from pytest_pipeline.server.requests import Desk
from pytest_pipeline.server.shapes import Part
from pytest_pipeline.server.snapshots import Reader, Snapshot, Snapshots, StoreDoor
from pytest_pipeline.server.views import status_answer

RecordCommand = Callable[[str], Sequence[str]]
"""The command line that prints the JUnit record of a session."""


@dataclass(frozen=True)
class Place:
    """Where the server works, and what it is told.

    Args:
        directory: where a person would type the commands.
        rootdir: pytest's root directory there.
        state: the state directory.
        store_url: the store.
        roots: below which plans may lie, without symbolic links.
        command: the command line of an execution.
        record: the command line that prints a record.
        agent: the project's agent, as it was found at the start.
        forge: its forge.
        secrets: what must be in no answer.
        interval: seconds between two looks at the store for one execution.
        keep_alive: seconds of silence on a stream of events.
        listeners: how many may listen to events at once.
        bounds: how much is taken.
    """

    directory: Path
    rootdir: Path
    state: Path
    store_url: str
    roots: tuple[Path, ...]
    command: Command
    record: RecordCommand
    agent: Part
    forge: Part
    secrets: Redactor
    interval: float = 0.5
    keep_alive: float = 15.0
    listeners: int = 1000
    bounds: Bounds = field(default_factory=Bounds)


class Services:
    """What the routes work with.

    Args:
        place: where the server works.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.store = StoreDoor(place.store_url)
        self.book = Book(place.state)
        self.desk = Desk(place.directory, place.roots)
        self.processes = Processes(self.book, place.command, place.directory)
        self.reader = Reader(self.book, self.processes, self.store, place.state)
        self.snapshots = Snapshots(self.reader, place.interval)
        self.records = asyncio.Semaphore(2)
        """Only so many records are made at once: each takes a process."""
        self.feeds = Feeds(
            self.snapshots,
            self.store,
            self.status_json,
            self.mask,
            most=place.listeners,
            keep_alive=place.keep_alive,
        )

    def mask(self, text: str) -> str:
        """The text without secrets."""
        return self.place.secrets.text(text)

    def status_json(self, snapshot: Snapshot) -> str:
        """The status as JSON, made once for each snapshot."""
        if "status" not in snapshot.made:
            snapshot.made["status"] = masked_json(status_answer(snapshot), self.mask).encode()
        return snapshot.made["status"].decode()
