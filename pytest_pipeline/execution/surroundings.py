"""The environment of agents and verification commands: built from an allow-list, with nothing secret in it."""

from __future__ import annotations

import os

from pytest_pipeline.execution.workspace import Workspace
from pytest_pipeline.host.process import child_environment
from pytest_pipeline.plans.model import Plan, Task
from pytest_pipeline.settings import Settings


def surroundings(workspace: Workspace, settings: Settings, plan: Plan, task: Task | None = None) -> dict[str, str]:
    """The whole environment of a child that works in a workspace.

    Args:
        workspace: gives the private HOME and TMPDIR, which children have unless the user lets the real ones through.
        settings: names what the user lets through.
        plan: its ``environment`` is added.
        task: so is the task's own.
    """
    private = {"HOME": str(workspace.home), "TMPDIR": str(workspace.temporary)}
    passed = {name for name in settings.pass_environment if name in os.environ}
    return child_environment(
        settings.pass_environment,
        {
            **plan.options.environment,
            **(task.options.environment if task else {}),
            **{name: value for name, value in private.items() if name not in passed},
            "GIT_CEILING_DIRECTORIES": str(workspace.path.parent),
        },
    )
