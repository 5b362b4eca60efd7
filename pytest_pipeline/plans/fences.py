"""Which lines of a Markdown file stand in a fenced block, also where the author nested fences of the same length.

Strict CommonMark closes ```` ```markdown ```` at the first bare fence inside it; authors (and models) often mean the
last one. So there are two opinions: :func:`find_fences` nests, :class:`StrictFences` asks a CommonMark parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

FENCE = re.compile(
    r"(?P<indent>[ \t]*)(?P<bullet>(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*)"
    r"(?P<mark>`{3,}(?=[^`]*$)|~{3,})[ \t]*(?P<info>.*?)[ \t]*$"
)
HEADING = re.compile(r" {0,3}(?P<marks>#{1,6})(?:[ \t]+(?P<text>.*?))??(?:[ \t]+#+)?[ \t]*$")


@dataclass(frozen=True)
class Fence:
    """An outermost fenced block; ``first`` and ``last`` are its fence lines, ``last`` one past the end if unclosed."""

    first: int
    last: int
    info: str
    indent: int
    closed: bool = True

    def content(self, lines: Sequence[str]) -> str:
        """What stands between the fences, exactly, without the indentation of the opening fence."""
        inner = [outdent(line, self.indent) for line in lines[self.first + 1 : self.last]]
        return "".join(f"{line}\n" for line in inner)


def outdent(line: str, width: int) -> str:
    """The line without its first ``width`` characters as far as they are white space."""
    return line[min(width, len(line) - len(line.lstrip(" \t"))) :]


class FenceStack:
    """Open fences, innermost last: one with an info string inside an open one nests, a bare one closes."""

    def __init__(self) -> None:
        self._open: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._open)

    def reset(self) -> None:
        """Forget all open fences."""
        self._open.clear()

    def feed(self, fence: re.Match[str]) -> None:
        """Take note of one line that matches :data:`FENCE`."""
        mark = fence["mark"]
        if not self._open:
            self._open.append(mark)
        elif fence["bullet"] or mark[0] != self._open[-1][0] or len(mark) < len(self._open[-1]):
            return  # content: whoever opens with a longer fence, or another kind, means the whole block
        elif fence["info"]:
            self._open.append(mark)
        else:
            self._open.pop()


def find_fences(lines: Sequence[str], start: int, end: int) -> tuple[Fence, ...]:
    """The fenced blocks of ``lines[start:end]``, nested ones as part of the outermost.

    Where nesting leaves a block open that CommonMark sees closed, CommonMark is believed.
    """
    found = tuple(_nesting_fences(lines, start, end))
    if found and not found[-1].closed:
        strict = _strict_fences(lines, start, end)
        if strict and strict[-1].closed:
            return strict
    return found


def _nesting_fences(lines: Sequence[str], start: int, end: int) -> Iterable[Fence]:
    stack = FenceStack()
    opener: re.Match[str] | None = None
    first = start
    for index in range(start, end):
        line = lines[index]
        match = FENCE.match(line) if "```" in line or "~~~" in line else None
        if match is None:
            continue
        if not stack:
            opener, first = match, index
        stack.feed(match)
        if not stack and opener is not None:
            yield _fence(opener, first, index, closed=True)
    if stack and opener is not None:
        yield _fence(opener, first, end, closed=False)


def _fence(opener: re.Match[str], first: int, last: int, *, closed: bool) -> Fence:
    indent = len(opener["indent"]) + len(opener["bullet"])
    return Fence(first, last, opener["info"], indent, closed)


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark")


def _strict_fences(lines: Sequence[str], start: int, end: int) -> tuple[Fence, ...]:
    """The fenced blocks of ``lines[start:end]`` as a CommonMark parser sees them; block rules only."""
    from markdown_it.token import Token

    tokens: list[Token] = []
    parser = _parser()
    parser.block.parse("\n".join(lines[start:end]) + "\n", parser, {}, tokens)
    found = []
    for token in tokens:
        if token.type == "fence" and token.map is not None:
            first, past = start + token.map[0], start + token.map[1]
            opener = FENCE.match(lines[first])
            closer = FENCE.match(lines[past - 1]) if past - 1 > first else None
            closed = closer is not None and closer["mark"].startswith(token.markup) and not closer["info"]
            indent = len(opener["indent"]) + len(opener["bullet"]) if opener else 0
            found.append(Fence(first, past - 1 if closed else past, token.info.strip(), indent, closed))
    return tuple(found)


class StrictFences:
    """CommonMark's opinion on single lines, asked late and parsed in growing pieces: most plans never need it."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._origin = self._known_to = 0
        self._fences: tuple[Fence, ...] = ()

    def reset(self, origin: int) -> None:
        """No fence is open at line ``origin``, whatever stood before."""
        self._origin = self._known_to = origin
        self._fences = ()

    def inside(self, index: int) -> bool:
        """Whether the line stands between two fence lines."""
        if index >= self._known_to:
            reach = self._origin + 2 * (index - self._origin) + 64
            self._known_to = min(len(self._lines), reach)
            self._fences = _strict_fences(self._lines, self._origin, self._known_to)
        return any(fence.first < index < fence.last for fence in self._fences)
