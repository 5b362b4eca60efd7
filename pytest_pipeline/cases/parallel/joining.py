"""A worker takes part in the session that its controller has opened."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.cases.choosing import ChosenAgents
from pytest_pipeline.cases.observing import HookObserver, ask
from pytest_pipeline.cases.order import CaseKey
from pytest_pipeline.cases.status.waiting import WaitNote
from pytest_pipeline.errors import HostError
from pytest_pipeline.execution.joining import Handover, join_session
from pytest_pipeline.plans.model import Plan
from pytest_pipeline.record.model import Outcome
from pytest_pipeline.settings import Settings

if TYPE_CHECKING:
    from pytest_pipeline.execution.pipeline import Pipeline

HANDOVER = "pipeline_session"
"""The key of ``workerinput`` by which the controller tells a worker of the session."""


@dataclass(frozen=True)
class Joined:
    """A worker's part of a session.

    Args:
        pipeline: the session as the worker sees it.
        agents: its agents.
        faults: hooks that failed where no task could be blamed.
    """

    pipeline: Pipeline
    agents: ChosenAgents
    faults: list[str]

    def outcomes(self, run: int) -> Mapping[CaseKey, tuple[Outcome, bool]]:
        """How the items of a run ended so far, whoever carried them out, and whether each left no open pull request."""
        found = self.pipeline.store.outcomes(self.pipeline.session, run)
        return {
            CaseKey(key.run, key.plan, key.batch, key.task): (ended.outcome, ended.merged)
            for key, ended in found.items()
        }

    def take_faults(self) -> list[str]:
        """The faults since this was asked last."""
        taken = list(self.faults)
        self.faults.clear()
        return taken

    def close(self) -> None:
        """Let go of agents, workspaces and store."""
        with ExitStack() as stack:
            stack.callback(self.pipeline.close)
            stack.callback(self.agents.close)


def join(config: pytest.Config, settings: Settings, plans: Mapping[str, Plan]) -> Joined:
    """Join the session.

    Args:
        config: the worker's configuration.
        settings: its settings, the same as the controller's.
        plans: what it has collected.

    Raises:
        PipelineError: it cannot take part.
    """
    wire = getattr(config, "workerinput", {}).get(HANDOVER)
    if wire is None:
        raise HostError(
            "The controller of this worker does not know that there are plans. Name the plan files or their directory "
            "on the command line, or run without -n."
        )
    agents, faults = ChosenAgents(config), list[str]()
    hook = config.hook.pytest_pipeline_forge
    pipeline = join_session(
        settings,
        Handover.from_wire(wire),
        plans,
        worker=str(config.workerinput["workerid"]),  # type: ignore[attr-defined] # xdist puts it there
        rootdir=config.rootpath,
        started=config.invocation_params.dir,
        agents=agents,
        forge=ask("pytest_pipeline_forge", lambda: hook(config=config, settings=settings)),
        observer=HookObserver(config, faults.append),
    )
    config.pluginmanager.register(WaitNote(pipeline.layout.wait_file()), "pipeline-wait-note")
    return Joined(pipeline, agents, faults)
