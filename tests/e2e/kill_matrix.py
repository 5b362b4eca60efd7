"""The kill matrix: whoever dies, whenever, a session that is taken up again ends as an undisturbed one.

By hand: ``python -m tests.e2e.kill_matrix [--part 1/4] [--seed 7] [--only TEXT]`` runs it, or a part, and prints a
table.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import random
import sqlite3
import stat
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline.errors import StoreError
from pytest_pipeline.host.process import MARKER
from pytest_pipeline.record.store import Store
from tests.e2e.kill_points import Cell, cells
from tests.e2e.kill_world import RUNS, TASKS, World
from tests.host.git_world import git


@dataclass(frozen=True)
class Result:
    """What came of a cell.

    Args:
        cell: the cell.
        wrong: what is not as after an undisturbed session.
        first: exit code of the session that was disturbed.
        calls: how often an agent was asked.
        seconds: how long it all took.
        text: what pytest printed.
    """

    cell: Cell
    wrong: tuple[str, ...]
    first: int
    calls: int
    seconds: float
    text: str


def run_cell(cell: Cell, root: Path) -> Result:
    """Start a session, let the cell come about, take the session up again, and look at everything."""
    began = time.monotonic()
    world = World(root)
    world.build(cell)
    options = ("--count", str(RUNS), "--keep-workspaces", "never")
    first, text = world.pytest(*options, workers=cell.workers)
    wrong = [] if world.struck else ["the cell did not come about"]
    if cell.victim == "controller" and first != -9:
        wrong.append(f"the first session ended with {first}")
    code, record = first, root / "record.xml"
    more = (f"--junitxml={record}", "--resume", *(["--fresh-failures"] if cell.ends_alone else []))
    if first != 0:
        code, again = world.pytest("--keep-workspaces", "never", *more, workers=cell.workers)
        text += again
        if "There is no session to resume" in again:
            code, again = world.pytest(*options, f"--junitxml={record}", workers=cell.workers)
            text += again
        if "Every session came to its end" in again:  # it was killed after that: nothing is left but to tell of it
            code, again = world.command("junit", "latest", "-o", str(record))
            text += again
    if code != 0:
        wrong.append(f"taken up again, it ended with {code}")
    verified, said = world.command("verify", "latest")
    text += said
    if verified != 0:
        wrong.append(f"its record is not confirmed: verify ended with {verified}")
    wrong += judge(world, record if first != 0 else None)
    return Result(cell, tuple(wrong), first, len(world.calls), time.monotonic() - began, text)


# Afterwards


def judge(world: World, record: Path | None) -> list[str]:
    """What is not as after an undisturbed session, asked of git, the forge, the machine, and then the record."""
    wrong: list[str] = []
    looks = (_branches, _merges, _pull_requests, _files, _processes, _locks, _store)
    for look in looks:
        try:
            wrong += look(world)
        except (OSError, sqlite3.Error, StoreError, AssertionError, ElementTree.ParseError, ValueError) as error:
            wrong.append(f"{look.__name__}: {error!r}")
    if record is not None:
        wrong += _junit(record) if record.exists() else ["there is no JUnit record"]
    return wrong


def _forge(world: World) -> Path:
    return world.state / "forge.git"


def _bases(world: World) -> dict[int, str]:
    names = git(_forge(world), "for-each-ref", "--format=%(refname:lstrip=2)").split()
    return {int(name.split("/")[2].removeprefix("run-")): name for name in names if name.endswith("/base")}


def _branches(world: World) -> Iterator[str]:
    names = git(_forge(world), "for-each-ref", "--format=%(refname:lstrip=2)").split()
    yield from (f"the branch {name} is left" for name in names if not name.endswith("/base"))
    if sorted(_bases(world)) != list(range(1, RUNS + 1)) or len(names) != RUNS:
        yield f"the bases are {names}"
    if said := git(_forge(world), "fsck", "--strict", "--no-dangling"):
        yield f"git fsck says {said}"


def _merges(world: World) -> Iterator[str]:
    start = git(world.project, "rev-parse", "HEAD").strip()
    for run, base in _bases(world).items():
        form = "--format=%(trailers:key=Pipeline-Run,valueonly,separator=)|%(trailers:key=Pipeline-Task,valueonly)"
        said = git(_forge(world), "log", "--reverse", form, f"{start}..{base}").split("\n")
        told = [each.strip() for each in said if each.strip()]
        found = [each.rpartition("::")[2] for each in told]
        if Counter(found) != Counter(TASKS) or found[-1:] != ["2.1"]:
            yield f"run {run} holds the merges {found}"
        if any(not each.startswith(f"{run}|") for each in told):
            yield f"run {run} holds merges of another run: {told}"
        files = git(_forge(world), "ls-tree", "--name-only", base).split()
        if set(files) != {"README.md", ".gitignore", *(f"{task}.txt" for task in TASKS)}:
            yield f"run {run} holds the files {files}"
    if git(world.project, "rev-parse", "HEAD").strip() != start or git(world.project, "stash", "list"):
        yield "the user's repository was touched"


def _pull_requests(world: World) -> Iterator[str]:
    with contextlib.closing(sqlite3.connect(world.state / "forge.db")) as database:
        rows = database.execute("SELECT branch, base, state, merge_commit FROM pull_request").fetchall()
    yield from (f"the pull request of {branch} is {state}" for branch, _, state, _ in rows if state != "merged")
    for run, base in _bases(world).items():
        merged = [commit for _, into, _, commit in rows if into == base]
        commits = git(_forge(world), "log", "--first-parent", "--format=%H", base).split()
        if len(merged) != len(TASKS) or not set(merged) <= set(commits):
            yield f"the pull requests of run {run} were merged as {merged}"


def _files(world: World) -> Iterator[str]:
    for place in world.temporary.iterdir():
        if place.name.startswith("pytest-pipeline-") and any(place.iterdir()):
            yield f"{place.name} is left in TMPDIR: {[each.name for each in place.iterdir()]}"
    for place in world.root.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(place.lstat().st_mode):
                yield f"the socket {place.name} is left"
    for place in world.state.rglob("*.lock"):
        if any(part.endswith(".git") for part in place.parts):
            yield f"git's lock {place.relative_to(world.state)} is left"
    yield from (f"{each.name} is left" for each in world.state.glob("sessions/*/run-*.git"))


def _processes(world: World) -> Iterator[str]:
    deadline = time.monotonic() + 5
    while (left := list(_running(world))) and time.monotonic() < deadline:
        time.sleep(0.05)
    yield from (f"the process {each} is left" for each in left)


def _running(world: World) -> Iterator[str]:
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment, command = (place / "environ").read_bytes(), (place / "cmdline").read_bytes()
            ours = str(world.root).encode()
            if (MARKER.encode() + b"=" in environment and ours in environment) or ours in command:
                yield command.replace(b"\0", b" ").decode("utf-8", "replace").strip()


def _locks(world: World) -> Iterator[str]:
    for place in world.state.glob("sessions/*/*.lock"):
        with place.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield f"the lock {place.name} is held"


def _store(world: World) -> Iterator[str]:
    with Store.open(f"sqlite:///{world.state / 'state.db'}") as store:
        for session in store.sessions():
            if (session.met, session.streak, session.exit_code) != (True, RUNS, 0):
                yield f"the session ended with {session.met}, streak {session.streak}, exit code {session.exit_code}"
            for each in store.task_runs(session.id):
                if str(each.outcome) != "passed":
                    yield f"{each.key.task} of run {each.key.run} is {each.outcome}"
            unended = [
                step.name
                for each in store.task_runs(session.id)
                for attempt in each.attempts
                for step in attempt.steps
                if step.finished is None
            ]
            if unended:
                yield f"steps without an end: {unended}"


def _junit(record: Path) -> Iterator[str]:
    suite = ElementTree.parse(record)
    found: Counter[tuple[str, str]] = Counter()
    for each in suite.iter("testcase"):
        told = {str(one.get("name")): one.get("value") for one in each.iter("property")}
        bad = [child.tag for child in each if child.tag != "properties"]
        ended = " ".join([str(told.get("pipeline.outcome")), *bad])
        found[f"{each.get('classname')}::{each.get('name')}", ended] += 1
    if len(found) != RUNS * (len(TASKS) + 1) or any(
        number != 1 or ended != "passed" for (_, ended), number in found.items()
    ):
        yield f"the JUnit record holds {dict(found)}"
    told = {str(one.get("name")): one.get("value") for one in suite.iter("property")}
    if (told.get("pipeline.criterion.met"), told.get("pipeline.criterion.streak")) != ("yes", str(RUNS)):
        yield f"the JUnit record's criterion is {told.get('pipeline.criterion.met')}"


# By hand


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the matrix, or a part, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="1/1", help="which part of how many, for example 1/4")
    parser.add_argument("--only", default="", help="cells whose name holds this text")
    parser.add_argument("--seed", type=int, help="so many cells by chance as --cells says, the same for the same seed")
    parser.add_argument("--cells", type=int, default=8, help="how many, with --seed")
    parser.add_argument("--verbose", action="store_true", help="what pytest printed in cells that went wrong")
    told = parser.parse_args(arguments)
    number, _, parts = told.part.partition("/")
    chosen = [each for each in cells() if told.only in each.name][int(number) - 1 :: int(parts)]
    if told.seed is not None:
        chosen = random.Random(told.seed).sample(chosen, min(told.cells, len(chosen)))
    bad, began = 0, time.monotonic()
    print("| victim | how | where | moment | first exit | agents | seconds | result |\n" + "|---" * 8 + "|")
    for cell in chosen:
        with tempfile.TemporaryDirectory(prefix="kill-") as place:
            result = run_cell(cell, Path(place))
        bad += bool(result.wrong)
        how = f"-n {cell.workers}" if cell.workers else "alone"
        figures = f"{result.first} | {result.calls} | {result.seconds:.1f}"
        ended = "; ".join(result.wrong) or "as undisturbed"
        print(f"| {cell.victim} | {how} | {cell.where} | {cell.moment} | {figures} | {ended} |", flush=True)
        if result.wrong and told.verbose:
            print(result.text)
    print(f"\n{len(chosen)} cells, {bad} not as they must be, {time.monotonic() - began:.0f} s")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
