"""A Markdown file becomes a collector: plan file, runs, batches, tasks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from pytest_pipeline.cases.describe import batch_name, item_name, run_name
from pytest_pipeline.cases.lifecycle import Lifecycle, lifecycle_of
from pytest_pipeline.cases.nodes import BatchNode, FinalStateItem, RunNode, TaskItem
from pytest_pipeline.cases.order import Order
from pytest_pipeline.errors import PlanError
from pytest_pipeline.naming import is_readme
from pytest_pipeline.plans.model import Mark, Plan
from pytest_pipeline.plans.reader import read_plan
from pytest_pipeline.settings import Settings


def collect_plan(parent: pytest.Collector, path: Path, settings: Settings, *, explicit: bool) -> PlanFile | None:
    """A collector for a plan, or for what is wrong with it; None for a Markdown file that is no plan.

    Args:
        parent: the directory's collector.
        path: the file.
        settings: the session's settings.
        explicit: whether the user named this very file.
    """
    if is_readme(path) and not explicit:
        return None
    shown = path.relative_to(parent.config.rootpath) if path.is_relative_to(parent.config.rootpath) else path
    fault = ""
    try:
        plan = read_plan(path, shown.as_posix())
    except PlanError as error:
        plan, fault = None, str(error)
    if plan is not None:
        fault = _equal_names(plan)
    elif not fault:
        if not explicit:
            return None
        fault = f"{shown}:1: this file holds no task. Write one, for example `## Batch 1: …` and `### Task 1.1: …`."
    if plan is not None and not fault and (alien := _only_rehearsed(plan, settings)):
        if not explicit:
            lifecycle_of(parent.config, settings).conductor.passed_over.append(plan.path)
            return None
        fault = alien
    file: PlanFile = PlanFile.from_parent(parent, path=path)
    file.obj = ModuleType(file.nodeid)
    file.plan, file.fault, file.settings = plan, fault, settings
    lifecycle = lifecycle_of(parent.config, settings)
    if fault:
        lifecycle.conductor.unreadable.append(file.nodeid)
    elif plan is not None:
        lifecycle.plans[plan.path] = plan
    return file


def _only_rehearsed(plan: Plan, settings: Settings) -> str:
    """Why this session cannot run a plan that asks for trouble; empty where it can, or where the plan asks for none."""
    scripted = settings.rehearse and settings.cassette is None
    trouble = next((task.trouble for batch in plan.batches for task in batch.tasks if task.trouble is not None), None)
    if scripted or trouble is None:
        return ""
    remedy = "without --cassette" if settings.rehearse else "with --agent claude --rehearse"
    return f"{plan.path}:{trouble.line}: only a scripted model makes the trouble of this block; run it {remedy}."


def _equal_names(plan: Plan) -> str:
    """What is wrong where two tasks of a batch would have one node id; empty where none have."""
    faults = []
    for batch in plan.batches:
        names: set[str] = set()
        for task in batch.tasks:
            name = item_name(task)
            if name in names:
                faults.append(f"{plan.path}:{task.line}: two tasks of batch {batch.number} become {name}. Rename one.")
            names.add(name)
    return "\n".join(faults)


class PlanFile(pytest.Module):
    """One plan file: its runs where it is repeated, else its batches.

    A module, with nothing in it: fixtures of module scope need one, and plugins ask for its name.
    """

    plan: Plan | None
    fault: str
    settings: Settings

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """Make the tree of runs, batches and tasks."""
        if self.plan is None or self.fault:
            raise self.CollectError(self.fault)
        register_marks(self.config, self.plan)
        for mark in self.plan.options.marks:
            self.add_marker(mark_decorator(mark))
        lifecycle = lifecycle_of(self.config, self.settings)
        order = Order.of(self.plan)
        for run in range(1, self.settings.count + 1):
            name = run_name(run, self.settings.count)
            if not name:
                yield from collect_run(self, lifecycle, self.plan, order, run)
            else:
                node: RunNode = RunNode.from_parent(self, name=name)
                node.content = partial(collect_run, node, lifecycle, self.plan, order, run)
                yield node


def collect_run(
    parent: pytest.Collector, lifecycle: Lifecycle, plan: Plan, order: Order, run: int
) -> Iterator[pytest.Item | pytest.Collector]:
    """The batches of one run of a plan, each with its tasks, and its final state."""
    for batch in plan.batches:
        node: BatchNode = BatchNode.from_parent(parent, name=batch_name(batch))
        places = zip(batch.tasks, order.places(lifecycle.plan_number(plan), run, batch), strict=True)
        node.items = [TaskItem.make(node, lifecycle, plan, batch, task, place, order) for task, place in places]
        yield node
    yield FinalStateItem.make(parent, lifecycle, plan, run)


def mark_decorator(mark: Mark) -> pytest.MarkDecorator:
    """A mark as pytest knows it."""
    decorator: pytest.MarkDecorator = getattr(pytest.mark, mark.name)
    return decorator.with_args(*mark.arguments) if mark.arguments else decorator


def register_marks(config: pytest.Config, plan: Plan) -> None:
    """Make the names of a plan's marks known, so that ``--strict-markers`` holds."""
    known = {line.partition(":")[0].partition("(")[0].strip() for line in config.getini("markers")}
    tasks = (task for batch in plan.batches for task in batch.tasks)
    marks = [*plan.options.marks, *(mark for task in tasks for mark in task.options.marks)]
    for name in dict.fromkeys(mark.name for mark in marks):
        if name not in known:
            config.addinivalue_line("markers", f"{name}: from a plan")
