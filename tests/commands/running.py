"""Commands as a user runs them: in a process of their own, in the directory of a project."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline import commands
from tests.conftest import LEAN
from tests.e2e.world import Project


@dataclass(frozen=True)
class Told:
    """How a command ended, and what it printed."""

    exit_code: int
    out: str
    errors: str

    @property
    def lines(self) -> list[str]:
        """What it printed, line by line."""
        return self.out.splitlines()


def command(project: Project, *arguments: str, directory: Path | None = None, **environment: str) -> Told:
    """``python -m pytest_pipeline`` with these arguments."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest_pipeline", *arguments],
        cwd=directory or project.path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "TMPDIR": str(project.temporary),
            "PYTEST_ADDOPTS": LEAN,
            **project.environment,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Told(done.returncode, done.stdout, done.stderr)


def command_here(project: Project, *arguments: str) -> Told:
    """The same in this process, which spares what its imports take; pytester has gone to the project's directory."""
    assert Path.cwd().is_relative_to(project.path)
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = commands.main(arguments)
    return Told(code, out.getvalue(), errors.getvalue())
