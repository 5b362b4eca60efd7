"""What a patch does to the files of one workspace, worked out before anything is done."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_pipeline.agents import diff
from pytest_pipeline.agents.workspace import Workspace, WorkspaceError


@dataclass(frozen=True)
class Change:
    """One file written, one deleted, or both.

    Args:
        written: path of the file that is written, or None.
        text: its whole content afterwards.
        mode: git's mode of it afterwards; None: as it is.
        deleted: path of the file that is deleted once the other is written, or None.
    """

    written: str | None
    text: str
    mode: str | None
    deleted: str | None


def work_out(patch: diff.FilePatch, workspace: Workspace) -> Change:
    """What the patch does here; a file that is moved or copied stays executable.

    Raises:
        DiffError: it does not fit the file.
        WorkspaceError: it does not fit the workspace.
    """
    moves = patch.source != patch.target
    if patch.target and moves and workspace.holds(patch.target):
        raise WorkspaceError(f"The diff creates {patch.target}, which is there already. Make the diff anew.")
    text = diff.apply(patch, workspace.read(patch.source) if patch.source else "")
    if patch.target is None and text:
        raise WorkspaceError(f"The diff deletes {patch.path}, but not all of its lines. Make the diff anew.")
    kept = workspace.mode(patch.source) if patch.source and patch.target and moves else None
    return Change(
        written=patch.target,
        text=text,
        mode=patch.mode or kept,
        deleted=patch.source if moves and not patch.keeps_source else None,
    )
