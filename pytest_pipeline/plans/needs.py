"""What a dependency says: ``Batch 1, 2``, ``Task 4, Task 5``, ``1.1 and 1.2``, ``None``."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

_GROUP_WORDS = r"batch(?:es)?|phases?|stages?|milestones?|waves?|sprints?|weeks?|chunks?|epics?|tracks?|parts?"
_ID = r"(?-i:[A-Z]{0,4})-?\d\w*(?:[.-]\w+)*"
_GROUP_ID = rf"{_ID}|(?-i:[IVXLCDM]+|[A-Z])(?!\w)"
_JOINT = r"\s*(?:,|;|&|\+|/|\band\b|,\s*and\b|und\b)\s*"
_NAMED = re.compile(
    rf"\b(?:(?P<group>{_GROUP_WORDS})\s+#?(?P<groups>(?:{_GROUP_ID})(?:{_JOINT}#?(?:{_ID}))*)"
    rf"|(?P<task>tasks?|任务|タスク)\s*#?(?P<tasks>{_ID}(?:{_JOINT}#?{_ID})*))",
    re.I,
)
_BARE = re.compile(rf"#?(?:{_ID})(?:{_JOINT}#?(?:{_ID}))*$")
_ONE = re.compile(_GROUP_ID)
_NONE = re.compile(r"\W*(?:(?:none|nothing|n/?a|no dependencies|independent|无|なし)\b.*|无|なし)?\W*$", re.I)
_RANGE = re.compile(r"(?P<head>(?:\d+\.)*)(?P<first>\d+)\s*[-–]\s*(?P=head)(?P<last>\d+)$")


class NeedKind(enum.Enum):
    """Whether a reference names a task, a group, or leaves that open."""

    TASK = "task"
    GROUP = "group"
    EITHER = "either"


@dataclass(frozen=True)
class Reference:
    """One id that a dependency names; ``keyword`` is the word before a group's number, for example Batch."""

    kind: NeedKind
    id: str
    keyword: str = ""


def says_none(text: str) -> bool:
    """Whether the text says that there is no dependency."""
    return bool(_NONE.match(text))


def read_references(text: str, *, bare: bool = True) -> list[Reference]:
    """The ids that a dependency names, in order; empty when it is prose.

    Args:
        text: the value of the field, on one line.
        bare: whether ids without the word Task or Batch before them count.
    """
    plain = re.sub(r"\([^()]*\)", " ", text.replace("`", " ").replace("**", " "))
    plain = re.sub(r"(?<=\d)\s*–\s*(?=\d)", "-", plain).strip().rstrip(".").strip()
    found: list[Reference] = []
    for match in _NAMED.finditer(plain):
        kind = NeedKind.GROUP if match["group"] else NeedKind.TASK
        keyword = _singular(match["group"]) if match["group"] else ""
        found.extend(Reference(kind, each, keyword) for each in _ONE.findall(match["groups"] or match["tasks"]))
    if not found and bare and _BARE.match(plain):
        found.extend(Reference(NeedKind.EITHER, each) for each in _ONE.findall(plain))
    return found


def _singular(word: str) -> str:
    word = word.capitalize()
    return "Batch" if word == "Batches" else word.removesuffix("s")


def expand_range(text: str) -> list[str]:
    """``1-3`` as 1, 2, 3 and ``1.2-1.4`` as 1.2, 1.3, 1.4; empty when it is no range of reasonable length."""
    match = _RANGE.match(text)
    if match is None or len(match["first"]) > 6 or len(match["last"]) > 6:
        return []
    first, last = int(match["first"]), int(match["last"])
    if not first <= last < first + 1000:
        return []
    return [f"{match['head']}{number}" for number in range(first, last + 1)]


def within(span: str, number: str) -> bool:
    """Whether a batch's number lies in a range: ``2``, ``2.1`` and ``2b`` lie in ``2-4``; letters lie in none.

    Args:
        span: as :func:`pytest_pipeline.values.span` writes it.
        number: the number as the plan writes it.
    """
    first, _, last = span.partition("-")
    whole = re.match("[0-9]+", number)
    return whole is not None and int(first) <= int(whole[0]) <= int(last or first)
