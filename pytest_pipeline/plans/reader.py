"""The door of this room: a Markdown file becomes a :class:`~pytest_pipeline.plans.model.Plan`, or is no plan at all."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path, PurePath

from pytest_pipeline.errors import Diagnostic, PlanError
from pytest_pipeline.plans.drafts import read_drafts, report_misplaced
from pytest_pipeline.plans.fences import HEADING
from pytest_pipeline.plans.fields import read_body
from pytest_pipeline.plans.front_matter import front_matter_end, read_options
from pytest_pipeline.plans.grammar import read_task
from pytest_pipeline.plans.model import Options, Plan
from pytest_pipeline.plans.outline import Outline, read_outline
from pytest_pipeline.plans.problems import Problems
from pytest_pipeline.plans.validate import resolve

_CANDIDATE = re.compile(
    r"^(?: {0,3}#{1,6}[ \t].*|[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+\[.\].*)(?:task|batch|任务|タスク)", re.I | re.M
)
_DIGITS = 16
_WORDS = re.compile("task|batch|任务|タスク", re.I)


def looks_like_plan(text: str) -> bool:
    """Whether a text may hold a plan. Quick; never False for a plan."""
    return bool(_WORDS.search(text)) and bool(_CANDIDATE.search(text.removeprefix("\ufeff").replace("\r", "\n")))


def read_plan(path: Path, shown_as: str) -> Plan | None:
    """Read a file.

    Args:
        path: the file.
        shown_as: its name in messages and in the plan.

    Returns:
        The plan, or None for an ordinary Markdown file: no task in it, and no batch.

    Raises:
        PlanError: the file cannot be read or run; has everything that is wrong with it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _failure(shown_as, 0, f"the file cannot be read: {error.strerror}. Check its name and rights.") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _failure(shown_as, line, "the file is not UTF-8. Save it as UTF-8.") from None
    return parse_plan(text, shown_as)


def is_plan(path: Path) -> bool:
    """Whether a file is a plan, be it one that cannot be read."""
    try:
        return read_plan(path, path.name) is not None
    except PlanError:
        return True


def parse_plan(text: str, shown_as: str) -> Plan | None:
    """Read a text; line ends and a byte order mark do not matter.

    Args:
        text: the Markdown.
        shown_as: the file's name in messages and in the plan.

    Returns:
        The plan, or None for ordinary Markdown: no task in it, and no batch.

    Raises:
        PlanError: the plan cannot be run; has everything that is wrong with it.
    """
    if not looks_like_plan(text):
        return None
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    start = front_matter_end(lines)
    outline = read_outline(lines, start)
    problems = Problems(shown_as)
    _report_open_comment(outline, problems)
    if not problems.errors and not _is_plan(outline):
        return None
    if "\0" in text:
        problems.error(text.count("\n", 0, text.index("\0")) + 1, "the plan holds a NUL character. Remove it.")
    options = _read_front_matter(lines, start, problems)
    _report_misplaced_options(outline, start, problems)
    batches = resolve(read_drafts(outline, problems), outline.groups, problems)
    if not problems.errors and not any(batch.tasks for batch in batches):
        line = outline.groups[0].line if outline.groups else 1
        problems.error(line, "the plan holds no task. Write one below it, for example '### Task 1.1: Say hello'.")
    if problems.errors:
        raise PlanError(sorted(problems.errors, key=lambda each: each.line))
    title = outline.title or PurePath(shown_as).stem
    notes = tuple(sorted(problems.notes, key=lambda each: each.line))
    return Plan(shown_as, title, options, batches, notes, sha256("\n".join(lines).encode()).hexdigest()[:_DIGITS])


def _is_plan(outline: Outline) -> bool:
    """A task makes a plan. So does a batch without any that we recognise: it must be reported, not passed over."""
    return outline.has_tasks or any(group.heading.keyword == "Batch" for group in outline.groups)


def _read_front_matter(lines: list[str], start: int, problems: Problems) -> Options:
    if start == 0:
        return Options()
    return read_options("\n".join(lines[1 : start - 1]), 2, problems, where="the front matter")


def _report_open_comment(outline: Outline, problems: Problems) -> None:
    """A comment that is never closed hides the rest of the file; say so if that would lose tasks."""
    first = outline.open_comment
    if first is None:
        return
    for line in outline.lines[first:]:
        match = HEADING.match(line)
        if match is not None and read_task(match["text"] or ""):
            problems.error(first + 1, "this comment is never closed and hides tasks. End it with '-->'.")
            return


def _report_misplaced_options(outline: Outline, start: int, problems: Problems) -> None:
    first = min([group.line for group in outline.groups] + [block.line for block in outline.loose], default=1)
    report_misplaced(read_body(outline.lines, start, max(start, first - 1), outline.hidden), problems)


def _failure(shown_as: str, line: int, message: str) -> PlanError:
    return PlanError([Diagnostic(shown_as, line, message)])
