"""A real server on the loopback interface, in a thread of this process; what it starts are real processes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import httpx
import uvicorn

from pytest_pipeline.host.redaction import Redactor
from pytest_pipeline.record.model import Outcome, SessionRecord, TaskRunKey
from pytest_pipeline.record.store import Store
from pytest_pipeline.server.app import make_app
from pytest_pipeline.server.books import Book, Execution, PlannedBatch, PlannedTask, new_execution_id
from pytest_pipeline.server.processes import Processes
from pytest_pipeline.server.running import LOOPBACK, configuration, listening
from pytest_pipeline.server.services import Place
from pytest_pipeline.server.shapes import Part
from pytest_pipeline.server.tokens import ApiToken

TOKEN = "a-token-for-the-tests"
SECRET = "a-secret-of-the-server"
SLEEPS = ("sleep", "60")
API = "/api/v1/autonomous"

TWO_BATCHES = """\
# Two batches

## Batch 1: First

### Task 1.1: Write

**Files:**
- Create: `a.txt`

### Task 1.2: Write more

**Files:**
- Create: `b.txt`

## Batch 2: Second

### Task 2.1: Write again

**Files:**
- Create: `c.txt`
"""


@dataclass
class Project:
    """What a server works in.

    Args:
        path: the project.
        process: what an execution runs in the place of pytest.
        record: what prints a record.
        started: the arguments of each start, and its plan.
    """

    path: Path
    process: Sequence[str] = SLEEPS
    record: Sequence[str] = ("echo", "<testsuites/>")
    started: list[tuple[tuple[str, ...], str]] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.path / ".pipeline"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.state / 'state.db'}"

    @property
    def book(self) -> Book:
        return Book(self.state)

    @property
    def processes(self) -> Processes:
        return Processes(self.book, self.command, self.path)

    def plan(self, name: str = "two.md", text: str = TWO_BATCHES) -> Path:
        place = self.path / "plans" / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, "utf-8")
        return place

    def command(self, arguments: Sequence[str], plan: str) -> Sequence[str]:
        self.started.append((tuple(arguments), plan))
        return self.process

    def place(self, **changes: object) -> Place:
        self.plan()
        values: dict[str, object] = {
            "directory": self.path,
            "rootdir": self.path,
            "state": self.state,
            "store_url": self.url,
            "roots": (self.path / "plans",),
            "command": self.command,
            "record": lambda session: self.record,
            "agent": Part(name="reference", state="ok"),
            "forge": Part(name="local", state="ok"),
            "secrets": Redactor([SECRET, TOKEN]),
            "interval": 0.05,
            **changes,
        }
        return Place(**values)  # type: ignore[arg-type] # the values are those above

    def execution(self, count: int = 1, plan: str = "two.md") -> Execution:
        """An execution that was asked for and never started."""
        batches = (
            PlannedBatch("1", "First", (PlannedTask("1.1", "Write"), PlannedTask("1.2", "Write more"))),
            PlannedBatch("2", "Second", (PlannedTask("2.1", "Write again"),)),
        )
        found = Execution(
            id=new_execution_id(),
            created=datetime.now(timezone.utc),
            plan=str(self.path / "plans" / plan),
            shown=f"plans/{plan}",
            arguments=(),
            resumed=(),
            count=count,
            batches=batches,
        )
        self.book.add(found)
        return found

    def stop(self) -> None:
        """End whatever was started and has not ended."""
        processes = self.processes
        for each in self.book.after(None):
            processes.interrupt(each)


@dataclass(frozen=True)
class Told:
    """Writes the record of an execution, as its pytest would.

    Args:
        store: the store.
        session: id of its session.
    """

    store: Store
    session: str

    def key(self, task: str, run: int = 1) -> TaskRunKey:
        return TaskRunKey(self.session, run, "plans/two.md", task.partition(".")[0], task)

    def task(
        self,
        task: str,
        outcome: Outcome = Outcome.PASSED,
        *,
        run: int = 1,
        message: str = "",
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """An attempt with one step; RUNNING: neither has ended."""
        self.store.admit_run(self.session, run, now())
        attempt = self.store.admit_attempt(self.key(task, run), f"Title of {task}", now())
        self.store.begin_step(attempt, "agent", now())
        if outcome is Outcome.RUNNING:
            self.store.note_attempt(attempt, facts or {})
            return
        self.store.end_step(attempt, "agent", outcome, message, now())
        self.store.finish_attempt(attempt, outcome, None, message, facts or {}, now())

    def close(self, exit_code: int = 0) -> None:
        self.store.close_session(self.session, streak=1, met=exit_code == 0, exit_code=exit_code, finished=now())


@contextmanager
def telling(project: Project, execution: Execution, session: str = "S") -> Iterator[Told]:
    """The session of an execution is open in the store."""
    with Store.open(project.url) as store:
        facts = {"execution": execution.id, "selection": "3 x"}
        store.open_session(SessionRecord(session, now(), 1, execution.count, facts))
        yield Told(store, session)


def now() -> datetime:
    return datetime.now(timezone.utc)


@contextmanager
def serving(place: Place) -> Iterator[httpx.Client]:
    """A client of a server that works there."""
    app = make_app(place, ApiToken.of(TOKEN), frozenset(LOOPBACK))
    server = uvicorn.Server(configuration(app))
    with listening("127.0.0.1", 0) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


def until(met: Callable[[], bool]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + 30
    while not met():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def events(text: str) -> list[tuple[str, str, dict[str, object]]]:
    """Id, kind and data of server-sent events."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["id"], lines["event"], json.loads(lines["data"])))
    return found
