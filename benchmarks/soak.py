"""A long session under chaos: nothing lost, nothing doubled, and memory and open files as flat at the end as before.

Many runs of a plan of three tasks, on several workers that chaos kills, locks out and lies to. What was done is asked
of git and the embedded forge alone, and held against the record. Controller and workers are looked at while they run.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import arguments, environment, median, table, workshop
from pytest_pipeline.record.chaos import reckon
from pytest_pipeline.record.model import FINAL_STATE, Outcome, SessionRecord, TaskRunRecord
from pytest_pipeline.record.store import Store

_INI = """\
[pytest]
pipeline_agent = reference
pipeline_keep_workspaces = never
pipeline_max_transcript = 1 MiB
"""
_EVERY = 1.0  # seconds between two looks
_PARTS = 4  # of the session, compared with one another


def plan() -> str:
    """Two tasks side by side, and one that needs them."""
    first = "".join(_task(number) for number in ("1.1", "1.2"))
    return f"# Three tasks\n\n## Batch 1: Two\n\n{first}## Batch 2: One\n\n**Dependencies:** Batch 1\n\n{_task('2.1')}"


def _task(number: str) -> str:
    path = f"made/{number}.txt"
    return (
        f"### Task {number}: Make {number}\n\n**Files:**\n- Create: `{path}`\n\n"
        f"**Reference:**\n```text path={path}\n{number}\n```\n\n"
    )


@dataclass(frozen=True)
class Look:
    """What a process held at a moment: MiB of resident memory, and open files."""

    memory: float
    files: int


@dataclass(frozen=True)
class Soaked:
    """What is left of the session.

    Args:
        seconds: how long it took.
        exit_code: pytest's.
        output: what it printed.
        controller: looks at the controller, the first one first.
        workers: looks at all workers of a moment.
    """

    seconds: float
    exit_code: int
    output: str
    controller: Sequence[Look]
    workers: Sequence[Sequence[Look]]


def soak(project: Path, argv: Sequence[str]) -> Soaked:
    """Run pytest and look at its processes until it ends."""
    controller: list[Look] = []
    workers: list[list[Look]] = []
    since = time.monotonic()
    with (project / "output.txt").open("w+b") as output:
        child = subprocess.Popen(
            argv,
            cwd=project,
            env=environment({"TMPDIR": str(project.parent)}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        while child.poll() is None:
            controller += _looks([child.pid])
            workers.append(_looks(_workers(child.pid)))
            time.sleep(_EVERY)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    return Soaked(time.monotonic() - since, child.returncode, text, controller, workers)


def _workers(parent: int) -> list[int]:
    """The pythons that xdist has started."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "stat").read_text().rpartition(")")[2].split()
            started = b"sys.stdin.readline" in (place / "cmdline").read_bytes()
        except OSError:
            continue
        if int(words[1]) == parent and started:
            found.append(int(place.name))
    return found


def _looks(pids: Sequence[int]) -> list[Look]:
    found = []
    for pid in pids:
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            files = len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            continue  # it has just ended
        if pages:
            found.append(Look(pages * os.sysconf("SC_PAGESIZE") / 1024**2, files))
    return found


# Lost and doubled


@dataclass(frozen=True)
class Account:
    """What git and the forge say against the record.

    Args:
        tasks: task runs that were to be done.
        merged: how many of them git holds.
        lost: passed in the record, and missing in git or at the forge.
        doubled: more than one commit, or more than one merged pull request, of one task run.
        strange: commits of base branches that name no task of their own run.
    """

    tasks: int
    merged: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    strange: tuple[str, ...]


def account(state: Path, session: SessionRecord, task_runs: Sequence[TaskRunRecord]) -> Account:
    """Ask git and the forge what was merged."""
    forge = state / "forge.git"
    committed: Counter[str] = Counter()
    strange = []
    for run, commit, told in _commits(forge, session):
        if told[:2] == (session.id, str(run)):
            committed[f"{run} {told[2]}"] += 1
        else:
            strange.append(f"{commit} in run {run}")
    pulls = _merged_pull_requests(forge.with_suffix(".db"), session.id)
    doubled = [name for name, times in committed.items() if times > 1]
    doubled += [branch for branch, times in pulls.items() if times > 1]
    if sum(pulls.values()) != sum(committed.values()):
        strange.append(f"{sum(pulls.values())} merged pull requests, {sum(committed.values())} commits")
    tasks = [each for each in task_runs if each.key.task != FINAL_STATE]
    passed = [each.key for each in tasks if each.outcome is Outcome.PASSED]
    names = [f"{key.run} {key.plan}::{key.batch}::{key.task}" for key in passed]
    lost = tuple(name for name in names if not committed[name])
    return Account(len(tasks), len(committed), lost, tuple(doubled), tuple(strange))


def _commits(forge: Path, session: SessionRecord) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Each commit on the base of a run, with the session, run and task that its trailers name."""
    start = session.facts["base_commit"]
    trailers = "".join(
        f"%x00%(trailers:key=Pipeline-{name},valueonly,separator=%x20)" for name in ("Session", "Run", "Task")
    )
    for run in range(1, session.count + 1):
        base = f"refs/heads/pipeline/{session.id}/run-{run:02d}/base"
        argv = ("git", "-C", str(forge), "log", "--first-parent", f"--format=%H{trailers}", f"{start}..{base}", "--")
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            commit, *told = line.split("\0")
            yield run, commit, tuple(told)


def _merged_pull_requests(file: Path, session: str) -> Mapping[str, int]:
    connection = sqlite3.connect(file)
    try:
        rows = connection.execute(
            "SELECT branch, count(*) FROM pull_request WHERE state = 'merged' AND branch LIKE ? GROUP BY branch",
            (f"pipeline/{session}/%",),
        )
        return dict(rows.fetchall())
    finally:
        connection.close()


# Telling


def _parts(looks: Sequence[Sequence[Look]]) -> Iterator[Sequence[Look]]:
    size = max(1, len(looks) // _PARTS)
    for part in range(_PARTS):
        found = [look for moment in looks[part * size : (part + 1) * size] for look in moment]
        yield found or [Look(0.0, 0)]


def _row(who: str, looks: Sequence[Sequence[Look]]) -> list[str]:
    parts = list(_parts(looks))
    memory = [f"{median([look.memory for look in part]):.0f}" for part in parts]
    files = [f"{median([look.files for look in part]):.0f}" for part in parts]
    most = max(look.memory for part in parts for look in part), max(look.files for part in parts for look in part)
    return [who, " ".join(memory), f"{most[0]:.0f}", " ".join(files), str(most[1])]


def main(words: Sequence[str] | None = None) -> None:
    """Soak and print; ends with 1 when something was lost or doubled, or came as a surprise."""
    parser = arguments(__doc__ or "", rounds=1)
    parser.add_argument("--runs", type=int, default=30, help="runs of the plan (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=4, help="xdist workers (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the chaos (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=0.1, help="of the faults (default: %(default)s)")
    options = parser.parse_args(words)
    with workshop(options.where) as place:
        project = place / "project"
        project.mkdir()
        (project / "pytest.ini").write_text(_INI, "utf-8")
        (project / "three.md").write_text(plan(), "utf-8")
        plugins = ("-p", "pytest_pipeline.plugin", "-p", "xdist.plugin", "-n", str(options.workers))
        chaos = ("--chaos", str(options.seed), "--chaos-rate", str(options.rate))
        argv = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins, "three.md")
        soaked = soak(project, (*argv, "--count", str(options.runs), *chaos))
        good = _tell(project / ".pipeline", soaked)
        good = _verify(project) and good
    if not good:
        print(soaked.output[-4000:])
        raise SystemExit(1)


def _verify(project: Path) -> bool:
    """Hold the record against git and the forge with the command for it, and tell what it said."""
    since = time.monotonic()
    argv = (sys.executable, "-m", "pytest_pipeline", "verify", "latest", "-p", "pytest_pipeline.plugin")
    around = environment({"TMPDIR": str(project.parent)})
    done = subprocess.run(argv, cwd=project, env=around, capture_output=True, text=True, check=False)
    print(f"verify ended with {done.returncode} in {time.monotonic() - since:.0f} s:")
    print((done.stdout + done.stderr)[-4000:])
    return done.returncode == 0


def _tell(state: Path, soaked: Soaked) -> bool:
    """Print what was found; whether all is as it must be."""
    with Store.open(f"sqlite:///{state / 'state.db'}") as store:
        (session,) = store.sessions()
        task_runs = store.task_runs(session.id)
    found, reckoning = account(state, session, task_runs), reckon(task_runs)
    faults = ", ".join(f"{name} {number}" for name, number in reckoning.injected.items())
    print(f"{session.count} runs in {soaked.seconds:.0f} s, exit code {soaked.exit_code}")
    print(
        f"{sum(reckoning.injected.values())} faults, {reckoning.absorbed} absorbed, {reckoning.failed} failed as "
        f"expected, {len(reckoning.surprises)} surprises ({faults})"
    )
    print(
        f"{found.tasks} task runs, {found.merged} merged, {len(found.lost)} lost, {len(found.doubled)} doubled, "
        f"{len(found.strange)} strange"
    )
    for each in (*found.lost, *found.doubled, *found.strange, *(one.why for one in reckoning.surprises)):
        print(f"  {each}")
    rows = [_row("controller", [[look] for look in soaked.controller]), _row("workers, each", soaked.workers)]
    head = ["process", "MiB by quarter", "most", "open files by quarter", "most"]
    table("medians of each quarter of the session", head, rows)
    return not (soaked.exit_code or found.lost or found.doubled or found.strange or reckoning.surprises)


if __name__ == "__main__":
    main()
