"""Commands for the CLI's Bash tool: exact to the last byte, for any POSIX shell.

The tool refuses a command that holds control characters, so what cannot be shown goes through ``printf`` in octal.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

_LONGEST = 100_000
"""Most bytes for content in one command: Linux takes no argument of 128 KiB, and paths need room too."""

_WRITTEN_OTHERWISE = {"\n": r"\n", "%": "%%", "\\": r"\\", "'": r"\047"}


def word(text: str) -> str:
    """The text as one word of a command; text that cannot be shown loses the line feeds at its end."""
    if all(character.isprintable() or character in "\n\t" for character in text):
        return shlex.quote(text)
    return f'"$(printf {_quoted(_printed(text))})"'


def run_script(script: str) -> str:
    """Run a script as the reference agent does."""
    return f"/bin/sh -e -c {word(script)}"


def write(place: Path, content: str) -> tuple[str, ...]:
    """Commands that write a file exactly, one after the other; its mode stays as it is.

    Args:
        place: absolute path of the file; its directories are made.
        content: all of it; bytes that are not UTF-8 as surrogates.
    """
    target = word(str(place))
    first, *others = _pieces(_printed(content))
    return (
        f"{_make_directory(place.parent)}printf {_quoted(first)} > {target}",
        *(f"printf {_quoted(piece)} >> {target}" for piece in others),
    )


def move(source: Path, target: Path, emptied: Sequence[Path]) -> str:
    """Give a file another place, which is free, and remove the directories that are empty then, in their order."""
    return f"{_make_directory(target.parent)}mv -- {word(str(source))} {word(str(target))}{_remove(emptied)}"


def delete(file: Path, emptied: Sequence[Path]) -> str:
    """Delete a file, and the directories that are empty then, in their order."""
    return f"rm -- {word(str(file))}{_remove(emptied)}"


def set_permissions(place: Path, permissions: int) -> str:
    """Set the permissions of a file."""
    return f"chmod {permissions:03o} {word(str(place))}"


def _make_directory(place: Path) -> str:
    return "" if place.is_dir() else f"mkdir -p -- {word(str(place))} && "


def _remove(directories: Sequence[Path]) -> str:
    return f" && rmdir -- {' '.join(word(str(each)) for each in directories)}" if directories else ""


def _printed(text: str) -> list[str]:
    """Each character as ``printf`` writes it."""
    return [_printed_character(character) for character in text]


@functools.cache
def _printed_character(character: str) -> str:
    if character in _WRITTEN_OTHERWISE:
        return _WRITTEN_OTHERWISE[character]
    if character.isprintable():
        return character
    return "".join(f"\\{octet:03o}" for octet in character.encode("utf-8", "surrogateescape"))


def _pieces(printed: Sequence[str]) -> Iterator[list[str]]:
    """At least one piece, each short enough for a command."""
    piece: list[str] = []
    length = 0
    for each in printed:
        size = len(each.encode())
        if length + size > _LONGEST:
            yield piece
            piece, length = [], 0
        piece.append(each)
        length += size
    yield piece


def _quoted(printed: Sequence[str]) -> str:
    """A format for ``printf``; one that begins with a dash would be taken for an option."""
    form = "".join(printed)
    return f"'\\055{form[1:]}'" if form.startswith("-") else f"'{form}'"
