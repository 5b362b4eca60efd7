"""Where things lie on disk: the state directory of a project and the scratch directory of a session."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath

from pytest_pipeline.errors import HostError

_STORE = "state.db"


@dataclass(frozen=True)
class Layout:
    """Paths of one session.

    Args:
        state: the project's state directory, by default ``.pipeline``.
        session: id of the session.
        scratch: directory outside the project for workspaces and private homes, so that nothing which an agent runs
            there finds the project's own configuration in a parent directory.
        part: name of a worker that keeps what is the session's apart from other workers; empty: all share it.
    """

    state: Path
    session: str
    scratch: Path
    part: str = ""

    @classmethod
    def create(cls, state: Path, session: str, part: str = "") -> Layout:
        """Make the directories; the state directory tells git to ignore it.

        Args:
            state: the state directory.
            session: id of the session.
            part: name of a worker that shares no directory with the others; empty for who opens the session.

        Raises:
            HostError: a directory cannot be made.
        """
        try:
            state.mkdir(parents=True, exist_ok=True)
            ignore = state / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            scratch = Path(tempfile.mkdtemp(prefix="pytest-pipeline-")).resolve()
        except OSError as error:
            raise HostError(
                f"The directory {error.filename or state} cannot be made: {error.strerror}. "
                "Free space or mend its permissions, or set pipeline_state_dir and TMPDIR to other places."
            ) from None
        return cls(state, session, scratch, part)

    def of_worker(self, name: str) -> Layout:
        """The same for another process of the session on this machine: its scratch directory lies in ours.

        Raises:
            HostError: it cannot be made.
        """
        scratch = self.scratch / name
        try:
            scratch.mkdir(exist_ok=True)
            self.pid_file(name).write_text(str(os.getpid()), "ascii")
        except OSError as error:
            raise HostError(
                f"The directory {error.filename or scratch} cannot be made: {error.strerror}. Free space there."
            ) from None
        return replace(self, scratch=scratch)

    def pid_file(self, name: str) -> Path:
        """Where a worker on this machine says which process it is."""
        return self.scratch / f"{name}.pid"

    def wait_file(self, name: str = "") -> Path:
        """Where this process, or the worker of that name, says what it waits for, and until when."""
        return self.scratch / name / "waiting"

    def pid_files(self) -> list[Path]:
        """Those of all workers on this machine that have begun."""
        return list(self.scratch.glob("*.pid"))

    @property
    def store_url(self) -> str:
        """URL of the default store."""
        return store_url(self.state)

    @property
    def _kept(self) -> Path:
        return self.state / "sessions" / self.session / self.part

    @property
    def forge(self) -> Path:
        """The embedded forge's bare repository."""
        return self.state / "forge.git"

    def mirror(self, commit: str) -> Path:
        """A bare repository that holds that commit of the target, its history, and nothing else."""
        return self.state / "mirrors" / f"{commit[:16]}.git"

    @property
    def hosted(self) -> Path:
        """The git directory in which a forge elsewhere keeps what it fetches; no workspace borrows from it."""
        return self._kept / "forge.git"

    def run_store(self, run: int) -> Path:
        """The git directory of one run: what it makes is reachable for no other run."""
        return self._kept / f"run-{run:02d}.git"

    def run_stores(self) -> list[Path]:
        """The git directories of runs that are there."""
        return sorted(self._kept.glob("run-*.git"))

    def run_lock(self, run: int) -> Path:
        """The file by which the merges of one run wait for one another."""
        return self._kept / f"run-{run:02d}.lock"

    def transcript(self, run: int, plan: str, name: str) -> Path:
        """The file that the output of one agent or verification is kept in."""
        return self._kept / "transcripts" / f"run-{run:02d}" / slug(plan) / f"{name}.log"


def store_url(state: Path) -> str:
    """URL of the store that lies in a state directory by default."""
    return f"sqlite:///{state / _STORE}"


def locks(state: Path, session: str, database: Path | None) -> Path:
    """The directory of a session's locks: beside its store, so that all who use one store meet there.

    Args:
        state: the state directory, for a store that is no file: there its server keeps machines apart.
        session: id of the session.
        database: file of the store, which state directories may share; None: it is no file.
    """
    if database is None:
        return state / "sessions" / session
    file = database.resolve()
    return file.with_name("sessions" if file.name == _STORE else f"{file.name}.locks") / session


def slug(path: str) -> str:
    """A plan's path as one part of a branch or file name; different paths give different slugs.

    Args:
        path: relative to the rootdir, with ``/``.
    """
    parts = PurePosixPath(path).with_suffix("").parts
    words = [re.sub(r"[^A-Za-z0-9_-]+", "-", part).strip("-") for part in parts]
    changed = tuple(words) != parts or not path.endswith(".md") or ".".join(words).lower() == "base"
    return ".".join(filter(None, words)) + (f"-{sha256(path.encode()).hexdigest()[:6]}" if changed else "")


def task_slug(batch: str, task: str) -> str:
    """A task's place in its plan as a part of a branch or file name, for example ``batch-1-task-1-1``."""
    return re.sub(r"[^A-Za-z0-9]+", "-", f"batch-{batch}-task-{task}").strip("-").lower()


def run_prefix(session: str, run: int) -> str:
    """The part of branch names that is one run's own."""
    return f"pipeline/{session}/run-{run:02d}"
