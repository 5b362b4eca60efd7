"""A session is worked on by one pytest at a time: locks that its processes hold, and that die with them.

The kernel frees such a lock when its holder is gone, however that ended, so neither the number of a process that is
given again nor an old file can be mistaken for a living holder.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from socket import gethostname

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.host.git_work_tree import remove
from pytest_pipeline.host.locking import Lock
from pytest_pipeline.record.model import Invocation

DYING_SECONDS = 20.0
"""How long workers may take to end whose controller is gone: clean-up fits into a few seconds."""

_SCRATCH = "pytest-pipeline-"


def hold_session(layout: Layout, *, resumes: bool, patience: float = DYING_SECONDS) -> Lock:
    """Be the one that works on a session.

    Args:
        layout: of the session.
        resumes: whether the session is there already, so that workers of its last process may be about to end.
        patience: seconds to wait for those.

    Raises:
        SettingsError: another process works on it; says which.
        HostError: the lock cannot be taken.
    """
    lock = Lock.take(layout.session_lock, f"process {os.getpid()} on {gethostname()}")
    if lock is None:
        raise SettingsError(
            f"Session {layout.session} is being worked on by {_holder(layout.session_lock)}. Wait until that has "
            "ended, or end it, and resume then."
        )
    try:
        if resumes:
            _wait_for_workers(layout, patience)
    except BaseException:
        lock.close()
        raise
    return lock


def join_workers(layout: Layout) -> Lock:
    """Be one of the workers of a session.

    Raises:
        SettingsError: the session is just being taken up by another controller.
    """
    lock = Lock.take(layout.workers_lock, shared=True)
    if lock is None:
        raise SettingsError(f"Session {layout.session} has a new controller. This worker ends; nothing is to be done.")
    return lock


def both(one: Callable[[], None], other: Callable[[], None]) -> Callable[[], None]:
    """What does the one, and then the other even if the one fails."""
    stack = ExitStack()
    stack.callback(other)
    stack.callback(one)
    return stack.close


def _wait_for_workers(layout: Layout, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        alone = Lock.take(layout.workers_lock, "")
        if alone is not None:
            alone.close()
            return
        if time.monotonic() > deadline:
            raise SettingsError(
                f"Workers of session {layout.session} still run although their controller is gone. End them, and "
                "resume then."
            )
        time.sleep(0.05)


def _holder(path: Path) -> str:
    return path.read_text("utf-8", "replace").strip() or "another process"


def sweep_scratch(invocations: Iterable[Invocation], host: str) -> None:
    """Remove the scratch directories of processes that did not live to do it.

    Args:
        invocations: each pytest that worked on the session; all of them are gone.
        host: name of this machine; what lies on others is left.
    """
    for each in invocations:
        place = Path(each.scratch)
        if each.finished is None and each.host == host and place.name.startswith(_SCRATCH) and place.is_absolute():
            remove(str(place))
