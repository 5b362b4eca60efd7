"""What may be asked for from outside: a plan below one of the roots, and a few listed options. Nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path, PurePath

from pytest_pipeline.errors import PipelineError, PlanError
from pytest_pipeline.plans.model import Batch, Plan
from pytest_pipeline.plans.needs import within
from pytest_pipeline.plans.reader import read_plan
from pytest_pipeline.server.books import Execution, PlannedBatch, PlannedTask, new_execution_id
from pytest_pipeline.server.shapes import StartRequest

_LAST = 999_999


class RefusedError(PipelineError):
    """What was asked for cannot be done: all reasons at once."""

    def __init__(self, messages: Sequence[str]) -> None:
        super().__init__(" ".join(messages))
        self.messages = tuple(messages)


class OutsideError(PipelineError):
    """The plan does not lie where plans may lie. Whether there is such a file is not told."""


@dataclass(frozen=True)
class Desk:
    """Takes requests.

    Args:
        directory: what relative paths count from.
        roots: the directories below which plans may lie, without symbolic links.
    """

    directory: Path
    roots: tuple[Path, ...]

    def take(self, request: StartRequest) -> Execution:
        """What is to be executed.

        Raises:
            OutsideError: the plan lies elsewhere.
            RefusedError: there is no such plan, it has errors, or nothing in it is meant.
        """
        problems = _problems(request)
        try:
            path = self._place(request.plan_path)
            plan = _read(path, request.plan_path)
        except RefusedError as refused:
            raise RefusedError([*refused.messages, *problems]) from None
        span = _span(request)
        batches = [each for each in plan.batches if span is None or within(span, each.number)]
        if not batches:
            problems.append(_nothing(plan, request))
        if problems:
            raise RefusedError(problems)
        name = new_execution_id()
        return Execution(
            id=name,
            created=datetime.now(timezone.utc),
            plan=str(path),
            shown=request.plan_path,
            arguments=(*_arguments(request, span), f"--pipeline-execution={name}"),
            resumed=_workers(request),
            count=request.count,
            batches=tuple(_planned(each) for each in batches),
        )

    def check(self, execution: Execution) -> None:
        """Look again whether the plan of an execution lies where plans may lie: roots and links change.

        Raises:
            OutsideError: it lies elsewhere.
        """
        self._inside(execution.plan, execution.shown)

    def _place(self, text: str) -> Path:
        """The file, without symbolic links."""
        if "\0" in text:
            raise RefusedError(["plan_path holds a NUL character. Write the path of a plan."])
        path = self._inside(text, text)
        if "[" in str(path) or "::" in str(path):
            raise RefusedError([f"pytest cannot be told of {text!r}: it reads [ and :: as its own. Rename it."])
        return path

    def _inside(self, text: str, shown: str) -> Path:
        outside = OutsideError(
            f"{shown!r} does not lie below a root of plans. Use one of them, or start the server with --plan-root."
        )
        if ".." in PurePath(text).parts:
            raise outside
        try:
            path = (self.directory / text).resolve()
        except (OSError, RuntimeError, ValueError):  # a circle of links, or a name that no file system takes
            raise outside from None
        if not any(path.is_relative_to(root) for root in self.roots):
            raise outside
        return path


def _read(path: Path, shown: str) -> Plan:
    """The plan.

    Raises:
        RefusedError: there is none; has everything that is wrong with it.
    """
    if path.suffix.lower() != ".md" or not _is_file(path):
        raise RefusedError([f"There is no plan {shown!r}. Write the path of a Markdown file that is there."])
    try:
        plan = read_plan(path, shown)
    except PlanError as error:
        raise RefusedError([str(each) for each in error.diagnostics]) from None
    if plan is None:
        raise RefusedError([f"{shown}:1: this file holds no task. Write one, for example `### Task 1.1: Say hello`."])
    return plan


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def _span(request: StartRequest) -> str | None:
    """The range of batches; None: all of them, also those whose numbers are letters."""
    if request.start_batch == 1 and request.end_batch is None:
        return None
    return f"{request.start_batch}-{_LAST if request.end_batch is None else request.end_batch}"


def _problems(request: StartRequest) -> list[str]:
    found = []
    if request.until_consecutive is not None and request.until_consecutive > request.count:
        found.append(f"until_consecutive {request.until_consecutive} can never be met by count {request.count}.")
    if request.workers is not None and find_spec("xdist") is None:
        found.append("workers need pytest-xdist, which is not installed here. Install it, or leave workers out.")
    return found


def _nothing(plan: Plan, request: StartRequest) -> str:
    there = ", ".join(each.number for each in plan.batches)
    last = "" if request.end_batch is None else f" to {request.end_batch}"
    return f"The plan has no batch from {request.start_batch}{last}; it has {there}. Ask for some of these."


def _arguments(request: StartRequest, span: str | None) -> tuple[str, ...]:
    """Options for pytest; each value stands in the word of its option, so none is taken for another one."""
    named = {
        "--batches": span,
        "--count": request.count if request.count > 1 else None,
        "--until-consecutive": request.until_consecutive,
        "--agent": request.agent,
        "--forge": request.forge,
    }
    told = [f"{name}={value}" for name, value in named.items() if value is not None]
    told += [] if request.auto_merge else ["--no-auto-merge"]
    return (*told, *(["--rehearse"] if request.rehearse else []), *_workers(request))


def _workers(request: StartRequest) -> tuple[str, ...]:
    return () if request.workers is None else (f"--numprocesses={request.workers}",)


def _planned(batch: Batch) -> PlannedBatch:
    return PlannedBatch(batch.number, batch.title, tuple(PlannedTask(task.id, task.title) for task in batch.tasks))


def roots_of(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Directories without symbolic links.

    Raises:
        RefusedError: one of them is none.
    """
    wrong = [
        f"The root of plans {path} is no directory. Name one that is there." for path in paths if not path.is_dir()
    ]
    if wrong:
        raise RefusedError(wrong)
    return tuple(Path(os.path.realpath(path)) for path in paths)
