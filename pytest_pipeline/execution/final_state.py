"""The last item of a plan in a run: what the run's base branch holds at the end, asked of git alone.

A merge that a later one reverted or overwrote passes its own outcome and fails here, by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_pipeline.errors import FailureKind, TaskFailure
from pytest_pipeline.execution.attempt import Attempt
from pytest_pipeline.execution.layout import run_prefix, slug
from pytest_pipeline.execution.outcome import still_holds
from pytest_pipeline.execution.pipeline import Pipeline
from pytest_pipeline.plans.model import Expectation, Plan, Task, Verb
from pytest_pipeline.record.model import FINAL_STATE, AttemptRecord, Outcome, TaskRunKey


@dataclass(frozen=True)
class Merge:
    """One merge that the record says was made in this run."""

    key: TaskRunKey
    task: Task
    commit: str

    @property
    def name(self) -> str:
        """The task, for messages."""
        return f"task {self.key.task} of {self.key.plan}"


class FinalState(Attempt):
    """One attempt at the final state of a plan in a run.

    Args:
        pipeline: what all attempts of the process share.
        run: number of the run, from 1.
        plan: the plan.
    """

    def __init__(self, pipeline: Pipeline, run: int, plan: Plan) -> None:
        settings = pipeline.settings.with_plan(plan.options.values)
        super().__init__(pipeline, run, plan, "", FINAL_STATE, "final state", settings)
        self._head = ""

    def prepare(self) -> None:
        """A clean work tree of the run's base branch as it is now."""
        with self.judged(), self.steps.step("prepare"):
            self._head = self.run.sync()
            branch = f"{run_prefix(self.key.session, self.key.run)}/{slug(self.plan.path)}/{FINAL_STATE}"
            self.workspace = self.pipeline.workspaces.lease(self.run.repository, self._head, branch)
            self.facts.update(base_branch=self.run.base_branch, commit=self._head)

    def perform(self) -> None:
        """Ask for the merges, the files and the verification of every task that passed.

        Raises:
            TaskFailure: something is missing, changed, or too much.
        """
        with self.judged():
            with self.steps.step("outcome"):
                merges = self._in_order(self._recorded())
                self.facts["merges"] = str(sum(merge.key.plan == self.key.plan for merge in merges))
                self._confirm_files(merges)
            with self.steps.step("verify"):
                self._confirm_verification()

    def _recorded(self) -> Mapping[str, Merge]:
        """The merges of this run by commit, those of other plans too: they share the base branch."""
        merges = {}
        for record in self.pipeline.store.task_runs(self.key.session, self.key.run):
            for attempt in record.attempts:
                commit = attempt.properties.get("merge_commit") or self._merged_unsaid(attempt)
                if commit:
                    merges[commit] = Merge(record.key, self._task(record.key), commit)
        return merges

    def _merged_unsaid(self, attempt: AttemptRecord) -> str | None:
        """The merge of an attempt that did not live to tell of it: the forge knows."""
        facts = attempt.properties
        left_open = attempt.outcome is Outcome.PASSED and facts.get("pull_request_state") == "open"
        if left_open or not {"commit", "branch"} <= facts.keys():
            return None
        found = self.run.forge.find_pull_request(facts["branch"])
        return found.merge_commit if found is not None else None

    def _task(self, key: TaskRunKey) -> Task:
        for batch in self.pipeline.plans[key.plan].batches:
            for task in batch.tasks:
                if (batch.number, task.id) == (key.batch, key.task):
                    return task
        raise KeyError(key)

    def _in_order(self, recorded: Mapping[str, Merge]) -> list[Merge]:
        """The merges from first to last, after making sure that nothing else is there and nothing is missing."""
        repository = self.run.repository
        commits = list(repository.first_parents(self._head, until=self.run.start))[::-1]
        unknown = [commit for commit in commits if commit not in recorded]
        missing = [merge.name for commit, merge in recorded.items() if commit not in commits]
        if unknown or missing:
            found = [f"{commit} is no merge of this session" for commit in unknown]
            found += [f"the merge of {name} is gone" for name in missing]
            raise self._lost(f"exactly the merges of this run in {self.run.base_branch}", ", ".join(found))
        return [recorded[commit] for commit in commits]

    def _confirm_files(self, merges: list[Merge]) -> None:
        repository = self.run.repository
        final = repository.tree(self._head)
        superseded: set[str] = set()
        lost: list[str] = []
        for merge in reversed(merges):
            base = repository.tree(repository.commit(merge.commit).parents[0])
            texts = still_holds(merge.task, base, repository.tree(merge.commit), final, superseded)
            lost += [f"{merge.name}: {text}" for text in texts]
            superseded |= _claimed(merge.task)
        if lost:
            raise self._lost("what each task brought about, still there at the end", " ".join(lost))

    def _lost(self, expected: str, found: str) -> TaskFailure:
        look_at = f"git log --first-parent {self.run.base_branch}"
        return self.failed(FailureKind.OUTCOME, expected, found, look_at=look_at)

    def _confirm_verification(self) -> None:
        assert self.workspace is not None
        tree = self.run.repository.tree(self._head)
        for number, task in self._passed():
            report = self.verify(task, self.workspace, tree, f"{FINAL_STATE}-{number}-{task.id}")
            if report.first_failure is not None:
                raise self.failed(
                    FailureKind.VERIFICATION,
                    f"that the verification of task {task.id} still passes at the end of the run",
                    report.first_failure.detail,
                    output=report.first_failure.tail,
                )
            if report.results:
                self.workspace.restore()

    def _passed(self) -> list[tuple[str, Task]]:
        """The tasks of this plan that passed in this run and left something to verify."""
        passed = {
            (record.key.batch, record.key.task)
            for record in self.pipeline.store.task_runs(self.key.session, self.key.run)
            if record.key.plan == self.plan.path
            and record.outcome is Outcome.PASSED
            and (record.attempts[-1].properties.get("pull_request_state") != "open")
        }
        return [
            (batch.number, task)
            for batch in self.plan.batches
            for task in batch.tasks
            if (batch.number, task.id) in passed and task.expect is not Expectation.FAILURE
        ]


def _claimed(task: Task) -> set[str]:
    """The paths that a task answers for once it is merged."""
    changing = [change for change in task.files if change.verb is not Verb.READ]
    return {path for change in changing for path in (change.path, change.target) if path}
