"""Real xdist with real workers, and items that do what a line says: no plans, no pipeline session."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

_CHEAP = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
"""Hypothesis' plugin imports it at the end of every run, a second in each process."""

_CONFTEST = """
import json, os, pathlib, signal, time
import pytest
from pytest_pipeline.cases.order import CaseKey
from pytest_pipeline.cases.parallel.choice import SchedulerChoice
from pytest_pipeline.cases.parallel.units import Scheduled

JOURNAL = pathlib.Path(__file__).with_name("journal")

def note(what, nodeid):
    line = f"{time.monotonic()} {what} {os.environ.get('PYTEST_XDIST_WORKER')} {os.getpid()} {nodeid}\\n"
    with JOURNAL.open("a") as file:
        file.write(line)

def known(ids):
    path = pathlib.Path(__file__).with_name("known.json")
    told = json.loads(path.read_text())
    return {
        f"jobs.txt::{batch}::{name}": Scheduled(
            CaseKey(1, "jobs.txt", batch, name), tuple(CaseKey(1, "jobs.txt", *need) for need in needs), parallel
        )
        for batch, name, needs, parallel in told
        if f"jobs.txt::{batch}::{name}" in ids
    }

class Telling:
    def __init__(self, choice):
        self.choice = choice
    def pytest_sessionfinish(self):
        JOURNAL.with_name("unrun").write_text("\\n".join(self.choice.unrun()))

def pytest_configure(config):
    if config.pluginmanager.hasplugin("xdist") and not hasattr(config, "workerinput") and config.option.tx:
        choice = SchedulerChoice(known)
        config.pluginmanager.register(choice)
        config.pluginmanager.register(Telling(choice))

def pytest_collect_file(parent, file_path):
    if file_path.name == "jobs.txt":
        return Jobs.from_parent(parent, path=file_path)

class Jobs(pytest.Module):
    def _getobj(self):
        import types
        return types.ModuleType("jobs")
    def collect(self):
        batches = {}
        for line in self.path.read_text().splitlines():
            batch, name, command = line.split(" ", 2)
            batches.setdefault(batch, []).append((name, command))
        for batch, jobs in batches.items():
            node = Batch.from_parent(self, name=batch)
            node.jobs = jobs
            yield node

class Batch(pytest.Collector):
    def collect(self):
        for name, command in self.jobs:
            yield pytest.Function.from_parent(self, name=name, callobj=body(command, f"jobs.txt::{self.name}::{name}"))

def body(command, nodeid):
    def run():
        note("start", nodeid)
        exec(command)
        note("end", nodeid)
    return run

def until(what, times=1):
    deadline = time.monotonic() + 50
    while JOURNAL.read_text().count(what) < times:
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.02)

def worker_pids():
    return {line.split()[3] for line in JOURNAL.read_text().splitlines()} - {str(os.getpid())}

@pytest.fixture(scope="module", autouse=True)
def of_module(request):
    note("setup", request.node.nodeid)
    yield
    note("teardown", request.node.nodeid)
    if os.environ.get("BAD_TEARDOWN"):
        raise RuntimeError("cannot tear down")

def pytest_collection_finish(session):
    note("collected", "-")

def pytest_sessionfinish(session):
    note("gone", "-")
"""


@dataclass(frozen=True)
class Line:
    """A line of the journal that workers keep."""

    time: float
    what: str
    worker: str
    nodeid: str


@dataclass
class Ran:
    """A session that has ended."""

    code: int
    out: str
    counts: dict[str, int]
    journal: list[Line]
    unrun: list[str]

    def order(self, what: str = "start") -> list[str]:
        """Short names of items, in order: ``1.1`` or ``test_a``."""
        return [line.nodeid.rpartition("::")[2] for line in self.journal if line.what == what]

    def time(self, what: str, name: str) -> float:
        (found,) = [line.time for line in self.journal if line.what == what and line.nodeid.endswith(f"::{name}")]
        return found

    def worker(self, name: str) -> str:
        (found,) = [line.worker for line in self.journal if line.what == "start" and line.nodeid.endswith(f"::{name}")]
        return found


@dataclass
class Jobs:
    """A project of jobs."""

    pytester: pytest.Pytester

    def write(self, *lines: str, needs: dict[str, list[str]] | None = None, parallel: tuple[str, ...] = ()) -> None:
        """Each line is a batch, a name and Python code; needs are names by name."""
        self.pytester.makeconftest(_CONFTEST)
        self.pytester.path.joinpath("jobs.txt").write_text("\n".join(lines))
        batches = {line.split(" ")[1]: line.split(" ")[0] for line in lines}
        told = [
            [batch, name, [[batches[need], need] for need in (needs or {}).get(name, [])], batch in parallel]
            for name, batch in batches.items()
        ]
        self.pytester.path.joinpath("known.json").write_text(json.dumps(told))

    def run(self, *args: str) -> Ran:
        """Run pytest as a process of its own."""
        result = self.pytester.runpytest_subprocess(*_CHEAP, *args, timeout=60)
        return Ran(
            int(result.ret),
            result.stdout.str() + result.stderr.str(),
            result.parseoutcomes() if " in " in result.stdout.str() else {},
            [Line(float(words[0]), words[1], words[2], words[4]) for words in map(str.split, self._read("journal"))],
            self._read("unrun"),
        )

    def _read(self, name: str) -> list[str]:
        path: Path = self.pytester.path / name
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def jobs(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    return Jobs(pytester)
