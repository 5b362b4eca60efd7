"""``-vv``: what an agent does is shown while it does it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.events import AgentActivity
from pytest_pipeline.record.columns import plain, shorten

if TYPE_CHECKING:
    from _pytest.capture import CaptureManager
    from _pytest.terminal import TerminalReporter

_BEFORE = "  | "


def show_activity(config: pytest.Config) -> None:
    """Show the lines of agents where they are wanted: with ``-vv``, on a terminal that no other worker writes to."""
    terminal: TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and config.get_verbosity() >= 2 and not hasattr(config, "workerinput"):
        capture: CaptureManager | None = config.pluginmanager.get_plugin("capturemanager")
        config.pluginmanager.register(LiveLines(terminal, capture), "pipeline-live-lines")


class LiveLines:
    """A plugin that writes what agents say on lines of their own, as pytest's live logging does.

    Args:
        terminal: pytest's reporter; it knows whether it is in the middle of a line, and ends that first.
        capture: what would swallow the lines, as it does with those of tests; None where nothing is captured.
    """

    def __init__(self, terminal: TerminalReporter, capture: CaptureManager | None) -> None:
        self._terminal = terminal
        self._capture = capture

    def pytest_pipeline_agent_activity(self, event: AgentActivity) -> None:
        """Write the line, with nothing in it that could steer a terminal."""
        width: int = self._terminal._tw.fullwidth
        with self._capture.global_and_fixture_disabled() if self._capture else nullcontext():
            self._terminal.write_line(_BEFORE + shorten(plain(event.line, spaced=True), width - len(_BEFORE)))
            self._terminal.flush()
