"""What was interrupted has no report: pytest's record would hold a test case without a name for it, or none at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.record.junit import clean, testcase_properties
from pytest_pipeline.record.model import Outcome, SessionRecord, TaskRunKey, TaskRunRecord
from pytest_pipeline.record.rebuilding import INTERRUPTED
from pytest_pipeline.record.selection import Item, Selection

if TYPE_CHECKING:
    from pytest_pipeline.record.store import Store


class Unreported:
    """The items whose last report was not heard yet; to who writes JUnit XML, and to no one else, it is given."""

    def __init__(self) -> None:
        self._heard: dict[str, pytest.TestReport] = {}
        self._ended: set[str] = set()

    def hear(self, report: pytest.TestReport) -> None:
        """Follow an item."""
        if report.when == "teardown":
            self._heard.pop(report.nodeid, None)
            self._ended.add(report.nodeid)
        else:
            self._heard[report.nodeid] = report
            self._ended.discard(report.nodeid)

    def give(self, config: pytest.Config, store: Store, session: str) -> None:
        """Write a test case, as an error, for each item that the session has left interrupted.

        Args:
            config: pytest's configuration.
            store: where everything has ended.
            session: id of the session.
        """
        from _pytest.junitxml import xml_key  # no public name

        writer = config.stash.get(xml_key, None)
        if writer is None:
            return
        record = store.session(session)
        for task_run, item, node in self._interrupted(record, store.task_runs(session)):
            failed, ended = self._reports(record, task_run, item, node)
            writer.pytest_runtest_logreport(failed)
            # the writer says of every error that it was one of setup or teardown
            writer.node_reporter(failed).nodes[-1].set("message", str(failed.longrepr).partition("\n")[0])
            writer.pytest_runtest_logreport(ended)

    def _interrupted(
        self, session: SessionRecord, task_runs: tuple[TaskRunRecord, ...]
    ) -> Iterator[tuple[TaskRunRecord, Item, str]]:
        selection = Selection.read(session)
        known: dict[TaskRunKey, tuple[Item, str]] = (
            {} if selection is None else {key: (item, node) for key, item, node in selection.nodes(session.id)}
        )
        for task_run in task_runs:
            item, node = known.get(task_run.key, (None, ""))
            if item is not None and task_run.outcome is Outcome.INTERRUPTED and node not in self._ended:
                yield task_run, item, node

    def _reports(
        self, session: SessionRecord, task_run: TaskRunRecord, item: Item, node: str
    ) -> tuple[pytest.TestReport, pytest.TestReport]:
        """An error where the item has got to, and the end of it."""
        heard = self._heard.get(node)
        last = task_run.attempts[-1]
        seconds = (last.finished - last.started).total_seconds() if last.finished is not None else 0.0
        location = (item.plan, item.line - 1, clean(item.title))
        told = testcase_properties(session, task_run)
        text = f"{INTERRUPTED}{last.message}"
        failed = pytest.TestReport(node, location, {}, "failed", text, "setup", user_properties=told)
        ended = pytest.TestReport(node, location, {}, "passed", None, "teardown", user_properties=told)
        failed.duration = max(0.0, seconds - (heard.duration if heard is not None else 0.0))
        for name in ("node", "worker_id", "item_index"):  # by them the writer knows the test case that it has begun
            for report in (failed, ended):
                if hasattr(heard, name):
                    setattr(report, name, getattr(heard, name))
        return failed, ended
