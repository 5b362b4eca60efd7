"""Those who listen to one execution share a poll of the store, and nothing else."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from pytest_pipeline.errors import StoreError
from pytest_pipeline.record.model import Outcome, SessionRecord
from pytest_pipeline.server.books import Execution
from pytest_pipeline.server.feeds import Feeds
from pytest_pipeline.server.following import Cursor
from pytest_pipeline.server.shapes import Status
from pytest_pipeline.server.snapshots import Reader, Snapshot, Snapshots, Standing
from tests.record.conftest import at
from tests.server.serving import Project, Told, events, telling


class TunedReader(Reader):
    """Says of every execution what it is told to say."""

    def __init__(self) -> None:
        self.status = Status.EXECUTING
        self.error: Callable[[], Exception] | None = None

    def snapshot(self, execution: Execution) -> Snapshot:
        if self.error is not None:
            raise self.error()
        session = SessionRecord("S", at(1), 1, 1)
        return Snapshot(execution, Standing(self.status, session, self.status is Status.EXECUTING))


@pytest.fixture
def reader() -> TunedReader:
    return TunedReader()


@pytest.fixture
def execution(project: Project) -> Execution:
    return project.execution()


@pytest.fixture
def told(project: Project, execution: Execution) -> Iterator[Told]:
    with telling(project, execution) as told:
        yield told


@pytest.fixture
def feeds(reader: TunedReader, told: Told) -> Feeds:
    return Feeds(Snapshots(reader, 0), lambda: told.store, lambda _: "{}", lambda text: text, most=9, keep_alive=3600)


async def whole(listening: AsyncIterator[bytes]) -> bytes:
    """All that a listener is told from now on."""
    return b"".join([chunk async for chunk in listening])


@pytest.mark.parametrize("claimed", ["999999999999999999", "1", "2"])
def test_what_one_listener_claims_to_know_takes_nothing_from_another(
    feeds: Feeds, reader: TunedReader, told: Told, execution: Execution, claimed: str
) -> None:
    store = told.store
    store.admit_run("S", 1, at(2))
    attempt = store.admit_attempt(told.key("1.1"), "Write", at(3))
    store.begin_step(attempt, "agent", at(4))

    async def listen() -> bytes:
        first, second = feeds.listen(execution, Cursor.read(claimed)), feeds.listen(execution, Cursor())
        await first.__anext__()
        heard = await second.__anext__()
        store.end_step(attempt, "agent", Outcome.PASSED, "", at(5))
        told.task("1.2")
        reader.status = Status.COMPLETE
        rest, _ = await asyncio.gather(whole(second), whole(first))
        return heard + rest

    steps = [
        (data["task"], data["state"]) for _, kind, data in events(asyncio.run(listen()).decode()) if kind == "step"
    ]
    assert steps == [(task, state) for task in ("1.1", "1.2") for state in ("started", "finished")]


@pytest.mark.parametrize(
    ("error", "detail", "raised"),
    [
        (lambda: StoreError("The store is torn."), "The store is torn.", []),
        (lambda: RuntimeError("a defect"), "The server cannot go on telling. Its output says why.", ["a defect"]),
    ],
)
def test_a_poll_that_cannot_go_on_is_told_to_all_who_listen(
    feeds: Feeds,
    reader: TunedReader,
    execution: Execution,
    error: Callable[[], Exception],
    detail: str,
    raised: list[str],
) -> None:
    found: list[str] = []

    async def listen() -> list[bytes]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(str(context["exception"])))
        listening = [feeds.listen(execution, Cursor()) for _ in range(2)]
        for each in listening:
            await each.__anext__()
        reader.error = error
        last = [await whole(each) for each in listening]
        gc.collect()  # a task whose exception nobody has asked for tells it when it is dropped
        return last

    for heard in asyncio.run(listen()):
        [(_, kind, data)] = events(heard.decode())
        assert (kind, data) == ("error", {"detail": detail})
    assert found == raised
