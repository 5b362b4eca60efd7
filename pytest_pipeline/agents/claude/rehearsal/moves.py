"""A reference solution as calls of the CLI's tools, each worked out when it is its turn.

What a part does depends on the files that are there, and an earlier part may have made them. So the calls come from
generators: after each group of calls they look at the workspace again. In the end it holds what the reference agent
would leave in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline.agents import diff
from pytest_pipeline.agents.base import SolutionForm, SolutionPart
from pytest_pipeline.agents.changes import work_out
from pytest_pipeline.agents.claude.rehearsal import exactness, shell
from pytest_pipeline.agents.claude.rehearsal.script import Json
from pytest_pipeline.agents.workspace import Workspace, WorkspaceError, plain_permissions

_LONGEST_TIMEOUT = 2**31 - 1  # milliseconds; the CLI takes it for its own longest


@dataclass(frozen=True)
class Call:
    """One call of a tool.

    Args:
        tool: its name.
        arguments: its input.
        aim: what for, as the end of a sentence that begins with "to".
    """

    tool: str
    arguments: Json
    aim: str


Calls = tuple[Call, ...]


def moves(parts: Sequence[SolutionPart], workspace: Workspace) -> Iterator[Calls]:
    """Calls for one answer of the model after the other; the next is asked for when they are done.

    Raises:
        DiffError: a diff cannot be read or does not fit the file as it is then.
        WorkspaceError: a part cannot be done in the workspace as it is then.
    """
    for number, part in enumerate(parts, 1):
        if part.form is SolutionForm.FILE:
            yield from _write(workspace, part.path, part.content)
        elif part.form is SolutionForm.DIFF:
            for patch in diff.parse(part.content):
                yield from _apply(workspace, patch)
        else:
            yield (_bash(shell.run_script(part.content), f"run the shell block that is part {number}"),)


def _write(workspace: Workspace, path: str, content: str, edits: Calls = ()) -> Iterator[Calls]:
    """Write a file with the first tool that is exact; what a tool did is looked at."""
    place, octets = workspace.place(path), _encoded(path, content)
    before = workspace.content(path)
    free_or_plain = before is None or exactness.overwrites(place, before)
    if edits:
        yield edits
    elif exactness.reproduces(content) and exactness.takes_name(place) and free_or_plain:
        yield (Call("Write", {"file_path": str(place), "content": content}, f"write {path}"),)
    if workspace.content(path) != octets:
        yield tuple(_bash(command, f"write {path} with printf") for command in shell.write(place, content))
    if workspace.content(path) != octets:
        raise WorkspaceError(f"{path} does not hold what it should after it was written. Make it in a shell block.")


def _apply(workspace: Workspace, patch: diff.FilePatch) -> Iterator[Calls]:
    change = work_out(patch, workspace)
    permissions = plain_permissions(change.written, change.mode) if change.written and change.mode else None
    if change.written and change.deleted and _only_moves(workspace, patch):
        yield (_move(workspace, change.deleted, change.written),)
    else:
        if change.written:
            yield from _put(workspace, patch, change.written, change.text)
        if change.deleted:
            yield (_delete(workspace, change.deleted),)
    if change.written and permissions and workspace.mode(change.written) != change.mode:
        command = shell.set_permissions(workspace.place(change.written), permissions)
        yield (_bash(command, f"set the mode of {change.written}"),)


def _only_moves(workspace: Workspace, patch: diff.FilePatch) -> bool:
    """Whether a file goes from one place to another as it is; a symlink would stay one, which is not what is meant."""
    return patch.source is not None and not patch.hunks and not workspace.entry(patch.source).is_symlink()


def _put(workspace: Workspace, patch: diff.FilePatch, path: str, text: str) -> Iterator[Calls]:
    if workspace.content(path) == _encoded(path, text):
        return
    yield from _write(workspace, path, text, _edits(workspace, patch))


def _edits(workspace: Workspace, patch: diff.FilePatch) -> Calls:
    """The hunks as calls of Edit, after a Read of the first; none where that would not be exact."""
    if patch.source is None or patch.source != patch.target:
        return ()
    place, text = workspace.place(patch.source), workspace.read(patch.source)
    if not exactness.takes_name(place) or not exactness.edits(place, workspace.content(patch.source) or b""):
        return ()
    calls: list[Call] = []
    for hunk in patch.hunks:
        old, new = "".join(hunk.old), "".join(hunk.new)
        if not exactness.replaces(old, new, text):
            return ()
        if not calls:
            calls.append(_read(place, patch.path, hunk, text))
        arguments = {"file_path": str(place), "old_string": old, "new_string": new}
        calls.append(Call("Edit", arguments, f"edit {patch.path}"))
        text = text.replace(old, new, 1)
    return tuple(calls)


def _read(place: Path, path: str, hunk: diff.Hunk, text: str) -> Call:
    """The lines of a hunk: Edit wants a file to be read, and some of it is enough."""
    line = text[: text.index("".join(hunk.old))].count("\n") + 1
    return Call("Read", {"file_path": str(place), "offset": line, "limit": len(hunk.old)}, f"read {path}")


def _move(workspace: Workspace, source: str, target: str) -> Call:
    place = workspace.place(target)
    old = workspace.entry(source)
    command = shell.move(old, place, _emptied(workspace, old, keep=place))
    return _bash(command, f"move {source} to {target}")


def _delete(workspace: Workspace, path: str) -> Call:
    entry = workspace.entry(path)
    return _bash(shell.delete(entry, _emptied(workspace, entry)), f"delete {path}")


def _emptied(workspace: Workspace, entry: Path, keep: Path | None = None) -> list[Path]:
    """The directories in which nothing is left without that entry, unless they are to hold ``keep``."""
    emptied: list[Path] = []
    for directory in entry.parents:
        others = {each.name for each in directory.iterdir()} - {entry.name}
        if directory == workspace.place(".") or others or (keep and directory in keep.parents):
            break
        emptied.append(directory)
        entry = directory
    return emptied


def _encoded(path: str, content: str) -> bytes:
    try:
        return content.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise WorkspaceError(f"The content of {path} cannot be encoded ({error}). Correct it in the plan.") from None


def _bash(command: str, aim: str) -> Call:
    arguments = {"command": command, "timeout": _LONGEST_TIMEOUT, "description": aim[0].upper() + aim[1:]}
    return Call("Bash", arguments, aim)
