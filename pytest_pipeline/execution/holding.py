"""A session is worked on by one pytest at a time: locks that its processes hold, and that die with them.

The kernel frees such a lock when its holder is gone, however that ended, so neither the number of a process that is
given again nor an old file can be mistaken for a living holder.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.host.git_work_tree import remove
from pytest_pipeline.host.locking import Lock
from pytest_pipeline.record.model import Invocation
from pytest_pipeline.record.store import Store

DYING_SECONDS = 20.0
"""How long workers may take to end whose controller is gone: clean-up fits into a few seconds."""

_SCRATCH = "pytest-pipeline-"


@dataclass(frozen=True)
class Held:
    """A session that is held by this process.

    Args:
        session: says so to other controllers.
        workers: keeps workers out until the store says whose they are.
    """

    session: Lock
    workers: Lock

    def close(self) -> None:
        """Let go of it."""
        both(self.workers.close, self.session.close)()


def hold_session(layout: Layout, *, patience: float = DYING_SECONDS) -> Held:
    """Be the one that works on a session, and keep workers out until :attr:`Held.workers` is closed.

    Args:
        layout: of the session.
        patience: seconds to wait for workers of its last process, which may be about to end.

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
        return Held(lock, _alone(layout, patience))
    except BaseException:
        lock.close()
        raise


def join_workers(layout: Layout, store: Store, scratch: str) -> Lock:
    """Be one of the workers of a session.

    Args:
        layout: of the session.
        store: says which pytest works on it.
        scratch: the scratch directory of this worker's controller.

    Raises:
        SettingsError: the session was taken up by another controller.
    """
    lock = Lock.take(layout.workers_lock, shared=True)
    if lock is not None:
        if store.invocations(layout.session)[-1].scratch == scratch:
            return lock
        lock.close()
    raise SettingsError(
        f"Session {layout.session} was taken up by another pytest, because the one of this worker is gone. Nothing is "
        "lost; look at that one."
    )


def both(one: Callable[[], None], other: Callable[[], None]) -> Callable[[], None]:
    """What does the one, and then the other even if the one fails."""
    stack = ExitStack()
    stack.callback(other)
    stack.callback(one)
    return stack.close


def _alone(layout: Layout, patience: float) -> Lock:
    deadline = time.monotonic() + patience
    while True:
        alone = Lock.take(layout.workers_lock)
        if alone is not None:
            return alone
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
