"""A session from collection to verdict: one object, registered as a plugin when the first plan is met.

What carries tasks out, and keeps the record, is imported when a session is opened: to look at plans needs none of it.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.cases.arranging import plan_items, put_needs_first, repeat_by
from pytest_pipeline.cases.ledger import Ledger
from pytest_pipeline.cases.live import show_live
from pytest_pipeline.cases.nodes import CaseItem, TaskItem
from pytest_pipeline.cases.observing import HookObserver, ask
from pytest_pipeline.errors import PipelineError, TaskFailure
from pytest_pipeline.events import RunFinished
from pytest_pipeline.plans.model import Plan
from pytest_pipeline.record.criterion import judge, run_outcome
from pytest_pipeline.record.junit import PREFIX, testcase_properties
from pytest_pipeline.record.model import Outcome, TaskRunKey, TaskRunRecord
from pytest_pipeline.settings import Settings

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from pytest_pipeline.cases.choosing import ChosenAgents
    from pytest_pipeline.cases.spending import CostLimit
    from pytest_pipeline.cases.verdict import Closing
    from pytest_pipeline.execution.attempt import Attempt
    from pytest_pipeline.execution.opening import Opened
    from pytest_pipeline.execution.pipeline import Pipeline

_LIFECYCLE = pytest.StashKey["Lifecycle"]()


def lifecycle_of(config: pytest.Config, settings: Settings) -> Lifecycle:
    """The lifecycle of this pytest session, made and registered when the first plan is met."""
    if _LIFECYCLE not in config.stash:
        lifecycle = config.stash[_LIFECYCLE] = Lifecycle(config, settings)
        config.pluginmanager.register(lifecycle, "pipeline-lifecycle")
    return config.stash[_LIFECYCLE]


class Lifecycle:
    """What happens to plan items between collection and verdict.

    Args:
        config: pytest's configuration.
        settings: the session's settings.
    """

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.config = config
        self.settings = settings
        self.plans: dict[str, Plan] = {}
        self.describes = config.option.collectonly and config.get_verbosity() >= 1
        self.opened: Opened | None = None
        self.items: list[CaseItem] = []
        self.ledger = Ledger(())
        self.unreadable: list[str] = []
        self._passed_over: list[str] = []
        self.notes: list[str] = []
        self.faults: list[str] = []
        self.wait: Callable[[float], None] = time.sleep  # between attempts; Ctrl-C ends it
        self._agents: ChosenAgents | None = None
        self._limit: CostLimit | None = None
        self._outcome = Outcome.RUNNING
        self._reason = ""
        self._never_began = False  # whether the item belongs to a run that the cost limit kept from beginning
        self._failed_reports = 0
        self._finished_runs: set[int] = set()
        self._numbers: dict[str, int] = {}
        self._by_id: dict[str, CaseItem] = {}
        self._stopped = False

    @property
    def pipeline(self) -> Pipeline:
        """The open session."""
        assert self.opened is not None
        return self.opened.pipeline

    def plan_number(self, plan: Plan) -> int:
        """The place of a plan in the order of collection."""
        return self._numbers.setdefault(plan.path, len(self._numbers))

    # Collection

    def pass_over(self, path: str) -> None:
        """A plan in a directory is left out, because it asks for trouble that only a scripted model can make."""
        self._passed_over.append(path)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Repeat by scope before others look at the items, and put dependencies first after they have moved them."""
        repeat_by(self.settings.repeat_scope, items)
        result = yield
        put_needs_first(items)
        return result

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count failures of ours, to tell them from others."""
        if report.failed and report.nodeid in self.unreadable:
            self._failed_reports += 1

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Open the session: whatever is missing is said before the first agent starts."""
        self.items = plan_items(session.items)
        self.ledger = Ledger(self.items)
        self._by_id = {item.nodeid: item for item in self.items}
        if session.testsfailed == self._failed_reports:
            # what interrupts pytest otherwise; a plan that cannot be read must not stop the others
            self.config.option.continue_on_collection_errors = True
        if self.items and self._will_run(session):
            self._open()
            gc.freeze()  # items live to the end; a collector that visits them again and again costs a fifth of the time

    def _will_run(self, session: pytest.Session) -> bool:
        """Whether items are going to be run, by this process; some options only look at them."""
        option = self.config.option
        looks = ("collectonly", "setuponly", "showfixtures", "show_fixtures_per_test")
        interrupted = session.testsfailed and not option.continue_on_collection_errors
        only_looks = any(getattr(option, name, False) for name in looks)
        return not interrupted and not only_looks and not hasattr(self.config, "workerinput")

    def _open(self) -> None:
        from pytest_pipeline.cases.choosing import ChosenAgents
        from pytest_pipeline.cases.spending import CostLimit
        from pytest_pipeline.execution.opening import open_session

        show_live(self.config)
        self._agents = ChosenAgents(self.config)
        selected = {item.case.plan: self.plans[item.case.plan] for item in self.items}
        hook = self.config.hook.pytest_pipeline_forge
        try:
            self.opened = open_session(
                self.settings,
                selected,
                rootdir=self.config.rootpath,
                agents=self._agents,
                forge=ask("pytest_pipeline_forge", lambda: hook(config=self.config, settings=self.settings)),
                observer=HookObserver(self.config, self.faults.append),
                task_runs=sum(isinstance(item, TaskItem) for item in self.items),
            )
        except PipelineError as error:
            raise pytest.UsageError(str(error)) from None
        self._limit = CostLimit(self.pipeline)

    def pytest_report_collectionfinish(self) -> list[str]:
        """The header, below the remarks about plans."""
        from pytest_pipeline.cases.header import header

        lines = [str(note) for plan in self.plans.values() for note in plan.notes]
        if self._passed_over:
            verb = "is" if len(self._passed_over) == 1 else "are"
            what = "--rehearse without --cassette" if self.settings.rehearse else "--rehearse"
            lines.append(f"pipeline: passed over {', '.join(self._passed_over)}, which {verb} for {what} only")
        return lines if self.opened is None else [*lines, *header(self.opened, self.settings.count)]

    # Running

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Once enough runs in a row have succeeded, the remaining ones are deselected."""
        if not self._stopped or not isinstance(item, CaseItem) or item.case.run in self._admitted():
            return None
        self.config.hook.pytest_deselected(items=[item])
        _tear_down_before(nextitem, item)
        return True

    def _admitted(self) -> set[int]:
        return {run.number for run in self.pipeline.store.runs(self.pipeline.session)}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Nothing is known of an item yet; marks and plugins may end it before its own setup."""
        self._outcome, self._reason, self._never_began = Outcome.RUNNING, "", False
        if isinstance(item, CaseItem):
            item.attempt, item.performed = None, False

    def skip_if_needed(self, item: CaseItem) -> None:
        """Skip an item whose dependencies are not met, that the plan calls completed, or that nobody pays for."""
        unselected = self.ledger.unselected_needs(item)
        if unselected:
            note = (
                f"{item.nodeid} ran although {', '.join(unselected)}, which it needs, was not selected (counts as met)"
            )
            self.notes.append(note)
        assert self._limit is not None
        found = self.ledger.reason_to_skip(item)
        if unpaid := self._limit.refuses(item, found and found[0]):
            found = Outcome.SKIPPED, unpaid
            self._never_began = not self._limit.has_begun(item)
        if found is not None:
            self._outcome, reason = found
            raise pytest.skip.Exception(reason)

    def tries_again(self, attempt: Attempt) -> bool:
        """Whether another attempt may help where this one failed, and may be paid for."""
        assert self._limit is not None
        return attempt.worth_retrying and not self._limit.reached

    def _key(self, item: CaseItem) -> TaskRunKey:
        case = item.case
        return TaskRunKey(self.pipeline.session, case.run, case.plan, case.batch, case.task)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Follow the phases of an item; at the end of the last one its attempt is written down as finished."""
        if not isinstance(item, CaseItem) or self.opened is None:
            return (yield)
        with _ending_the_session():
            self._follow(item, call)
            if call.when == "teardown":
                self._finish(item)
        report = yield
        if call.excinfo is not None and isinstance(call.excinfo.value, PipelineError):
            report.longrepr = str(item.repr_failure(call.excinfo))  # pytest asks it in the call phase only
        if report.skipped and self._outcome in (Outcome.SKIPPED, Outcome.COMPLETED) and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            report.longrepr = str(item.path), item.line, reason
        return report

    def _follow(self, item: CaseItem, call: pytest.CallInfo[None]) -> None:
        if call.excinfo is None:
            return
        error = call.excinfo.value
        if isinstance(error, pytest.skip.Exception):
            self._reason = str(error)
            if self._outcome is Outcome.RUNNING:
                self._outcome = Outcome.SKIPPED
            return
        self._outcome = Outcome.FAILED
        if item.attempt is None:  # something before our own setup
            item.attempt = item.open_attempt()
            item.attempt.admit()
        if item.attempt.failure is None and not isinstance(error, TaskFailure):
            item.attempt.note_defect(call.when, str(error))

    def _finish(self, item: CaseItem) -> None:
        if self._outcome is Outcome.RUNNING:
            self._outcome = Outcome.PASSED if item.performed else Outcome.INTERRUPTED
        attempt = item.attempt
        if attempt is not None:
            attempt.finish(self._outcome)
        elif not self._never_began:
            self._write_skip(item)
        merged = attempt is None or attempt.facts.get("pull_request_state") != "open"
        self.ledger.note(item.case, self._outcome, merged=merged)
        self._set_properties(item)

    def _write_skip(self, item: CaseItem) -> None:
        """Write that an item is not tried; one that is only not tried again stays as it ended."""
        tried = self.pipeline.store.attempts(self._key(item))
        if tried:
            self._outcome = tried[-1].outcome
        else:
            self.pipeline.run(item.case.run)
            self.pipeline.store.skip_task_run(self._key(item), item.title, self._outcome, self._reason)

    def _set_properties(self, item: CaseItem) -> None:
        session, key = self.pipeline.store.session(self.pipeline.session), self._key(item)
        record = self.pipeline.store.task_run(key) or TaskRunRecord(key, item.title, self._outcome, self._reason)
        others = [(name, value) for name, value in item.user_properties if not name.startswith(PREFIX)]
        item.user_properties[:] = [*others, *testcase_properties(session, record)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count failures of ours: those of runs that broke a streak may be outlived by it, others not."""
        item = self._by_id.get(report.nodeid)
        if report.failed and item is not None and self.opened is not None and item.case.run in self._admitted():
            self._failed_reports += 1

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A run is over when its last item will not be tried again."""
        item = self._by_id.get(nodeid)
        if item is None or self.opened is None:
            return
        item.attempt = None  # the store has it; thousands of them would only fill memory
        if self.ledger.close(item.case) and item.case.run in self._admitted():
            with _ending_the_session():
                self._finish_run(item.case.run)

    def _finish_run(self, run: int) -> None:
        outcome = run_outcome([*self.ledger.outcomes(run), *[Outcome.FAILED] * len(self.unreadable)])
        self.pipeline.finish_run(run, outcome)
        self._finished_runs.add(run)
        self._tell_that_it_finished(RunFinished(self.pipeline.session, run, str(outcome)))
        wanted = self.settings.until_consecutive
        if wanted is not None:
            runs = self.pipeline.store.runs(self.pipeline.session)
            self._stopped = judge(runs, wanted, self.settings.count).met

    def _tell_that_it_finished(self, event: RunFinished) -> None:
        try:
            ask("pytest_pipeline_run_finished", lambda: self.config.hook.pytest_pipeline_run_finished(event=event))
        except PipelineError as error:
            self.faults.append(str(error))

    # Verdict

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Close what was interrupted, decide the criterion, and set exit code and suite properties."""
        if self.opened is not None:
            with _ending_the_session():
                session.exitstatus = self._close(self.opened, session.testsfailed, exitstatus)

    def _close(self, opened: Opened, failures: int, exitstatus: int) -> int:
        from pytest_pipeline.cases.verdict import Closing

        for item in self.items:
            if item.attempt is not None:
                item.attempt.finish(Outcome.INTERRUPTED, "The session ended before it did.")
        for run in sorted(self._admitted() - self._finished_runs):
            self._finish_run(run)
        self.notes += [f"{path} cannot be read, so no run is a success." for path in self.unreadable]
        closing = Closing(self.config, opened, self.settings, self.notes, self.faults)
        code = closing.decide(exitstatus, failed_elsewhere=failures > self._failed_reports)
        self._closing = closing
        return code

    _closing: Closing | None = None

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Print matrix, streak, verdict and what it proves."""
        if self._closing is not None:
            self._closing.print(terminalreporter)

    def pytest_unconfigure(self) -> None:
        """Let go of agents, workspaces and store, however the session ended."""
        try:
            if self._agents is not None:
                self._agents.close()
        finally:
            if self.opened is not None:
                gc.unfreeze()
                self.pipeline.close()
                self.opened = None


@contextmanager
def _ending_the_session() -> Iterator[None]:
    """Between items nobody can answer for an error, for example of a full disk under the store: the session ends."""
    try:
        yield
    except PipelineError as error:
        raise pytest.exit.Exception(str(error), returncode=pytest.ExitCode.INTERNAL_ERROR) from error


def _tear_down_before(nextitem: pytest.Item | None, item: pytest.Item) -> None:
    """Tear down what the next item does not share; the item before could not know that this one will not run."""
    state = item.session._setupstate  # no public name; it is what pytest's own runner calls
    call = pytest.CallInfo.from_call(
        lambda: state.teardown_exact(nextitem), "teardown", reraise=(KeyboardInterrupt, pytest.exit.Exception)
    )
    if call.excinfo is not None:
        item.ihook.pytest_runtest_logreport(report=pytest.TestReport.from_item_and_call(item, call))
