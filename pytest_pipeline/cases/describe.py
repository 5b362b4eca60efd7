"""Names and descriptions of items for the command line."""

from __future__ import annotations

import re

from pytest_pipeline.plans.model import Batch, CommandCheck, PredicateCheck, ProseCheck, RefusedCheck, Task
from pytest_pipeline.trouble import Trouble

_MOST = 60


def slug(text: str) -> str:
    """A part of a node id: lower case, words and dots joined by ``-``; never a bracket, a blank or ``::``.

    pytest 9.2 reads brackets and colons in names as its own, and ``-k`` knows no blanks.
    """
    words = re.sub(r"[^\w.]+", "-", text.lower()).strip("-.")
    return words if len(words) <= _MOST else words[:_MOST].rsplit("-", 1)[0]


def run_name(run: int, count: int) -> str:
    """The name of a run's node, of one width for all runs; empty where plans run once and have no such node."""
    return "" if count == 1 else f"run-{run:0{max(2, len(str(count)))}d}"


def batch_name(batch: Batch) -> str:
    """The name of a batch's node."""
    return f"batch-{batch.number}"


def item_name(task: Task) -> str:
    """The last part of a task's node id."""
    return f"{slug(task.id)}-{slug(task.title)}".strip("-")


def describe(task: Task) -> str:
    """What ``--collect-only -v`` shows of a task: what will be run, and what is for a person to judge."""
    lines = [
        f"file:      {change.verb} {change.path}" + (f" -> {change.target}" if change.target else "")
        for change in task.files
    ]
    for check in task.verification:
        if isinstance(check, CommandCheck):
            lines += _block("will run:  ", check.command)
        elif isinstance(check, PredicateCheck):
            lines.append(f"is looked at: {check.text}")
        elif isinstance(check, RefusedCheck):
            lines += _block("NOT run:   ", f"{check.command}  [{check.reason}]")
        elif isinstance(check, ProseCheck):
            lines.append(f"for a person to judge: {check.text}")
    lines += [f"for a person to judge: {check.text}" for check in task.acceptance]
    if not any(isinstance(check, (CommandCheck, PredicateCheck)) for check in task.verification):
        lines.append("no check of its own: judged by its files alone")
    if task.trouble is not None:
        lines.append(f"rehearses: {_trouble(task.trouble)}")
    lines.append(
        f"expects:   {task.expect}"
        + "".join(f"; {each.path} {each.relation} {each.argument}".rstrip() for each in task.conditions)
    )
    return "\n".join(lines)


def _trouble(trouble: Trouble) -> str:
    details = {"retry_after": trouble.retry_after, "times": trouble.times, "ends": trouble.ends}
    told = [f"{name} {value}" for name, value in details.items() if value is not None]
    return ", ".join([str(trouble.status or trouble.kind), *told])


def _block(head: str, text: str) -> list[str]:
    first, *rest = text.splitlines() or [""]
    return [head + first, *(" " * len(head) + line for line in rest)]
