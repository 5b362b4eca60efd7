"""Reference solutions, the trees that they start from, and what the reference agent makes of them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_pipeline.agents import diff
from pytest_pipeline.agents.base import AgentRequest, AgentResult, Limits, SolutionForm, SolutionPart
from pytest_pipeline.agents.reference import ReferenceAgent

Tree = Mapping[str, tuple[str, bool, bytes]]


@dataclass(frozen=True)
class Before:
    """What a workspace holds at the start; names may be any that a file system takes."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    executable: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    def lay(self, workspace: Path) -> None:
        for name, content in self.files.items():
            place = workspace / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            place.chmod(0o755 if name in self.executable else 0o644)
        for name, target in self.links.items():
            (workspace / name).symlink_to(target)


def file(path: str, content: str) -> SolutionPart:
    return SolutionPart(SolutionForm.FILE, content, path)


def patch(content: str) -> SolutionPart:
    return SolutionPart(SolutionForm.DIFF, content)


def shell(content: str) -> SolutionPart:
    return SolutionPart(SolutionForm.SHELL, content)


def unified(path: str, old: str, new: str, context: int = 3) -> str:
    """A diff of two texts; an empty old one means that the file is created, an empty new one that it is deleted."""
    names = (f"a/{path}" if old else "/dev/null"), (f"b/{path}" if new else "/dev/null")
    lines = difflib.unified_diff(diff.split_lines(old), diff.split_lines(new), *names, n=context)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def replay(parts: tuple[SolutionPart, ...], workspace: Path, logs: Path) -> AgentResult:
    """What the reference agent does."""
    request = AgentRequest(
        prompt="",
        workspace=workspace,
        limits=Limits(60.0),
        environment={"PATH": os.defpath},
        transcript=logs / "transcript.txt",
        reference=parts,
    )
    return ReferenceAgent().run(request, lambda _line: None)


def tree(workspace: Path) -> Tree:
    """All that a workspace holds: kind, whether it can be executed, content; not what git keeps there."""
    assert workspace.is_dir()
    found = {}
    for place in sorted(workspace.rglob("*")):
        name = str(place.relative_to(workspace))
        if name.split("/")[0] == ".git":
            continue
        if place.is_symlink():
            found[name] = ("link", False, os.fsencode(os.readlink(place)))
        elif place.is_dir():
            found[name] = ("directory", False, b"")
        else:
            found[name] = ("file", os.access(place, os.X_OK), place.read_bytes())
    return found
