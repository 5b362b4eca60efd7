"""Where what is wrong with one file is gathered, so that all of it is told at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_pipeline.errors import Diagnostic


@dataclass
class Problems:
    """Errors stop the file; notes do not. Lines count from 1."""

    path: str
    errors: list[Diagnostic] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)

    def at(self, line: int, message: str) -> Diagnostic:
        """A diagnostic of this file."""
        return Diagnostic(self.path, line, message)

    def error(self, line: int, message: str) -> None:
        """Something that must be mended before the plan can run."""
        self.errors.append(self.at(line, message))

    def note(self, line: int, message: str) -> None:
        """Something that the user should know."""
        self.notes.append(self.at(line, message))
