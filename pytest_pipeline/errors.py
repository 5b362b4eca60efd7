"""What can go wrong, told apart by who can mend it.

Every error that a user may meet is a :class:`PipelineError`: full sentences that end in what to do next, printed
without a traceback. Anything else that escapes is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass


class FailureKind(str, enum.Enum):
    """Whose fault a failed task run is; every failed task run has exactly one."""

    PLAN = "plan"
    AGENT = "agent"
    VERIFICATION = "verification"
    OUTCOME = "outcome"
    CONFLICT = "conflict"
    CHECKS = "checks"
    FORGE = "forge"
    INFRASTRUCTURE = "infrastructure"
    INTERRUPTED = "interrupted"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Diagnostic:
    """One thing that is wrong in a plan file.

    Args:
        path: the file, as the user named it.
        line: line number, counted from 1; 0 when the file as a whole is meant.
        message: what is wrong and how to mend it.
    """

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class PipelineError(Exception):
    """An expected error; its text is for the user."""


class SettingsError(PipelineError):
    """An option, ini value or front-matter value that cannot be used."""


class PlanError(PipelineError):
    """A plan file that cannot be run: all its diagnostics at once."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__("\n".join(str(each) for each in diagnostics))
        self.diagnostics = tuple(diagnostics)


class HostError(PipelineError):
    """The machine could not do what was asked: no such program, no space, no right."""


class StoreError(PipelineError):
    """The store cannot be opened, read or written."""


class ForgeError(PipelineError):
    """The forge refused, or did not answer."""


class BaseMovedError(ForgeError):
    """The base or the head is no longer the expected commit, so nothing was merged."""


class BehindError(ForgeError):
    """The pull request's head must first be brought up to date with its base; nothing was merged."""


class ChecksError(ForgeError):
    """A check or a rule that must be met before the merge is not: it failed, never started, or took too long."""


class ConflictError(ForgeError):
    """The pull request cannot be merged: head and base changed the same lines.

    Args:
        message: the sentence for the user.
        paths: the files in conflict, relative to the repository.
    """

    def __init__(self, message: str, paths: Sequence[str]) -> None:
        super().__init__(message)
        self.paths = tuple(paths)


class TaskFailure(PipelineError):
    """A task run that failed, as a story: where, what was expected, what was found, where to look.

    Args:
        kind: whose fault it is.
        step: the step that failed, for example ``verify``.
        expected: what should have been.
        found: what was.
        look_at: a command to run, a path or a URL; may be empty.
        output: the last lines that the agent or the command wrote; may be empty.
    """

    def __init__(
        self, kind: FailureKind, *, step: str, expected: str, found: str, look_at: str = "", output: str = ""
    ) -> None:
        super().__init__(f"{found} (expected: {expected})")
        self.kind = kind
        self.step = step
        self.expected = expected
        self.found = found
        self.look_at = look_at
        self.output = output
