"""The environment of agents and verification commands: built from an allow-list, with nothing secret in it."""

from __future__ import annotations

from pytest_pipeline.execution.workspace import Workspace
from pytest_pipeline.host.process import child_environment
from pytest_pipeline.plans.model import Plan, Task
from pytest_pipeline.settings import Settings


def surroundings(workspace: Workspace, settings: Settings, plan: Plan, task: Task | None = None) -> dict[str, str]:
    """The whole environment of a child that works in a workspace.

    Args:
        workspace: gives the private HOME and TMPDIR.
        settings: names what the user lets through.
        plan: its ``environment`` is added.
        task: so is the task's own.
    """
    return child_environment(
        settings.pass_environment,
        {
            **plan.options.environment,
            **(task.options.environment if task else {}),
            "HOME": str(workspace.home),
            "TMPDIR": str(workspace.temporary),
            "GIT_CEILING_DIRECTORIES": str(workspace.path.parent),
        },
    )
