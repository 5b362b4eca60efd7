"""One task's lines become a Task: its fields are read and everything else is what the agent is told."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pytest_pipeline.errors import Diagnostic
from pytest_pipeline.plans.checks import read_item, read_verification
from pytest_pipeline.plans.expect import Expected, read_expect
from pytest_pipeline.plans.fences import Fence
from pytest_pipeline.plans.fields import (
    OVERRIDES,
    REHEARSAL,
    Body,
    Field,
    FieldKind,
    blocks_of,
    read_body,
    split_fields,
    steps_are_done,
    text_of,
)
from pytest_pipeline.plans.files import read_files
from pytest_pipeline.plans.front_matter import read_options
from pytest_pipeline.plans.listing import read_entries
from pytest_pipeline.plans.model import (
    Check,
    Expectation,
    FileChange,
    Options,
    ProseCheck,
    ReferencePart,
    RefusedCheck,
    Status,
    Task,
    Verb,
)
from pytest_pipeline.plans.needs import Reference, read_references, says_none
from pytest_pipeline.plans.outline import Outline, TaskBlock
from pytest_pipeline.plans.problems import Problems
from pytest_pipeline.plans.reference import fences_of, read_reference
from pytest_pipeline.plans.rehearsal import read_trouble
from pytest_pipeline.trouble import Trouble

_DONE = re.compile(r"\W*(?:complete|completed|done|finished)\b|\W*?[✅✔☑]|\W*\[x\]", re.I)
_HASH = re.compile(r"[0-9a-f]{7,40}$")


@dataclass(frozen=True, slots=True)
class NeedLine:
    """The ids that one line of a dependency names."""

    references: tuple[Reference, ...]
    line: int


@dataclass
class TaskDraft:
    """A task before its dependencies are resolved."""

    task: Task
    needs: list[NeedLine]


@dataclass
class _Gathered:
    """What the fields of one body say."""

    text: str = ""
    text_end: int = -1  # index after the field that gave the last text
    files: list[FileChange] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    acceptance: list[ProseCheck] = field(default_factory=list)
    needs: list[NeedLine] = field(default_factory=list)
    reference: list[ReferencePart] = field(default_factory=list)
    expected: Expected = field(default_factory=Expected)
    faults: list[Diagnostic] = field(default_factory=list)
    commit: str = ""
    status: str | None = None


def read_task(outline: Outline, block: TaskBlock, problems: Problems, *, group_done: bool) -> TaskDraft:
    """Read one task.

    Args:
        outline: the file.
        block: the task's place in it.
        problems: where errors and notes go.
        group_done: whether the task's group is marked as completed.
    """
    body = read_body(outline.lines, block.start, block.end, outline.hidden, block.indent)
    fields = split_fields(body)
    gathered = _Gathered()
    for each in fields:
        _read_field(body, each, gathered, problems)
    done = _is_done(block, body, fields, gathered, group_done=group_done)
    for check in gathered.checks:
        if isinstance(check, RefusedCheck):
            problems.note(check.line, f"not run: {check.command.splitlines()[0]!r}, because {check.reason}.")
    task = Task(
        id=block.heading.id,
        title=block.heading.title,
        prompt=gathered.text or block.heading.title,
        line=block.line,
        files=tuple(gathered.files),
        verification=tuple(sorted(gathered.checks, key=lambda check: check.line)),
        acceptance=tuple(gathered.acceptance),
        status=Status.COMPLETED if done else Status.OPEN,
        expect=gathered.expected.whole or _default_expectation(gathered.files, gathered.faults),
        conditions=tuple(gathered.expected.conditions),
        commit_subject=_commit_subject(gathered.commit, done=done),
        reference=tuple(gathered.reference),
        options=_read_overrides(body, problems),
        trouble=_read_rehearsal(body, problems),
        faults=tuple(gathered.faults),
    )
    return TaskDraft(task, gathered.needs)


def _read_field(body: Body, source: Field, gathered: _Gathered, problems: Problems) -> None:
    kind = source.kind
    if kind in (FieldKind.TEXT, FieldKind.PROMPT, FieldKind.MODE):
        _add_text(body, source, gathered)
    elif kind is FieldKind.FILES:
        _read_files(body, source, gathered, problems)
    elif kind is FieldKind.VERIFICATION:
        gathered.checks.extend(read_verification(body, source))
    elif kind is FieldKind.ACCEPTANCE:
        _read_acceptance(body, source, gathered)
    elif kind in (FieldKind.NEEDS, FieldKind.PREREQUISITES):
        _read_needs(body, source, gathered, problems)
    elif kind is FieldKind.EXPECT:
        _read_expect(body, source, gathered, problems)
    elif kind is FieldKind.REFERENCE:
        _read_reference(body, source, gathered, problems)
    else:
        if kind is FieldKind.COMMIT:
            gathered.commit = source.value
        else:
            gathered.status = source.value
        _add_rest(body, source, source.start, gathered)


def _add_text(body: Body, source: Field, gathered: _Gathered) -> None:
    """Tell the agent what a field says; fields that touch in the file touch in the prompt."""
    text = text_of(body, source)
    if text:
        touching = gathered.text_end == source.index and body.lines[source.index - 1].strip()
        gathered.text += ("\n" if touching else "\n\n" if gathered.text else "") + text
        gathered.text_end = source.end


def _add_rest(body: Body, source: Field, start: int | None, gathered: _Gathered) -> None:
    """What stands below a field and is no part of it is text for the agent."""
    if start is not None and start < source.end:
        _add_text(body, Field(FieldKind.TEXT, "", "", start, start, source.end), gathered)


def _read_files(body: Body, source: Field, gathered: _Gathered, problems: Problems) -> None:
    found = read_files(body, source)
    gathered.files.extend(found.changes)
    for command, line in found.commands:
        gathered.checks.extend(read_item(f"`{command}`", line))
    gathered.faults.extend(problems.at(line, message) for line, message in found.faults)
    for line, message in found.errors:
        problems.error(line, message)
    for line, text in found.unread:
        problems.note(line, f"'{text}' is not understood as a file. Write it as 'Create: path' if it is one.")
    _add_rest(body, source, found.rest_from, gathered)


def _read_acceptance(body: Body, source: Field, gathered: _Gathered) -> None:
    entries = [entry for entry in read_entries(body, source) if entry.fence is None]
    for number, entry in enumerate(entries):
        following = entries[number + 1] if number + 1 < len(entries) else None
        is_label = entry.sentence.endswith(":") and following is not None and following.indent > entry.indent
        if entry.sentence and not is_label:
            gathered.acceptance.append(ProseCheck(entry.sentence, entry.line))


def _read_needs(body: Body, source: Field, gathered: _Gathered, problems: Problems) -> None:
    lines, rest_from = need_lines(body, source)
    prose = [line for text, line in lines if not says_none(text) and not _references(text, source)]
    gathered.needs.extend(NeedLine(tuple(_references(text, source)), line) for text, line in lines if line not in prose)
    if prose:
        problems.note(
            prose[0],
            f"'{source.name.strip(':')}' names no task or batch here, so that it is left to the agent. "
            "Write for example 'Task 1.1' or 'Batch 1' if the order matters.",
        )
        _add_text(body, Field(FieldKind.TEXT, source.name, "", source.index, source.start, source.end), gathered)
    else:
        _add_rest(body, source, rest_from, gathered)


def _references(text: str, source: Field) -> list[Reference]:
    return read_references(text, bare=source.kind is FieldKind.NEEDS)


def need_lines(body: Body, source: Field) -> tuple[list[tuple[str, int]], int | None]:
    """The lines of a dependency field, and the index where ordinary text goes on."""
    found: list[tuple[str, int]] = []
    for number, entry in enumerate(read_entries(body, source)):
        if entry.fence is not None or (number > 0 and (source.value or entry.indent < 0)):
            return found, entry.index
        first, *others = entry.text.split("\n") if source.value else [entry.sentence]
        found.append((first, entry.line))
        if others:
            return found, entry.index + 1
    return found, None


def _read_expect(body: Body, source: Field, gathered: _Gathered, problems: Problems) -> None:
    expected = gathered.expected
    before = len(expected.errors), len(expected.faults)
    expected.rest_from = None
    read_expect(body, source, expected)
    for line, message in expected.errors[before[0] :]:
        problems.error(line, message)
    gathered.faults.extend(problems.at(line, message) for line, message in expected.faults[before[1] :])
    _add_rest(body, source, expected.rest_from, gathered)


def _read_reference(body: Body, source: Field, gathered: _Gathered, problems: Problems) -> None:
    if source.value and not fences_of(body, source):
        _add_text(body, source, gathered)  # "**Reference:** docs/design.md" is a hint, not a solution
        return
    found = read_reference(body, source)
    gathered.reference.extend(found.parts)
    for line, message in found.errors:
        problems.error(line, message)
    gathered.faults.extend(problems.at(line, message) for line, message in found.faults)


def _read_overrides(body: Body, problems: Problems) -> Options:
    fence = _only_block(body, OVERRIDES, "Put all its keys into one.", problems)
    if fence is None:
        return Options()
    content, line = fence.content(body.lines), fence.first + 1
    return read_options(content, line + 1, problems, where=f"the '{OVERRIDES}' block", whole_run=("base",))


def _read_rehearsal(body: Body, problems: Problems) -> Trouble | None:
    fence = _only_block(body, REHEARSAL, "Keep one of them.", problems)
    return None if fence is None else read_trouble(fence.content(body.lines), fence.first + 1, problems)


def _only_block(body: Body, label: str, remedy: str, problems: Problems) -> Fence | None:
    fences = blocks_of(body, label)
    for second in fences[1:]:
        problems.error(second.first + 1, f"a task has more than one '{label}' block. {remedy}")
    return fences[0] if fences else None


def says_done(status: str) -> bool:
    """Whether a status field says that the work is done."""
    return bool(_DONE.match(status))


def _is_done(block: TaskBlock, body: Body, fields: list[Field], gathered: _Gathered, *, group_done: bool) -> bool:
    """Heading, then field, then steps, then group: the first that says something decides."""
    if block.heading.done is not None:
        return block.heading.done
    if gathered.status:
        return says_done(gathered.status)
    return steps_are_done(body, fields) or group_done


def _default_expectation(files: list[FileChange], faults: list[Diagnostic]) -> Expectation:
    if files and not faults and all(change.verb is Verb.READ for change in files):
        return Expectation.NO_CHANGES
    return Expectation.CHANGES


def _commit_subject(value: str, *, done: bool) -> str | None:
    subject = value.strip()
    if len(subject) > 1 and subject[0] == subject[-1] and subject[0] in '`"':
        subject = subject.strip(subject[0]).strip()
    if not subject or (done and _HASH.match(subject)):
        return None
    return subject
