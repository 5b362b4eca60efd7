"""How a failed task is told: a story instead of a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.errors import FailureKind, TaskFailure
from pytest_pipeline.record.junit import clean
from pytest_pipeline.record.model import Outcome, TaskRunRecord

if TYPE_CHECKING:
    from pytest_pipeline.cases.order import CaseKey

_EXPECTED = " (expected: "  # as the text of a TaskFailure has it


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


def failure_of(record: TaskRunRecord) -> TaskFailure:
    """The failure of a task run as the record holds it, without the lines of output, which it does not.

    Args:
        record: a task run that has failed.
    """
    last = record.attempts[-1]
    found, _, expected = last.message.rpartition(_EXPECTED)
    step = next((step.name for step in reversed(last.steps) if step.outcome is Outcome.FAILED), "")
    return TaskFailure(
        last.failure_kind or FailureKind.INFRASTRUCTURE,
        step=step,
        expected=expected.removesuffix(")") if found else "",
        found=f"{found or last.message} (It failed before the session was resumed.)",
        look_at=last.properties.get("transcript", ""),
    )


def _field(name: str, text: str) -> list[str]:
    first, *rest = text.splitlines() or [""]
    return [f"  {name + ':':<10}{first}", *(" " * 12 + line for line in rest)]


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")
