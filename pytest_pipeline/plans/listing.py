"""What stands below a field as a sequence: list items, paragraphs and fenced blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_pipeline.plans.fences import Fence
from pytest_pipeline.plans.fields import Body, Field

_ITEM = re.compile(r"(?P<indent>[ \t]*)(?:[-*+•]|\d{1,3}[.)])[ \t]+(?:\[.\](?:[ \t]+|$))?(?P<text>.*)$")


@dataclass
class Entry:
    """One list item or paragraph (its lines joined by line ends), or one fenced block.

    ``indent`` is -1 for a paragraph, ``follows_blank`` tells whether an empty line stands before it, ``index`` is its
    line.
    """

    text: str
    index: int
    indent: int = -1
    follows_blank: bool = False
    fence: Fence | None = None

    @property
    def line(self) -> int:
        """Line number, from 1."""
        return self.index + 1

    @property
    def sentence(self) -> str:
        """The text on one line."""
        return " ".join(self.text.split())


def read_entries(body: Body, field: Field) -> Iterator[Entry]:
    """The value on the field's own line first, then what stands below it."""
    current = Entry(field.value, field.index) if field.value else None
    blank = False
    for index, line, fence in body.walk(field.start, field.end):
        if fence is not None:
            if current is not None:
                yield current
            yield Entry("", index, follows_blank=blank, fence=fence)
            current, blank = None, False
        elif not line.strip():
            blank = True
        else:
            match = _ITEM.match(line)
            if match is None and current is not None and _continues(current, line, blank=blank):
                current.text = f"{current.text}\n{line.strip()}"
            else:
                if current is not None:
                    yield current
                current = _entry(match, line, index, blank=blank)
            blank = False
    if current is not None:
        yield current


def _continues(current: Entry, line: str, *, blank: bool) -> bool:
    if not blank:
        return True
    return current.indent >= 0 and _width(line) > current.indent


def _entry(match: re.Match[str] | None, line: str, index: int, *, blank: bool) -> Entry:
    if match is None:
        return Entry(line.strip(), index, follows_blank=blank)
    return Entry(match["text"].strip(), index, len(match["indent"].expandtabs(4)), blank)


def _width(line: str) -> int:
    wide = line.expandtabs(4)
    return len(wide) - len(wide.lstrip())
