"""What was looked at before the work begins, and what was found: for the start of a session and for ``doctor``."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Level(str, enum.Enum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"  # nothing that hinders, but worth to know
    FAILED = "failed"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, in the words of the user.

    Args:
        subject: what was looked at, for example ``push``.
        level: whether it hinders.
        detail: what was found, as a sentence.
        remedy: what to change and where, as a sentence; may be empty.
    """

    subject: str
    level: Level
    detail: str
    remedy: str = ""

    @property
    def ok(self) -> bool:
        """Whether the work can begin for all that this says."""
        return self.level is not Level.FAILED

    def __str__(self) -> str:
        return f"{self.detail} {self.remedy}".rstrip()

    @classmethod
    def good(cls, subject: str, detail: str) -> Finding:
        """It is as it should be."""
        return cls(subject, Level.OK, detail)

    @classmethod
    def note(cls, subject: str, detail: str, remedy: str = "") -> Finding:
        """It hinders nothing, but is worth to know."""
        return cls(subject, Level.NOTE, detail, remedy)

    @classmethod
    def failed(cls, subject: str, detail: str, remedy: str = "") -> Finding:
        """It hinders; ``detail`` may end in the remedy itself."""
        return cls(subject, Level.FAILED, detail, remedy)
