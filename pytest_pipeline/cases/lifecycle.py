"""The items of plans in the process that runs them: alone, or one worker of several.

What carries tasks out, and keeps the record, is imported when it is needed: to look at plans needs none of it.
"""

from __future__ import annotations

import gc
import platform
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.cases.arranging import plan_items, put_needs_first, repeat_by
from pytest_pipeline.cases.batches import deselect_other_batches
from pytest_pipeline.cases.chaos import excuse
from pytest_pipeline.cases.conducting import KEPT, TOLD, Conductor, ending_the_session, key_of
from pytest_pipeline.cases.ledger import Ledger
from pytest_pipeline.cases.nodes import CaseItem
from pytest_pipeline.cases.order import CaseKey
from pytest_pipeline.cases.reported import what_was_reported
from pytest_pipeline.errors import PipelineError, TaskFailure
from pytest_pipeline.naming import only_looks
from pytest_pipeline.plans.model import Plan
from pytest_pipeline.record.junit import PREFIX, REPORT, testcase_properties
from pytest_pipeline.record.model import FINAL_STATE, Outcome, TaskRunRecord
from pytest_pipeline.settings import Settings

if TYPE_CHECKING:
    from pytest_pipeline.cases.parallel.joining import Joined
    from pytest_pipeline.cases.spending import CostLimit
    from pytest_pipeline.execution.attempt import Attempt
    from pytest_pipeline.execution.pipeline import Pipeline

_LIFECYCLE = pytest.StashKey["Lifecycle"]()


def lifecycle_of(config: pytest.Config, settings: Settings) -> Lifecycle:
    """The lifecycle of this pytest session, made and registered when the first plan is met."""
    if _LIFECYCLE not in config.stash:
        lifecycle = config.stash[_LIFECYCLE] = Lifecycle(config, settings)
        if lifecycle.works_for_another:
            from pytest_pipeline.cases.parallel.leaving import Leaving

            config.pluginmanager.register(Leaving(config), "pipeline-leaving")
        else:
            config.pluginmanager.register(lifecycle.conductor, "pipeline-conductor")
        config.pluginmanager.register(lifecycle, "pipeline-lifecycle")
    return config.stash[_LIFECYCLE]


class Lifecycle:
    """What happens to plan items between collection and the end of the last one.

    Args:
        config: pytest's configuration.
        settings: the session's settings.
    """

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.config = config
        self.settings = settings
        self.works_for_another = hasattr(config, "workerinput")
        self.conductor = Conductor(config, settings)
        self.plans: dict[str, Plan] = {}
        self.describes = config.option.collectonly and config.get_verbosity() >= 1
        self.items: list[CaseItem] = []
        self.ledger = Ledger(())
        self.notes: list[str] = []
        self.wait: Callable[[float], None] = time.sleep  # between attempts; Ctrl-C ends it
        self._joined: Joined | None = None
        self._limit: CostLimit | None = None
        self._outcome = Outcome.RUNNING
        self._reason = ""
        self._never_began = False  # whether the item belongs to a run that the cost limit kept from beginning
        self._numbers: dict[str, int] = {}
        self._begun: set[CaseKey] = set()  # in a session that was resumed: what was begun here
        self._by_id: dict[str, CaseItem] = {}

    @property
    def is_open(self) -> bool:
        """Whether items are carried out, and not only looked at."""
        return self._joined is not None or self.conductor.opened is not None

    @property
    def pipeline(self) -> Pipeline:
        """The session as this process sees it."""
        return self._joined.pipeline if self._joined is not None else self.conductor.pipeline

    def plan_number(self, plan: Plan) -> int:
        """The place of a plan in the order of collection."""
        return self._numbers.setdefault(plan.path, len(self._numbers))

    # Collection

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Repeat by scope before others look at the items, and put dependencies first after they have moved them."""
        repeat_by(self.settings.repeat_scope, items)
        if self.settings.batches is not None:
            deselect_other_batches(self.config, self.settings.batches, items)
        result = yield
        put_needs_first(items)
        return result

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Open the session, unless another process has, or nothing is going to be run."""
        self.items = plan_items(session.items)
        self.ledger = Ledger(self.items)
        self._by_id = {item.nodeid: item for item in self.items}
        if session.testsfailed == self.conductor.failed_reports or self.works_for_another:
            # what interrupts pytest otherwise; a plan that cannot be read must not stop the others
            self.config.option.continue_on_collection_errors = True
        if self.items and self._will_run(session):
            if not self.works_for_another:
                self._open()
            gc.freeze()  # items live to the end; a collector that visits them again and again costs a fifth of the time

    def _will_run(self, session: pytest.Session) -> bool:
        """Whether items are going to be run, by this process; some options only look at them."""
        interrupted = session.testsfailed and not self.config.option.continue_on_collection_errors
        return not interrupted and not only_looks(self.config)

    def _open(self) -> None:
        conductor = self.conductor
        conductor.plan_notes = [str(note) for plan in self.plans.values() for note in plan.notes]
        selected = {item.case.plan: self.plans[item.case.plan] for item in self.items}
        conductor.open(selected, {item.nodeid: item.case for item in self.items})
        self._begin(conductor.pipeline)

    def _begin(self, pipeline: Pipeline) -> None:
        from pytest_pipeline.cases.spending import CostLimit

        self._limit = CostLimit(pipeline)

    def join(self) -> None:
        """In a worker: take part in the session that the controller has opened, before the first item of a plan.

        A worker that cannot leaves, and the session ends: it would take one item after another, and do none of them.
        """
        if not self.works_for_another or self._joined is not None or only_looks(self.config):
            return
        from pytest_pipeline.cases.parallel.joining import join

        try:
            self._joined = join(self.config, self.settings, self.plans)
        except PipelineError as error:
            raise pytest.exit.Exception(str(error), returncode=pytest.ExitCode.USAGE_ERROR) from None
        self.ledger.ask_others(self._joined.outcomes)
        self._begin(self.pipeline)

    # Running

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Once enough runs in a row have succeeded, the remaining ones are deselected."""
        if not self.conductor.stopped or not isinstance(item, CaseItem) or item.case.run in self.conductor.admitted():
            return None
        self.config.hook.pytest_deselected(items=[item])
        _tear_down_before(nextitem, item)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Nothing is known of an item yet; marks and plugins may end it before its own setup."""
        self._outcome, self._reason, self._never_began = Outcome.RUNNING, "", False
        if isinstance(item, CaseItem):
            item.attempt, item.performed, item.recalled = None, False, None

    def recalls(self, item: CaseItem) -> bool:
        """Whether an earlier process of the session has brought an item to its end, which is only told again.

        What it has left unfinished, or skipped, is done now; what has failed is where fresh failures are asked for.
        Once it was done here, for example before a plugin repeats it, there is nothing to recall.
        """
        if not self.pipeline.resumed or item.case in self._begun:
            return False
        self._begun.add(item.case)
        found = self.pipeline.store.task_run(key_of(self.pipeline.session, item.case))
        if found is None or found.outcome not in (Outcome.PASSED, Outcome.FAILED):
            return False
        if found.outcome is Outcome.FAILED and self.settings.fresh_failures:
            return False
        if item.case.task == FINAL_STATE and self._is_of_the_past(found):
            return False
        item.recalled = found
        self._outcome = found.outcome
        return True

    def _is_of_the_past(self, final: TaskRunRecord) -> bool:
        """Whether something was merged after a final state was looked at, so that it has to be looked at again."""
        from pytest_pipeline.execution.layout import run_prefix

        seen, pipeline = final.attempts[-1].properties.get("commit"), self.pipeline
        over = {run.number for run in pipeline.store.runs(pipeline.session) if run.outcome is Outcome.PASSED}
        if seen is None or final.key.run in over:
            return False
        return pipeline.forge.branch_head(f"{run_prefix(pipeline.session, final.key.run)}/base") != seen

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

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Follow the phases of an item; at the end of the last one its attempt is written down as finished."""
        if not isinstance(item, CaseItem) or not self.is_open:
            return (yield)
        with ending_the_session():
            self._follow(item, call)
            if call.when == "teardown":
                self._finish(item)
        report = yield
        if call.when == "teardown":
            self._tell(item, report)
        if call.excinfo is not None and isinstance(call.excinfo.value, PipelineError):
            report.longrepr = str(item.repr_failure(call.excinfo))  # pytest asks it in the call phase only
        if report.failed and self.settings.chaos is not None:
            self._excuse(item, report)
        if report.skipped and self._outcome in (Outcome.SKIPPED, Outcome.COMPLETED) and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            report.longrepr = str(item.path), item.line, reason
        if item.attempt is not None and not report.passed:
            item.attempt.facts[REPORT] = what_was_reported(report)
        return report

    def _excuse(self, item: CaseItem, report: pytest.TestReport) -> None:
        """A failure that chaos had to bring about is one that was expected."""
        if item.recalled is not None:
            last = item.recalled.attempts[-1]
            excuse(report, last.properties, last.failure_kind)
        elif item.attempt is not None and item.attempt.failure is not None:
            excuse(report, item.attempt.facts, item.attempt.failure.kind)

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
        if item.recalled is not None:
            return
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
        elif item.recalled is None and not self._never_began:
            self._write_skip(item)
        facts = item.recalled.attempts[-1].properties if item.recalled else attempt.facts if attempt else {}
        merged = facts.get("pull_request_state") != "open"
        self.ledger.note(item.case, self._outcome, merged=merged)
        self._set_properties(item)

    def _write_skip(self, item: CaseItem) -> None:
        """Write that an item is not tried; one that is only not tried again stays as it ended."""
        tried = self.pipeline.store.attempts(key_of(self.pipeline.session, item.case))
        if tried:
            self._outcome = tried[-1].outcome
        else:
            self.pipeline.run(item.case.run)
            self.pipeline.store.skip_task_run(
                key_of(self.pipeline.session, item.case), item.title, self._outcome, self._reason
            )

    def _set_properties(self, item: CaseItem) -> None:
        session, key = self.pipeline.store.session(self.pipeline.session), key_of(self.pipeline.session, item.case)
        record = self.pipeline.store.task_run(key) or TaskRunRecord(key, item.title, self._outcome, self._reason)
        others = [(name, value) for name, value in item.user_properties if not name.startswith(PREFIX)]
        item.user_properties[:] = [*others, *testcase_properties(session, record)]

    def _tell(self, item: CaseItem, report: pytest.TestReport) -> None:
        """Let the report carry what the conductor must know, who may be in another process."""
        kept = item.attempt.kept if self._joined is not None and item.attempt is not None else None
        if kept and self.pipeline.owns:
            self.notes.append(f"A workspace is kept on {platform.node()}: {kept}")
        elif kept:
            setattr(report, KEPT, kept)
        notes, self.notes = self.notes, []
        faults = self._joined.take_faults() if self._joined is not None else []
        if notes or faults:
            setattr(report, TOLD, {"notes": notes, "faults": faults})

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """The store has the attempt; thousands of them would only fill memory."""
        if nodeid in self._by_id:
            self._by_id[nodeid].attempt = None

    # End

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Close what was interrupted, before the session is judged."""
        if self.is_open:
            with ending_the_session():
                for item in self.items:
                    if item.attempt is not None:
                        item.attempt.finish(Outcome.INTERRUPTED, "The session ended before it did.")

    def pytest_unconfigure(self) -> None:
        """Let go of what this process holds of the session."""
        if self.is_open:
            gc.unfreeze()
        if self._joined is not None:
            self._joined.close()
            self._joined = None


def _tear_down_before(nextitem: pytest.Item | None, item: pytest.Item) -> None:
    """Tear down what the next item does not share; the item before could not know that this one will not run."""
    state = item.session._setupstate  # no public name; it is what pytest's own runner calls
    call = pytest.CallInfo.from_call(
        lambda: state.teardown_exact(nextitem), "teardown", reraise=(KeyboardInterrupt, pytest.exit.Exception)
    )
    if call.excinfo is not None:
        item.ihook.pytest_runtest_logreport(report=pytest.TestReport.from_item_and_call(item, call))
