"""The nodes below a plan file: runs, batches, tasks, final state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.cases.describe import describe, slug
from pytest_pipeline.cases.order import Place, TaskKey, needs_of
from pytest_pipeline.cases.story import tell
from pytest_pipeline.errors import PipelineError, TaskFailure
from pytest_pipeline.plans.model import Batch, Plan, Task
from pytest_pipeline.record.model import Outcome

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr, TracebackStyle

    from pytest_pipeline.cases.lifecycle import Lifecycle
    from pytest_pipeline.execution.attempt import Attempt

FINAL_STATE = "final-state"
_LAST = 10**9  # behind every task


class RunNode(pytest.Collector):
    """One run of a plan; there only with ``--count``."""

    content: Callable[[], Iterable[pytest.Item | pytest.Collector]]

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Its batches and its final state."""
        return self.content()


class BatchNode(pytest.Collector):
    """One batch in one run."""

    items: list[TaskItem]

    def collect(self) -> list[TaskItem]:
        """Its tasks in the order of the file."""
        return self.items


@dataclass(frozen=True)
class CaseKey:
    """One item of a plan in one run, within a session; ``batch`` is empty for the final state."""

    run: int
    plan: str
    batch: str
    task: str


def perform(request: pytest.FixtureRequest) -> None:
    """Do the task: the body of every plan item, a function so that fixtures and every plugin's respect come with it."""
    item = request.node
    assert isinstance(item, CaseItem)
    item.perform()


class CaseItem(pytest.Function):
    """What task items and final-state items share. Setup prepares, call performs, teardown cleans up."""

    lifecycle: Lifecycle
    plan: Plan
    case: CaseKey
    place: Place
    needs: tuple[CaseKey, ...]
    title: str
    heading: str
    line: int
    attempt: Attempt | None = None
    performed = False

    def open_attempt(self) -> Attempt:
        """A new attempt at this item."""
        raise NotImplementedError

    def setup(self) -> None:
        """Skip, or admit an attempt, set up fixtures and prepare the workspace."""
        if self.lifecycle.opened is None:  # --setup-plan and its like: fixtures alone
            super().setup()
            return
        self.lifecycle.skip_if_needed(self)
        attempt = self.attempt = self.open_attempt()
        with self._interruptible():
            attempt.admit()
            super().setup()
            attempt.prepare()

    def perform(self) -> None:
        """The call phase."""
        assert self.attempt is not None
        with self._interruptible():
            self.attempt.perform()
        self.performed = True

    def teardown(self) -> None:
        """Give the workspace back, and pass warnings on to pytest."""
        if self.attempt is not None:
            self.attempt.cleanup()
            for text in self.attempt.warnings:
                self.warn(PipelineWarning(f"{self.plan.path}: task {self.case.task}: {text}"))

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        assert self.attempt is not None
        try:
            yield
        except (KeyboardInterrupt, pytest.exit.Exception):
            self.attempt.finish(Outcome.INTERRUPTED, "The session was interrupted.")
            raise

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it stands in the plan, and its heading."""
        return self.path, self.line - 1, self.heading

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: TracebackStyle | None = None
    ) -> str | TerminalRepr:
        """A story for a failed task, one sentence for another expected error, a traceback for a defect."""
        error = excinfo.value
        if isinstance(error, TaskFailure):
            return tell(error, self.heading, self.case, self.lifecycle.settings.count)
        if isinstance(error, PipelineError):
            return str(error)
        return super().repr_failure(excinfo)


class PipelineWarning(pytest.PytestWarning):
    """Something about a task that is allowed and that a reader of the record should know."""


class TaskItem(CaseItem):
    """One task in one run."""

    batch: Batch
    task: Task

    @classmethod
    def make(
        cls,
        parent: BatchNode,
        lifecycle: Lifecycle,
        plan: Plan,
        batch: Batch,
        task: Task,
        run: int,
        ranks: Mapping[TaskKey, int],
    ) -> TaskItem:
        """The item of a task; its rank decides about the order of execution."""
        body = _own_body(task, verbose=lifecycle.describes) if task.options.marks or lifecycle.describes else perform
        item: TaskItem = cls.from_parent(parent, name=f"{slug(task.id)}-{slug(task.title)}".strip("-"), callobj=body)
        item.lifecycle, item.plan, item.batch, item.task = lifecycle, plan, batch, task
        item.case = CaseKey(run, plan.path, batch.number, task.id)
        rank = ranks[batch.number, task.id]
        first = min(ranks[batch.number, each.id] for each in batch.tasks)
        item.place = Place(lifecycle.plan_number(plan), run, first, rank)
        item.needs = tuple(CaseKey(run, plan.path, *key) for key in needs_of(plan, batch, task))
        item.title, item.heading, item.line = task.title, f"task {task.id}: {task.title}", task.line
        item.extra_keyword_matches.update((task.id, f"batch-{batch.number}"))
        return item

    def open_attempt(self) -> Attempt:
        """A new attempt at the task."""
        from pytest_pipeline.execution.task_run import TaskRun

        return TaskRun(self.lifecycle.pipeline, self.case.run, self.plan, self.batch, self.task)


def _own_body(task: Task, *, verbose: bool) -> Callable[[pytest.FixtureRequest], None]:
    """A body of the task's own, to carry its marks and, for ``--collect-only -v``, what will be run."""
    from pytest_pipeline.cases.collect import mark_decorator

    def body(request: pytest.FixtureRequest) -> None:
        perform(request)

    body.__doc__ = describe(task) if verbose else None
    for mark in task.options.marks:
        mark_decorator(mark)(body)
    return body


class FinalStateItem(CaseItem):
    """The last item of a plan in a run: everything still holds on the run's base branch."""

    @classmethod
    def make(cls, parent: pytest.Collector, lifecycle: Lifecycle, plan: Plan, run: int) -> FinalStateItem:
        """The item; it comes after every task of its plan and run."""
        item: FinalStateItem = cls.from_parent(parent, name=FINAL_STATE, callobj=perform)
        item.lifecycle, item.plan = lifecycle, plan
        item.case = CaseKey(run, plan.path, "", FINAL_STATE)
        item.place = Place(lifecycle.plan_number(plan), run, _LAST, _LAST)
        item.needs = ()
        item.title = item.heading = "final state"
        item.line = 1
        return item

    def open_attempt(self) -> Attempt:
        """A new look at the final state."""
        from pytest_pipeline.execution.final_state import FinalState

        return FinalState(self.lifecycle.pipeline, self.case.run, self.plan)
