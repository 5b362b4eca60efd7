"""Unified diffs, taken exactly: every line of context must be there, to the last byte.

unidiff reads them; it keeps line endings and "no newline at end of file", and counts the lines of a hunk, so that a
removed line ``-- note`` is not taken for a file header.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from unidiff.errors import UnidiffParseError
from unidiff.patch import Hunk as ParsedHunk
from unidiff.patch import PatchedFile, PatchSet

from pytest_pipeline.errors import PipelineError

_NOWHERE = "/dev/null"
_LEFT_OVER = re.compile(r"[+\\-](?!-- |\+\+ |- ?$|--$| No newline at end of file)")


class DiffError(PipelineError):
    """A diff that cannot be read, or that does not fit the file."""


@dataclass(frozen=True)
class Hunk:
    """Lines that are replaced by others, with their line ends.

    Args:
        header: the ``@@`` line without its section title.
        start: index of the first old line, from 0.
        old: context and removed lines.
        new: context and added lines.
    """

    header: str
    start: int
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True)
class FilePatch:
    """What a diff does to one file.

    Args:
        source: its path before; None: the diff creates it.
        target: its path afterwards; None: the diff deletes it.
        hunks: in the order of the diff.
        mode: git's mode afterwards, where the diff sets one.
        keeps_source: whether the source stays although the target has another path (a copy).
    """

    source: str | None
    target: str | None
    hunks: tuple[Hunk, ...]
    mode: str | None = None
    keeps_source: bool = False

    @property
    def path(self) -> str:
        """The path to show."""
        return self.target or self.source or ""


def parse(text: str) -> tuple[FilePatch, ...]:
    """Read a unified diff of one or several files.

    Raises:
        DiffError: it is no unified diff, a hunk's line counts are wrong, or it is binary.
    """
    text = text if text.endswith("\n") else text + "\n"
    try:
        patches = PatchSet(io.StringIO(text, newline="\n"))
    except UnidiffParseError as error:
        raise DiffError(f"The diff cannot be read ({error}). Make it anew with `git diff` or `diff -u`.") from None
    if not patches:
        raise DiffError("The diff names no file. Begin it with the lines `--- a/PATH` and `+++ b/PATH`.")
    _refuse_left_overs(text, patches)
    return tuple(_file_patch(each) for each in patches)


def apply(patch: FilePatch, text: str) -> str:
    """The text of a file after the hunks of its patch.

    A hunk goes where its header says or, when lines before it have come or gone, to the only place that its lines fit.

    Raises:
        DiffError: a hunk fits nowhere or in several places; names file and hunk.
    """
    lines = split_lines(text)
    result: list[str] = []
    done = shift = 0
    for number, hunk in enumerate(patch.hunks, 1):
        start = _place(hunk, lines, done, hunk.start + shift)
        if start is None:
            raise DiffError(
                f"Hunk {number} ({hunk.header}) of the diff does not apply to {patch.source or patch.path}: "
                f"{_mismatch(hunk, lines, hunk.start + shift)}. Make the diff anew against the file as it is."
            )
        result += [*lines[done:start], *hunk.new]
        done, shift = start + len(hunk.old), start - hunk.start
    return "".join([*result, *lines[done:]])


def split_lines(text: str) -> list[str]:
    """Lines with their ends, split at line feeds only."""
    return list(io.StringIO(text, newline="\n"))


def _place(hunk: Hunk, lines: Sequence[str], least: int, stated: int) -> int | None:
    length = len(hunk.old)

    def fits(start: int) -> bool:
        return start >= least and start + length <= len(lines) and tuple(lines[start : start + length]) == hunk.old

    if fits(stated):
        return stated
    others = [start for start in range(least, len(lines) - length + 1) if fits(start)] if length else []
    return others[0] if len(others) == 1 else None


def _mismatch(hunk: Hunk, lines: Sequence[str], stated: int) -> str:
    for number, expected in enumerate(hunk.old, stated):
        found = repr(lines[number]) if 0 <= number < len(lines) else "the end of the file"
        if found != repr(expected):
            return f"line {number + 1} should be {expected!r} and is {found}"
    return f"the file has {len(lines)} lines"


def _refuse_left_overs(text: str, patches: PatchSet) -> None:
    """A line that no hunk counts would be dropped in silence."""
    counted = {line.diff_line_no for patch in patches for hunk in patch for line in hunk if line.diff_line_no}
    first = min(counted, default=0)
    for number, line in enumerate(split_lines(text), 1):
        if number > first and number not in counted and _LEFT_OVER.match(line):
            raise DiffError(
                f"Line {number} of the diff ({line.rstrip()!r}) belongs to no hunk: the counts in the @@ line before "
                "it are wrong. Make the diff anew with `git diff` or `diff -u`."
            )


def _file_patch(patch: PatchedFile) -> FilePatch:
    information = str(patch.patch_info or "")
    source, target = _paths(patch.source_file, patch.target_file)
    moved = re.search(r"^(rename|copy) from ", information, re.MULTILINE)
    if patch.is_binary_file:
        raise DiffError(f"The diff of {target or source} is binary. Make that file in a shell block instead.")
    if source and target and source != target and not moved:
        raise DiffError(
            f"The diff names two files, {source} and {target}, and does not say `rename from`. "
            "Name the same path in the `---` and the `+++` line."
        )
    return FilePatch(
        source,
        target,
        tuple(_hunk(each) for each in patch),
        mode=patch.target_mode if target else None,
        keeps_source=moved is not None and moved[1] == "copy",
    )


def _paths(old: str, new: str) -> tuple[str | None, str | None]:
    old, new = _unquoted(old), _unquoted(new)
    if all(path == _NOWHERE or path.startswith(prefix) for path, prefix in ((old, "a/"), (new, "b/"))):
        old, new = old.removeprefix("a/"), new.removeprefix("b/")
    return (None if old == _NOWHERE else old), (None if new == _NOWHERE else new)


def _unquoted(path: str) -> str:
    """Undo git's quoting of unusual file names."""
    path = path.rstrip("\r")
    if not (path.startswith('"') and path.endswith('"') and len(path) > 1):
        return path
    octets = path[1:-1].encode("utf-8").decode("unicode_escape").encode("latin-1")
    return octets.decode("utf-8", "surrogateescape")


def _hunk(hunk: ParsedHunk) -> Hunk:
    lines: list[tuple[str, str]] = []
    for line in hunk:
        if line.line_type == "\\":
            kind, value = lines[-1]
            lines[-1] = (kind, value.removesuffix("\n"))
        elif line.line_type in (" ", "-", "+"):  # unidiff hangs the empty lines after a hunk on it, without a type
            lines.append((line.line_type, line.value))
    return Hunk(
        header=f"@@ -{hunk.source_start},{hunk.source_length} +{hunk.target_start},{hunk.target_length} @@",
        start=hunk.source_start - (1 if hunk.source_length else 0),
        old=tuple(value for kind, value in lines if kind != "+"),
        new=tuple(value for kind, value in lines if kind != "-"),
    )
