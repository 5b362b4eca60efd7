"""Letting chaos into a session: where it may, and how it takes its place at the seams."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.execution.chaos.agents import ChaoticAgents
from pytest_pipeline.execution.chaos.answers import ForgetfulForge
from pytest_pipeline.execution.chaos.boundaries import ChaoticObserver
from pytest_pipeline.execution.chaos.dice import Dice
from pytest_pipeline.execution.chaos.faults import Need
from pytest_pipeline.execution.chaos.injecting import Chaos
from pytest_pipeline.execution.holding import both
from pytest_pipeline.forges.local import LocalForge
from pytest_pipeline.record.database import sqlite_file

if TYPE_CHECKING:
    from pytest_pipeline.execution.pipeline import Pipeline
    from pytest_pipeline.settings import Settings


def unleash(pipeline: Pipeline, settings: Settings) -> Pipeline:
    """The same session with faults.

    Args:
        pipeline: the session as this process sees it.
        settings: hold the seed.

    Raises:
        SettingsError: the forge is a real one, and that was not allowed.
    """
    assert settings.chaos is not None
    forge, store = pipeline.forge, sqlite_file(settings.store or pipeline.layout.store_url)
    local = pipeline.layout.forge if isinstance(forge, LocalForge) else None
    needs = {
        Need.LOCAL: local is not None,
        Need.SQLITE: store is not None,
        Need.WORKER: not pipeline.owns or pipeline.is_guest,
    }
    needs[Need.GITHUB] = settings.forge == "github"
    chaos = Chaos(Dice(settings.chaos, settings.chaos_rate), {need for need, there in needs.items() if there})
    if settings.forge == "github":
        _disturb(pipeline, settings, chaos)
    elif local is None and not settings.chaos_anywhere:
        raise _elsewhere(f"the forge {forge.name} of a hook")
    return replace(
        pipeline,
        chaos=chaos,
        agents=ChaoticAgents(pipeline.agents, chaos),
        forge=ForgetfulForge(forge, chaos),
        observer=ChaoticObserver(pipeline.observer, chaos, local, store),
        let_go=both(chaos.let_go, pipeline.let_go),
    )


def _disturb(pipeline: Pipeline, settings: Settings, chaos: Chaos) -> None:
    """Take a place between a forge on GitHub and its network."""
    from pytest_pipeline.execution.chaos.transport import ChaoticTransport
    from pytest_pipeline.forges.github.forge import GitHubForge

    forge = pipeline.forge
    address = forge.client.base_url if isinstance(forge, GitHubForge) else forge.name
    if not settings.chaos_anywhere and not is_loopback(address):
        raise _elsewhere(address)
    if isinstance(forge, GitHubForge):
        forge.client.transport = ChaoticTransport(forge.client.transport, chaos)


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine, and says so by its address."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _elsewhere(what: str) -> SettingsError:
    return SettingsError(
        f"--chaos is for the embedded forge and for a GitHub on the loopback interface, not for {what}. Leave --chaos "
        "out, or add --chaos-anywhere if breaking things there is what you want."
    )
