"""Who is killed, and when: the cells of the kill matrix, and the conftest that carries them out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

STEPS = ("prepare", "agent", "verify", "commit", "push", "pull request", "checks", "merge", "outcome", "cleanup")
MOMENTS = ("before the intent", "after the intent", "after the effect", "after the result")
"""Around what is written of a step: that it begins, and that it has ended."""

_TASKS = ((1, "1.1"), (2, "2.1"), (1, "2.1"), (2, "1.2"), (1, "1.2"), (2, "1.1"))
"""Runs and tasks, one after the other, that a step is taken of."""

CALLS = {
    "the session": ("pytest_pipeline.record.store:Store.open_session", 1),
    "a run": ("pytest_pipeline.record.store:Store.admit_run", 2),
    "an attempt": ("pytest_pipeline.record.store:Store.admit_attempt", 2),
    "the commit, noted": ("pytest_pipeline.record.store:Store.note_attempt", 1),
    "the end of an attempt": ("pytest_pipeline.record.store:Store.finish_attempt", 3),
    "the end of a run": ("pytest_pipeline.record.store:Store.finish_run", 1),
    "the end of the session": ("pytest_pipeline.record.store:Store.close_session", 1),
    "the base branch": ("pytest_pipeline.forges.local:LocalForge.ensure_base", 1),
    "a push": ("pytest_pipeline.forges.local:LocalForge.push", 2),
    "a pull request": ("pytest_pipeline.forges.local_ledger:Ledger.open", 2),
    "the forge's intent to merge": ("pytest_pipeline.forges.local_ledger:Ledger.intend", 1),
    "the forge's note of the merge": ("pytest_pipeline.forges.local_ledger:Ledger.merged", 2),
    "the end of a branch": ("pytest_pipeline.forges.local:LocalForge.delete_branch", 2),
    "a workspace": ("pytest_pipeline.execution.workspace:Workspaces.lease", 2),
}
"""Calls besides the steps, and the how manieth of its kind in a process."""

_OF_WORKERS = (
    "an attempt",
    "the commit, noted",
    "the end of an attempt",
    "the forge's intent to merge",
    "the forge's note of the merge",
)

GITS = (("push", 1), ("push", 2), ("update-ref", 1), ("update-ref", 2), ("read-tree", 2), ("add", 2), ("write-tree", 2))
"""Git commands, and which call of its kind is killed: pushes of a base and a task, a merge, the end of a branch, ..."""


@dataclass(frozen=True)
class Cell:
    """One kill.

    Args:
        victim: controller, worker, agent, the agent's guard or git.
        workers: 0: everything in one process.
        where: the step, call or command.
        moment: when.
        told: what the conftest, the agent or the git in its place need to know.
    """

    victim: str
    workers: int
    where: str
    moment: str
    told: str

    @property
    def name(self) -> str:
        """As the table shows it."""
        return f"{self.victim}, {'alone' if not self.workers else f'-n {self.workers}'}, {self.where}, {self.moment}"

    def __str__(self) -> str:
        return self.name

    @property
    def ends_alone(self) -> bool:
        """Whether the session goes on without the victim, so that a failure is in its record."""
        return self.victim != "controller"


def cells() -> tuple[Cell, ...]:
    """All of them, always in the same order."""
    calls = (*_calls("controller", 0, CALLS), *_calls("worker", 2, _OF_WORKERS))
    return (*_steps("controller", 0), *calls, *_steps("controller", 2), *_steps("worker", 2), *_agents(), *_gits())


def _steps(victim: str, workers: int) -> Iterator[Cell]:
    for number, (step, moment) in enumerate((step, moment) for step in STEPS for moment in MOMENTS):
        run, task = _TASKS[number % len(_TASKS)]
        told = {"victim": victim, "step": step, "moment": MOMENTS.index(moment), "run": run, "task": task}
        yield Cell(victim, workers, f"{step} of {task}, run {run}", moment, json.dumps(told))


def _calls(victim: str, workers: int, names: Iterable[str]) -> Iterator[Cell]:
    for name in names:
        call, nth = CALLS[name]
        for when in ("before", "after"):
            told = {"victim": victim, "call": call, "when": when, "nth": nth if not workers else 1}
            yield Cell(victim, workers, name, when, json.dumps(told))


def _agents() -> Iterator[Cell]:
    for workers in (0, 2):
        for victim, pid in (("agent", "$$"), ("agent's guard", "$PPID")):
            for moment in ("before", "within", "after"):
                told = {"agent": moment, "pid": pid}
                yield Cell(victim, workers, "its work on 1.2", moment, json.dumps(told))


def _gits() -> Iterator[Cell]:
    for workers in (0, 2):
        for command, nth in GITS:
            for when in ("before", "after"):
                told = {"git": command, "when": when, "nth": nth}
                yield Cell("git", workers, f"{command} {nth}", when, json.dumps(told))


CONFTEST = '''\
"""Kill whoever is to be killed, once."""

import functools
import importlib
import json
import os
import signal
from pathlib import Path

from pytest_pipeline.record.store import Store

TOLD = json.loads(Path(__file__).with_name("told.json").read_text())
FLAG = Path(__file__).with_name("struck")


def strike():
    if TOLD["victim"] == "worker" and "PYTEST_XDIST_WORKER" not in os.environ:
        return
    try:
        os.close(os.open(FLAG, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    of_another = TOLD["victim"] == "controller" and "PYTEST_XDIST_WORKER" in os.environ
    os.kill(os.getppid() if of_another else os.getpid(), signal.SIGKILL)


def around(owner, name, before, after):
    original = getattr(owner, name)

    @functools.wraps(original)
    def instead(*arguments, **named):
        before(*arguments)
        result = original(*arguments, **named)
        after(result, *arguments)
        return result

    setattr(owner, name, instead)


def nothing(*arguments):
    return None


def at_step():
    keys = {}

    def strike_at(moment):
        def look(attempt, name):
            key = keys.get(attempt.row)
            if key is not None and (name, key.run, key.task) == (TOLD["step"], TOLD["run"], TOLD["task"]):
                if moment == TOLD["moment"]:
                    strike()
        return look

    def admitted(result, store, key, *rest):
        keys[result.row] = key

    for method in ("admit_attempt", "readmit_attempt"):
        around(Store, method, nothing, admitted)
    first, second, third, fourth = map(strike_at, range(4))
    around(Store, "begin_step", lambda _, *rest: first(*rest[:2]), lambda _, __, *rest: second(*rest[:2]))
    around(Store, "end_step", lambda _, *rest: third(*rest[:2]), lambda _, __, *rest: fourth(*rest[:2]))


def at_call():
    module, _, path = TOLD["call"].partition(":")
    owner, _, name = path.partition(".")
    seen = []

    def count(when):
        def look(*arguments):
            if when == "before":
                seen.append(1)
            if when == TOLD["when"] and len(seen) == TOLD["nth"]:
                strike()
        return look

    around(getattr(importlib.import_module(module), owner), name, count("before"), count("after"))


if "step" in TOLD:
    at_step()
elif "call" in TOLD:
    at_call()
'''
"""Put into the project that is tested; ``told.json`` beside it holds what a cell has told."""
