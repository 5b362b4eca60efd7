"""How a failed task is told: a story instead of a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.errors import TaskFailure
from pytest_pipeline.record.junit import clean

if TYPE_CHECKING:
    from pytest_pipeline.cases.order import CaseKey


def tell(failure: TaskFailure, title: str, case: CaseKey, count: int) -> str:
    """Tell a failure.

    Args:
        failure: what happened.
        title: what the item is called.
        case: which item.
        count: how many runs there are.

    Returns:
        Lines of text; the first one alone says what happened, for pytest's short summary and JUnit's message.
    """
    where = f", run {case.run} of {count}" if count > 1 else ""
    lines = [
        f"{failure.kind}: {_first_line(failure.found)}",
        f"  {title}{where}, in step {failure.step}",
        *_field("expected", failure.expected),
        *_field("found", failure.found),
    ]
    if failure.look_at:
        lines += _field("look at", failure.look_at)
    if failure.output.strip():
        lines += ["  last lines of output:", *(f"    | {each}" for each in failure.output.rstrip().splitlines())]
    return "\n".join(map(clean, lines))  # agents and commands write what they like, also to steer a terminal


def _field(name: str, text: str) -> list[str]:
    first, *rest = text.splitlines() or [""]
    return [f"  {name + ':':<10}{first}", *(" " * 12 + line for line in rest)]


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")
