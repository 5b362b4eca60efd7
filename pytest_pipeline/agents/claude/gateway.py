"""The seam between the driver and whatever answers the Claude CLI: a live model, a script, or a cassette."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from pytest_pipeline.agents.base import AgentRequest


@dataclass(frozen=True)
class Access:
    """How the CLI of one task run reaches its model.

    Args:
        environment: variables for the CLI: credentials and address, and nothing that :meth:`Gateway.admit` was not
            asked for.
        secrets: values to be masked in all that the CLI prints, besides those in the environment.
    """

    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    secrets: tuple[str, ...] = ()

    def complaint(self) -> str:
        """Why what the CLI did says nothing about the agent, for example a cassette that does not fit; or nothing."""
        return ""


class Gateway(Protocol):
    """Lets the CLI of one task run after the other, or of several at once, reach a model."""

    @property
    def rehearses(self) -> str:
        """What stands in for a model: ``scripted`` or ``cassette``; empty where a live one answers."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the session's header."""

    def admit(self, request: AgentRequest, config: Path) -> AbstractContextManager[Access]:
        """Grant access for one task run; it ends with the context.

        Args:
            request: the task run.
            config: the CLI's private, empty configuration directory; what is put there is removed with it.

        Raises:
            HostError: the machine does not let us.
        """

    def close(self) -> None:
        """Nobody will ask any more."""
