"""Makes the prompt of a task from a Jinja2 template: ours, or the project's own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pytest_pipeline.execution.templates import render_file
from pytest_pipeline.plans.model import CommandCheck, Condition, Plan, PredicateCheck, ProseCheck, Relation, Task


def render(plan: Plan, task: Task, *, template: Path | None = None) -> str:
    """The text that the agent reads. The reference solution is never in it, whatever the template says.

    Args:
        plan: the plan of the task, for its title and context.
        task: what is to be done.
        template: the project's own template; None: ours.

    Raises:
        SettingsError: the template is not there or wrong; names file and line.
    """
    variables = {**told(task), "plan": {"title": plan.title, "path": plan.path}, "context": _context(plan, task)}
    return render_file("prompt.md.j2", template, variables, ini_key="pipeline_prompt_template") + "\n"


def _context(plan: Plan, task: Task) -> list[str]:
    return [text for text in (plan.options.context, task.options.context) if text.strip()]


def told(task: Task) -> dict[str, object]:
    """What templates may know of a task: everything but its reference solution."""
    return {
        "task": dataclasses.replace(task, reference=()),
        "commands": [check for check in task.verification if isinstance(check, CommandCheck)],
        "predicates": [check for check in task.verification if isinstance(check, PredicateCheck)],
        "conditions": [_sentence(condition) for condition in task.conditions],
        "acceptance": [check.text for check in (*task.verification, *task.acceptance) if isinstance(check, ProseCheck)],
    }


def _sentence(condition: Condition) -> str:
    if condition.relation is Relation.ABSENT:
        return f"{condition.path} does not exist"
    verb = "contains" if condition.relation is Relation.CONTAINS else "matches the regular expression"
    return f"{condition.path} {verb}: {condition.argument}"
