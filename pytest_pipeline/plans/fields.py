"""A task's body, cut into fields: ``**Files:**``, ``- **Depends on**: 1.1``, free text between them."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pytest_pipeline.plans.fences import HEADING, Fence, find_fences, outdent
from pytest_pipeline.plans.model import Verb


class FieldKind(enum.Enum):
    """What a field is about; everything that is not recognised is text for the agent."""

    TEXT = "text"
    PROMPT = "prompt"
    FILES = "files"
    VERIFICATION = "verification"
    ACCEPTANCE = "acceptance"
    NEEDS = "needs"
    PREREQUISITES = "prerequisites"
    COMMIT = "commit"
    STATUS = "status"
    EXPECT = "expect"
    REFERENCE = "reference"
    MODE = "mode"


NAMES: Mapping[str, FieldKind] = {
    **dict.fromkeys(("implementation", "description"), FieldKind.PROMPT),
    **dict.fromkeys(
        ("files", "file", "file(s)", "new files", "new file", "modified files", "修改文件", "文件", "ファイル"),
        FieldKind.FILES,
    ),
    **dict.fromkeys(("files changed", "files modified", "files created", "files deleted"), FieldKind.FILES),
    **dict.fromkeys(
        ("verification", "verify", "verification steps", "validation", "test command"), FieldKind.VERIFICATION
    ),
    **dict.fromkeys(
        ("acceptance criteria", "acceptance", "ac", "done when", "done-when", "success criteria"), FieldKind.ACCEPTANCE
    ),
    **dict.fromkeys(("depends on", "dependencies", "dependency", "deps", "blocked by"), FieldKind.NEEDS),
    **dict.fromkeys(("prerequisites", "prerequisite"), FieldKind.PREREQUISITES),
    "commit": FieldKind.COMMIT,
    "status": FieldKind.STATUS,
    "expect": FieldKind.EXPECT,
    "reference": FieldKind.REFERENCE,
    "execution mode": FieldKind.MODE,
}

_FILES_TO = re.compile(r"files?(?:\(s\))? to (?P<verbs>(?:create|modify|update|delete|read|/| |or|and)+)$")
_FIELD = re.compile(
    r"(?P<indent>[ \t]*)(?P<bullet>(?:[-*+]|\d{1,3}[.)])[ \t]+(?:\[.\][ \t]+)?)?"
    r"\*\*(?P<name>[^*]{1,80}?)(?:(?P<colon>[:：])[ \t]*\*\*|\*\*[ \t]*(?P<outside>[:：])|\*\*(?=[ \t]*$))"
    r"[ \t]*(?P<value>.*)$"
)
_STEP = re.compile(r"[ \t]*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+(?:\[.\][ \t]+)?)?\*\*(?:Step|步骤|ステップ)\s*\d", re.I)
_RULE = re.compile(r" {0,3}-{3,}[ \t]*$")
_BOX = re.compile(r"[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+\[(?P<state>.)\][ \t]")
OVERRIDES = "yaml pipeline"
REHEARSAL = "yaml rehearsal"
_OURS = (OVERRIDES.split(), REHEARSAL.split())


@dataclass
class Field:
    """One field: its value on the field's own line, and the lines below it, ``[start, end)``. ``index`` is its line."""

    kind: FieldKind
    name: str
    value: str
    index: int
    start: int
    end: int
    indent: int = 0
    bulleted: bool = False

    @property
    def line(self) -> int:
        """Line number, from 1."""
        return self.index + 1


@dataclass(frozen=True, slots=True)
class Body:
    """The lines of a task or of a group's own text, with its fences; ``hidden`` lines are HTML comments."""

    lines: Sequence[str]
    start: int
    end: int
    fences: Mapping[int, Fence]
    hidden: frozenset[int] | set[int]
    indent: int = 0  # of every line, where the task is a checkbox item

    def walk(self, start: int, end: int) -> Iterator[tuple[int, str, Fence | None]]:
        """Each line in turn; a fenced block comes as one, with its opening line. Comments are passed over."""
        index = start
        while index < end:
            fence = self.fences.get(index)
            if index not in self.hidden:
                yield index, self.lines[index], fence
            index = fence.last + 1 if fence is not None else index + 1

    def past(self, fence: Fence) -> int:
        """Index of the first line after a fenced block."""
        return min(fence.last + 1, self.end)


def read_body(lines: Sequence[str], start: int, end: int, hidden: set[int], indent: int = 0) -> Body:
    """Take ``lines[start:end]`` as a body, whose lines are all indented by ``indent`` columns."""
    fences = {fence.first: fence for fence in find_fences(lines, start, end)}
    return Body(lines, start, end, fences, hidden, indent)


@lru_cache(maxsize=1024)
def kind_of(name: str) -> FieldKind:
    """What a field of this name is about, whatever its case and decoration."""
    plain = " ".join(name.lower().split()).strip(" :：*_`")
    kind = NAMES.get(plain)
    if kind is None:
        plain = re.sub(r"^\W+|\s*\([^()]*\)$", "", plain).strip()
        kind = FieldKind.FILES if _FILES_TO.match(plain) else NAMES.get(plain)
    return kind or FieldKind.TEXT


@lru_cache(maxsize=1024)
def default_verb(name: str) -> Verb:
    """What a files field says by its name about items without a verb of their own."""
    words = set(re.findall(r"[a-z]+|修改", name.lower()))
    create = bool(words & {"create", "created", "new"})
    modify = bool(words & {"modify", "modified", "update", "修改"})
    if words & {"delete", "deleted"}:
        return Verb.CHANGE if create or modify else Verb.DELETE
    if "read" in words:
        return Verb.CHANGE if create or modify else Verb.READ
    if create == modify:
        return Verb.CHANGE
    return Verb.CREATE if create else Verb.MODIFY


def split_fields(body: Body) -> list[Field]:
    """Cut a body into fields, in document order; text outside any field is a field without a name."""
    return _Splitter(body).split()


class _Splitter:
    def __init__(self, body: Body) -> None:
        self._body = body
        self._done: list[Field] = []
        self._open = Field(FieldKind.TEXT, "", "", body.start, body.start, body.start)

    def split(self) -> list[Field]:
        for index, line, fence in self._body.walk(self._body.start, self._body.end):
            if fence is not None:
                if is_ours(fence) and self._open.kind is not FieldKind.REFERENCE:  # which goes on behind it
                    self._close(index)
                    self._start_text(self._body.past(fence))
            elif "**" in line and (match := _FIELD.match(line) or _STEP.match(line)):
                if match.re is _FIELD and not _STEP.match(line):
                    self._take(index, match)
                else:
                    self._break(index, is_rule=False)
            elif line[:4].lstrip(" ")[:1] in ("#", "-") and (_RULE.match(line) or HEADING.match(line)):
                self._break(index, is_rule=bool(_RULE.match(line)))
        self._close(self._body.end)
        return self._done

    def _take(self, index: int, match: re.Match[str]) -> None:
        kind = kind_of(match["name"])
        labelled = bool(match["colon"] or match["outside"])
        indent, bulleted = len(match["indent"].expandtabs(4)), bool(match["bullet"])
        if not self._begins(kind, indent, bulleted=bulleted, labelled=labelled):
            return
        self._close(index)
        self._open = Field(kind, match["name"], match["value"].strip(), index, index + 1, index + 1, indent, bulleted)

    def _begins(self, kind: FieldKind, indent: int, *, bulleted: bool, labelled: bool) -> bool:
        current, known = self._open, kind is not FieldKind.TEXT
        if not current.name:
            return (known and (labelled or not bulleted)) or (not bulleted and labelled)
        if indent > current.indent:
            return False
        if current.kind is FieldKind.REFERENCE:
            return known
        if not bulleted or current.bulleted:
            return known or labelled or not bulleted
        return known and not self._holds_items(current)

    @staticmethod
    def _holds_items(field: Field) -> bool:
        """Whether bulleted lines below this field are its own text: no value on its line, and no list of ours."""
        return field.kind in (FieldKind.TEXT, FieldKind.PROMPT) and not field.value

    def _break(self, index: int, *, is_rule: bool) -> None:
        """A heading, a step or a rule ends a field; the first two are text, the rule is nothing."""
        if self._open.kind is not FieldKind.REFERENCE:
            self._close(index)
            self._start_text(index + 1 if is_rule else index)

    def _start_text(self, index: int) -> None:
        self._open = Field(FieldKind.TEXT, "", "", index, index, index)

    def _close(self, index: int) -> None:
        current = self._open
        if current.name or current.start < index:
            current.end = index
            self._done.append(current)


def is_ours(fence: Fence) -> bool:
    """Whether a block speaks to us: it is part of no field, and the agent is not told of it."""
    return fence.info.split() in _OURS


def blocks_of(body: Body, label: str) -> list[Fence]:
    """The blocks of a body with one of our labels."""
    wanted = label.split()
    return [fence for fence in body.fences.values() if fence.info.split() == wanted and fence.first not in body.hidden]


def steps_are_done(body: Body, fields: Sequence[Field]) -> bool:
    """Whether the body has steps with checkboxes and all are ticked; criteria and checks are not steps."""
    states = [
        match["state"]
        for field in fields
        if field.kind in (FieldKind.TEXT, FieldKind.PROMPT)
        for index, line, fence in body.walk(field.index, field.end)
        if fence is None and "[" in line and (match := _BOX.match(line))
    ]
    return bool(states) and all(state in "xXvV✓✔" for state in states)


def text_of(body: Body, field: Field) -> str:
    """What a field tells the agent: its lines as they are, without the label of Implementation and Description."""
    start = field.start if field.kind is FieldKind.PROMPT or not field.name else field.index
    lines: list[str] = []
    for index, line, fence in body.walk(start, field.end):
        if fence is None:
            lines.append(line)
        elif not is_ours(fence):
            lines.extend(body.lines[index : min(fence.last + 1, field.end)])
    if body.indent:
        lines = [outdent(line, body.indent) for line in lines]
    if field.kind is FieldKind.PROMPT and field.value:
        lines.insert(0, field.value)
    return _trim(lines)


def _trim(lines: Sequence[str]) -> str:
    """Lines as one text without the empty lines around it."""
    first, last = 0, len(lines)
    while first < last and not lines[first].strip():
        first += 1
    while last > first and not lines[last - 1].strip():
        last -= 1
    return "\n".join(lines[first:last])
