"""Sessions as pages, from the store alone: also those that nobody has started through this server."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pytest_pipeline.execution.alive import is_alive
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.execution.material import Shelf
from pytest_pipeline.execution.steps import now
from pytest_pipeline.record.model import SessionRecord, TaskRunRecord
from pytest_pipeline.record.report import pages
from pytest_pipeline.record.report.details import Material, detail
from pytest_pipeline.record.report.picture import Picture, anchor_of, picture
from pytest_pipeline.record.standing import Standing, standing_of
from pytest_pipeline.record.store import Store
from pytest_pipeline.server.masking import Mask, masked

PAGE = 50
"""Sessions on one page of the list."""

_KEPT = 64
_TEXT = 200 * 1024  # bytes of a transcript, or of a diff, on the page of a task


@dataclass(frozen=True)
class Rendered:
    """The part of a page that changes, and what tells it from others."""

    text: str
    tag: str


class Gallery:
    """Renders pages; what many look at is rendered once in an interval.

    Args:
        store: opens the record.
        state: the state directory.
        rootdir: that the paths of transcripts are relative to.
        mask: takes secrets out of a text.
        interval: seconds.
    """

    def __init__(self, store: Callable[[], Store], state: Path, rootdir: Path, mask: Mask, interval: float) -> None:
        self._store = store
        self._state = state
        self._rootdir = rootdir
        self._mask = mask
        self._interval = interval
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Rendered]] = OrderedDict()

    def sessions(self, number: int) -> str:
        """A page of the list of sessions, the latest first.

        Args:
            number: of the page, from 1.
        """
        known = list(reversed(self._store().sessions()))
        start = (number - 1) * PAGE
        shown = [self._standing(each) for each in known[start : start + PAGE]]
        more = f"/?page={number + 1}" if len(known) > start + PAGE else ""
        return pages.sessions_page(masked(shown, self._mask), now(), more)

    def session(self, name: str) -> str | None:
        """The page of a session; None: there is none of that id."""
        found = self._find(name)
        return None if found is None else pages.session_page(self._picture(found))

    def overview(self, name: str) -> Rendered | None:
        """The part of that page that changes; None: there is no such session."""
        with self._lock:  # whoever comes while it is rendered gets the same
            taken, known = self._kept.get(name, (float("-inf"), None))
            if known is not None and time.monotonic() - taken < self._interval:
                return known
            found = self._find(name)
            if found is None:
                return None
            text = pages.overview(self._picture(found))
            made = Rendered(text, f'"{sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]}"')
            self._kept[name] = time.monotonic(), made
            self._kept.move_to_end(name)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return made

    def task(self, name: str, anchor: str) -> str | None:
        """The page of a task run; None: there is none of that name."""
        found = self._find(name)
        chosen = [each for each in self._task_runs(name) if anchor_of(each.key) == anchor] if found else []
        if found is None or not chosen:
            return None
        shelf = Shelf.of(self._rootdir, Layout(self._state, name, self._state), most=_TEXT)
        material = Material(  # whole, for what is shown of them comes in lines
            lambda attempt: self._mask(shelf.transcript(attempt)), lambda attempt: self._mask(shelf.diff(attempt))
        )
        shown = detail(found, chosen[0], material)
        return pages.task_page(self._picture(found), masked(shown, self._mask))

    def _find(self, name: str) -> SessionRecord | None:
        return self._store().find_session(name)

    def _task_runs(self, name: str) -> tuple[TaskRunRecord, ...]:
        return self._store().task_runs(name)

    def _standing(self, session: SessionRecord) -> Standing:
        return standing_of(self._store(), session, alive=self._lives(session))

    def _lives(self, session: SessionRecord) -> bool:
        return session.finished is None and is_alive(self._state, session.id, self._store().file)

    def _picture(self, session: SessionRecord) -> Picture:
        alive = self._lives(session)
        runs, task_runs = self._store().runs(session.id), self._task_runs(session.id)
        standing = standing_of(self._store(), session, alive=alive)
        return masked(picture(standing, runs, task_runs, alive=alive, now=now()), self._mask)
