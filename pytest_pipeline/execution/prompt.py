"""Makes the prompt of a task from a Jinja2 template: ours, or the project's own."""

from __future__ import annotations

import dataclasses
import traceback
from functools import lru_cache
from pathlib import Path

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
)

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.plans.model import CommandCheck, Condition, Plan, PredicateCheck, ProseCheck, Relation, Task

HOUSE = "house/prompt.md.j2"
"""The name under which a project's template can extend or include ours."""


def render(plan: Plan, task: Task, *, template: Path | None = None) -> str:
    """The text that the agent reads. The reference solution is never in it, whatever the template says.

    Args:
        plan: the plan of the task, for its title and context.
        task: what is to be done.
        template: the project's own template; None: ours.

    Raises:
        SettingsError: the template is not there or wrong; names file and line.
    """
    environment = _environment(template)
    name = HOUSE if template is None else template.name
    try:
        return environment.get_template(name).render(_variables(plan, task)).strip() + "\n"
    except TemplateSyntaxError as error:
        raise _wrong(f"{error.filename or name}:{error.lineno}", error) from None
    except (TemplateError, OSError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise _wrong(_line_of(error, template), error) from None


@lru_cache(maxsize=8)
def _environment(template: Path | None) -> Environment:
    """Kept, because it keeps compiled templates; it compiles those anew that were changed meanwhile."""
    return Environment(
        loader=_loader(template),
        undefined=StrictUndefined,
        autoescape=False,  # Markdown for a model, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _loader(template: Path | None) -> BaseLoader:
    house = PrefixLoader({"house": FileSystemLoader(Path(__file__).parent)})
    return house if template is None else ChoiceLoader([house, FileSystemLoader(template.parent)])


def _variables(plan: Plan, task: Task) -> dict[str, object]:
    return {
        "plan": {"title": plan.title, "path": plan.path},
        "task": dataclasses.replace(task, reference=()),
        "context": [text for text in (plan.options.context, task.options.context) if text.strip()],
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


def _line_of(error: Exception, template: Path | None) -> str:
    """Jinja2 makes template lines look like lines of Python in a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"{frame.filename}:{frame.lineno}" for frame in frames if frame.filename.endswith(".j2")]
    if template is not None:
        lines = [f"{frame.filename}:{frame.lineno}" for frame in frames if Path(frame.filename) == template] or lines
    return lines[-1] if lines else str(template or HOUSE)


def _wrong(where: str, error: Exception) -> SettingsError:
    return SettingsError(
        f"{where}: the prompt template cannot be used: {type(error).__name__}: {error}. Correct it, or remove "
        "the ini key pipeline_prompt_template."
    )
