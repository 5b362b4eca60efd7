"""Whether the base branches of a session that is taken up again still stand as its own merges left them."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_pipeline.errors import ForgeError
from pytest_pipeline.execution.layout import run_prefix
from pytest_pipeline.execution.pipeline import Pipeline
from pytest_pipeline.forges.base import PullRequestState
from pytest_pipeline.record.model import Outcome

_MEND = "Put the branch back where it was, or start a new session."


def confirm_bases(pipeline: Pipeline) -> None:
    """Make sure that what is going on stands on what was merged, before an agent is paid for it.

    Runs that have passed are not looked at again.

    Raises:
        ForgeError: somebody has deleted or moved a base branch meanwhile; says which.
    """
    for run in pipeline.store.runs(pipeline.session):
        if run.outcome is not Outcome.PASSED:
            _confirm(pipeline, run.number, _merges(pipeline, run.number))


def _merges(pipeline: Pipeline, run: int) -> Mapping[str, str]:
    """Tasks by their merges, those too that were made and not written down any more."""
    found = {}
    for record in pipeline.store.task_runs(pipeline.session, run):
        for attempt in record.attempts:
            merge, branch = attempt.properties.get("merge_commit", ""), attempt.properties.get("branch", "")
            if not merge and branch:
                pull_request = pipeline.forge.find_pull_request(branch)
                merged = pull_request is not None and pull_request.state is PullRequestState.MERGED
                merge = (pull_request.merge_commit or "") if merged and pull_request else ""
            if merge:
                found[merge] = record.key.task
    return found


def _confirm(pipeline: Pipeline, number: int, merges: Mapping[str, str]) -> None:
    branch = f"{run_prefix(pipeline.session, number)}/base"
    head = pipeline.forge.branch_head(branch)
    if not merges and head in (None, pipeline.base):
        return
    if head is None:
        raise ForgeError(
            f"Session {pipeline.session} cannot go on: its base branch {branch} is gone from "
            f"{pipeline.forge.repository}, and with it what was merged. {_MEND}"
        )
    run = pipeline.run(number)
    found = list(run.repository.first_parents(run.sync(), until=run.start))
    lost = [f"the merge of task {task} is gone" for merge, task in merges.items() if merge not in found]
    foreign = [f"{commit} is no merge of this session" for commit in found if commit not in merges]
    if lost or foreign:
        raise ForgeError(
            f"Session {pipeline.session} cannot go on: somebody has moved its base branch {branch}: "
            f"{', '.join(lost + foreign)}. {_MEND}"
        )
