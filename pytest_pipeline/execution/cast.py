"""Who takes part in a session: the agents of all its tasks, and whether any of them only rehearses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_pipeline.agents.base import Agent, Explained
from pytest_pipeline.errors import SettingsError
from pytest_pipeline.execution.pipeline import Agents
from pytest_pipeline.options import BY_NAME
from pytest_pipeline.plans.model import Plan
from pytest_pipeline.record.junit import IN_PART
from pytest_pipeline.settings import Settings

REFERENCE = "reference"
"""The agent that replays solutions: it does nothing for real, and says so by its name."""


@dataclass(frozen=True)
class Cast:
    """The agents of a session.

    Args:
        agents: all of them, in the order of their names; several may have one name.
        models: those that are asked for.
    """

    agents: tuple[Agent, ...]
    models: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Their names, each once."""
        return list(dict.fromkeys(agent.name for agent in self.agents))

    @property
    def rehearsing(self) -> Mapping[str, str]:
        """What stands in for a model, by the name of the agent that it stands in for."""
        return {agent.name: rehearses(agent) for agent in self.agents if rehearses(agent)}

    @property
    def working(self) -> list[str]:
        """The names of those that do their work for real."""
        real = [agent.name for agent in self.agents if not rehearses(agent) and agent.name != REFERENCE]
        return list(dict.fromkeys(real))

    @property
    def facts(self) -> dict[str, str]:
        """What the record says of them; what is not known is missing."""
        versions = dict.fromkeys((agent.name, agent.version) for agent in self.agents if agent.version)
        stands_in = ", ".join(dict.fromkeys(self.rehearsing.values()))
        known = {
            "agent": ", ".join(self.names),
            "agent_version": ", ".join(
                version if len(self.names) == 1 else f"{name} {version}" for name, version in versions
            ),
            "model": ", ".join(self.models),
            "rehearsal": stands_in + (IN_PART if stands_in and self.working else ""),
        }
        return {name: value for name, value in known.items() if value}

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the header: that it is a rehearsal, for whom it is none, and what agents say themselves."""
        lines = [
            f"rehearsal ({what}): no model takes part in what {name} does" for name, what in self.rehearsing.items()
        ]
        if lines and self.working:
            lines.append(f"no rehearsal is what {', '.join(self.working)} does: it works for real, and may cost money")
        own = [note for agent in self.agents if isinstance(agent, Explained) for note in agent.notes]
        return (*lines, *dict.fromkeys(own))


def rehearses(agent: Agent) -> str:
    """What stands in for the model of an agent, or an empty text."""
    return agent.rehearses if isinstance(agent, Explained) else ""


def choose_cast(settings: Settings, plans: Mapping[str, Plan], agents: Agents) -> Cast:
    """Find the agents of all tasks.

    Args:
        settings: the session's settings.
        plans: the plans of the session by path.
        agents: chooses the agent for settings.

    Raises:
        PipelineError: one cannot be had, or a rehearsal is asked for where nobody rehearses.
    """
    asked = _agent_settings(settings, plans)
    found = [agents(each) for each in asked]
    cast = Cast(
        tuple(sorted({id(agent): agent for agent in found}.values(), key=lambda agent: agent.name)),
        tuple(sorted({each.model for each in asked if each.model is not None})),
    )
    _refuse_flags_in_vain(settings, asked, cast)
    return cast


def _agent_settings(settings: Settings, plans: Mapping[str, Plan]) -> list[Settings]:
    """Every combination of agent settings that some task asks for, each once."""
    found: dict[tuple[str, str | None], Settings] = {}
    for plan in plans.values():
        for task in (task for batch in plan.batches for task in batch.tasks):
            own = settings.with_plan(plan.options.values, task.options.values)
            found.setdefault((own.agent, own.model), own)
    return list(found.values())


def _refuse_flags_in_vain(settings: Settings, asked: list[Settings], cast: Cast) -> None:
    """A session that was meant to rehearse, or to record, and does not, would be taken for what it is not."""
    names = dict.fromkeys(each.agent for each in asked)
    if "claude" in names or cast.rehearsing:
        return
    for name in ("rehearse", "cassette", "record_cassette"):
        if getattr(settings, name):
            raise SettingsError(
                f"{BY_NAME[name].flag} is for the agent claude; the tasks ask for {' and '.join(names)}. "
                "Add --agent claude."
            )
