"""One poll of the store for all who listen to an execution."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from starlette.concurrency import run_in_threadpool

from pytest_pipeline.errors import PipelineError
from pytest_pipeline.record.store import Store
from pytest_pipeline.server.books import Execution
from pytest_pipeline.server.following import Cursor, Event, events_of, rendered
from pytest_pipeline.server.masking import Mask
from pytest_pipeline.server.shapes import Status
from pytest_pipeline.server.snapshots import Snapshot, Snapshots

KEEP_ALIVE = b": still here\n\n"
_PAGE = 500
"""Steps that are read at once."""

_WINDOW = 4096
"""Events that are kept for listeners who are slow; who is slower reads them from the store."""

_ENDED = (Status.COMPLETE, Status.FAILED, Status.INTERRUPTED)


@dataclass
class _Channel:
    """What the listeners to one execution share.

    Args:
        cursor: how far the poll has come; from the beginning, for what a listener says of itself is its own affair.
        first: number of the oldest event in the window.
        window: the newest events.
        status: the newest status as JSON.
        ended: whether nothing more will come.
        failed: why the store could not be read.
        turn: replaced and set at each poll that has found something.
    """

    cursor: Cursor = field(default_factory=Cursor)
    listeners: int = 0
    first: int = 0
    window: deque[Event] = field(default_factory=deque)
    status: str = ""
    ended: bool = False
    failed: str = ""
    turn: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def add(self, events: Sequence[Event]) -> None:
        """Put events at the end of the window."""
        self.window.extend(events)
        while len(self.window) > _WINDOW:
            self.window.popleft()
            self.first += 1

    @property
    def last(self) -> int:
        """Number of the event that comes next."""
        return self.first + len(self.window)

    def since(self, number: int) -> Iterator[Event]:
        """The events in the window from that number on."""
        return islice(list(self.window), max(0, number - self.first), None)

    def wake(self) -> None:
        """Let all listeners look."""
        self.turn.set()
        self.turn = asyncio.Event()


@dataclass
class _Listener:
    """One who listens: what it was told, how far it has seen the window, and the last status."""

    cursor: Cursor
    seen: int = 0
    status: str = ""

    def told(self, events: Iterable[Event]) -> Iterator[bytes]:
        """Those of the events that are new to it, as it is told them."""
        for event in events:
            told = self.cursor.advance(event.row, ended=event.ended)
            if told is not None:
                self.cursor = told
                yield rendered("step", event.data, told)


class Feeds:
    """Events for listeners.

    Args:
        snapshots: how executions stand.
        store: the record.
        status: makes the JSON of a status.
        mask: masks secrets.
        most: how many may listen at once.
        keep_alive: seconds of silence after which a listener is told that all is well.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        store: Callable[[], Store],
        status: Callable[[Snapshot], str],
        mask: Mask,
        *,
        most: int,
        keep_alive: float,
    ) -> None:
        self._snapshots = snapshots
        self._store = store
        self._status = status
        self._mask = mask
        self._keep_alive = keep_alive
        self._channels: dict[str, _Channel] = {}
        self.free = most

    async def has_more(self, execution: Execution, cursor: Cursor) -> bool:
        """Whether anything will come for one who was told so much before.

        Raises:
            StoreError: the store cannot be read.
        """
        snapshot = await self._snapshots.of(execution)
        return snapshot.standing.status not in _ENDED or bool((await self._page(snapshot, cursor))[1])

    async def listen(self, execution: Execution, cursor: Cursor) -> AsyncIterator[bytes]:
        """The events behind a cursor as they come, to the end of the execution.

        Args:
            execution: what is listened to.
            cursor: what the listener was told before.
        """
        self.free -= 1
        channel = self._joined(execution)
        try:
            async for each in self._told(execution, _Listener(cursor), channel):
                yield each
        finally:
            self.free += 1
            self._left(execution, channel)

    async def _told(self, execution: Execution, listener: _Listener, channel: _Channel) -> AsyncIterator[bytes]:
        while True:
            turn = channel.turn
            if listener.seen < channel.first:  # it was told less than the window holds
                listener.seen = channel.last
                async for events in self._missed(execution, listener.cursor):
                    yield b"".join(listener.told(events))
            told = [*listener.told(channel.since(listener.seen))]  # in one piece: each costs a packet
            listener.seen = channel.last
            if channel.status != listener.status:
                listener.status = channel.status
                told.append(rendered("status", channel.status, listener.cursor))
            over = bool(channel.failed or channel.ended)
            if over:
                told.append(rendered("error" if channel.failed else "end", channel.failed or "{}", listener.cursor))
            if told:
                yield b"".join(told)
            if over:
                return
            try:
                await asyncio.wait_for(turn.wait(), self._keep_alive)
            except asyncio.TimeoutError:
                yield KEEP_ALIVE

    async def _missed(self, execution: Execution, cursor: Cursor) -> AsyncIterator[list[Event]]:
        """What the store holds behind a cursor."""
        snapshot = await self._snapshots.of(execution)
        more = True
        while more:
            cursor, events, more = await self._page(snapshot, cursor)
            yield events

    async def _page(self, snapshot: Snapshot, cursor: Cursor) -> tuple[Cursor, list[Event], bool]:
        """The next events behind a cursor, where that leads, and whether there may be more."""
        session = snapshot.standing.session
        if session is None:
            return cursor, [], False
        return await run_in_threadpool(self._read, session.id, cursor)

    def _read(self, session: str, cursor: Cursor) -> tuple[Cursor, list[Event], bool]:
        rows = self._store().steps_after(session, cursor.row, unended=cursor.unended, most=_PAGE)
        events = []
        for event in (event for row in rows for event in events_of(*row, self._mask)):
            if (told := cursor.advance(event.row, ended=event.ended)) is not None:
                cursor = told
                events.append(event)
        return cursor, events, len(rows) == _PAGE

    # The poll

    def _joined(self, execution: Execution) -> _Channel:
        channel = self._channels.get(execution.id)
        if channel is None or channel.ended or channel.failed:
            channel = self._channels[execution.id] = _Channel()
            channel.task = asyncio.create_task(self._poll(execution, channel))
        channel.listeners += 1
        return channel

    def _left(self, execution: Execution, channel: _Channel) -> None:
        channel.listeners -= 1
        if not channel.listeners:
            if channel.task is not None and not channel.task.done():  # else asyncio would not tell why it failed
                channel.task.cancel()
            if self._channels.get(execution.id) is channel:
                del self._channels[execution.id]

    async def _poll(self, execution: Execution, channel: _Channel) -> None:
        """Read what is new, once for all, until nothing more will come."""
        try:
            while not channel.ended:
                if await self._look(execution, channel):
                    channel.wake()
                await asyncio.sleep(self._snapshots.interval)
        except PipelineError as error:
            channel.failed = json.dumps({"detail": self._mask(str(error))})
        except Exception:
            channel.failed = json.dumps({"detail": "The server cannot go on telling. Its output says why."})
            raise  # asyncio tells it, as of any task
        finally:
            channel.wake()

    async def _look(self, execution: Execution, channel: _Channel) -> bool:
        """Whether there is anything new."""
        snapshot = await self._snapshots.of(execution)
        before, more = (channel.last, channel.status), True
        while more:
            channel.cursor, events, more = await self._page(snapshot, channel.cursor)
            channel.add(events)
        channel.status = self._status(snapshot)
        channel.ended = snapshot.standing.status in _ENDED
        return channel.ended or before != (channel.last, channel.status)
