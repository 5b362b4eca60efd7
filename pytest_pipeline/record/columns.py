"""Text in columns of a terminal, where some characters are two columns wide and some none."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from pytest_pipeline.record.junit import clean, escaped

_CUT = ".."


def plain(text: str, *, spaced: bool = False) -> str:
    """The text on one line, without what would steer the terminal or join characters into wider or narrower ones.

    Args:
        text: any text.
        spaced: whether several blanks stay as many as they are.
    """
    blanks = r"[^\S ]+" if spaced else r"\s+"
    shown = clean(unicodedata.normalize("NFC", re.sub(blanks, " ", text))).strip()
    kept = (each for each in shown if unicodedata.category(each) != "Cf" and not "\ufe00" <= each <= "\ufe0f")
    return "".join(each if each.isprintable() else escaped(each) for each in kept)


def width(text: str) -> int:
    """Columns that a plain text takes."""
    return len(text) if text.isascii() else sum(_columns(each) for each in text)


def fit(text: str, room: int) -> str:
    """The text in exactly so many columns: cut at its end, or filled with blanks."""
    cut = shorten(text, room)
    return cut + " " * (room - width(cut))


def shorten(text: str, room: int) -> str:
    """The text in at most so many columns, cut at its end; what is cut ends in two dots."""
    if width(text) <= room:
        return text
    return _head(text, room - len(_CUT)) + _CUT


def shorten_left(text: str, room: int) -> str:
    """The same, cut at its beginning: of a path, the end tells more."""
    if width(text) <= room:
        return text
    return _CUT + _head(text[::-1], room - len(_CUT))[::-1]


def wrap(text: str, room: int, indent: str = "  ") -> Iterator[str]:
    """The text in lines of at most so many columns; those after the first are indented."""
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if line.strip() and width(longer) > room:
            yield line
            longer = indent + word
        while width(longer) > room:
            head = _head(longer, room)
            yield head
            longer = indent + longer[len(head) :]
        line = longer
    yield line


def _head(text: str, room: int) -> str:
    used = 0
    for place, each in enumerate(text):
        used += _columns(each)
        if used > room:
            return text[:place]
    return text


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "FW" else 1
