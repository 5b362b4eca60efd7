"""``--resume``: what the session was told, before its plans are collected."""

from __future__ import annotations

import pytest

from pytest_pipeline import naming
from pytest_pipeline.errors import PipelineError
from pytest_pipeline.plans.reader import is_plan
from pytest_pipeline.settings import Settings

RECALLED = "pipeline_settings"
"""The key of ``workerinput`` by which the controller tells workers what the session was told."""

NOTES = pytest.StashKey[tuple[str, ...]]()
"""What is different this time."""


def recalled(config: pytest.Config, settings: Settings) -> Settings:
    """The settings of the session that is to be taken up; a worker has them from its controller.

    Args:
        config: pytest's configuration.
        settings: what the command line says now.

    Raises:
        pytest.UsageError: there is no such session, or it cannot be taken up like this.
    """
    told = getattr(config, "workerinput", {}).get(RECALLED)
    if told is not None:
        return Settings.from_wire(told)
    first = naming.first_plan(config, everywhere=settings.collect == "always", is_plan=is_plan)
    if first is None:
        raise pytest.UsageError(
            "--resume goes on with plans, and none is named. Name those of the session on the command line, before "
            "--resume or with --resume=SESSION."
        )
    from pytest_pipeline.execution.layout import store_url
    from pytest_pipeline.execution.opening import state_place
    from pytest_pipeline.execution.resuming import recall

    try:
        found = recall(settings, store_url(state_place(first.parent, config.rootpath) / settings.state_dir))
    except PipelineError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[NOTES] = found.notes
    for name in ("count", "repeat_scope"):
        if hasattr(config.option, name):
            setattr(config.option, name, getattr(found.settings, name))  # pytest-repeat's too
    return found.settings
