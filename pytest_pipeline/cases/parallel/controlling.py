"""The controller of several workers: opens the session for them, and answers for those that die."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.cases.chaos import excuse, expect_dying_workers
from pytest_pipeline.cases.conducting import Conductor, ending_the_session, key_of
from pytest_pipeline.cases.live import lines_of
from pytest_pipeline.cases.order import CaseKey
from pytest_pipeline.cases.parallel.apart import is_apart, refuse_unsent
from pytest_pipeline.cases.parallel.choice import SchedulerChoice
from pytest_pipeline.cases.parallel.identity import cases_of
from pytest_pipeline.cases.parallel.impatience import impatient
from pytest_pipeline.cases.parallel.joining import HANDOVER
from pytest_pipeline.cases.parallel.leaving import left, stopped
from pytest_pipeline.cases.parallel.processes import Processes
from pytest_pipeline.cases.parallel.units import Scheduled
from pytest_pipeline.cases.parallel.watching import Watcher
from pytest_pipeline.cases.recalling import RECALLED
from pytest_pipeline.cases.story import tell
from pytest_pipeline.errors import FailureKind, PipelineError, PlanError, TaskFailure
from pytest_pipeline.execution.steps import now
from pytest_pipeline.plans.model import Plan
from pytest_pipeline.plans.reader import read_plan
from pytest_pipeline.record.junit import testcase_properties
from pytest_pipeline.record.model import Outcome, TaskRunKey
from pytest_pipeline.settings import Settings

if TYPE_CHECKING:
    from execnet import XSpec
    from xdist.workermanage import WorkerController

    from pytest_pipeline.execution.opening import Prepared

_CRASHED = "pipeline_crashed"
"""Attribute of the report that xdist makes for an item whose worker died."""


class Controller:
    """The plugin of xdist's controller in a session with plans.

    Args:
        config: pytest's configuration.
        settings: the session's settings.
        first: a plan that the command line names.
    """

    def __init__(self, config: pytest.Config, settings: Settings, first: Path) -> None:
        self._config = config
        self._settings = settings
        self._first = first
        self._prepared: Prepared | None = None
        self._plans: Mapping[str, Plan] = {}
        self._opened_plans: Mapping[str, Plan] = {}
        self._died = ""
        self._session: pytest.Session | None = None
        self._limit = ""
        self._interrupted: set[str] = set()
        self._processes = Processes()
        self._left: tuple[str, int] | None = None
        self._ending = ExitStack()
        self._watcher: Watcher | None = None
        self.conductor = Conductor(config, settings)
        early = settings.until_consecutive is not None
        self.choice = SchedulerChoice(self._known, self, begin=self._open, by_run=early)
        self.conductor.on_stop = self._stop

    def register(self) -> None:
        """Register what belongs together."""
        manager = self._config.pluginmanager
        manager.register(self, "pipeline-controller")
        manager.register(self.choice, "pipeline-scheduler-choice")
        manager.register(self.conductor, "pipeline-conductor")
        if self._settings.chaos is not None:
            expect_dying_workers(self._config)

    # Before any worker is there

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """It counts the failures."""
        self._session = session

    def pytest_xdist_setupnodes(self, specs: Sequence[XSpec]) -> None:
        """Find the forge's token before workers inherit the environment, and name the session."""
        from pytest_pipeline.execution.joining import refuse_apart
        from pytest_pipeline.execution.opening import prepare_session

        try:
            if any(map(is_apart, specs)):
                refuse_apart(self._settings)
            refuse_unsent(self._config, specs)
            self._prepared = prepare_session(self._settings, self._first, self._config.rootpath)
        except PipelineError as error:
            raise pytest.UsageError(str(error)) from None

    def pytest_configure_node(self, node: WorkerController) -> None:
        """Tell a worker of the session, over the channel that only the two of them share."""
        from pytest_pipeline.execution.holding import opener_of
        from pytest_pipeline.execution.joining import Handover
        from pytest_pipeline.host.machine import machine

        assert self._prepared is not None
        layout, ground = self._prepared.layout, self._prepared.ground
        scratch = str(layout.scratch)
        told = Handover(layout.session, str(layout.state), scratch, machine(), opener_of(scratch))
        if is_apart(node.gateway.spec):
            told = replace(told, state="", scratch="")
        if ground is not None:
            token = ground.token
            told = replace(told, repository=ground.address.web_url, token=token.reveal(), source=token.source)
        node.workerinput[HANDOVER] = told.to_wire()
        if self._settings.resume is not None:
            node.workerinput[RECALLED] = self._settings.to_wire()

    # When the workers have collected

    def _known(self, ids: Sequence[str]) -> Mapping[str, Scheduled]:
        """What each node id of a plan is."""
        self._plans = self._read_plans(ids)
        cases = {
            nodeid: scheduled
            for path, plan in self._plans.items()
            for nodeid, scheduled in cases_of(plan, path, self._settings.count).items()
        }
        return {nodeid: cases[nodeid] for nodeid in ids if nodeid in cases}

    def _open(self, selected: Mapping[str, Scheduled]) -> None:
        """Open the session, so that no worker begins before."""
        chosen = {scheduled.case.plan for scheduled in selected.values()}
        opened = {plan.path: plan for plan in self._plans.values() if plan.path in chosen}
        self.conductor.open(opened, {nodeid: scheduled.case for nodeid, scheduled in selected.items()}, self._prepared)
        self._opened_plans = opened
        self._print_header()
        self._watch()

    def _read_plans(self, ids: Sequence[str]) -> Mapping[str, Plan]:
        """The plans behind node ids, by the node id of their file."""
        found: dict[str, Plan] = {}
        for path in dict.fromkeys(nodeid.partition("::")[0] for nodeid in ids):
            if path.lower().endswith(".md"):
                try:
                    plan = read_plan(self._config.rootpath / path, path)
                except PlanError as error:
                    raise pytest.UsageError(str(error)) from None
                if plan is not None:
                    found[path] = plan
        return found

    def _print_header(self) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None and self._config.get_verbosity() >= 0:
            terminal.ensure_newline()
            for line in self.conductor.header():
                terminal.write_line(line)

    def _watch(self) -> None:
        lines, dsession = lines_of(self._config), self._config.pluginmanager.get_plugin("dsession")
        if lines is not None and dsession is not None and self._config.get_verbosity() >= 1:
            self._watcher = Watcher(self.conductor.pipeline, lines)
            self._watcher.start(dsession)

    @pytest.hookimpl(wrapper=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> Generator[None, None, None]:
        """Count plans that cannot be read, which only workers have tried."""
        yield
        self._stop_at_the_limit()
        if report.failed and report.nodeid.lower().endswith(".md") and report.nodeid not in self.conductor.unreadable:
            self.conductor.unreadable.append(report.nodeid)
            self.conductor.failed_reports += 1

    # While they work

    def pytest_testnodeready(self, node: WorkerController) -> None:
        """A worker is there."""
        self._processes.arrive(node)
        self.conductor.whereabouts.arrive(node.gateway.id)

    def _stop(self) -> None:
        """No run begins any more; what had not begun is deselected, as it is without workers."""
        begun = self._begun()

        def is_of_a_new_run(nodeid: str) -> bool:
            case = self.conductor.case(nodeid)
            return case is not None and case.run not in begun

        dropped = self.choice.stop(is_of_a_new_run)
        self._config.hook.pytest_deselected(items=dropped)

    def _begun(self) -> set[int]:
        """The runs that were begun; one of which a worker was sent something will be, whatever the store says yet."""
        given = [self.conductor.case(nodeid) for post in self.conductor.whereabouts.posts() for nodeid in post.given]
        return self.conductor.admitted() | {case.run for case in given if case is not None}

    @pytest.hookimpl(tryfirst=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """The item that ran when its worker died has failed, and its record says so."""
        case = self.conductor.case(crashitem)
        if case is None or self.conductor.opened is None:
            return
        self._died = report.node.gateway.id
        pipeline, worker = self.conductor.pipeline, self._died
        found = f"The worker {worker} died while it did this. Its agent ends with it."
        failure = TaskFailure(
            FailureKind.INFRASTRUCTURE, step="setup", expected="that the worker lives to the end", found=found
        )
        key = key_of(pipeline.session, case)
        with ending_the_session():
            if not pipeline.store.abandon(key, failure.kind, str(failure), now()):
                self._fail_unbegun(key, case, failure)  # it died before it said that it began, or after it ended
            record = pipeline.store.task_run(key)
        assert record is not None
        failure.step = next((step.name for step in reversed(record.attempts[-1].steps)), failure.step)
        report.when = "call"
        report.longrepr = tell(failure, crashitem.rpartition("::")[2], case, self._settings.count)
        report.user_properties[:] = testcase_properties(pipeline.store.session(pipeline.session), record)
        excuse(report, record.attempts[-1].properties, record.attempts[-1].failure_kind)
        setattr(report, _CRASHED, True)

    def _stop_at_the_limit(self, besides: str = "") -> None:
        """End the session at the last failure that ``-x`` or ``--maxfail`` allows, by pytest's own count.

        xdist's has no workers that died, and lets whatever runs go on. The worker that has failed is left to clean up.
        """
        assert self._session is not None
        if self._limit or not self._session.shouldfail or self.conductor.opened is None:
            return
        self._limit = str(self._session.shouldfail)
        dsession = self._config.pluginmanager.get_plugin("dsession")
        assert dsession is not None
        dsession.shouldstop = dsession.shouldstop or self._limit
        self._interrupted = self._at_plans() - {besides}
        self._interrupt(self._interrupted)

    def _at_plans(self) -> set[str]:
        """The workers that have an item of a plan; Python tests are left alone, as they are by xdist."""
        posts = self.conductor.whereabouts.posts()
        return {post.worker for post in posts if self.conductor.case(post.nodeid) is not None}

    def _interrupt(self, workers: set[str]) -> None:
        """End the agents of these workers as Ctrl-C does: what they do cannot change the verdict."""
        if self._prepared is not None:
            self._processes.interrupt(workers, self._prepared.layout)

    def _kill(self) -> None:
        """End all workers of this machine at once; whoever watches over their agents ends those."""
        if self._prepared is not None:
            self._processes.kill(self._prepared.layout)

    def _fail_unbegun(self, key: TaskRunKey, case: CaseKey, failure: TaskFailure) -> None:
        """Nothing of the item is under way: the death is the end of an attempt that does nothing else."""
        pipeline = self.conductor.pipeline
        pipeline.store.admit_run(pipeline.session, key.run, now())
        attempt = pipeline.store.admit_attempt(key, self._title(case), now())
        pipeline.store.finish_attempt(attempt, Outcome.FAILED, failure.kind, str(failure), {}, now())

    def on_sent(self, worker_id: str, nodeid: str) -> None:
        """An item begins on a worker."""
        self.conductor.whereabouts.begin(worker_id, nodeid)

    def on_finished(self, worker_id: str, nodeid: str) -> None:
        """An item has ended there."""
        self.conductor.whereabouts.end(worker_id, nodeid)

    def on_died_behind(self, node: WorkerController, nodeid: str) -> None:
        """A worker died between items, or at its end: an error of its last item, as every error of a teardown is."""
        case, worker = self.conductor.case(nodeid), node.gateway.id
        pipeline = self.conductor.pipeline
        record = None if case is None else pipeline.store.task_run(key_of(pipeline.session, case))
        told = [] if record is None else testcase_properties(pipeline.store.session(pipeline.session), record)
        words = f"The worker {worker} died behind this, while it tore down fixtures. Mend the fixture that ends it."
        place = nodeid.partition("::")[0], None, nodeid.rpartition("::")[2]
        report = pytest.TestReport(nodeid, place, {}, "failed", words, "teardown", user_properties=told)
        report.node = node  # type: ignore[attr-defined] # as xdist does
        self._config.hook.pytest_runtest_logreport(report=report)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, None, None]:
        """Follow ``-x`` and ``--maxfail``, and give an item whose worker died the end that nobody reports.

        Writers of records wait for the report of an item's teardown.
        """
        yield
        self._stop_at_the_limit(besides=str(getattr(report, "worker_id", "")))
        if getattr(report, _CRASHED, False):
            end = pytest.TestReport(
                report.nodeid, report.location, {}, "passed", None, "teardown", user_properties=report.user_properties
            )
            end.node = report.node  # type: ignore[attr-defined] # by it JUnit tells one worker's item from another's
            self._config.hook.pytest_runtest_logreport(report=end)
            self.conductor.close(report.nodeid)

    # At the end

    def pytest_testnodedown(self, node: WorkerController) -> None:
        """Forget a worker; the first one that leaves by ``pytest.exit`` gives the session its end."""
        self.conductor.whereabouts.leave(node.gateway.id)
        self._left = self._left or left(node)
        if node.gateway.id in self._interrupted:
            stopped(node, self._limit)
        if self._prepared is not None:
            self._processes.leave(node.gateway.id, self._prepared.layout)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """End as one process does: with the exit code, and the words, of ``pytest.exit``."""
        try:
            result = yield
        except KeyboardInterrupt:  # also what xdist makes of a worker's exit code 2
            self._ending.enter_context(impatient(self._kill))
            # Ctrl-C in a terminal has reached them, a signal to this process alone has not
            self._interrupt(self._at_plans())
            if self._left is None:
                raise
        if self._left is not None:
            words, code = self._left
            raise pytest.exit.Exception(words, returncode=code)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self) -> Generator[None, None, None]:
        """Workers end before the session is judged: what they still write belongs to it."""
        if self.conductor.opened is not None:
            self._finish_work()
        yield

    def _finish_work(self) -> None:
        dsession = self._config.pluginmanager.get_plugin("dsession")
        nodes = getattr(dsession, "nodemanager", None)
        if nodes is not None:
            nodes.teardown_nodes()
        if self._watcher is not None:
            self._watcher.stop()
        if self._died and not self._limit:
            with ending_the_session():
                for nodeid in self.choice.unrun():
                    self._report_unrun(nodeid)

    def _report_unrun(self, nodeid: str) -> None:
        """An item that xdist says nothing of, because it has ended the session when a worker died."""
        case = self.conductor.case(nodeid)
        if case is None:
            return
        pipeline = self.conductor.pipeline
        reason = f"It was not run: the session ended when the worker {self._died} had died. See --max-worker-restart."
        key, location = key_of(pipeline.session, case), (nodeid.partition("::")[0], 0, nodeid.rpartition("::")[2])
        if pipeline.store.task_run(key) is not None:
            return  # it was under way on another worker, and ends as interrupted
        pipeline.store.admit_run(pipeline.session, case.run, now())
        pipeline.store.skip_task_run(key, self._title(case), Outcome.SKIPPED, reason)
        record = pipeline.store.task_run(key)
        assert record is not None
        told = testcase_properties(pipeline.store.session(pipeline.session), record)
        skipped = (str(self._config.rootpath / location[0]), 0, reason)
        hook = self._config.hook.pytest_runtest_logreport
        hook(report=pytest.TestReport(nodeid, location, {}, "skipped", skipped, "setup", user_properties=told))
        hook(report=pytest.TestReport(nodeid, location, {}, "passed", None, "teardown", user_properties=told))

    def _title(self, case: CaseKey) -> str:
        tasks = (
            task
            for batch in self._opened_plans[case.plan].batches
            if batch.number == case.batch
            for task in batch.tasks
        )
        return next((task.title for task in tasks if task.id == case.task), "final state")

    def pytest_unconfigure(self) -> None:
        """Let go of what was prepared for a session that was never opened."""
        from pytest_pipeline.host.git_work_tree import remove

        self._ending.close()
        if self._prepared is not None and not self._opened_plans:
            remove(str(self._prepared.layout.scratch))
            if self._prepared.ground is not None:
                self._prepared.ground.close()
