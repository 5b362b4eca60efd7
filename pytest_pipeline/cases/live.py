"""Lines that are shown while tasks run: with ``-vv`` what an agent does, and always a long wait for the forge."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.events import AgentActivity, ForgeWaiting
from pytest_pipeline.record.columns import plain, shorten

if TYPE_CHECKING:
    from _pytest.capture import CaptureManager
    from _pytest.terminal import TerminalReporter

_BEFORE = "  | "
_LONG_WAIT = 5.0
_SHORT_WAIT = 1.0  # with -v; each change of a GitHub keeps that distance from the next, which is no news


def show_live(config: pytest.Config) -> None:
    """Show lines on a terminal that no other worker writes to: waits unless ``-q`` is given, agents with ``-vv``."""
    terminal: TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    verbosity = config.get_verbosity()
    if terminal is None or verbosity < 0 or hasattr(config, "workerinput"):
        return
    capture: CaptureManager | None = config.pluginmanager.get_plugin("capturemanager")
    lines = Lines(terminal, capture)
    shortest = _LONG_WAIT if verbosity == 0 else _SHORT_WAIT
    config.pluginmanager.register(WaitLines(lines, shortest), "pipeline-wait-lines")
    if verbosity >= 2:
        config.pluginmanager.register(LiveLines(lines), "pipeline-live-lines")


class Lines:
    """Writes lines of their own between what pytest prints, as its live logging does.

    Args:
        terminal: pytest's reporter; it knows whether it is in the middle of a line, and ends that first.
        capture: what would swallow the lines, as it does with those of tests; None where nothing is captured.
    """

    def __init__(self, terminal: TerminalReporter, capture: CaptureManager | None) -> None:
        self._terminal = terminal
        self._capture = capture

    def write(self, text: str) -> None:
        """Write a line, with nothing in it that could steer a terminal."""
        width: int = self._terminal._tw.fullwidth
        with self._capture.global_and_fixture_disabled() if self._capture else nullcontext():
            self._terminal.write_line(_BEFORE + shorten(plain(text, spaced=True), width - len(_BEFORE)))
            self._terminal.flush()


@dataclass(frozen=True)
class LiveLines:
    """A plugin that writes what agents say."""

    lines: Lines

    def pytest_pipeline_agent_activity(self, event: AgentActivity) -> None:
        """Write the line."""
        self.lines.write(event.line)


@dataclass(frozen=True)
class WaitLines:
    """A plugin that tells of waits for the forge, of those that last.

    Args:
        lines: where it writes.
        shortest: seconds of a wait that is worth a line.
    """

    lines: Lines
    shortest: float

    def pytest_pipeline_forge_waiting(self, event: ForgeWaiting) -> None:
        """Write the sentence."""
        if event.seconds >= self.shortest:
            self.lines.write(event.message)
