"""The headings that make a plan: groups of tasks, tasks, and tasks written as checkboxes. One line at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass

_KEYWORDS = "Batch|Phase|Stage|Milestone|Wave|Sprint|Week|Chunk|Epic|Track|Part"
_NUMBER = r"\d+(?:\.\d+)*[a-z]?(?:-[a-z]\w*)?|(?-i:[IVXLCDM]+|[A-Z])"
_ID = r"(?-i:[A-Z]{0,4})-?\d\w*(?:[.-]\w+)*"
_DECORATION = r"(?:[^\w\[]|\[(?P<box>.)\])*"

GROUP = re.compile(rf"{_DECORATION}(?P<word>{_KEYWORDS})\s+#?(?P<number>{_NUMBER})(?!\w)(?P<rest>.*)$", re.I)
TASK = re.compile(rf"{_DECORATION}(?:Task\s*|任务\s*|タスク\s*)#?(?P<id>{_ID})(?!\w)(?P<rest>.*)$", re.I)
CHECKBOX_TASK = re.compile(
    r"(?P<indent>[ \t]*)(?:[-*+]|\d{1,3}[.)])[ \t]+(?P<text>\[.\][ \t]+\W*(?:Task|任务|タスク).*)$", re.I
)
ID = re.compile(_ID)

_DONE = r"(?:[✅✔☑]\ufe0f?|\(\s*(?:[✅✔☑]\ufe0f?\s*)?(?:completed?|done|finished)\s*\))"
_DONE_AHEAD = re.compile(r"\W*?[✅✔☑]")
_DONE_BEHIND = re.compile(rf"\s*{_DONE}(?:\s*(?:completed?|done|finished))?[\s*]*$", re.I)
# A separator is required before a title: "Phase 2 Validation Summary" is an ordinary section.
_REST = re.compile(
    rf"""\**\s*(?P<done>{_DONE})?\s*\**(?:
        \s*[:：]\**(?P<colon>.*)
        | \.\**(?:\s(?P<dot>.*))?
        | (?:(?<=\s)|\s)(?:-{{1,2}}|–|—)\s(?P<dash>.*)
        | \((?P<bracket>.*)
        | [^\w]*
    )$""",
    re.I | re.X,
)


@dataclass(frozen=True, slots=True)
class GroupHeading:
    """``Batch 3: Title``; ``done`` when the heading itself says so."""

    keyword: str
    number: str
    title: str
    done: bool


@dataclass(frozen=True, slots=True)
class TaskHeading:
    """``Task 1.1: Title``; ``done`` is None where the heading says nothing, False for an empty checkbox."""

    id: str
    title: str
    done: bool | None


def read_group(text: str) -> GroupHeading | None:
    """A group's heading without its hash signs, or None when the text is something else."""
    match = GROUP.match(text)
    title = None if match is None else _read_title(match)
    if match is None or title is None:
        return None
    keyword = match["word"].capitalize()
    return GroupHeading(keyword, match["number"], title[0] or f"{keyword} {match['number']}", bool(title[1]))


def read_task(text: str) -> TaskHeading | None:
    """A task's heading without its hash signs or list marker, or None when the text is something else."""
    match = TASK.match(text)
    title = None if match is None else _read_title(match)
    if match is None or title is None:
        return None
    return TaskHeading(match["id"], title[0] or f"Task {match['id']}", title[1])


def _read_title(match: re.Match[str]) -> tuple[str, bool | None] | None:
    """Title and status of what stands around the number; None when there is no separator."""
    text, done = match["rest"], _status_of_box(match["box"])
    if _DONE_AHEAD.match(match.string, 0, match.start("rest")) and done is None:
        done = True
    while behind := _DONE_BEHIND.search(text):
        text, done = text[: behind.start()], True
    rest = _REST.match(text)
    if rest is None:
        return None
    if rest["done"]:
        done = True
    title = rest["colon"] or rest["dot"] or rest["dash"] or _bracketed(rest["bracket"])
    return _clean(title), done


def _status_of_box(state: str | None) -> bool | None:
    if state is None:
        return None
    return state in "xXvV✓✔"


def _bracketed(text: str | None) -> str:
    if not text:
        return ""
    return text[:-1] if text.endswith(")") and "(" not in text else f"({text}"


def _clean(title: str) -> str:
    title = title.strip()
    while title.startswith("**") and title.count("**") == 1:
        title = title[2:].strip()
    return title[:-2].rstrip() if title.endswith("**") and title.count("**") % 2 else title
