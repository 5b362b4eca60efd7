"""The nodes below a plan file: runs, batches, tasks, final state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.cases.describe import describe, item_name
from pytest_pipeline.cases.order import CaseKey, Order, Place
from pytest_pipeline.cases.retrying import pauses
from pytest_pipeline.cases.story import failure_of, tell
from pytest_pipeline.errors import PipelineError, TaskFailure
from pytest_pipeline.plans.model import Batch, Plan, Task
from pytest_pipeline.record.junit import clean
from pytest_pipeline.record.model import FINAL_STATE, Outcome, TaskRunRecord

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr, TracebackStyle
    from typing_extensions import Self

    from pytest_pipeline.cases.lifecycle import Lifecycle
    from pytest_pipeline.execution.attempt import Attempt

_LAST = 10**9  # behind every task

Body = Callable[["CaseItem"], None]
"""What an item calls in its call phase, itself as the only argument; carries its marks and description."""


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


def perform(item: CaseItem, /) -> None:
    """Do the task: the body of every plan item, a function so that fixtures and every plugin's respect come with it.

    Pytest looks for no fixture behind a parameter that has no name for callers.
    """
    item.carry_out()


class CaseItem(pytest.Function):
    """What task items and final-state items share. Setup prepares, call performs, teardown cleans up."""

    # A Function has nearly as many attributes as Python shares the names of; a few more, and each item pays for a
    # dictionary of its own, 1.5 KB.
    __slots__ = ("attempt", "case", "lifecycle", "needs", "performed", "place", "plan", "recalled")

    lifecycle: Lifecycle
    plan: Plan
    case: CaseKey
    place: Place
    needs: tuple[CaseKey, ...]
    attempt: Attempt | None
    performed: bool
    recalled: TaskRunRecord | None

    @classmethod
    def build(cls, parent: pytest.Collector, name: str, lifecycle: Lifecycle, plan: Plan, body: Body = perform) -> Self:
        """An item whose body is bound to it; what makes it this case is still to be said."""
        item: Self = cls.from_parent(parent, name=name, callobj=body)
        item.obj = MethodType(body, item)
        item.lifecycle, item.plan = lifecycle, plan
        item.attempt, item.performed, item.recalled = None, False, None
        return item

    @property
    def title(self) -> str:
        """What the record calls it."""
        raise NotImplementedError

    @property
    def heading(self) -> str:
        """What a reader of failures calls it."""
        return self.title

    @property
    def line(self) -> int:
        """Where it stands in the plan."""
        return 1

    def open_attempt(self) -> Attempt:
        """A new attempt at this item."""
        raise NotImplementedError

    def setup(self) -> None:
        """Skip, or admit an attempt, set up fixtures and prepare the workspace."""
        self.lifecycle.join()
        if not self.lifecycle.is_open:  # --setup-plan and its like: fixtures alone
            super().setup()
            return
        if self.lifecycle.recalls(self):
            return
        self.lifecycle.skip_if_needed(self)
        attempt = self.attempt = self.open_attempt()
        with self._interruptible():
            attempt.admit()
            super().setup()
            attempt.prepare()

    def carry_out(self) -> None:
        """The call phase; what an earlier process of the session has brought to its end is only told again."""
        if self.recalled is None:
            self.perform()
        elif self.recalled.outcome is not Outcome.PASSED:
            raise failure_of(self.recalled)
        else:
            self.performed = True

    def perform(self) -> None:
        """Do it."""
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

    __slots__ = ("batch", "task")

    batch: Batch
    task: Task

    @classmethod
    def make(
        cls, parent: BatchNode, lifecycle: Lifecycle, plan: Plan, batch: Batch, task: Task, place: Place, order: Order
    ) -> TaskItem:
        """The item of a task; its place decides about the order of execution."""
        own = task.options.marks or lifecycle.describes
        body = _own_body(task, verbose=lifecycle.describes) if own else perform
        item = cls.build(parent, item_name(task), lifecycle, plan, body)
        item.batch, item.task = batch, task
        item.case = CaseKey(place.run, plan.path, batch.number, task.id)
        item.place = place
        item.needs = tuple(CaseKey(place.run, plan.path, *key) for key in order.needs[batch.number, task.id])
        item.extra_keyword_matches.update((task.id, parent.name))
        return item

    @property
    def title(self) -> str:
        """The task's title."""
        return self.task.title

    @property
    def heading(self) -> str:
        """Its id and title."""
        return clean(f"task {self.task.id}: {self.task.title}")

    @property
    def line(self) -> int:
        """The line of its heading."""
        return self.task.line

    def open_attempt(self) -> Attempt:
        """A new attempt at the task."""
        from pytest_pipeline.execution.task_run import TaskRun

        return TaskRun(self.lifecycle.pipeline, self.case.run, self.plan, self.batch, self.task)

    def perform(self) -> None:
        """Do it; an agent that could not be reached is tried again, each time as a new attempt."""
        assert self.attempt is not None
        for pause in pauses(self.attempt.settings.agent_retries):
            try:
                super().perform()
                return
            except TaskFailure:
                if not self.lifecycle.tries_again(self.attempt):
                    raise
            self._begin_anew(pause)
        super().perform()

    def _begin_anew(self, pause: float) -> None:
        """End the attempt that failed, and after a pause prepare another one in a workspace of its own."""
        assert self.attempt is not None
        self.attempt.cleanup()
        self.attempt.finish(Outcome.FAILED)
        self.attempt = self.open_attempt()
        with self._interruptible():
            self.attempt.admit()
            self.attempt.say(f"the agent was not available; it is tried again in {pause:g} s")
            self.lifecycle.wait(pause)
            self.attempt.prepare()


def _own_body(task: Task, *, verbose: bool) -> Body:
    """A body of the task's own, to carry its marks and, for ``--collect-only -v``, what will be run."""
    from pytest_pipeline.cases.collect import mark_decorator

    def body(item: CaseItem, /) -> None:
        item.carry_out()

    body.__doc__ = describe(task) if verbose else None
    for mark in task.options.marks:
        mark_decorator(mark)(body)
    return body


class FinalStateItem(CaseItem):
    """The last item of a plan in a run: everything still holds on the run's base branch."""

    __slots__ = ()

    @classmethod
    def make(cls, parent: pytest.Collector, lifecycle: Lifecycle, plan: Plan, run: int) -> FinalStateItem:
        """The item; it comes after every task of its plan and run."""
        item = cls.build(parent, FINAL_STATE, lifecycle, plan)
        item.case = CaseKey(run, plan.path, "", FINAL_STATE)
        item.place = Place(lifecycle.plan_number(plan), run, _LAST, _LAST)
        item.needs = ()
        return item

    @property
    def title(self) -> str:
        """Its only name."""
        return "final state"

    def open_attempt(self) -> Attempt:
        """A new look at the final state."""
        from pytest_pipeline.execution.final_state import FinalState

        return FinalState(self.lifecycle.pipeline, self.case.run, self.plan)
