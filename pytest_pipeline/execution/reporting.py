"""A session becomes one file for a browser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.execution.material import Shelf
from pytest_pipeline.record.model import AttemptRecord, Outcome, TaskRunKey, TaskRunRecord
from pytest_pipeline.record.report.details import Detail, Material, detail
from pytest_pipeline.record.report.pages import report
from pytest_pipeline.record.report.picture import picture
from pytest_pipeline.record.standing import standing_of
from pytest_pipeline.record.store import Store

ROOM = 8 * 1024**2
"""Characters of transcripts and diffs in one report: a browser must still open it."""

_FAILED_FIRST = {Outcome.FAILED: 0, Outcome.INTERRUPTED: 1, Outcome.RUNNING: 1}


@dataclass
class _Room:
    """Room for texts, which is given out until it is used up."""

    left: int
    refused: int = 0
    _told: dict[int, str] = field(default_factory=dict)

    def take(self, text: str) -> str:
        if len(text) > self.left:
            self.refused += 1
            return ""
        self.left -= len(text)
        return text


def session_report(store: Store, layout: Layout, rootdir: Path, *, alive: bool, now: datetime, room: int = ROOM) -> str:
    """A session as one file.

    Args:
        store: the record.
        layout: of the session.
        rootdir: that the paths of transcripts are relative to.
        alive: whether a process carries the session on.
        now: the time.
        room: characters of transcripts and diffs together; those of failed tasks come first.

    Raises:
        StoreError: there is no such session, or the store cannot be read.
    """
    session, runs = store.session(layout.session), store.runs(layout.session)
    task_runs = store.task_runs(layout.session)
    standing = standing_of(store, session, alive=alive)
    space = _Room(room)
    shelf = Shelf.of(rootdir, layout)

    def transcript(attempt: AttemptRecord) -> str:
        return space.take(shelf.transcript(attempt))

    def diff(attempt: AttemptRecord) -> str:
        return space.take(shelf.diff(attempt))

    urgent = sorted(task_runs, key=lambda each: _FAILED_FIRST.get(each.outcome, 2))
    made = {each.key: detail(session, each, Material(transcript, diff)) for each in urgent}
    left_out = (
        f"{space.refused} transcripts and diffs are left out, because the file would be too large."
        if space.refused
        else ""
    )
    drawn = picture(standing, runs, task_runs, alive=alive, now=now)
    return report(drawn, _in_order(task_runs, made), left_out)


def _in_order(task_runs: Sequence[TaskRunRecord], made: dict[TaskRunKey, Detail]) -> Iterator[Detail]:
    return (made[each.key] for each in sorted(task_runs, key=lambda each: each.key.run))
