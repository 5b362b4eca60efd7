"""pytest-pipeline: prove that an autonomous coding pipeline can be trusted.

The public names are those that a ``conftest.py`` needs for its hooks. Each is loaded when it is first asked for, so
that ``import pytest_pipeline``, which every pytest run of a user pays for, stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_pipeline.agents.base import (
        Agent,
        AgentRequest,
        AgentResult,
        AgentStatus,
        Limits,
        OnEvent,
        SolutionForm,
        SolutionPart,
    )
    from pytest_pipeline.errors import (
        BaseMovedError,
        BehindError,
        ChecksError,
        ConflictError,
        FailureKind,
        ForgeError,
        HostError,
        PipelineError,
        SettingsError,
    )
    from pytest_pipeline.events import (
        AgentActivity,
        Candidate,
        CriterionDecided,
        ForgeWaiting,
        RunFinished,
        StepFinished,
        StepStarted,
        TaskReference,
    )
    from pytest_pipeline.forges.base import ChecksRule, Draft, Forge, MergeRequest, PullRequest, PullRequestState
    from pytest_pipeline.settings import Settings

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "AgentActivity",
    "AgentRequest",
    "AgentResult",
    "AgentStatus",
    "BaseMovedError",
    "BehindError",
    "Candidate",
    "ChecksError",
    "ChecksRule",
    "ConflictError",
    "CriterionDecided",
    "Draft",
    "FailureKind",
    "Forge",
    "ForgeError",
    "ForgeWaiting",
    "HostError",
    "Limits",
    "MergeRequest",
    "OnEvent",
    "PipelineError",
    "PullRequest",
    "PullRequestState",
    "RunFinished",
    "Settings",
    "SettingsError",
    "SolutionForm",
    "SolutionPart",
    "StepFinished",
    "StepStarted",
    "TaskReference",
    "__version__",
]

_HOMES = ("events", "settings", "errors", "agents.base", "forges.base")  # the cheap ones first


def __getattr__(name: str) -> object:
    """Load a public name.

    Raises:
        AttributeError: there is no such name.
    """
    for home in _HOMES if name in __all__ else ():
        found = vars(import_module(f"{__name__}.{home}")).get(name)
        if found is not None:
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, for completion in an editor."""
    return sorted({*globals(), *__all__})
