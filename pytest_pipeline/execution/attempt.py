"""What every attempt has: a key, steps, facts for the record, and exactly one kind when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_pipeline.errors import (
    ChecksError,
    ConflictError,
    FailureKind,
    ForgeError,
    PipelineError,
    TaskFailure,
)
from pytest_pipeline.events import AgentActivity, TaskReference
from pytest_pipeline.execution.layout import task_slug
from pytest_pipeline.execution.pipeline import Pipeline, Run
from pytest_pipeline.execution.steps import StepLog, now
from pytest_pipeline.execution.surroundings import surroundings
from pytest_pipeline.execution.verification import VerificationReport, Verifier
from pytest_pipeline.execution.workspace import Workspace, WorkspaceError
from pytest_pipeline.host.git import NestedRepositoryError, Tree
from pytest_pipeline.plans.model import Plan, Task
from pytest_pipeline.record.model import AttemptId, Outcome, TaskRunKey
from pytest_pipeline.settings import Settings


class Attempt:
    """One try at one item of a plan in one run.

    Args:
        pipeline: what all attempts of the process share.
        run: number of the run, from 1.
        plan: the plan.
        batch: number of the batch; empty for the final state.
        task: id of the task, or ``final-state``.
        title: what the record calls it.
        settings: the settings in force for it.
    """

    def __init__(
        self, pipeline: Pipeline, run: int, plan: Plan, batch: str, task: str, title: str, settings: Settings
    ) -> None:
        self.pipeline = pipeline
        self.plan = plan
        self.title = title
        self.settings = settings
        self.key = TaskRunKey(pipeline.session, run, plan.path, batch, task)
        self.facts: dict[str, str] = {}
        self.failure: TaskFailure | None = None
        self.warnings: list[str] = []
        self.worth_retrying = False  # whether the agent could not be reached, and another try may find it
        self.outcome = Outcome.RUNNING
        self.kept: str | None = None
        self.run: Run
        self.steps: StepLog
        self.reference: TaskReference
        self.workspace: Workspace | None = None
        self._admitted: AttemptId | None = None
        self._waited_before = 0.0
        self._noted: dict[str, str] = {}

    @property
    def number(self) -> int:
        """Number of the attempt, from 1."""
        return self._admitted.number if self._admitted else 0

    @property
    def again(self) -> str:
        """What tells names of branches and files of a later attempt from those of the first."""
        return f"-attempt-{self.number}" if self.number > 1 else ""

    def prepare(self) -> None:
        """Pytest's setup: make ready what the attempt needs."""
        raise NotImplementedError

    def perform(self) -> None:
        """Pytest's call: do it, and assert the outcome."""
        raise NotImplementedError

    def admit(self) -> None:
        """Write, durably, that this attempt is going to be made; its run is admitted first."""
        key = self.key
        self._waited_before = self.pipeline.waited
        with self.judged():
            self.run = self.pipeline.run(key.run)
            self._admitted = self._admission()
            self.reference = TaskReference(
                key.session, key.run, key.plan, key.batch, key.task, self.title, self._admitted.number
            )
            self.steps = StepLog(self.pipeline.store, self._admitted, self.reference, self.pipeline.observer)
            self._noted = dict(self.facts)
            if self.pipeline.chaos is not None:
                self.pipeline.chaos.attend(self, self._chaotic)

    def _admission(self) -> AttemptId:
        """The attempt as the store admits it."""
        return self.pipeline.store.admit_attempt(self.key, self.title, now(), self.facts)

    @property
    def _chaotic(self) -> Task | None:
        """The task that chaos may strike at; None: it leaves this attempt alone."""
        return None

    def note(self) -> None:
        """Write what is known so far, for other processes and for the case that this one does not live to the end."""
        assert self._admitted is not None
        self._noted = dict(self.facts)
        self.pipeline.store.note_attempt(self._admitted, self._noted)

    def remark(self, name: str, value: str) -> None:
        """Write one fact, and nothing else that would not have been written by now."""
        assert self._admitted is not None
        self.facts[name] = self._noted[name] = value
        self.pipeline.store.note_attempt(self._admitted, self._noted)

    def say(self, line: str) -> None:
        """Tell whoever watches what goes on in place of an agent."""
        with self.judged():
            self.pipeline.observer.agent_activity(AgentActivity(self.reference, line))

    def finish(self, outcome: Outcome, message: str = "") -> None:
        """Write how the attempt ended; does nothing when that is written already."""
        if self._admitted is None or self.outcome is not Outcome.RUNNING:
            return
        self.outcome = outcome
        if (waited := self.pipeline.waited - self._waited_before) > 0:
            self.facts["forge_waited"] = f"{waited:.1f}"
        kind = self.failure.kind if self.failure else None
        if outcome is Outcome.FAILED and kind is None:
            kind = FailureKind.INFRASTRUCTURE
        if outcome is Outcome.INTERRUPTED:
            kind = FailureKind.INTERRUPTED
        self.pipeline.store.finish_attempt(
            self._admitted, outcome, kind, str(self.failure or message), self.facts, now()
        )

    def failed(
        self, kind: FailureKind, expected: str, found: str, *, look_at: str = "", output: str = ""
    ) -> TaskFailure:
        """A failure of the current step, to be raised; without ``look_at`` it leads to the agent's transcript."""
        return TaskFailure(
            kind, step=self.steps.current, expected=expected, found=found, look_at=look_at, output=output
        )

    def note_defect(self, phase: str, text: str) -> None:
        """Blame the machine for what no step foresaw, for example a fixture that failed."""
        self.failure = TaskFailure(
            FailureKind.INFRASTRUCTURE, step=phase, expected="that nothing unforeseen happens", found=text
        )

    @contextmanager
    def judged(self) -> Iterator[None]:
        """Turn every expected error inside into the one failure of this attempt."""
        try:
            yield
        except TaskFailure as failure:
            self.failure = failure
            raise
        except PipelineError as error:
            self.failure = self._as_failure(error)
            raise self.failure from error
        finally:
            if self.failure is not None:
                self.failure.look_at = self.failure.look_at or self.facts.get("transcript", "")

    def _as_failure(self, error: PipelineError) -> TaskFailure:
        step = self.steps.current if self._admitted else "prepare"
        kinds = (
            ((WorkspaceError, NestedRepositoryError), FailureKind.AGENT, "that the agent leaves a plain work tree"),
            (ChecksError, FailureKind.CHECKS, "that the checks of the pull request pass"),
            (ConflictError, FailureKind.CONFLICT, "that the pull request can be merged"),
            (ForgeError, FailureKind.FORGE, "that the forge answers and agrees"),
        )
        for types, kind, expected in kinds:
            if isinstance(error, types):
                return TaskFailure(kind, step=step, expected=expected, found=str(error))
        return TaskFailure(
            FailureKind.INFRASTRUCTURE, step=step, expected="that this machine can do its part", found=str(error)
        )

    def transcript(self, name: str) -> Path:
        """The file for the output of the agent or of a verification; its directory exists."""
        task = task_slug(self.key.batch, self.key.task) if self.key.batch else self.key.task
        path = self.pipeline.layout.transcript(self.key.run, self.plan.path, f"{task}{self.again}-{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def verify(self, task: Task, workspace: Workspace, tree: Tree, name: str) -> VerificationReport:
        """Run the checks of a task in a workspace, as its own settings say; ``name`` tells the transcript apart."""
        settings = self.settings.with_plan(task.options.values)
        verifier = Verifier(
            directory=workspace.path,
            environment=surroundings(workspace, settings, self.plan, task),
            timeout=settings.verification_time,
            transcript=self.transcript(name),
            transcript_limit=settings.max_transcript,
        )
        return verifier.verify(task, tree)

    def cleanup(self) -> None:
        """Give the workspace back; one that the user asked to keep stays and is named."""
        if self.workspace is None:
            return
        workspace, self.workspace = self.workspace, None
        with self.judged(), self.steps.step("cleanup"):
            rule = self.settings.keep_workspaces
            keep = rule == "always" or (rule == "failed" and self.failure is not None)
            kept = self.pipeline.workspaces.give_back(workspace, keep=keep)
            self.kept = str(kept) if kept else None
