"""What the CLI's tools Write and Edit reproduce to the last byte, as measured with version 2.1.330."""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path

_CHANGED = re.compile(
    r"""[^\S\r\n](?=[\r\n]|\Z)        # blanks at the end of a line are stripped,
    | \ufeff(?=[\r\n]|\Z)             # and with them this one, which JavaScript takes for a blank
    | \\u[0-9a-fA-F]{4}               # becomes the character
    | [\ud800-\udfff]                 # bytes that are not UTF-8 become question marks
    """,
    re.VERBOSE,
)
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LONGEST_NAME = 230  # bytes: Write puts a suffix to the name while it writes
_LONGEST_READ = 20_000  # characters; Read shows no more than 25,000 tokens
_NO_TEXT_FOR_READ = re.compile(
    r"""\.(ipynb|pdf|png|jpe?g|gif|webp|bmp|ico|tiff?|psd|heic|avif|zip|tar|gz|jar|exe|so|o|pyc|class|bin|dat|db|wasm
    |mp[34]|woff2?|docx|xlsx)""",
    re.VERBOSE | re.IGNORECASE,
)
"""What Read refuses by its name alone, as measured; more are not read than these, but hardly as text in a diff."""


def reproduces(content: str) -> bool:
    """Whether Write and Edit leave that text as it is."""
    return not _CHANGED.search(content)


def takes_name(place: Path) -> bool:
    """Whether Write and Edit write to that path, and not to another one: they strip blanks from its end."""
    path = str(place)
    return reproduces(path) and len(os.fsencode(place.name)) <= _LONGEST_NAME


def overwrites(place: Path, before: bytes) -> bool:
    """Whether Write replaces a file that holds this: no binary file, no unread notebook, and it keeps a mark."""
    return _is_plain(before) and place.suffix.lower() != ".ipynb"


def edits(place: Path, before: bytes) -> bool:
    """Whether Edit changes that file in one place and leaves it alone in all others."""
    return _is_plain(before) and b"\r" not in before and not _NO_TEXT_FOR_READ.fullmatch(place.suffix)


def replaces(old: str, new: str, text: str) -> bool:
    """Whether Edit puts ``new`` in the place of ``old`` in a text, and in no other place.

    Args:
        old: whole lines.
        new: whole lines.
        text: holds the old ones.
    """
    whole = old.endswith("\n") or bool(old and new)  # else the line feed before or after it goes as well
    return whole and old != new and text.count(old) == 1 and len(old) <= _LONGEST_READ and reproduces(new)


def _is_plain(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in octets and not octets.startswith(_MARKS)
