"""Steps of workers as they happen, for ``-v``: read from the store, where every worker writes them."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_pipeline.cases.live import Lines, step_line
from pytest_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from xdist.dsession import DSession

    from pytest_pipeline.execution.pipeline import Pipeline

_PAUSE = 0.5  # seconds


@dataclass
class Watcher:
    """Prints the steps that have ended since it looked last.

    A thread asks for each look by an event of xdist's own loop, so that only one thread ever writes to the terminal.

    Args:
        pipeline: the open session.
        lines: where it writes.
    """

    pipeline: Pipeline
    lines: Lines
    _told: set[int] = field(default_factory=set)
    _all_told_to: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, dsession: DSession) -> None:
        """Look again and again while xdist's loop runs."""
        vars(dsession)["worker_pipeline_look"] = self.look  # the loop calls what is named so by an event

        def ask() -> None:
            while not self._ended.wait(_PAUSE):
                dsession.queue.put(("pipeline_look", {}))

        self._thread = threading.Thread(target=ask, name="pipeline-watcher", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Print what is new; a store that is busy is asked again at the next look."""
        with contextlib.suppress(PipelineError):
            steps = self.pipeline.store.steps_after(self.pipeline.session, self._all_told_to)
            for row, key, step in steps:
                if step.finished is not None and row not in self._told:
                    self._told.add(row)
                    seconds = (step.finished - step.started).total_seconds()
                    self.lines.write(step_line(key.run, key.task, key.plan, step.name, str(step.outcome), seconds))
            while steps and steps[0][0] in self._told:
                self._all_told_to = steps.pop(0)[0]
                self._told.discard(self._all_told_to)

    def stop(self) -> None:
        """Look for the last time."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self.look()
            self._thread = None
