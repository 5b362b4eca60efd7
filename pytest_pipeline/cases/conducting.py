"""A session as a whole, in the process that the user has started: opened, followed by its reports, judged, closed.

What carries tasks out, and keeps the record, is imported when a session is opened: to look at plans needs none of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.cases.live import show_live
from pytest_pipeline.cases.observing import HookObserver, ask
from pytest_pipeline.cases.order import CaseKey
from pytest_pipeline.cases.recalling import NOTES
from pytest_pipeline.cases.status.whereabouts import Whereabouts
from pytest_pipeline.cases.unreported import Unreported
from pytest_pipeline.errors import HostError, PipelineError
from pytest_pipeline.events import RunFinished
from pytest_pipeline.plans.model import Plan
from pytest_pipeline.record.criterion import judge, run_outcome
from pytest_pipeline.record.model import FINAL_STATE, Outcome, RunRecord, TaskRunKey
from pytest_pipeline.settings import Settings

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from pytest_pipeline.cases.choosing import ChosenAgents
    from pytest_pipeline.cases.verdict import Closing
    from pytest_pipeline.execution.opening import Opened, Prepared
    from pytest_pipeline.execution.pipeline import Pipeline

KEPT = "pipeline_kept"
TOLD = "pipeline_told"
"""Attributes of reports by which a worker tells of a workspace that is kept, and of notes and faults for the end."""


class Conductor:
    """What is done once for a session. It knows items by their node ids alone, for it may not have collected them.

    Args:
        config: pytest's configuration.
        settings: the session's settings.
    """

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.config = config
        self.settings = settings
        self.opened: Opened | None = None
        self.agents: ChosenAgents | None = None
        self.unreadable: list[str] = []
        self.passed_over: list[str] = []
        self.plan_notes: list[str] = []
        self.notes: list[str] = []
        self.faults: list[str] = []
        self.whereabouts = Whereabouts()
        self._unreported = Unreported()
        self.failed_reports = 0
        self.stopped = False
        self.on_stop: Callable[[], None] = lambda: None
        self._cases: dict[str, CaseKey] = {}
        self._pending: Counter[int] = Counter()
        self._closed: set[str] = set()
        self._finished_runs: set[int] = set()
        self._closing: Closing | None = None

    @property
    def pipeline(self) -> Pipeline:
        """The open session."""
        assert self.opened is not None
        return self.opened.pipeline

    # Opening

    def open(self, plans: Mapping[str, Plan], cases: Mapping[str, CaseKey], prepared: Prepared | None = None) -> None:
        """Open the session: whatever is missing is said before the first agent starts.

        Args:
            plans: the plans that something is selected of.
            cases: the selected items by node id.
            prepared: what was found before, for workers; None: it is found now.

        Raises:
            pytest.UsageError: something is missing.
        """
        from pytest_pipeline.cases.choosing import ChosenAgents
        from pytest_pipeline.execution.opening import open_session

        show_live(self.config)
        self.agents = ChosenAgents(self.config)
        self._cases = dict(cases)
        self._pending = Counter(case.run for case in cases.values())
        hook = self.config.hook.pytest_pipeline_forge
        try:
            self.opened = open_session(
                self.settings,
                plans,
                rootdir=self.config.rootpath,
                agents=self.agents,
                forge=ask("pytest_pipeline_forge", lambda: hook(config=self.config, settings=self.settings)),
                observer=HookObserver(self.config, self.faults.append),
                selection=cases,
                task_runs=sum(case.task != FINAL_STATE for case in cases.values()),
                prepared=prepared,
            )
            self._tell_what_is_selected(plans)
        except PipelineError as error:
            raise pytest.UsageError(str(error)) from None
        self._show_status(workers=prepared is not None)

    def _show_status(self, *, workers: bool) -> None:
        if self.settings.live != "off":
            from pytest_pipeline.cases.status.showing import show_status

            show_status(self.config, self.pipeline, self._cases, self.whereabouts, workers=workers)

    def _tell_what_is_selected(self, plans: Mapping[str, Plan]) -> None:
        """Nobody could tell that afterwards of a session that was killed."""
        from pytest_pipeline.cases.selecting import selection_facts
        from pytest_pipeline.record.selection import SELECTED

        pipeline = self.pipeline
        if pipeline.resumed and SELECTED in pipeline.store.session(pipeline.session).facts:
            return  # it was told when the session was opened, unless that was killed on the way, and is the same
        keys = {nodeid: key_of(pipeline.session, case) for nodeid, case in self._cases.items()}
        for name, value in selection_facts(keys, plans.values(), self.settings.count).items():
            pipeline.store.fact(pipeline.session, name, value)

    def header(self) -> list[str]:
        """Who does the work, on what, and remarks about plans."""
        from pytest_pipeline.cases.header import header

        lines = [*self.plan_notes, *(f"pipeline: {note}" for note in self.config.stash.get(NOTES, ()))]
        if self.passed_over:
            verb = "is" if len(self.passed_over) == 1 else "are"
            what = "--rehearse without --cassette" if self.settings.rehearse else "--rehearse"
            lines.append(f"pipeline: passed over {', '.join(self.passed_over)}, which {verb} for {what} only")
        return lines if self.opened is None else [*lines, *header(self.opened, self.settings.count)]

    def pytest_report_collectionfinish(self) -> list[str]:
        """The header, below the remarks about plans."""
        return self.header()

    # Following

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count failures of ours, to tell them from others."""
        if report.failed and report.nodeid in self.unreadable:
            self.failed_reports += 1

    def admitted(self) -> set[int]:
        """The numbers of the runs that were begun."""
        return {run.number for run in self.pipeline.store.runs(self.pipeline.session)}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count failures of ours: those of runs that broke a streak may be outlived by it, others not."""
        case = self._cases.get(report.nodeid)
        if case is None or self.opened is None:
            return
        self._unreported.hear(report)
        if report.failed and case.run in self.admitted():
            self.failed_reports += 1
        if report.when == "teardown":
            self._listen(report, case)

    def _listen(self, report: pytest.TestReport, case: CaseKey) -> None:
        """What an item has to say besides its outcome; it may come from a worker."""
        told = getattr(report, TOLD, {})
        self.notes += told.get("notes", [])
        self.faults += told.get("faults", [])
        if kept := getattr(report, KEPT, None):
            self.pipeline.workspaces.adopt(Path(kept), self.pipeline.layout.run_store(case.run))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A run is over when its last item will not be tried again."""
        self.close(nodeid)

    def close(self, nodeid: str) -> None:
        """Note that an item has had its last end."""
        case = self._cases.get(nodeid)
        if case is None or self.opened is None or nodeid in self._closed:
            return
        self._closed.add(nodeid)
        self._pending[case.run] -= 1
        if self._pending[case.run] == 0 and case.run in self.admitted():
            with ending_the_session():
                self._finish_run(case.run)

    def case(self, nodeid: str) -> CaseKey | None:
        """Which item a node id is, if it is one of ours."""
        return self._cases.get(nodeid)

    def _finish_run(self, run: int) -> None:
        store, session = self.pipeline.store, self.pipeline.session
        ended = store.outcomes(session, run)
        expected = [key_of(session, case) for case in self._cases.values() if case.run == run]
        found = [ended[key].outcome if key in ended else Outcome.RUNNING for key in expected]
        outcome = run_outcome([*found, *[Outcome.FAILED] * len(self.unreadable)])
        if self.pipeline.finish_run(run, outcome):
            self._tell_that_it_finished(RunFinished(session, run, str(outcome)))
        self._finished_runs.add(run)
        self._stop_when_decided()

    def _tell_that_it_finished(self, event: RunFinished) -> None:
        try:
            ask("pytest_pipeline_run_finished", lambda: self.config.hook.pytest_pipeline_run_finished(event=event))
        except PipelineError as error:
            self.faults.append(str(error))

    def _stop_when_decided(self) -> None:
        """Once enough runs in a row have succeeded, or never will, no further one begins; those under way still count.

        Chaos decides nothing, and what has failed may still be done afresh where that is asked for.
        """
        wanted = self.settings.until_consecutive
        if wanted is None or self.stopped or self.settings.chaos is not None:
            return
        runs = self.pipeline.store.runs(self.pipeline.session)
        ended = [run for run in runs if run.outcome is not Outcome.RUNNING]
        unbegun = {case.run for case in self._cases.values()} - {run.number for run in runs}
        lost = not self.settings.fresh_failures and out_of_reach(runs, len(unbegun), wanted)
        self.stopped = lost or judge(ended, wanted, self.settings.count).met
        if lost and unbegun:
            left = f"{len(unbegun)} more run{'s' if len(unbegun) > 1 else ''}"
            self.notes.append(
                f"{wanted} successful runs in a row were out of reach, so {left} did not begin. Raise --count for more "
                "tries."
            )
        if self.stopped:
            self.on_stop()

    # Verdict

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Close what was interrupted, decide the criterion, and set exit code and suite properties."""
        if self.opened is not None:
            with ending_the_session():
                session.exitstatus = self._close(self.opened, session.testsfailed, exitstatus)

    def _close(self, opened: Opened, failures: int, exitstatus: int) -> int:
        from pytest_pipeline.cases.verdict import Closing
        from pytest_pipeline.execution.steps import now

        self.pipeline.store.interrupt(self.pipeline.session, "The session ended before it did.", now())
        self._unreported.give(self.config, self.pipeline.store, self.pipeline.session)
        for run in sorted(self.admitted() - self._finished_runs):
            self._finish_run(run)
        self.notes += [f"{path} cannot be read, so no run is a success." for path in self.unreadable]
        for path in self.unreadable:
            self.pipeline.store.fact(self.pipeline.session, "unreadable", path)
        self.pipeline.workspaces.close()  # who dies right after the end leaves nothing
        closing = Closing(self.config, opened, self.settings, self.notes, self.faults)
        code = closing.decide(exitstatus, failed_elsewhere=failures > self.failed_reports)
        self._closing = closing
        written = self.settings.report is None or self._write_report(self.settings.report)
        return code if written else code or int(pytest.ExitCode.TESTS_FAILED)  # what was proved stays as it is

    def _write_report(self, name: str) -> bool:
        from pytest_pipeline.execution.reporting import session_report
        from pytest_pipeline.execution.steps import now
        from pytest_pipeline.host.whole_file import write_whole

        pipeline, path = self.pipeline, self.config.invocation_params.dir / name
        text = session_report(pipeline.store, pipeline.layout, pipeline.rootdir, alive=False, now=now())
        try:
            write_whole(path, text)
        except HostError as error:
            self.faults.append(str(error))
            return False
        self.notes.append(f"the session as a page: {path}")
        return True

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Print matrix, streak, verdict and what it proves."""
        if self._closing is not None:
            self._closing.print(terminalreporter)

    def pytest_unconfigure(self) -> None:
        """Let go of agents, workspaces and store, however the session ended."""
        try:
            if self.agents is not None:
                self.agents.close()
        finally:
            if self.opened is not None:
                self.pipeline.close()
                self.opened = None


def out_of_reach(runs: Sequence[RunRecord], unbegun: int, wanted: int) -> bool:
    """Whether a run that did not succeed leaves too few behind it, were all of them to succeed.

    Args:
        runs: those that were admitted, in any order.
        unbegun: how many more may begin.
        wanted: successful runs in a row that are asked for.
    """
    latest = sorted(runs, key=lambda run: run.admitted, reverse=True)
    hopeful = list(takewhile(lambda run: run.outcome in (Outcome.PASSED, Outcome.RUNNING), latest))
    return len(hopeful) < len(latest) and len(hopeful) + unbegun < wanted


def key_of(session: str, case: CaseKey) -> TaskRunKey:
    """An item as the store knows it."""
    return TaskRunKey(session, case.run, case.plan, case.batch, case.task)


@contextmanager
def ending_the_session() -> Iterator[None]:
    """Between items nobody can answer for an error, for example of a full disk under the store: the session ends."""
    try:
        yield
    except PipelineError as error:
        raise pytest.exit.Exception(str(error), returncode=pytest.ExitCode.INTERNAL_ERROR) from error
