"""``**Reference:**``: the task's own solution, as whole files, a diff or a script. Never part of a prompt."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pytest_pipeline.plans.fences import Fence
from pytest_pipeline.plans.fields import Body, Field, is_ours
from pytest_pipeline.plans.files import normal_path, path_problem
from pytest_pipeline.plans.model import ReferenceForm, ReferencePart

FORMS = (
    "Label the block with a path (```python path=src/a.py, ```src/a.py, or a line `src/a.py`: before it), "
    "with diff, or with sh"
)
_DIFF = frozenset(("diff", "patch"))
_SHELL = frozenset(("sh", "bash", "shell"))
_ATTRIBUTE = re.compile(r"(?:^|\s)path=(?:\"(?P<double>[^\"]+)\"|'(?P<single>[^']+)'|(?P<bare>\S+))")
_PATHLIKE = re.compile(r"[^\s{}=:]*(?:/[^\s{}=:]+|\.[\w-]+)$")
_LINE_BEFORE = re.compile(r"[ \t]*(?:[-*+][ \t]+|\d{1,3}[.)][ \t]+)?\**`(?P<path>[^`]+)`\**\s*[:：]?\**\s*$")


@dataclass
class ReferenceRead:
    """What one reference field holds."""

    parts: list[ReferencePart] = field(default_factory=list)
    errors: list[tuple[int, str]] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)


def fences_of(body: Body, source: Field) -> list[Fence]:
    """The fenced blocks below a field, without those that are ours."""
    fences = (fence for _, _, fence in body.walk(source.start, source.end))
    return [fence for fence in fences if fence is not None and not is_ours(fence)]


def read_reference(body: Body, source: Field) -> ReferenceRead:
    """Read one reference field; every fenced block below it is a part of the solution."""
    found = ReferenceRead()
    before = source.value
    for index, line, fence in body.walk(source.start, source.end):
        if fence is not None and not is_ours(fence):
            _read_part(body, index + 1, fence, before, found)
            before = ""
        elif fence is None and line.strip():
            before = line
    if not found.parts and not found.errors and not found.faults:
        found.errors.append((source.line, f"**Reference:** holds no fenced block. {FORMS}."))
    return found


def _read_part(body: Body, line: int, fence: Fence, before: str, found: ReferenceRead) -> None:
    if not fence.closed:
        found.errors.append((line, f"this block is never closed. End it with a line of {fence_mark(body, fence)}."))
        return
    word = (fence.info.split() or [""])[0].lower()
    content = fence.content(body.lines)
    path = "" if word in _DIFF else _path_of(fence.info, before)
    if path:
        if problem := path_problem(path):
            found.faults.append((line, problem))
        else:
            found.parts.append(ReferencePart(ReferenceForm.FILE, content, line, normal_path(path)))
    elif word in _DIFF or word in _SHELL:
        form = ReferenceForm.DIFF if word in _DIFF else ReferenceForm.SHELL
        found.parts.append(ReferencePart(form, content, line))
    else:
        shown = f"'{fence.info}'" if fence.info else "nothing"
        found.errors.append(
            (line, f"this block of the reference is labelled with {shown}, which names no file. {FORMS}.")
        )


def fence_mark(body: Body, fence: Fence) -> str:
    """The characters that opened a block, and so close it."""
    match = re.search(r"`{3,}|~{3,}", body.lines[fence.first])
    return match[0] if match else "```"


def _path_of(info: str, before: str) -> str:
    if match := _ATTRIBUTE.search(info):
        return match["double"] or match["single"] or match["bare"]
    for word in info.split()[:2]:
        if _PATHLIKE.match(word):
            return word
    match = _LINE_BEFORE.match(before)
    return match["path"].strip() if match else ""
