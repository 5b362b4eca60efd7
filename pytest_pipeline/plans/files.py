"""The items of a files field: verb, path, and nothing of the notes around them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_pipeline.plans.commands import looks_like_command
from pytest_pipeline.plans.fields import Body, Field, default_verb
from pytest_pipeline.plans.listing import Entry, read_entries
from pytest_pipeline.plans.model import FileChange, Verb

_VERBS = {
    "create": Verb.CREATE,
    "creates": Verb.CREATE,
    "new": Verb.CREATE,
    "add": Verb.CREATE,
    "modify": Verb.MODIFY,
    "update": Verb.MODIFY,
    "edit": Verb.MODIFY,
    "change": Verb.CHANGE,
    "create/modify": Verb.CHANGE,
    "modify/create": Verb.CHANGE,
    "create or modify": Verb.CHANGE,
    "delete": Verb.DELETE,
    "remove": Verb.DELETE,
    "rename": Verb.RENAME,
    "move": Verb.RENAME,
    "read": Verb.READ,
    "test": Verb.TEST,
    "tests": Verb.TEST,
}
_VERB = "|".join(sorted((re.escape(each) for each in _VERBS), key=len, reverse=True))
_LABELLED = re.compile(rf"\**(?P<verb>{_VERB})\**[ \t]*[:：]\**[ \t]*(?P<rest>.*)$", re.I | re.S)
_UNLABELLED = re.compile(rf"\**(?P<verb>{_VERB})\**[ \t]+(?P<rest>`.*|\S*(?:[./]\w|/)\S*(?:\s.*)?)$", re.I | re.S)
_SPAN = re.compile(r"(?P<ticks>`+)[ ]?(?P<path>.+?)[ ]?(?P=ticks)(?!`)", re.S)
_ARROW = re.compile(r"\s*(?:->|→|=>|➜)\s*|\s+to\s+(?=`)")
_LINE_RANGE = re.compile(r":\d+(?:[-–]\d*)?(?:\s*,\s*\d+(?:[-–]\d+)?)*$")
_NODE_ID = re.compile(r"::.*$", re.S)
_NOTE = re.compile(r"\s+(?:-{1,2}|–|—|#)\s.*$", re.S)
_TRAILING_BRACKET = re.compile(r"\s+\([^()]*(?:\([^()]*\)[^()]*)*\)$")
_NOTHING = re.compile(r"\W*(?:none|n/?a|nothing|no (?:new |other )?files?)\b(?!\S*\.\w)[^/]*$", re.I)
_BARE_AHEAD = re.compile(r"\S*[./]\w\S*\s")
_JOINED = re.compile(r"\s*(?:[,;+&]|and)\s*$", re.I)
_VERB_BEFORE = re.compile(rf"(?:^|(?<=[\s,;+&*]))(?P<verb>{_VERB})\**\s*[:：]?\**\s*$", re.I)


@dataclass
class FilesRead:
    """What one files field says: files, commands (``Test: `bash x.sh` ``), and what was not understood."""

    changes: list[FileChange] = field(default_factory=list)
    commands: list[tuple[str, int]] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    errors: list[tuple[int, str]] = field(default_factory=list)
    unread: list[tuple[int, str]] = field(default_factory=list)
    rest_from: int | None = None  # index of the first line that is no longer part of the list


def read_files(body: Body, source: Field) -> FilesRead:
    """Read a files field, as a block or on its own line."""
    found = FilesRead()
    verb = default_verb(source.name)
    label: tuple[int, Verb] | None = None  # an item that is only a verb: "- Create:" with paths below
    path_indent: int | None = None
    for number, entry in enumerate(read_entries(body, source)):
        if entry.fence is not None or (entry.follows_blank and not _goes_on(entry, first=number == 0)):
            found.rest_from = entry.index
            break
        if entry.indent < 0:
            _read_inline(entry, verb, found)
            continue
        if label is not None and entry.indent <= label[0]:
            label = None
        if path_indent is not None and entry.indent > path_indent and not _LABELLED.match(entry.sentence):
            continue  # a note below a path
        only_verb = _LABELLED.match(entry.sentence)
        if only_verb and not only_verb["rest"]:
            label, path_indent = (entry.indent, _VERBS[only_verb["verb"].lower()]), None
            continue
        path_indent = entry.indent
        _read_item(entry.sentence, entry.line, label[1] if label else verb, found)
    return found


def _goes_on(entry: Entry, *, first: bool) -> bool:
    """Whether an entry after an empty line still belongs to the list: a first item, or one that reads as a file."""
    if entry.indent < 0:
        return False
    probe = FilesRead()
    _read_item(entry.sentence, entry.line, Verb.CHANGE, probe)
    return first or not probe.unread


def _read_inline(entry: Entry, verb: Verb, found: FilesRead) -> None:
    """``Modify `a`, create `b` ``, ``a.py, b.py``, or one path, on the field's line."""
    text = entry.sentence
    parts = [part.strip() for part in text.split(",")]
    if "`" not in text and len(parts) > 1 and all(_is_pathlike(part) for part in parts):
        for part in parts:
            _read_item(part, entry.line, verb, found)
    else:
        _read_item(text, entry.line, verb, found)


def _is_pathlike(text: str) -> bool:
    match = _LABELLED.match(text)
    path = _bare_path(match["rest"] if match else text)
    return bool(path) and " " not in path


def _read_item(text: str, line: int, verb: Verb, found: FilesRead) -> None:
    match = _LABELLED.match(text) or _UNLABELLED.match(text)
    rest = match["rest"].strip() if match else text
    said = _VERBS[match["verb"].lower()] if match else None
    if _NOTHING.match(rest):
        return
    spans = list(_spans(rest)) if "`" in rest else []
    if spans and not _BARE_AHEAD.match(rest, 0, spans[0].start()):
        _read_spans(rest, spans, said, verb, line, found)
    else:
        _read_bare(rest, line, said, verb, found)


def _read_bare(text: str, line: int, said: Verb | None, verb: Verb, found: FilesRead) -> None:
    if said is Verb.RENAME:
        old, arrow, new = _partition(text)
        _rename(_bare_path(old), _bare_path(new) if arrow else "", line, found)
        return
    path = _bare_path(text)
    if not _may_be_path(path):
        found.unread.append((line, text))
        return
    _add(said or verb, path, line, found)


def _may_be_path(path: str) -> bool:
    """A name with spaces needs an ending or a directory: "All tests" is prose."""
    return bool(path) and (" " not in path or bool(re.search(r"[./]\w", path)))


def _partition(text: str) -> tuple[str, bool, str]:
    arrow = _ARROW.search(text) or re.search(r"\s+to\s+", text)
    if arrow is None:
        return text, False, ""
    return text[: arrow.start()], True, text[arrow.end() :]


def _spans(text: str) -> Iterator[re.Match[str]]:
    """The code spans that do not stand in parentheses: those are notes."""
    depth, position = 0, 0
    for match in _SPAN.finditer(text):
        between = text[position : match.start()]
        depth = max(0, depth + between.count("(") - between.count(")"))
        position = match.end()
        if depth == 0:
            yield match


def _read_spans(
    text: str, spans: list[re.Match[str]], said: Verb | None, verb: Verb, line: int, found: FilesRead
) -> None:
    """One or more backticked paths; after the first, only those that a comma or a verb joins count."""
    position, target_of = 0, None
    for number, span in enumerate(spans):
        between, position = text[position : span.start()], span.end()
        if target_of is span:
            continue
        if number and not _joins(between):
            break
        said = _verb_before(between) or said
        following = spans[number + 1] if number + 1 < len(spans) else None
        target_of = following if following and _ARROW.fullmatch(text[position : following.start()]) else None
        _read_span(span["path"], said, verb, line, target_of["path"] if target_of else "", found)


def _joins(between: str) -> bool:
    """Whether what stands between two paths makes the second one a file of its own, not part of a note."""
    if _JOINED.match(between):
        return True
    return _verb_before(between) is not None and not re.search(r"\s[-–—]\s|:.*\w.*\s\w", between)


def _verb_before(text: str) -> Verb | None:
    match = _VERB_BEFORE.search(text)
    return _VERBS[match["verb"].lower()] if match else None


def _read_span(path: str, said: Verb | None, verb: Verb, line: int, target: str, found: FilesRead) -> None:
    if said is Verb.RENAME:
        old, arrow, new = (path, bool(target), target) if target else _partition(path)
        _rename(_strip(old), _strip(new) if arrow else "", line, found)
    elif said is Verb.TEST and looks_like_command(path, explicit=True):
        found.commands.append((path, line))
    elif path.endswith("()") or not _may_be_path(path):
        found.unread.append((line, path))
    else:
        _add(said or verb, _strip(path), line, found)


def _bare_path(text: str) -> str:
    """A path written without backticks, freed of line range, note and target."""
    text = text.strip().strip("*").strip()
    text = _ARROW.split(text, maxsplit=1)[0]
    text = _NOTE.sub("", text)
    if text.endswith(")"):
        text = _TRAILING_BRACKET.sub("", text)
    return _strip(text.rstrip(",;"))


def _strip(path: str) -> str:
    path = _LINE_RANGE.sub("", path.strip())
    return path if "://" in path else _NODE_ID.sub("", path).strip()


def _rename(old: str, new: str, line: int, found: FilesRead) -> None:
    if not old or not new:
        found.errors.append((line, "a rename needs both names. Write 'Rename: `old.py` -> `new.py`'."))
        return
    problems = [problem for problem in (path_problem(old), path_problem(new)) if problem]
    if problems:
        found.faults.append((line, problems[0]))
    else:
        found.changes.append(FileChange(Verb.RENAME, normal_path(old), line, normal_path(new)))


def _add(verb: Verb, path: str, line: int, found: FilesRead) -> None:
    if problem := path_problem(path):
        found.faults.append((line, problem))
    elif path:
        found.changes.append(FileChange(verb, normal_path(path), line))


def path_problem(path: str) -> str:
    """Why a path cannot be meant relative to the repository and inside it; "" when it can."""
    if path.startswith(("/", "~", "\\\\")) or re.match(r"[A-Za-z]:[\\/]", path):
        return f"the path '{path}' is absolute. Write it relative to the root of the repository."
    if "://" in path:
        return f"'{path}' is an address, not a file. Name a file of the repository."
    normal = posixpath.normpath(path.replace("\\", "/"))
    if normal == ".." or normal.startswith("../"):
        return f"the path '{path}' leaves the repository. Name a file inside it."
    if normal.split("/", 1)[0].lower() == ".git":
        return (
            f"the path '{path}' lies in git's own directory, which is never committed. Name a file of the repository."
        )
    return ""


def normal_path(path: str) -> str:
    """The path without ``./`` and detours; a trailing slash, which means a directory, stays."""
    normal = posixpath.normpath(path)
    return f"{normal}/" if path.endswith("/") and normal != "." else normal
