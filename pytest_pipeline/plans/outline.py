"""The skeleton of a file: which lines belong to which group and which task. Nothing inside a task is read here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pytest_pipeline.plans.fences import FENCE, HEADING, FenceStack, StrictFences, find_fences
from pytest_pipeline.plans.grammar import CHECKBOX_TASK, GroupHeading, TaskHeading, read_group, read_task

_INTERESTING = re.compile(r"[ \t]*(?:#|<!--|```|~~~|(?:[-*+]|\d{1,9}[.)])[ \t]+(?:\[|```|~~~|[-*+\d]))")
_LONGEST = 2000  # characters; a longer line is no heading, and not worth the backtracking
_COMMENT = re.compile(r" {0,3}<!--")


@dataclass
class TaskBlock:
    """A task's heading and the lines of its body, ``lines[start:end]``; ``indent`` is their depth below a checkbox."""

    heading: TaskHeading
    start: int
    end: int = 0
    indent: int = 0

    @property
    def line(self) -> int:
        """Line number of the heading."""
        return self.start


@dataclass
class Group:
    """A group's heading, its own text ``lines[start:end]`` before the first task, and what stands under it."""

    heading: GroupHeading
    level: int
    start: int
    end: int = 0
    parent: Group | None = None
    tasks: list[TaskBlock] = field(default_factory=list)
    children: list[Group] = field(default_factory=list)
    closed_at: int = 0

    @property
    def line(self) -> int:
        """Line number of the heading."""
        return self.start


@dataclass
class Outline:
    """What a file consists of; ``loose`` are the tasks outside any group, ``hidden`` the lines of HTML comments."""

    lines: Sequence[str]
    title: str = ""
    groups: list[Group] = field(default_factory=list)
    loose: list[TaskBlock] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)
    open_comment: int | None = None

    @property
    def has_tasks(self) -> bool:
        """Whether any task was recognised."""
        return bool(self.loose) or any(group.tasks for group in self.groups)


@dataclass(frozen=True, slots=True)
class _Heading:
    index: int
    level: int
    text: str
    meaning: GroupHeading | TaskHeading | None


@dataclass(frozen=True, slots=True)
class _Box:
    index: int
    indent: int
    heading: TaskHeading


class _Scanner:
    """Walks the lines once and gives the headings that count, by the rule of the two scanners.

    A heading of a task or a group counts unless both scanners say that it stands in a fence, and then no fence is open
    after it. Any other heading counts only if neither says so: it must not cut a task short.
    """

    def __init__(self, lines: Sequence[str], start: int) -> None:
        self.lines = lines
        self.start = start
        self.boxes: list[_Box] = []
        self.hidden: set[int] = set()
        self.open_comment: int | None = None
        self._stack = FenceStack()
        self._strict = StrictFences(lines)
        self._strict.reset(start)
        self._fence_seen = False

    def headings(self) -> Iterator[_Heading]:
        interesting = _INTERESTING.match
        index, count = self.start, len(self.lines)
        while index < count:
            line = self.lines[index]
            if interesting(line):
                if not self._stack and _COMMENT.match(line):
                    index = self._skip_comment(index)
                    continue
                heading = self._read(index, line)
                if heading is not None:
                    yield heading
            index += 1

    def _skip_comment(self, first: int) -> int:
        """The index after the comment that begins on line ``first``; HTML comments may span paragraphs."""
        for index in range(first, len(self.lines)):
            line = self.lines[index]
            if "-->" in (line[line.index("<!--") + 4 :] if index == first else line):
                self.hidden.update(range(first, index + 1))
                return index + 1
        self.hidden.update(range(first, len(self.lines)))
        self.open_comment = first
        return len(self.lines)

    def _read(self, index: int, line: str) -> _Heading | None:
        if "```" in line or "~~~" in line:
            fence = FENCE.match(line)
            if fence is not None:
                self._stack.feed(fence)
                self._fence_seen = True
                return None
        match = HEADING.match(line) if len(line) <= _LONGEST else None
        if match is None:
            self._read_box(index, line)
            return None
        return self._read_heading(index, len(match["marks"]), match["text"] or "")

    def _read_heading(self, index: int, level: int, text: str) -> _Heading | None:
        meaning = (read_task(text) if level > 1 else None) or read_group(text)
        if meaning is None:
            if self._stack or (self._fence_seen and self._strict.inside(index)):
                return None
        elif self._stack and self._strict.inside(index):
            return None
        else:
            self._stack.reset()
            self._strict.reset(index)
            self._fence_seen = False
        return _Heading(index, level, text, meaning)

    def _read_box(self, index: int, line: str) -> None:
        match = None if self._stack else CHECKBOX_TASK.match(line)
        heading = None if match is None else read_task(match["text"])
        if match is not None and heading is not None:
            self.boxes.append(_Box(index, len(match["indent"].expandtabs(4)), heading))


def read_outline(lines: Sequence[str], start: int = 0) -> Outline:
    """Find groups and tasks.

    Args:
        lines: the file without line ends.
        start: index of the first line after the front matter.
    """
    scanner = _Scanner(lines, start)
    headings = _without_numbered_title(list(scanner.headings()))
    outline = Outline(lines, _title(headings), hidden=scanner.hidden, open_comment=scanner.open_comment)
    _Builder(outline).build(headings)
    _place_boxes(outline, scanner.boxes)
    return outline


def _title(headings: Sequence[_Heading]) -> str:
    named = [each for each in headings if each.meaning is None]
    best = next((each for each in named if each.level == 1), None)
    return best.text.strip("* ") if best is not None else ""


def _without_numbered_title(headings: list[_Heading]) -> list[_Heading]:
    """``# Sprint 4: ...`` as first heading is the title of the file, unless the file has more of its kind."""
    if headings and headings[0].level == 1 and isinstance(headings[0].meaning, GroupHeading):
        word = headings[0].meaning.keyword
        if not any(
            each.level == 1 and isinstance(each.meaning, GroupHeading) and each.meaning.keyword == word
            for each in headings[1:]
        ):
            first = headings[0]
            return [_Heading(first.index, first.level, first.text, None), *headings[1:]]
    return headings


class _Builder:
    """Puts headings into a tree: open groups on a stack, at most one open task."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._groups: list[Group] = []
        self._task: TaskBlock | None = None
        self._task_level = 0

    def build(self, headings: Sequence[_Heading]) -> None:
        for heading in headings:
            if isinstance(heading.meaning, TaskHeading):
                self._open_task(heading, heading.meaning)
            elif isinstance(heading.meaning, GroupHeading) and not self._is_section_of_task(heading, heading.meaning):
                self._open_group(heading, heading.meaning)
            else:
                self._plain(heading)
        end = len(self._outline.lines)
        self._close_task(end)
        self._close_groups(0, end)

    def _is_section_of_task(self, heading: _Heading, meaning: GroupHeading) -> bool:
        return self._task is not None and heading.level > self._task_level and meaning.keyword != "Batch"

    def _open_task(self, heading: _Heading, meaning: TaskHeading) -> None:
        self._close_task(heading.index)
        if self._groups and self._leaves(heading.level, self._groups[-1]):
            self._close_groups(self._groups[-1].level, heading.index)
        self._task = TaskBlock(meaning, heading.index + 1)
        self._task_level = heading.level
        if self._groups:
            group = self._groups[-1]
            group.end = group.end or heading.index
            group.tasks.append(self._task)
        else:
            self._outline.loose.append(self._task)

    def _leaves(self, level: int, group: Group) -> bool:
        """Whether a task at this level stands beside the group: the group's own tasks stood deeper."""
        return bool(group.tasks) and level <= group.level < self._task_level

    def _open_group(self, heading: _Heading, meaning: GroupHeading) -> None:
        self._close_task(heading.index)
        self._close_groups(heading.level, heading.index)
        parent = self._groups[-1] if self._groups else None
        group = Group(meaning, heading.level, heading.index + 1, parent=parent)
        if parent is not None:
            parent.end = parent.end or heading.index
            parent.children.append(group)
        self._outline.groups.append(group)
        self._groups.append(group)

    def _plain(self, heading: _Heading) -> None:
        if self._task is not None and heading.level <= self._task_level:
            self._close_task(heading.index)
        if self._groups and self._task is None:
            self._groups[-1].end = self._groups[-1].end or heading.index
        self._close_groups(heading.level, heading.index)

    def _close_task(self, index: int) -> None:
        if self._task is not None:
            self._task.end = index
            self._task = None

    def _close_groups(self, level: int, index: int) -> None:
        while self._groups and self._groups[-1].level >= level:
            group = self._groups.pop()
            group.end = group.end or index
            group.closed_at = index


def _place_boxes(outline: Outline, boxes: Sequence[_Box]) -> None:
    """Checkbox items are tasks in a group without heading tasks, or where the file has no other tasks at all."""
    if not boxes:
        return
    homes = _homes(outline)
    placed = False
    for place, box in enumerate(boxes):
        home = homes.get(box.index)
        if home is not None:
            limit = boxes[place + 1].index if place + 1 < len(boxes) else len(outline.lines)
            home.tasks.append(_block(outline, box, min(limit, home.closed_at)))
            placed = True
    if not placed and not outline.has_tasks:
        for place, box in enumerate(boxes):
            limit = boxes[place + 1].index if place + 1 < len(boxes) else len(outline.lines)
            outline.loose.append(_block(outline, box, limit))
    for group in outline.groups:
        if group.tasks:
            group.end = min(group.end, group.tasks[0].start - 1)


def _homes(outline: Outline) -> dict[int, Group]:
    """For each line the innermost group that holds it, without groups that have tasks under headings."""
    homes: dict[int, Group] = {}
    for group in outline.groups:  # parents come before their children, which overwrite them
        inner = range(group.start, group.closed_at)
        if group.tasks:
            for index in inner:
                homes.pop(index, None)
        else:
            homes.update(dict.fromkeys(inner, group))
    return homes


def _block(outline: Outline, box: _Box, limit: int) -> TaskBlock:
    """The item's body: what is indented deeper than its marker, also after empty lines."""
    lines = outline.lines
    fences = {fence.first: fence for fence in find_fences(lines, box.index + 1, limit)}
    index = end = box.index + 1
    while index < limit:
        line = lines[index]
        if line.strip():
            if len(line.expandtabs(4)) - len(line.expandtabs(4).lstrip()) <= box.indent:
                break
            index = fences[index].last if index in fences else index
            end = index + 1
        index += 1
    return TaskBlock(box.heading, box.index + 1, min(end, limit), box.indent + 2)
