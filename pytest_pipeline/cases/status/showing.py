"""When the live status is shown, and the thread that draws it from time to time until the session ends."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.cases.order import CaseKey
from pytest_pipeline.cases.status.looking import Look
from pytest_pipeline.cases.status.picture import THIS_PROCESS
from pytest_pipeline.cases.status.screen import Screen
from pytest_pipeline.cases.status.waiting import WaitNote
from pytest_pipeline.cases.status.whereabouts import Whereabouts
from pytest_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pytest_pipeline.execution.pipeline import Pipeline

_PAUSE = 0.5  # seconds between two looks
_QUIET = 0.1  # seconds without output after which it is drawn again: pytest writes a line in pieces


def terminal_for_status(config: pytest.Config, mode: str) -> pytest.TerminalReporter | None:
    """The reporter of a terminal that can show a live status without harm; None: there must be none.

    Args:
        config: pytest's configuration.
        mode: the setting ``live``.
    """
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if mode == "off" or type(terminal) is not pytest.TerminalReporter or hasattr(config, "workerinput"):
        return None  # another reporter may move the cursor itself
    in_ci = bool(os.environ.get("CI") or os.environ.get("BUILD_NUMBER"))  # what pytest itself takes for one
    steerable = terminal.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb")
    if config.get_verbosity() < 0 or not steerable or (in_ci and mode == "auto"):
        return None
    alone = config.getoption("capture") == "fd" and config.pluginmanager.has_plugin("capturemanager")
    talks = config.getoption("usepdb", False) or config.getoption("trace", False)
    return terminal if alone and not talks else None


class LiveStatus:
    """The plugin that shows it.

    Args:
        terminal: pytest's reporter, whose terminal writer is ours to watch until the end.
        look: makes the pictures.
        whereabouts: is told what this process does.
        workers: whether others carry the items out, whom a controller tells of.
    """

    def __init__(
        self, terminal: pytest.TerminalReporter, look: Look, whereabouts: Whereabouts, *, workers: bool
    ) -> None:
        self._writer = terminal._tw  # no public name; it is what writes every line of pytest's
        self._file = self._writer._file
        self._look = look
        self._whereabouts = whereabouts
        self._workers = workers
        self._touched = threading.Event()
        self._over = threading.Event()
        self._screen = Screen(self._file, self._touched)
        self._thread = threading.Thread(target=self._keep_drawing, name="pipeline-live-status", daemon=True)

    def start(self) -> None:
        """Show it from now on."""
        if not self._workers:
            self._whereabouts.arrive(THIS_PROCESS)
        self._writer._file = self._screen  # it has what the writer uses
        self._touched.set()
        self._thread.start()

    def stop(self) -> None:
        """Leave the terminal as if nothing had been shown; once more does nothing."""
        if self._over.is_set():
            return
        self._over.set()
        self._touched.set()
        self._screen.close()
        self._writer._file = self._file
        self._thread.join()

    def _keep_drawing(self) -> None:
        looked = float("-inf")
        while not self._over.is_set():
            if time.monotonic() >= looked + _PAUSE:
                with contextlib.suppress(PipelineError):  # a store that is busy is asked again
                    self._look.refresh()
                looked = time.monotonic()
            self._draw()
            if self._touched.wait(_PAUSE):
                self._over.wait(_QUIET)
                self._touched.clear()

    def _draw(self) -> None:
        from pytest_pipeline.cases.status.drawing import draw

        self._screen.draw(draw(self._look.picture(), *self._screen.size, coloured=self._writer.hasmarkup))

    # What happens

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """An item starts here."""
        if not self._workers:
            self._whereabouts.begin(THIS_PROCESS, nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """It has ended."""
        if not self._workers:
            self._whereabouts.end(THIS_PROCESS, nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Follow how items end."""
        if report.outcome in ("failed", "skipped") or (report.when == "call" and report.passed):
            self._look.note(report.nodeid, report.outcome)

    # When it must go

    def pytest_enter_pdb(self) -> None:
        """A person types."""
        self.stop()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """What is printed from now on stays."""
        self.stop()

    def pytest_unconfigure(self) -> None:
        """The session may have ended before it began."""
        self.stop()


def show_status(
    config: pytest.Config,
    pipeline: Pipeline,
    cases: Mapping[str, CaseKey],
    whereabouts: Whereabouts,
    *,
    workers: bool,
) -> None:
    """Show the live status of an open session where it is wanted.

    Args:
        config: pytest's configuration.
        pipeline: the session.
        cases: its items by node id.
        whereabouts: what is known of workers.
        workers: whether others carry the items out.
    """
    terminal = terminal_for_status(config, pipeline.settings.live)
    if terminal is None:
        return
    look = Look(pipeline.store, pipeline.layout, pipeline.settings, cases, whereabouts)
    status = LiveStatus(terminal, look, whereabouts, workers=workers)
    config.pluginmanager.register(status, "pipeline-live-status")
    if not workers:
        config.pluginmanager.register(WaitNote(pipeline.layout.wait_file()), "pipeline-wait-note")
    status.start()
