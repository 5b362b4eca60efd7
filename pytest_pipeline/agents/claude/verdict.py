"""How a run of the Claude CLI ended: neither its exit code nor its own word alone is a verdict."""

from __future__ import annotations

from pytest_pipeline.agents.base import AgentResult, AgentStatus, Limits
from pytest_pipeline.agents.claude.stream import Summary
from pytest_pipeline.host.process import Completed


def judge(summary: Summary, completed: Completed, limits: Limits, *, hung: bool = False) -> AgentResult:
    """The result of a task run.

    Args:
        summary: what the stream said.
        completed: how the process ended.
        limits: bounds of the task run, named in the message where one was reached.
        hung: whether the driver ended it because it did not end by itself after its result.
    """
    return AgentResult(AgentStatus.FAILED, "The verdict is not written yet.")
