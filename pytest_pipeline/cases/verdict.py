"""The end of a session: criterion, exit code, suite properties, summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.cases.observing import ask
from pytest_pipeline.errors import PipelineError
from pytest_pipeline.events import CriterionDecided
from pytest_pipeline.execution.opening import Opened
from pytest_pipeline.execution.steps import now
from pytest_pipeline.record.chaos import reckon
from pytest_pipeline.record.criterion import Verdict
from pytest_pipeline.record.history import look_back, verdict_of
from pytest_pipeline.record.junit import suite_properties
from pytest_pipeline.record.summary import summary
from pytest_pipeline.settings import Settings

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

CRITERION_NOT_MET = 8
"""Exit code when everything passed, but there were not enough consecutive successful runs."""


class Closing:
    """What is decided and said when the last item is over.

    Args:
        config: pytest's configuration.
        opened: the session.
        settings: the session's settings.
        notes: further lines for the summary.
        faults: hooks that failed outside of a task.
    """

    def __init__(
        self, config: pytest.Config, opened: Opened, settings: Settings, notes: list[str], faults: list[str]
    ) -> None:
        self._config = config
        self._pipeline = opened.pipeline
        self._settings = settings
        self._notes = notes
        self._faults = faults
        self._verdict: Verdict

    def decide(self, exitstatus: int, *, failed_elsewhere: bool) -> int:
        """Judge the runs, tell hooks and JUnit, and return the exit code.

        Args:
            exitstatus: what pytest would return.
            failed_elsewhere: whether something failed that is no item of a plan.
        """
        store, session = self._pipeline.store, self._pipeline.session
        if self._settings.history or self._settings.count_history:
            self._look_back()
        self._verdict = verdict = verdict_of(store, store.session(session))
        self._tell_hooks(CriterionDecided(session, verdict.required, verdict.streak, verdict.met))
        code = self._exit_code(exitstatus, failed_elsewhere)
        store.close_session(session, streak=verdict.streak, met=verdict.met, exit_code=code, finished=now())
        self._add_suite_properties()
        return code

    def _look_back(self) -> None:
        """Tell the history; with ``--count-history`` it is noted, and its runs decide."""
        store, session = self._pipeline.store, self._pipeline.session
        history = look_back(store.sessions(), session, store)
        self._notes.append(history.told())
        if self._settings.count_history:
            store.fact(session, "history", ", ".join(each.id for each in history.sessions))

    def _tell_hooks(self, event: CriterionDecided) -> None:
        hook = self._config.hook.pytest_pipeline_criterion_decided
        try:
            ask("pytest_pipeline_criterion_decided", lambda: hook(event=event))
        except PipelineError as error:
            self._faults.append(str(error))

    def _exit_code(self, exitstatus: int, failed_elsewhere: bool) -> int:
        failed = failed_elsewhere or bool(self._faults)
        if exitstatus == pytest.ExitCode.OK and self._faults:
            return int(pytest.ExitCode.TESTS_FAILED)
        if self._settings.chaos is not None:
            return self._exit_code_of_chaos(exitstatus)
        if exitstatus == pytest.ExitCode.OK and not self._verdict.met:
            return CRITERION_NOT_MET
        outlived = self._verdict.met and self._settings.until_consecutive is not None and not failed
        if exitstatus == pytest.ExitCode.TESTS_FAILED and outlived:
            return int(pytest.ExitCode.OK)  # the failures are those of runs before the streak
        return int(exitstatus)

    def _exit_code_of_chaos(self, exitstatus: int) -> int:
        """A fault that a task had to fail by, and has not, is seen by nobody but us."""
        surprises = reckon(self._pipeline.store.task_runs(self._pipeline.session)).surprises
        return int(pytest.ExitCode.TESTS_FAILED if surprises and exitstatus == pytest.ExitCode.OK else exitstatus)

    def _add_suite_properties(self) -> None:
        """Hand the suite properties to the object that writes JUnit XML, where there is one.

        ``record_testsuite_property`` is a fixture, which nobody has at the end of a session.
        """
        record = self._pipeline.store.session(self._pipeline.session)
        writers = [
            plugin
            for _, plugin in self._config.pluginmanager.list_name_plugin()  # get_plugins() needs them to be hashable
            if hasattr(plugin, "add_global_property")
        ]
        for writer in writers:
            for name, value in suite_properties(record, self._verdict):
                writer.add_global_property(name, value)

    def print(self, terminal: TerminalReporter) -> None:
        """Print the summary."""
        store, session = self._pipeline.store, self._pipeline.session
        terminal.write_sep("=", "pipeline")
        width = terminal._tw.fullwidth
        for line in summary(
            store.session(session), store.runs(session), store.task_runs(session), self._verdict, width
        ):
            terminal.write_line(line.text, **dict.fromkeys(line.markup, True))
        for fault in self._faults:
            terminal.write_line(f"error: {fault}", red=True)
        for note in self._notes:
            terminal.write_line(f"note: {note}")
        for path in self._pipeline.workspaces.kept:
            terminal.write_line(f"workspace kept: {path}")
