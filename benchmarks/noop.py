"""A pytest plugin (``-p benchmarks.noop``) under which tasks do nothing, so that what is left is what pytest sees.

Collection, items, order, ledger, hooks and verdict are the real ones; there is no git, no workspace and no agent. The
store is real when the variable ``BENCHMARK_STORE`` is set, else it is one that forgets.
"""

from __future__ import annotations

import os
from datetime import datetime

import pytest

from pytest_pipeline.cases import nodes
from pytest_pipeline.execution import opening
from pytest_pipeline.execution.attempt import Attempt
from pytest_pipeline.execution.steps import now
from pytest_pipeline.record.model import Invocation, Outcome, RunRecord, SessionRecord, TaskRunKey, TaskRunRecord
from pytest_pipeline.record.store import Store

STORE = "BENCHMARK_STORE"
_ADMITTED: set[int] = set()


class NoAttempt(Attempt):
    """An attempt without steps."""

    def admit(self) -> None:
        """Write it down."""
        store, key = self.pipeline.store, self.key
        if key.run not in _ADMITTED:
            store.admit_run(key.session, key.run, now())
            _ADMITTED.add(key.run)
        if not isinstance(store, Forgetful):
            self._admitted = store.admit_attempt(key, self.title, now())

    def prepare(self) -> None:
        """Nothing."""

    def perform(self) -> None:
        """Nothing."""


class Forgetful(Store):
    """A store of one session that knows its runs and nothing else."""

    def __init__(self) -> None:
        self._session: SessionRecord
        self._runs: dict[int, RunRecord] = {}

    def close(self) -> None:
        """Nothing is open."""

    def open_session(self, session: SessionRecord, invocation: Invocation | None = None) -> None:
        """Remember it."""
        self._session = session

    def session(self, session: str) -> SessionRecord:
        """The only one."""
        return self._session

    def close_session(self, session: str, *, streak: int, met: bool, exit_code: int, finished: datetime) -> None:
        """Forget it."""

    def admit_run(self, session: str, number: int, started: datetime) -> RunRecord:
        """Remember the run."""
        return self._runs.setdefault(
            number, RunRecord(session, number, len(self._runs) + 1, started, Outcome.RUNNING, None)
        )

    def finish_run(self, session: str, number: int, outcome: Outcome, finished: datetime) -> bool:
        """Remember how it ended."""
        run = self._runs[number]
        self._runs[number] = RunRecord(session, number, run.admitted, run.started, outcome, finished)
        return run.finished is None

    def runs(self, session: str) -> tuple[RunRecord, ...]:
        """The runs."""
        return tuple(self._runs.values())

    def task_run(self, key: TaskRunKey) -> TaskRunRecord | None:
        """Nothing is known of it."""
        return None

    def task_runs(self, session: str, run: int | None = None) -> tuple[TaskRunRecord, ...]:
        """Nothing is known of them."""
        return ()

    @classmethod
    def open(cls, url: str) -> Store:
        """One that is empty."""
        return cls()


def _open_task(item: nodes.TaskItem) -> Attempt:
    pipeline, case = item.lifecycle.pipeline, item.case
    return NoAttempt(pipeline, case.run, item.plan, case.batch, case.task, item.title, pipeline.settings)


def _open_final_state(item: nodes.FinalStateItem) -> Attempt:
    pipeline, case = item.lifecycle.pipeline, item.case
    return NoAttempt(pipeline, case.run, item.plan, "", case.task, item.title, pipeline.settings)


def pytest_configure(config: pytest.Config) -> None:
    """Put what does nothing in the place of what does the work."""
    del config
    setattr(nodes.TaskItem, "open_attempt", _open_task)  # noqa: B010 - mypy refuses to assign to a method
    setattr(nodes.FinalStateItem, "open_attempt", _open_final_state)  # noqa: B010
    if not os.environ.get(STORE):
        setattr(opening, "Store", Forgetful)  # noqa: B010
