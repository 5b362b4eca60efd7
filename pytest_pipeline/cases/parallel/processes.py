"""The processes of workers on this machine, as far as a signal of ours may reach them."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pytest_pipeline.cases.parallel.apart import is_apart
from pytest_pipeline.cases.parallel.impatience import signal_to, told_by
from pytest_pipeline.execution.layout import Layout

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController


class Processes:
    """Which process each worker is: known from its start, or from when it takes part in the session.

    A worker whose Python the user has chosen (``--tx popen//python=``) may stand behind a command that gives it a
    number in a world of its own. It is known when it has joined, which no worker of another world can.
    """

    def __init__(self) -> None:
        self._pids: dict[str, int] = {}

    def arrive(self, node: WorkerController) -> None:
        """A worker is there."""
        spec = node.gateway.spec
        if not is_apart(spec) and not spec.python:
            self._pids[node.gateway.id] = node.gateway._rinfo().pid  # no public name; xdist has asked it before

    def leave(self, worker: str, layout: Layout) -> None:
        """A worker is gone: its number may become another's."""
        self._pids.pop(worker, None)
        layout.pid_file(worker).unlink(missing_ok=True)

    def interrupt(self, workers: Iterable[str], layout: Layout) -> None:
        """Send these workers what Ctrl-C sends."""
        for worker in workers:
            known = self._pids.get(worker)
            signal_to(told_by([layout.pid_file(worker)]) if known is None else [known], signal.SIGINT)

    def kill(self, layout: Layout) -> None:
        """End all workers at once."""
        signal_to({*self._pids.values(), *told_by(layout.pid_files())}, signal.SIGKILL)
