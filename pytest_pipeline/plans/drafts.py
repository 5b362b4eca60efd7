"""The batches of a file before their dependencies are resolved, and what their own lines say."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pytest_pipeline.plans.fields import (
    OVERRIDES,
    REHEARSAL,
    Body,
    Field,
    FieldKind,
    blocks_of,
    read_body,
    split_fields,
)
from pytest_pipeline.plans.needs import read_references, says_none
from pytest_pipeline.plans.outline import Group, Outline
from pytest_pipeline.plans.problems import Problems
from pytest_pipeline.plans.tasks import NeedLine, TaskDraft, need_lines, read_task, says_done

_PARALLEL = re.compile(r"[\W_]*parallel\b", re.I)


@dataclass
class BatchDraft:
    """A batch that holds tasks; ``group`` is None for the implicit batch of tasks outside any group."""

    number: str
    title: str
    line: int
    group: Group | None
    parallel: bool = False
    needs: list[NeedLine] = field(default_factory=list)
    tasks: list[TaskDraft] = field(default_factory=list)


@dataclass
class _GroupFields:
    needs: list[NeedLine]
    parallel: bool
    done: bool


def read_drafts(outline: Outline, problems: Problems) -> list[BatchDraft]:
    """All batches with their tasks, in document order; groups without tasks are reported."""
    read: dict[int, _GroupFields] = {}
    drafts: list[BatchDraft] = []
    for group in outline.groups:
        fields = _read_group(outline, group, problems)
        above = read[group.parent.line] if group.parent is not None else _GroupFields([], False, False)
        fields = _GroupFields([*above.needs, *fields.needs], fields.parallel, fields.done or above.done)
        read[group.line] = fields
        if group.tasks:
            draft = BatchDraft(
                group.heading.number, group.heading.title, group.line, group, fields.parallel, fields.needs
            )
            draft.tasks = [read_task(outline, block, problems, group_done=fields.done) for block in group.tasks]
            drafts.append(draft)
        elif not group.children:
            _report_empty(group, problems, done=fields.done)
    if outline.loose:
        drafts.append(_implicit(outline, problems))
    return sorted(drafts, key=lambda draft: draft.line)


def _implicit(outline: Outline, problems: Problems) -> BatchDraft:
    draft = BatchDraft("0", "Tasks outside any batch", outline.loose[0].line, None)
    draft.tasks = [read_task(outline, block, problems, group_done=False) for block in outline.loose]
    return draft


def _report_empty(group: Group, problems: Problems, *, done: bool) -> None:
    name = f"{group.heading.keyword} {group.heading.number}"
    if done:
        problems.note(group.line, f"{name} is marked as completed and no tasks were recognised in it.")
        return
    problems.error(
        group.line,
        f"batch without tasks: tasks could not be recognised in '{name}'. Write each one as a heading, for example "
        f"'### Task {group.heading.number}.1: Title', or as '- [ ] **Task {group.heading.number}.1: Title**'.",
    )


def _read_group(outline: Outline, group: Group, problems: Problems) -> _GroupFields:
    body = read_body(outline.lines, group.start, group.end, outline.hidden)
    fields = split_fields(body)
    found = _GroupFields([], False, group.heading.done)
    for each in fields:
        if each.kind is FieldKind.MODE:
            found.parallel = bool(_PARALLEL.match(each.value))
        elif each.kind is FieldKind.STATUS and not group.heading.done:
            found.done = says_done(each.value)
        elif each.kind in (FieldKind.NEEDS, FieldKind.PREREQUISITES):
            lines, _ = need_lines(body, each)
            found.needs.extend(_need_lines(lines, each, problems))
    report_misplaced(body, problems)
    return found


def report_misplaced(body: Body, problems: Problems) -> None:
    """Tell the blocks of ours in a text that belongs to no task."""
    remedies = {OVERRIDES: "below a task's heading, or use the front matter", REHEARSAL: "below a task's heading"}
    for label, remedy in remedies.items():
        for fence in blocks_of(body, label):
            problems.error(fence.first + 1, f"this '{label}' block belongs to no task. Put it {remedy}.")


def _need_lines(lines: list[tuple[str, int]], source: Field, problems: Problems) -> list[NeedLine]:
    found = []
    for text, line in lines:
        references = tuple(read_references(text, bare=source.kind is FieldKind.NEEDS))
        if references:
            found.append(NeedLine(references, line))
        elif not says_none(text):
            problems.note(
                line, f"'{text}' names no batch or task, so that nothing is ordered by it. Write for example 'Batch 1'."
            )
    return found
