"""From what is known of workers, and from the store where they write what they do, to a picture."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from pytest_pipeline.cases.order import CaseKey
from pytest_pipeline.cases.status.picture import THIS_PROCESS, Picture, Row
from pytest_pipeline.cases.status.whereabouts import Post, Whereabouts
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.host.locking import holder
from pytest_pipeline.record.criterion import judge
from pytest_pipeline.record.model import FINAL_STATE, Outcome, RunRecord, TaskRunKey
from pytest_pipeline.settings import Settings

if TYPE_CHECKING:
    from pytest_pipeline.record.store import Store

_MERGE = "merge"
_TURN = "waits for its turn"


class Look:
    """Looks at a session again and again.

    Args:
        store: where all processes of the session write what they do.
        layout: where they tell the rest.
        settings: the session's settings.
        cases: its items by node id.
        whereabouts: its workers.
        clock: seconds, the same as that of the whereabouts.
        today: seconds since the epoch, by which processes tell each other until when they wait.
    """

    def __init__(
        self,
        store: Store,
        layout: Layout,
        settings: Settings,
        cases: Mapping[str, CaseKey],
        whereabouts: Whereabouts,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._layout = layout
        self._settings = settings
        self._keys = {
            nodeid: TaskRunKey(layout.session, case.run, case.plan, case.batch, case.task)
            for nodeid, case in cases.items()
        }
        self._tasks = sum(case.task != FINAL_STATE for case in cases.values())
        self._whereabouts = whereabouts
        self._clock = clock
        self._today = today
        self._began = clock()
        self._steps: dict[int, tuple[TaskRunKey, str]] = {}  # those under way, by their rows
        self._read_to = 0
        self._costs: Mapping[TaskRunKey, Decimal] = {}
        self._runs: tuple[RunRecord, ...] = ()
        self._outcomes: dict[str, str] = {}

    def note(self, nodeid: str, outcome: str) -> None:
        """An item has ended: passed, failed or skipped; what is told last counts."""
        key = self._keys.get(nodeid)
        if key is not None and key.task != FINAL_STATE:
            self._outcomes[nodeid] = outcome

    def refresh(self) -> None:
        """Ask the store.

        Raises:
            StoreError: it does not answer; what was known before stays.
        """
        store, session = self._store, self._layout.session
        steps = store.steps_after(session, self._read_to)
        self._steps = {row: (key, step.name) for row, key, step in steps if step.finished is None}
        first = min(self._steps, default=None)
        if first is not None:
            self._read_to = first - 1
        elif steps:
            self._read_to = steps[-1][0]
        self._costs = store.costs(session)
        self._runs = store.runs(session)

    def picture(self) -> Picture:
        """The session as it stands, as far as it is known."""
        settings = self._settings
        ended = [run for run in self._runs if run.outcome is not Outcome.RUNNING]
        tally = Counter(list(self._outcomes.values()))
        return Picture(
            runs=settings.count,
            runs_ended=len(ended),
            streak=judge(ended, settings.required, settings.count).streak,
            tasks=self._tasks,
            passed=tally["passed"],
            failed=tally["failed"],
            skipped=tally["skipped"],
            cost=sum(self._costs.values(), Decimal()),
            seconds=self._clock() - self._began,
            rows=self._rows(),
        )

    def _rows(self) -> tuple[Row, ...]:
        steps = dict(self._steps.values())
        posts = self._whereabouts.posts()
        at = {post.worker: (post, self._keys.get(post.nodeid)) for post in posts}
        merging = {worker: key.run for worker, (_, key) in at.items() if key and steps.get(key) == _MERGE}
        return tuple(self._row(post, key, steps.get(key, "") if key else "", merging) for post, key in at.values())

    def _row(self, post: Post, key: TaskRunKey | None, step: str, merging: Mapping[str, int]) -> Row:
        mine = (self._costs.get(self._keys[nodeid]) for nodeid in post.given if nodeid in self._keys)
        cost = sum((amount for amount in mine if amount), Decimal())
        seconds = self._clock() - post.since
        if key is None:
            return Row(post.worker, task=post.nodeid, seconds=seconds, cost=cost)
        waits = self._wait_for_forge(post.worker) or self._wait_for_merge(post.worker, merging)
        return Row(post.worker, key.run, key.plan, key.task, step, waits, seconds, cost)

    def _wait_for_forge(self, worker: str) -> str:
        """What a worker on this machine, or this process, says of a wait that is not over."""
        name = "" if worker == THIS_PROCESS else worker
        try:
            told = self._layout.wait_file(name).read_text("utf-8", "replace")
            until, _, reason = told.partition(" ")
            left = float(until) - self._today()
        except (OSError, ValueError):
            return ""
        return f"{reason} ({left:.0f} s left)" if left > 0 else ""

    def _wait_for_merge(self, worker: str, merging: Mapping[str, int]) -> str:
        """Whether another worker of this machine holds the lock of the base that this one merges into."""
        if worker not in merging:
            return ""
        held_by = holder(self._layout.run_lock(merging[worker]))
        others = {self._pid(other) for other in merging if other != worker}
        return _TURN if held_by is not None and held_by in others else ""

    def _pid(self, worker: str) -> int | None:
        try:
            return int(self._layout.pid_file(worker).read_text("ascii"))
        except (OSError, ValueError):
            return None
