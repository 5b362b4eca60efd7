"""A record is held against the world: each of its claims is asked of git and the forge, and of nobody else."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from pytest_pipeline.execution.layout import run_prefix
from pytest_pipeline.execution.run_verifying import Findings, RunVerifier, branches_of, first
from pytest_pipeline.execution.task_run import REFUSALS
from pytest_pipeline.forges.base import Forge
from pytest_pipeline.forges.leftovers import BranchKind, Leftover, Sweepable
from pytest_pipeline.host.git import Repository
from pytest_pipeline.plans.model import Expectation, Plan, Status, Task
from pytest_pipeline.record.claimed_criterion import Known, unconfirmed_history
from pytest_pipeline.record.claims import Claim, Record
from pytest_pipeline.record.consistency import admitted_runs, contradictions
from pytest_pipeline.record.model import FINAL_STATE, Outcome, TaskRunKey

_SHA = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Selected:
    """What is known of the items that the session had selected.

    Args:
        items: all of them.
        untouched: those with which nothing was done, so that they need no test case.
    """

    items: Collection[TaskRunKey]
    untouched: Collection[TaskRunKey] = ()


class Verifier:
    """Holds one record against one forge.

    Args:
        record: the record.
        forge: where its pull requests live.
        git: a repository of ours; what is fetched is kept there.
        plans: the plans of the session by path, those whose text is known.
        selected: what was selected; None: all items of these plans.
        known: what a store holds of the session; None: nothing.
    """

    def __init__(
        self,
        record: Record,
        forge: Forge,
        git: Repository,
        plans: Mapping[str, Plan],
        selected: Selected | None = None,
        known: Known | None = None,
    ) -> None:
        self._record = record
        self._known = known
        self._forge = forge
        self._git = git
        self._plans = plans
        self._tasks = {
            (plan.path, batch.number, task.id): task
            for plan in plans.values()
            for batch in plan.batches
            for task in batch.tasks
        }
        self._selected = selected or Selected(self._all_items())
        self._start = record.facts.get("base_commit", "")

    def _all_items(self) -> list[TaskRunKey]:
        runs = range(1, max((each.key.run for each in self._record.claims), default=0) + 1)
        names = [*self._tasks, *((path, "", FINAL_STATE) for path in self._plans)]
        return [TaskRunKey(self._record.session, run, *name) for run in runs for name in names]

    def verify(self) -> Findings:
        """Look at everything.

        Raises:
            ForgeError: the forge does not answer.
        """
        found, record = Findings(), self._record
        admitted = admitted_runs(record)
        selected = self._selected
        found.lies += contradictions(record, selected.items, selected.untouched, admitted, self._known)
        found.open += unconfirmed_history(record, self._known)
        if not _SHA.fullmatch(self._start):
            found.lies.append(f"The record names {self._start!r} as its base commit, which is none.")
            return found
        for claim in record.claims:
            found.lies += self._unfounded(claim)
        found.lies += self._merged_twice()
        for run in sorted({each.key.run for each in record.claims}):
            RunVerifier(record, run, run in admitted, self._forge, self._git, self._tasks, found).verify()
        self._look_for_others(found)
        return found

    # What the plan and the names say

    def _unfounded(self, claim: Claim) -> Iterator[str]:
        """What is wrong with a claim before anybody is asked."""
        key, facts = claim.key, claim.facts
        base, branches = f"{run_prefix(key.session, key.run)}/base", branches_of(claim)
        if facts.get("base_commit", self._start) != self._start:
            yield f"{first(claim)} names the base commit {facts['base_commit']}; that of the record is {self._start}."
        if facts.get("base_branch", base) != base:
            yield f"{first(claim)} names the base branch {facts['base_branch']}; that of its run is {base}."
        if facts.get("branch", branches[-1]) not in branches:
            yield f"{first(claim)} names the branch {facts['branch']}; its own is {branches[-1]}."
        if key.plan in self._plans and self._record.decided[key] is claim:
            task = self._tasks.get((key.plan, key.batch, key.task))
            if task is not None:
                yield from _against_plan(claim, task)
            elif not claim.is_final_state:
                yield f"The plan has no {claim}."
            elif claim.outcome is Outcome.COMPLETED and not self._is_completed(key.plan):
                yield f"{first(claim)} is completed in the record; the plan does not say so of all its tasks."

    def _is_completed(self, plan: str) -> bool:
        return all(task.status is Status.COMPLETED for (path, _, _), task in self._tasks.items() if path == plan)

    def _merged_twice(self) -> Iterator[str]:
        seen: dict[str, Claim] = {}
        for claim in self._record.claims:
            commit = claim.facts.get("merge_commit")
            if commit in seen and seen[commit].key == claim.key:
                continue  # a later attempt found that it was merged
            if commit in seen:
                yield f"{first(claim)} and {seen[commit]} both name the merge commit {commit}."
            elif commit:
                seen[commit] = claim

    # What else there is

    def _look_for_others(self, found: Findings) -> None:
        """Branches of the session that the record says nothing of."""
        if not isinstance(self._forge, Sweepable):
            found.open.append(
                f"The forge {self._forge.name} cannot list branches; that the session left no others cannot be "
                "confirmed."
            )
            return
        claims = {
            branch: each for each in self._record.claims if not each.is_final_state for branch in branches_of(each)
        }
        runs = {each.key.run for each in self._record.claims}
        for left in self._forge.leftovers():
            if left.branch.session == self._record.session:
                found.lies += _wrong_about(left, claims, runs)


def _against_plan(claim: Claim, task: Task) -> Iterator[str]:
    if claim.outcome is Outcome.COMPLETED and task.status is not Status.COMPLETED:
        yield f"{first(claim)} is completed in the record; the plan does not say so."
    if claim.outcome is not Outcome.PASSED:
        return
    lands = task.expect is Expectation.CHANGES
    if lands and "pull_request" not in claim.facts:
        yield f"{first(claim)} is passed in the record, and names no pull request."
    if lands and "merge_commit" not in claim.facts and claim.facts.get("pull_request_state") != "open":
        yield f"{first(claim)} is passed in the record, and names no merge commit."
    if not lands and "merge_commit" in claim.facts:
        yield f"{first(claim)} names a merge commit; the plan expects {task.expect} of it."
    if task.expect is Expectation.FAILURE and claim.facts.get("refused_as") not in REFUSALS:
        yield f"{first(claim)} is passed in the record, and does not say how it was refused, as the plan expects."


def _wrong_about(left: Leftover, claims: Mapping[str, Claim], runs: Collection[int]) -> Iterator[str]:
    name = left.branch.name
    if left.branch.kind is BranchKind.BASE:
        if int(left.branch.run.rpartition("-")[2]) not in runs:
            yield f"The forge has {name}; the record says nothing of that run."
    elif name not in claims or not claims[name].attempt:
        yield f"The forge has the branch {name}; no test case of the record claims it."
    elif claims[name].facts.get("branch") == name and "merge_commit" in claims[name].facts:
        yield f"The forge still has the branch {name}, at {left.head}; the record says that it is merged."
