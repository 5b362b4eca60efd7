"""What chaos does to the attempt that this process is at; each fault is written down before it happens."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from pytest_pipeline.execution.chaos.dice import Dice
from pytest_pipeline.execution.chaos.faults import Fault, Need, possible
from pytest_pipeline.execution.layout import slug, task_slug
from pytest_pipeline.plans.model import Expectation
from pytest_pipeline.record.chaos import ABSORBED, read, told

if TYPE_CHECKING:
    from pytest_pipeline.execution.attempt import Attempt
    from pytest_pipeline.plans.model import Task


class Chaos:
    """The faults of the tasks of one process, one task at a time.

    Args:
        dice: of the session.
        here: what is there, besides the tasks themselves.
    """

    def __init__(self, dice: Dice, here: Collection[Need]) -> None:
        self._dice = dice
        self._here = frozenset(here)
        self._attempt: Attempt | None = None
        self._due: dict[str, Fault] = {}
        self._holding: dict[int, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self.boundary = 0

    def attend(self, attempt: Attempt, task: Task | None) -> None:
        """Strike at this attempt from now on; only the first one at a task meets faults, and no other item.

        Args:
            attempt: it was admitted.
            task: the task; None for a final state.
        """
        self.let_go()
        self._attempt, self._due, self.boundary = attempt, {}, 0
        if task is None or attempt.number != 1:
            return
        here = self._here | {Need.CHANGES} if _works(task) else self._here
        drawn = self._dice.faults(attempt.key.run, self._case, possible(here))
        met = read(attempt.facts.get("chaos", ""))  # before the session was taken up again
        self._due = {fault.name: fault for fault in drawn if fault.name not in met}

    @property
    def _case(self) -> str:
        assert self._attempt is not None
        key = self._attempt.key
        return f"{slug(key.plan)}/{task_slug(key.batch, key.task)}"

    @property
    def attends(self) -> object:
        """The attempt, to tell it from others; None: there was none yet."""
        return self._attempt

    @property
    def facts(self) -> dict[str, str]:
        """What is known of the attempt."""
        return {} if self._attempt is None else self._attempt.facts

    def due(self, name: str) -> bool:
        """Whether a fault is still to strike."""
        return name in self._due

    def strike(self, name: str) -> bool:
        """Whether a fault is to strike now; the record says so before it does, and it does not a second time."""
        fault = self._due.pop(name, None)
        if fault is None:
            return False
        assert self._attempt is not None
        expected = ABSORBED if fault.kind is None or self._is_retried(fault) else str(fault.kind)
        self._attempt.remark("chaos", told({**read(self.facts.get("chaos", "")), name: expected}))
        return True

    def _is_retried(self, fault: Fault) -> bool:
        assert self._attempt is not None
        return fault.name == "agent-overloaded" and self._attempt.settings.agent_retries > 0

    def number(self, what: str, sides: int) -> int:
        """A number from 0 on, below ``sides``, for a detail of a fault of this task."""
        assert self._attempt is not None
        return self._dice.number(self._attempt.key.run, self._case, what, sides)

    def hold(self, release: Callable[[], None], seconds: float) -> None:
        """Something is taken from the pipeline, and given back by itself.

        Args:
            release: gives it back.
            seconds: after which that is done; a process that chaos kills does it at once, for nobody else could.
        """
        timer = threading.Timer(seconds, lambda: self._release(id(timer)))
        timer.daemon = True
        with self._lock:
            self._holding[id(timer)] = release
        timer.start()

    def _release(self, key: int) -> None:
        with self._lock:
            release = self._holding.pop(key, None)
            if release is not None:
                with contextlib.suppress(OSError):
                    release()

    def let_go(self) -> None:
        """Give back everything now."""
        for key in list(self._holding):
            self._release(key)


def _works(task: Task) -> bool:
    return task.expect is Expectation.CHANGES and task.trouble is None
