"""Several processes at one store, and processes that are killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_pipeline.record.criterion import judge
from pytest_pipeline.record.model import Outcome, SessionRecord, TaskRunKey
from pytest_pipeline.record.store import Store
from tests.record.conftest import at

ROOT = Path(__file__).parents[2]

PREAMBLE = """
import sys
from datetime import datetime, timezone
from pytest_pipeline.record.model import Outcome, SessionRecord, TaskRunKey
from pytest_pipeline.record.store import Store

def now(): return datetime.now(timezone.utc)
def wait(): print("ready", flush=True); sys.stdin.readline()
"""

WORKERS = """
import os

def work(worker):
    with Store.open(sys.argv[1]) as store:
        store.open_session(SessionRecord("S", datetime(2026, 1, 1, tzinfo=timezone.utc), 10, 100))
        for number in range(1, 4):
            store.admit_run("S", number, now())                # all eight admit these
            store.admit_run("S", 1000 * worker + number, now())  # these are its own
            attempt = store.admit_attempt(TaskRunKey("S", number, "p.md", "b", "t"), "T", now())
            store.begin_step(attempt, "agent", now())
            store.end_step(attempt, "agent", Outcome.PASSED, str(worker), now())
            store.finish_attempt(attempt, Outcome.PASSED, None, "", {"worker": str(worker)}, now())

start, go = os.pipe()
workers = []
for worker in range(1, 9):
    workers.append(os.fork())
    if not workers[-1]:
        os.close(go)
        os.read(start, 1)  # until all are there
        work(worker)
        sys.exit()
os.close(go)
sys.exit(any([os.waitpid(each, 0)[1] for each in workers]))
"""

BETWEEN = {
    "admission and start": ("store.admit_run('S', 1, now())", Outcome.RUNNING),
    "intent and result of a step": (
        """
store.admit_run('S', 1, now())
attempt = store.admit_attempt(TaskRunKey('S', 1, 'p.md', 'b', 't'), 'T', now())
store.begin_step(attempt, 'agent', now())
store.end_step(attempt, 'agent', Outcome.PASSED, 'done', now())
store.begin_step(attempt, 'push', now())
""",
        Outcome.RUNNING,
    ),
    "BEGIN and COMMIT": (
        """
store.admit_run('S', 1, now())
transaction = store._database.writing()
connection = transaction.__enter__()
connection.exec_driver_sql("UPDATE pipeline_run SET outcome = 'passed'")
""",
        Outcome.RUNNING,
    ),
}


@contextmanager
def child(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has said that it is ready; killed at the end if it still runs."""
    command = [sys.executable, "-c", PREAMBLE + code, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("new", ["sqlite_url", "postgres_url"])
def test_eight_processes_that_make_and_fill_one_store_at_once_lose_and_double_nothing(
    new: str, request: pytest.FixtureRequest
) -> None:
    url, everybody = str(request.getfixturevalue(new)), range(1, 9)
    command = [sys.executable, "-c", PREAMBLE + WORKERS, url]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    with Store.open(url) as store:
        runs, task_runs = store.runs("S"), store.task_runs("S")
    assert [run.admitted for run in runs] == list(range(1, 3 + 8 * 3 + 1))
    assert sorted(run.number for run in runs)[:3] == list(range(1, 4))
    assert len(task_runs) == 3
    for task_run in task_runs:
        assert [attempt.number for attempt in task_run.attempts] == list(everybody)
        assert {attempt.properties["worker"] for attempt in task_run.attempts} == set(map(str, everybody))
        assert all(attempt.steps[0].detail == attempt.properties["worker"] for attempt in task_run.attempts)


@pytest.mark.parametrize(("code", "outcome"), BETWEEN.values(), ids=BETWEEN.keys())
def test_a_process_killed_at_any_point_leaves_what_it_had_said(url: str, code: str, outcome: Outcome) -> None:
    with Store.open(url) as store:
        store.open_session(SessionRecord("S", at(0), 1, 1))
    with child(f"store = Store.open(sys.argv[1])\n{code}\nwait()", url) as process:
        process.kill()
        process.wait(timeout=60)
    with Store.open(url) as store:
        runs = store.runs("S")
        assert [(run.number, run.outcome, run.finished) for run in runs] == [(1, outcome, None)]
        verdict = judge(runs, 1, 1)
        assert not verdict.met
        assert verdict.unfinished == 1
        store.admit_run("S", 2, at(5))


def test_a_killed_process_leaves_the_step_that_it_was_in(url: str) -> None:
    code, _ = BETWEEN["intent and result of a step"]
    with Store.open(url) as store:
        store.open_session(SessionRecord("S", at(0), 1, 1))
        with child(f"store = Store.open(sys.argv[1])\n{code}\nwait()", url) as process:
            process.kill()
            process.wait(timeout=60)
        (attempt,) = store.attempts(TaskRunKey("S", 1, "p.md", "b", "t"))
    assert (attempt.number, attempt.outcome, attempt.finished) == (1, Outcome.RUNNING, None)
    assert [(step.name, step.outcome) for step in attempt.steps] == [
        ("agent", Outcome.PASSED),
        ("push", Outcome.RUNNING),
    ]
