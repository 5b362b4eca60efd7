"""Random plans through whole sessions of several workers: what must be true of each, from store and git alone.

Some by hand, as many as there is time for: ``python -m tests.e2e.random_plans --examples 200 --seed 7``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import hypothesis
from hypothesis import strategies as st

from pytest_pipeline.host.descent import proc_rows
from pytest_pipeline.record.model import FINAL_STATE, Outcome, TaskRunRecord
from tests.e2e.world import QUIET, Ran, task
from tests.host.conftest import entries
from tests.host.git_world import git, source_repository

LIMIT = 180.0
"""Seconds after which a session that should take a few is called hanging."""

STEPS = ("prepare", "agent", "verify", "commit", "push", "pull request", "checks", "merge", "outcome", "cleanup")
_MERGED = ("outcome", "cleanup")  # whoever dies in these has merged before

FATES: Mapping[str, str] = {
    "Pass": "",
    "Idle": "",
    "Refuse": "agent",
    "Stray": "outcome",
    "Kill": "infrastructure",
    **{f"Die at {step}": "infrastructure" for step in STEPS},
}
"""What a task's title says of it, and the kind of its failure; none where it passes."""

AGENT = """\
import os, pathlib, re, signal, sys, time

def worker():
    files = [place.parent / f"{place.name}.pid" for place in pathlib.Path.cwd().parents]
    return int(next(file for file in files if file.exists()).read_text())

fate, number = re.search(r"^# Task \\S+: (.+) in (\\S+)$", sys.stdin.read(), re.M).groups()
if fate == "Refuse":
    sys.exit(3)
if fate == "Kill":
    os.kill(worker(), signal.SIGKILL)
    time.sleep(600)
if fate == "Idle":
    time.sleep(0.3)
open(f"{number}.stray" if fate == "Stray" else f"{number}.txt", "w").write(number)
"""

CONFTEST = """\
import os, signal

def pytest_pipeline_step_started(event):
    if event.task.title.startswith(f"Die at {event.step} in"):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@dataclass(frozen=True)
class Task:
    """A task: its number, its fate, and the numbers of the tasks of other batches that it needs."""

    number: str
    fate: str
    needs: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What tells agent and hooks what to do; also the subject of the commit."""
        return f"{self.fate} in {self.number}"

    @property
    def passes(self) -> bool:
        """Whether it passes once it runs."""
        return not FATES[self.fate]

    @property
    def merges(self) -> bool:
        """Whether git has it once it ran."""
        return self.passes or self.fate in [f"Die at {step}" for step in _MERGED]


@dataclass(frozen=True)
class Batch:
    """A batch: its tasks, the numbers of the batches that it needs, and whether its tasks may run side by side."""

    tasks: tuple[Task, ...]
    needs: tuple[int, ...] = ()
    parallel: bool = False


@dataclass(frozen=True)
class Session:
    """A session to be run.

    Args:
        batches: of its only plan.
        runs: how often it is repeated.
        workers: how many there are at once.
        restarts: how many workers may be replaced; None: all.
        first_failure_ends: whether ``-x`` is given.
    """

    batches: tuple[Batch, ...]
    runs: int = 1
    workers: int = 2
    restarts: int | None = None
    first_failure_ends: bool = False

    @property
    def tasks(self) -> dict[str, Task]:
        """The tasks of a run, in the order of the plan."""
        return {each.number: each for batch in self.batches for each in batch.tasks}

    @property
    def needs(self) -> dict[str, list[str]]:
        """For each task the tasks that must have passed before."""
        return {
            each.number: [other.number for need in batch.needs for other in self.batches[need - 1].tasks]
            + list(each.needs)
            for batch in self.batches
            for each in batch.tasks
        }

    @property
    def text(self) -> str:
        """The plan as a file."""
        return "# Random\n\n" + "\n".join(_batch(number, batch) for number, batch in enumerate(self.batches, 1))

    @property
    def arguments(self) -> list[str]:
        """What pytest is called with."""
        restarts = 1000 if self.restarts is None else self.restarts
        return [
            *("plans", "-n", str(self.workers), f"--max-worker-restart={restarts}", "--keep-workspaces", "never"),
            *(["--count", str(self.runs)] if self.runs > 1 else []),
            *(["-x"] if self.first_failure_ends else []),
        ]

    def outcomes(self) -> dict[str, str]:
        """How each task of a run ends where nothing ends the session early; also the final state."""
        ends: dict[str, str] = {}
        for number, needs in self.needs.items():
            ready = all(ends[need] == "passed" for need in needs)
            passes = self.tasks[number].passes
            ends[number] = ("passed" if passes else "failed") if ready else "skipped"
        return {**ends, FINAL_STATE: "passed" if "passed" in ends.values() else "skipped"}


def _batch(number: int, batch: Batch) -> str:
    lines = [f"## Batch {number}: Some", ""]
    if batch.parallel:
        lines += ["**Execution Mode:** parallel", ""]
    if batch.needs:
        lines += [f"**Dependencies:** {', '.join(f'Batch {need}' for need in batch.needs)}", ""]
    tasks = [
        task(
            each.number,
            each.title,
            files=[f"Create: `{each.number}.txt`"],
            **({"Dependencies": ", ".join(f"Task {need}" for need in each.needs)} if each.needs else {}),
        )
        for each in batch.tasks
    ]
    return "\n".join([*lines, *tasks])


# Random ones

_fates = st.one_of(
    st.just("Pass"), st.just("Pass"), st.just("Pass"), st.just("Idle"), st.just("Idle"), st.sampled_from(list(FATES))
)


@st.composite
def sessions(draw: st.DrawFn, least: int = 1, most: int = 12) -> Session:
    """Sessions of one plan; some end at the first failure, or when no worker may be replaced any more.

    Args:
        draw: hypothesis' own.
        least: how many batches there are at least.
        most: how many at most.
    """
    batches: list[Batch] = []
    numbers: list[str] = []
    for number in range(1, draw(st.integers(least, most)) + 1):
        needs = draw(st.sets(st.integers(1, number - 1), max_size=3)) if number > 1 else set()
        tasks = []
        for place in range(1, draw(st.integers(1, 3)) + 1):
            needed = draw(st.sets(st.sampled_from(numbers), max_size=1)) if numbers else set()
            tasks.append(Task(f"{number}.{place}", draw(_fates), tuple(sorted(needed))))
        numbers += [each.number for each in tasks]
        batches.append(Batch(tuple(tasks), tuple(sorted(needs)), draw(st.booleans())))
    restarts, first = draw(st.sampled_from([(None, False)] * 3 + [(0, False), (1, False), (None, True)]))
    return Session(tuple(batches), draw(st.integers(1, 2)), draw(st.integers(2, 3)), restarts, first)


# What must be true


def run(session: Session, place: Path) -> Ran:
    """Run it in a new directory, and say what is left.

    Args:
        session: what is run.
        place: an empty directory.
    """
    project, temporary, agent = place / "project", place / "tmp", place / "agent.py"
    temporary.mkdir()
    agent.write_text(AGENT, "utf-8")
    plan = {"plans/p.md": session.text, "conftest.py": CONFTEST, ".gitignore": ".pipeline\n__pycache__/\n"}
    source_repository(project, {"README.md": "A project.\n", "pytest.ini": "[pytest]\n", **plan})
    program = ("--agent", "command", "--agent-command", f"{sys.executable} -IS {agent}")
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *QUIET, *program, *session.arguments],
        cwd=project,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(temporary), "PY_COLORS": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        text, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        text, _ = process.communicate()
        raise AssertionError(f"It hangs: {session}\n{text}") from None
    return Ran(process.returncode, text, project / ".pipeline")


def check(session: Session, place: Path) -> None:
    """Run a session, and assert what must be true of it, whatever its plan and its luck.

    Args:
        session: what is run.
        place: an empty directory.

    Raises:
        AssertionError: it is not true.
    """
    ran = run(session, place)
    told = f"{session}\n{ran.text}"
    assert "INTERNALERROR" not in ran.text, told
    records = {(each.key.run, each.key.task): each for each in ran.task_runs}
    assert len(records) == len(ran.task_runs), told
    for number in range(1, session.runs + 1):
        found = {name: each for (which, name), each in records.items() if which == number}
        _check_order(session, found, told)
        merged = ran.commits(number) if found else []
        _check_merges(session, found, merged, told)
    if session.restarts is None and not session.first_failure_ends:
        expected = session.outcomes()
        for number in range(1, session.runs + 1):
            ends = {name: str(each.outcome) for (which, name), each in records.items() if which == number}
            assert ends == expected, told
        assert ran.exit_code == (0 if set(expected.values()) == {"passed"} else 1), told
    left = [each.name for each in (place / "tmp").glob("pytest-pipeline-*")]
    alive = [row.pid for row in proc_rows() if str(place).encode() in b" ".join(entries(row.pid, "cmdline"))]
    assert (left, alive) == ([], []), told
    assert git(ran.forge, "fsck", "--strict", "--no-dangling") == "", told


def _check_order(session: Session, found: Mapping[str, TaskRunRecord], told: str) -> None:
    """Nothing ran twice, nor before what it needs had passed, nor ended in a way of which nothing was said."""
    outcomes = session.outcomes()
    for number, record in found.items():
        assert record.outcome is not Outcome.RUNNING, told
        assert len(record.attempts) <= 1, f"{number} ran twice: {told}"
        for attempt in record.attempts:
            if number != FINAL_STATE and attempt.outcome in (Outcome.PASSED, Outcome.FAILED):
                wanted = "" if attempt.outcome is Outcome.PASSED else FATES[session.tasks[number].fate]
                assert str(attempt.failure_kind or "") == wanted, f"{number}: {told}"
                assert str(attempt.outcome) == outcomes[number], f"{number}: {told}"
            for need in session.needs.get(number, session.tasks):
                _check_need(found[need], attempt.started.timestamp(), number, told)


def _check_need(need: TaskRunRecord, started: float, number: str, told: str) -> None:
    if number != FINAL_STATE:
        assert need.outcome is Outcome.PASSED, f"{number} ran though {need.key.task} did not pass: {told}"
    for attempt in need.attempts:
        assert attempt.finished is not None, told
        assert attempt.finished.timestamp() <= started, f"{number} started too early: {told}"


def _check_merges(session: Session, found: Mapping[str, TaskRunRecord], merged: Sequence[str], told: str) -> None:
    """What passed is merged once, nothing else is, and nothing before what it needs."""
    assert max(Counter(merged).values(), default=1) == 1, f"merged twice: {told}"
    places = {subject.rpartition(" ")[2]: place for place, subject in enumerate(merged)}
    for number, record in found.items():
        if number == FINAL_STATE or record.outcome is Outcome.INTERRUPTED:
            continue
        ran_to_merge = bool(record.attempts) and session.tasks[number].merges
        assert (number in places) == ran_to_merge, f"{number}: {merged}\n{told}"
    assert all(places[need] < place for number, place in places.items() for need in session.needs[number]), told


def main(arguments: Sequence[str] | None = None) -> None:
    """Run as many as asked for; ends with the first that is wrong, and prints it."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.random_plans", description=__doc__)
    parser.add_argument("--examples", type=int, default=200, help="how many sessions")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same sessions")
    given = parser.parse_args(arguments)
    done: Counter[str] = Counter()
    since = time.monotonic()

    @hypothesis.seed(given.seed)
    @hypothesis.settings(
        max_examples=given.examples,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(sessions())
    def many(session: Session) -> None:
        with tempfile.TemporaryDirectory(prefix="random-plans-") as place:
            check(session, Path(place))
        fates = Counter(each.fate for each in session.tasks.values())
        crashes = sum(count for fate, count in fates.items() if FATES[fate] == "infrastructure")
        done.update(sessions=1, tasks=len(session.tasks) * session.runs, crashing=crashes * session.runs)
        print(f"{time.monotonic() - since:7.1f} s  {dict(done)}", flush=True)

    many()


if __name__ == "__main__":
    main()
