"""Faults of git at the embedded forge: a branch that somebody has locked, and one that somebody has pushed to."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from pytest_pipeline.execution.chaos.injecting import Chaos
from pytest_pipeline.host.git import RefUpdate, Repository

LOCKED_SECONDS = 0.5
_PATIENCE = 5.0  # seconds: a real git may hold it just then


def lock_base(chaos: Chaos, forge: Path) -> None:
    """Hold the lock of the run's base branch for a while, as a git of somebody else would.

    Args:
        chaos: knows the branch.
        forge: the embedded forge's repository.
    """
    ref = forge / "refs" / "heads" / chaos.facts["base_branch"]
    lock = ref.with_name(f"{ref.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    if _made(lock):
        chaos.hold(lambda: lock.unlink(missing_ok=True), LOCKED_SECONDS)


def _made(lock: Path) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(FileExistsError):
            lock.open("x").close()
            return True
        time.sleep(0.01)
    return False


def occupy(chaos: Chaos, forge: Path) -> None:
    """Let somebody else have pushed the parent of the task's commit to its branch."""
    _update(chaos, forge, None, chaos.facts["parent_commit"])


def vacate(chaos: Chaos, forge: Path) -> None:
    """Take that back: what somebody else has done is none of the pipeline's leftovers."""
    _update(chaos, forge, chaos.facts["parent_commit"], None)


def _update(chaos: Chaos, forge: Path, old: str | None, new: str | None) -> None:
    Repository(forge).update_refs([RefUpdate(f"refs/heads/{chaos.facts['branch']}", new, old)])
