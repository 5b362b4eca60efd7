"""What an earlier process of a session had verified and committed before it ended: it is landed, not done again.

An agent that was running is not trusted; a commit that was made after the verification is, because only we make such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_pipeline.execution.pipeline import Pipeline, Run
from pytest_pipeline.execution.unlanded import unlanded
from pytest_pipeline.forges.base import PullRequestState
from pytest_pipeline.record.model import Outcome, TaskRunKey

_OF_THE_AGENT = ("cost_usd", "cost_estimated", "turns", "tokens", "denied_tools", "agent_survivors")
"""Facts that are told once, by the attempt whose agent it was."""


@dataclass(frozen=True)
class Verified:
    """A commit to be landed.

    Args:
        commit: the commit.
        tree: its tree; None: its objects are gone, but the forge has merged it.
        facts: what the record says of the attempt that made it.
        failed: whether a new attempt lands it; else the one that was interrupted goes on.
    """

    commit: str
    tree: str | None
    facts: Mapping[str, str]
    failed: bool


def find_verified(pipeline: Pipeline, run: Run, key: TaskRunKey) -> Verified | None:
    """The commit of an attempt at a task run that ended before it was landed; None: the task is done anew.

    Args:
        pipeline: the session.
        run: the run.
        key: the task run.

    Raises:
        ForgeError: the forge does not answer.
    """
    attempts = pipeline.store.attempts(key)
    made = unlanded(attempts)
    if made is None:
        return None
    facts, failed = dict(made.properties), made is not attempts[-1] or made.outcome is not Outcome.INTERRUPTED
    if failed:
        facts = {name: value for name, value in facts.items() if name not in _OF_THE_AGENT}
    commit, branch = facts["commit"], facts["branch"]
    if run.repository.resolve(commit) is None and run.forge.branch_head(branch) == commit:
        run.forge.fetch(branch, run.repository)
    if run.repository.resolve(commit) is not None:
        return Verified(commit, run.repository.commit(commit).tree, facts, failed)
    found = run.forge.find_pull_request(branch)
    if found is not None and found.state is PullRequestState.MERGED:
        return Verified(commit, None, facts, failed)
    return None
