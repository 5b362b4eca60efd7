"""One task in one run, from a clean workspace to a merged pull request whose outcome was asserted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline.agents.base import (
    AgentRequest,
    AgentResult,
    AgentStatus,
    Conduct,
    Limits,
    OnCost,
    SolutionForm,
    SolutionPart,
)
from pytest_pipeline.errors import FailureKind, TaskFailure
from pytest_pipeline.events import Candidate
from pytest_pipeline.execution.attempt import Attempt
from pytest_pipeline.execution.cast import rehearses
from pytest_pipeline.execution.hygiene import problems, protected_changes
from pytest_pipeline.execution.landing import Landing, confirm_nothing_landed, subject
from pytest_pipeline.execution.layout import run_prefix, slug, task_slug
from pytest_pipeline.execution.outcome import judge
from pytest_pipeline.execution.pipeline import Pipeline
from pytest_pipeline.execution.prompt import render
from pytest_pipeline.execution.pull_request import describe
from pytest_pipeline.execution.surroundings import surroundings
from pytest_pipeline.execution.verified import Verified, find_verified
from pytest_pipeline.execution.watching import Watch
from pytest_pipeline.execution.workspace import Workspace
from pytest_pipeline.host.git import Change, Tree
from pytest_pipeline.plans.model import Batch, Expectation, Plan, ProseCheck, RefusedCheck, Task
from pytest_pipeline.record import denials
from pytest_pipeline.record.model import AttemptId
from pytest_pipeline.trouble import Trouble

REFUSALS = (FailureKind.PLAN, FailureKind.AGENT, FailureKind.VERIFICATION, FailureKind.OUTCOME)
"""The kinds of failure that ``**Expect:** failure`` asks for: the task was refused, nothing else broke."""


@dataclass(frozen=True)
class _Left:
    """What the agent left, against what it started from; read once for all who judge it."""

    base: Tree
    new: Tree
    changes: tuple[Change, ...]

    @classmethod
    def of(cls, workspace: Workspace) -> _Left:
        repository, tree = workspace.repository, workspace.snapshot()
        return cls(repository.tree(workspace.commit), repository.tree(tree), repository.changes(workspace.commit, tree))


class TaskRun(Attempt):
    """The steps of one attempt at one task.

    ``prepare``, ``perform`` and ``cleanup`` are pytest's setup, call and teardown; the first two raise TaskFailure.

    Args:
        pipeline: what all attempts of the process share.
        run: number of the run, from 1.
        plan: the plan.
        batch: the batch.
        task: the task.
    """

    def __init__(self, pipeline: Pipeline, run: int, plan: Plan, batch: Batch, task: Task) -> None:
        settings = pipeline.settings.with_plan(plan.options.values, task.options.values)
        super().__init__(pipeline, run, plan, batch.number, task.id, task.title, settings)
        self.task = task
        self._vacuous = False
        self._trouble: Trouble | None = None  # the one that the agent is to bring about
        self._ended: AgentResult | None = None
        self._branch = ""
        self._base = ""
        self._verified: Verified | None = None  # by an earlier process of the session, and to be landed now

    @property
    def _chaotic(self) -> Task:
        return self.task

    # Setup

    def _admission(self) -> AttemptId:
        """Where an earlier process of the session came as far as a verified commit, no agent is asked again."""
        if self.pipeline.resumed:
            self._verified = find_verified(self.pipeline, self.run, self.key)
        if self._verified is None:
            return super()._admission()
        self.facts.update(self._verified.facts)
        if self._verified.failed:
            return super()._admission()
        return self.pipeline.store.readmit_attempt(self.key)

    def prepare(self) -> None:
        """Make the workspace, and look whether the verification proves anything: in run 1, or always if it must."""
        if self._verified is not None:
            self._branch, self._base = self.facts["branch"], self.facts["parent_commit"]
            return
        with self.judged(), self.steps.step("prepare"):
            name = f"{slug(self.plan.path)}/{task_slug(self.key.batch, self.task.id)}"
            self._branch = f"{run_prefix(self.key.session, self.key.run)}/{name}{self.again}"
            self._base = self.run.sync()
            self.workspace = self.pipeline.workspaces.lease(self.run.repository, self._base, self._branch)
            self.facts.update(base_branch=self.run.base_branch, parent_commit=self._base, branch=self._branch)
            prose = [each for each in self.task.verification if isinstance(each, (ProseCheck, RefusedCheck))]
            self.facts["judge"] = str(len(self.task.acceptance) + len(prose))
            self._examine_verification(self.workspace)

    def _examine_verification(self, workspace: Workspace) -> None:
        """A check that passes on the untouched workspace, where changes are expected, proves nothing."""
        if self.task.expect is not Expectation.CHANGES or self.task.faults:
            return
        if self.key.run != 1 and self.settings.vacuous_checks != "fail":
            return
        report = self.verify(self.task, workspace, workspace.repository.tree(self._base), "verification-before")
        self._vacuous = report.own_checks > 0 and report.passed
        self.facts["vacuous"] = "yes" if self._vacuous else "no"
        if report.own_checks:
            workspace.restore()
        if self._vacuous:
            self.warnings.append("its verification passes already before the agent has started, so it proves nothing")

    # Call

    def perform(self) -> None:
        """Run the agent, judge what it did, land it, and assert the outcome."""
        with self.judged():
            if self._verified is not None:
                self._landing().go_on(self._verified.commit, self._verified.tree)
                return
            self._look_at_trouble()
            if self.task.expect is Expectation.FAILURE:
                self._expect_refusal()
            else:
                self._land(self._candidate())

    def _look_at_trouble(self) -> None:
        """Only a scripted model makes trouble; with any other agent the plan's wish for it is ignored."""
        wanted = self.task.trouble
        if wanted is None:
            return
        agent = self.pipeline.agents(self.settings)
        if rehearses(agent) == "scripted":
            self._trouble = wanted
        else:
            text = f"the trouble of line {wanted.line} was left out, because the agent {agent.name} plays no script"
            self.warnings.append(text)

    def _expect_refusal(self) -> None:
        warned = len(self.warnings)
        try:
            self._candidate()
        except TaskFailure as failure:
            if failure.kind not in REFUSALS and not self._is_unavailable_on_purpose(failure):
                raise
            refusal = failure
        else:
            raise self.failed(
                FailureKind.OUTCOME,
                "a failure in agent, verification or outcome, as **Expect:** failure says",
                "Everything passed; nothing was pushed. Correct the plan if the task is meant to succeed.",
            )
        del self.warnings[warned:]
        with self.steps.step("outcome"):
            self._demand_end()  # again: a wrong end must not count as the refusal
            confirm_nothing_landed(self.pipeline.forge, self._branch)
        self.facts["refused_as"] = str(refusal.kind)
        self.facts["refusal"] = refusal.found.splitlines()[0] if refusal.found else ""

    def _is_unavailable_on_purpose(self, failure: TaskFailure) -> bool:
        """Whether no model could be reached because the plan asks for such trouble."""
        unavailable = self._ended is not None and self._ended.status is AgentStatus.UNAVAILABLE
        return self._trouble is not None and unavailable and failure.kind is FailureKind.INFRASTRUCTURE

    def _demand_end(self) -> None:
        """The agent must have ended as the trouble says, if that says it."""
        if self._trouble is None or self._trouble.ends is None:
            return
        ended = self._ended
        if ended is None or ended.status != self._trouble.ends:
            raise self.failed(
                FailureKind.OUTCOME,
                f"that the agent ends as {self._trouble.ends}, as the plan says on line {self._trouble.line}",
                f"The agent ended as {ended.status}: {ended.message}" if ended else "The agent was not started.",
                output=ended.output if ended else "",
            )

    def _candidate(self) -> str:
        """The tree to be committed, after agent, verification and judgement."""
        if self.task.faults:
            raise self.failed(
                FailureKind.PLAN, "a task that can be carried out", " ".join(str(fault) for fault in self.task.faults)
            )
        if self._vacuous and self.settings.vacuous_checks == "fail":
            raise self.failed(
                FailureKind.VERIFICATION,
                "a verification that fails before the work is done",
                "All of it passes on the untouched workspace. Write a check that only the work can satisfy.",
            )
        assert self.workspace is not None
        with self.steps.step("agent"):
            self._run_agent(self.workspace)
            left = _Left.of(self.workspace)
            self._inspect(left)
        with self.steps.step("verify"):
            self._demand_verification(self.workspace, left.new)
            self._judge(self.workspace, left)
        return left.new.sha

    def _run_agent(self, workspace: Workspace) -> None:
        agent = self.pipeline.agents(self.settings)
        transcript = self.transcript("agent")
        self.facts.update(agent=agent.name, agent_version=agent.version, transcript=self.pipeline.shown(transcript))
        if stand_in := rehearses(agent):
            self.facts["rehearsal"] = stand_in
        watch = Watch(self)
        with watch.watching():
            result = agent.run(self._request(workspace, transcript, watch.cost), watch.line)
            self._note(result, workspace)
        self._ended = result
        unavailable = result.status is AgentStatus.UNAVAILABLE
        self.worth_retrying = unavailable and result.retryable
        self._demand_end()
        if result.status is AgentStatus.OK:
            return
        kind = FailureKind.INFRASTRUCTURE if unavailable else FailureKind.AGENT
        raise self.failed(
            kind,
            "that the agent ends with success",
            f"The agent ended as {result.status}: {result.message}",
            output=result.output,
        )

    def _request(self, workspace: Workspace, transcript: Path, on_cost: OnCost) -> AgentRequest:
        settings = self.settings
        prompt = render(self.plan, self.task, template=self._template())
        return AgentRequest(
            prompt=self.pipeline.observer.prompt(self.reference, prompt),
            workspace=workspace.path,
            limits=Limits(settings.wall_time, settings.turns, settings.budget_usd),
            environment=surroundings(workspace, settings, self.plan, self.task),
            transcript=transcript,
            transcript_limit=settings.max_transcript,
            model=settings.model,
            reference=tuple(
                SolutionPart(SolutionForm(part.form.value), part.content, part.path) for part in self.task.reference
            ),
            conduct=Conduct(
                tools=settings.allowed_tools,
                permission_mode=settings.permission_mode,
                effort=settings.effort,
                system_prompt=settings.append_system_prompt or "",
                project_instructions=settings.project_instructions,
            ),
            case=f"{slug(self.plan.path)}/{task_slug(self.key.batch, self.task.id)}",
            run=self.key.run,
            trouble=self._trouble,
            on_cost=on_cost,
        )

    def _template(self) -> Path | None:
        name = self.settings.prompt_template
        return self.pipeline.rootdir / name if name else None

    def _note(self, result: AgentResult, workspace: Workspace) -> None:
        known = {
            "agent_status": result.status,
            "cost_usd": result.cost_usd,
            "turns": result.turns,
            "tokens": result.tokens,
            "model": result.model,
            "agent_session": result.session_id,
        }
        self.facts.update({name: str(value) for name, value in known.items() if value is not None})
        if result.cost_usd is not None and not result.cost_estimated:
            self.facts.pop("cost_estimated", None)
        elif result.cost_usd is not None:
            self.facts["cost_estimated"] = "yes"
        if result.denied:
            self.facts["denied_tools"] = denials.told(result.denied)
        self.facts["agent_committed"] = "yes" if workspace.agent_committed() else "no"
        if result.survivors:
            self.facts["agent_survivors"] = str(result.survivors)
        if result.truncated:
            self.facts["transcript_truncated"] = "yes"
        if result.cost_usd:
            self.note()  # other tasks are waiting to hear whether they may start

    def _inspect(self, left: _Left) -> None:
        """What no agent may leave, whatever the task; and that it left anything at all where something is expected."""
        if not left.changes and self.task.expect is not Expectation.NO_CHANGES:
            raise self.failed(
                FailureKind.AGENT,
                "that the agent changes files",
                "The agent ended with success and changed nothing.",
            )
        settings = self.settings
        faults = (
            *problems(left.changes, left.base, left.new, max_file_size=settings.max_file_size),
            *protected_changes(left.changes, left.new, settings.protected_paths, self.task.files),
        )
        if faults:
            raise self.failed(FailureKind.AGENT, "a tree that can be committed", " ".join(faults))

    def _demand_verification(self, workspace: Workspace, tree: Tree) -> None:
        report = self.verify(self.task, workspace, tree, "verification")
        self.facts["own_checks"] = str(report.own_checks)
        failed = report.first_failure
        if failed is not None:
            raise self.failed(
                FailureKind.VERIFICATION,
                "that the task's verification passes",
                failed.detail,
                look_at=self.pipeline.shown(self.transcript("verification")),
                output=failed.tail,
            )

    def _judge(self, workspace: Workspace, left: _Left) -> None:
        ignored = self._ignored(workspace, left.new.entries())
        findings = judge(self.task, left.base, left.new, left.changes, ignored=ignored)
        faults = list(findings.failures)
        if findings.undeclared:
            self.facts["undeclared"] = ", ".join(findings.undeclared)
            text = f"files changed that the task does not declare: {self.facts['undeclared']}"
            if self.settings.scope == "strict":
                faults.append(f"There are {text}. Declare them under **Files:**, or use scope: warn.")
            else:
                self.warnings.append(text)
        changed = tuple(change.path for change in left.changes)
        faults += self.pipeline.observer.judge(Candidate(self.reference, workspace.path, changed, left.new.read))
        if faults:
            raise self.failed(FailureKind.OUTCOME, "files as the plan declares them", " ".join(faults))

    def _ignored(self, workspace: Workspace, entries: Collection[str]) -> Collection[str]:
        """Declared files that lie in the workspace but not in the tree, because git ignores them."""
        declared = {change.target or change.path for change in self.task.files}
        missing = (path for path in declared if path not in entries and "*" not in path)
        return {path for path in missing if (workspace.path / path).is_file()}

    # Landing

    def _land(self, tree: str) -> None:
        if self.task.expect is Expectation.NO_CHANGES:
            with self.steps.step("outcome"):
                confirm_nothing_landed(self.pipeline.forge, self._branch)
            return
        self._landing().land(tree)

    def _landing(self) -> Landing:
        title, text = describe(
            self.task,
            self.reference,
            self.settings,
            subject=subject(self.task),
            agent=self.facts["agent"],
            rootdir=self.pipeline.rootdir,
        )
        return Landing(
            task=self.task,
            reference=self.reference,
            run=self.run,
            settings=self.settings,
            steps=self.steps,
            facts=self.facts,
            branch=self._branch,
            base=self._base,
            title=title,
            text=text,
            note=self.note,
        )
