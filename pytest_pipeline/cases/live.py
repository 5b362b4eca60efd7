"""Lines that are shown while tasks run: with ``-vv`` what an agent does, and always a long wait for the forge."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.events import AgentActivity, ForgeWaiting, StepFinished
from pytest_pipeline.record.columns import plain, shorten

if TYPE_CHECKING:
    from _pytest.capture import CaptureManager
    from _pytest.terminal import TerminalReporter

_BEFORE = "  | "
_LONG_WAIT = 5.0
_SHORT_WAIT = 1.0  # with -v; each change of a GitHub keeps that distance from the next, which is no news


def show_live(config: pytest.Config) -> None:
    """Show lines on a terminal that no other worker writes to.

    Long waits unless ``-q`` is given, steps with ``-v``, and with ``-vv`` what agents say.
    """
    lines, verbosity = lines_of(config), config.get_verbosity()
    if lines is None:
        return
    shortest = _LONG_WAIT if verbosity == 0 else _SHORT_WAIT
    config.pluginmanager.register(WaitLines(lines, shortest), "pipeline-wait-lines")
    if verbosity >= 1:
        config.pluginmanager.register(StepLines(lines), "pipeline-step-lines")
    if verbosity >= 2:
        config.pluginmanager.register(LiveLines(lines), "pipeline-live-lines")


def lines_of(config: pytest.Config) -> Lines | None:
    """Where lines of ours are written; None where there is no terminal of ours, or silence was asked for."""
    terminal: TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or config.get_verbosity() < 0 or hasattr(config, "workerinput"):
        return None
    capture: CaptureManager | None = config.pluginmanager.get_plugin("capturemanager")
    return Lines(terminal, capture)


def step_line(run: int, task: str, plan: str, step: str, outcome: str, seconds: float) -> str:
    """A step that has ended, as a line."""
    return f"run {run}, {task} of {plan}: {step} {outcome} after {seconds:.1f} s"


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
class StepLines:
    """A plugin that writes each step as it ends."""

    lines: Lines

    def pytest_pipeline_step_finished(self, event: StepFinished) -> None:
        """Write the line."""
        task = event.task
        self.lines.write(step_line(task.run, task.task, task.plan, event.step, event.outcome, event.seconds))


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
