"""A session is worked on by one pytest at a time: locks that its processes hold, and that die with them.

The kernel, or the database that several machines share, frees such a lock when its holder is gone, however that ended:
neither the number of a process that is given again nor an old file can be mistaken for a living holder.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from socket import gethostname
from typing import Protocol

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.execution.alive import session_lock, workers_lock
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.host.git_work_tree import remove
from pytest_pipeline.host.locking import Lock
from pytest_pipeline.record.model import Invocation
from pytest_pipeline.record.store import Store

DYING_SECONDS = 20.0
"""How long workers may take to end whose controller is gone: clean-up fits into a few seconds."""

_SCRATCH = "pytest-pipeline-"


class Closable(Protocol):
    """A lock that is held until it is closed."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True)
class Held:
    """A session that is held by this process.

    Args:
        session: says so to other controllers.
        workers: keeps workers out until the store says whose they are.
    """

    session: Closable
    workers: Closable

    def close(self) -> None:
        """Let go of it."""
        both(self.workers.close, self.session.close)()


def hold_session(layout: Layout, store: Store, *, patience: float = DYING_SECONDS) -> Held:
    """Be the one that works on a session, and keep workers out until :attr:`Held.workers` is closed.

    Args:
        layout: of the session.
        store: its store.
        patience: seconds to wait for workers of its last process, which may be about to end.

    Raises:
        SettingsError: another process works on it; says which.
        HostError: the lock cannot be taken.
    """
    with ExitStack() as stack:
        place = session_lock(layout.state, layout.session, store.file)
        lock = Lock.take(place, f"process {os.getpid()} on {gethostname()}")
        if lock is None:
            raise _taken(layout, _holder(place))
        stack.callback(lock.close)
        if store.spans_machines:
            wide = store.take(f"session {layout.session}")
            if wide is None:
                last = store.invocations(layout.session)[-1:]
                raise _taken(layout, *(f"process {each.pid} on {each.host}" for each in last))
            stack.push(wide)
        workers = _alone(layout, store, patience)
        return Held(stack.pop_all(), workers)


def _taken(layout: Layout, holder: str = "another process") -> SettingsError:
    return SettingsError(
        f"Session {layout.session} is being worked on by {holder}. Wait until that has ended, or end it, and resume "
        "then."
    )


def join_workers(layout: Layout, store: Store, opener: str) -> Closable:
    """Be one of the workers of a session.

    Args:
        layout: of the session.
        store: says which pytest works on it.
        opener: the pytest that this worker works for, see :func:`opener_of`.

    Raises:
        SettingsError: the session was taken up by another controller.
    """
    lock = _workers(layout, store, shared=True)
    if lock is not None:
        if opener_of(store.invocations(layout.session)[-1].scratch) == opener:
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


def opener_of(scratch: str) -> str:
    """What tells the pytest that opened or resumed a session from others, also on machines that share no directory.

    Args:
        scratch: its scratch directory.
    """
    return sha256(scratch.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _workers(layout: Layout, store: Store, *, shared: bool) -> Closable | None:
    if store.spans_machines:
        return store.take(f"workers of session {layout.session}", shared=shared)
    return Lock.take(workers_lock(layout.state, layout.session, store.file), shared=shared)


def _alone(layout: Layout, store: Store, patience: float) -> Closable:
    deadline = time.monotonic() + patience
    while True:
        alone = _workers(layout, store, shared=False)
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
