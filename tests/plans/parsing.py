"""What the tests of this room do again and again: read a text, take its only task, take its errors."""

from __future__ import annotations

from pytest_pipeline.errors import PlanError
from pytest_pipeline.plans import parse_plan
from pytest_pipeline.plans.model import Plan, Task


def plan_of(text: str) -> Plan:
    plan = parse_plan(text, "plan.md")
    assert plan is not None, "the text was taken for ordinary Markdown"
    return plan


def tasks_of(text: str) -> list[Task]:
    return [task for batch in plan_of(text).batches for task in batch.tasks]


def task_of(body: str) -> Task:
    """The task whose heading is on line 1 and whose body follows."""
    (task,) = tasks_of(f"### Task 1.1: Do it\n{body}\n")
    return task


def errors_of(text: str) -> list[str]:
    try:
        plan = parse_plan(text, "plan.md")
    except PlanError as error:
        return [str(each) for each in error.diagnostics]
    raise AssertionError(f"no error: {plan}")
