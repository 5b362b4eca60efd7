"""Who takes part in a session, and whether any of them only rehearses."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pytest_pipeline.agents.base import AgentRequest, AgentResult, AgentStatus, OnEvent
from pytest_pipeline.errors import SettingsError
from pytest_pipeline.execution.cast import Cast, choose_cast
from pytest_pipeline.plans.reader import parse_plan
from pytest_pipeline.settings import Settings, build
from tests.e2e.world import plan, task


@dataclass(frozen=True)
class Plain:
    """An agent that has nothing to say of itself."""

    name: str
    version: str = ""

    def run(self, request: AgentRequest, on_event: OnEvent) -> AgentResult:
        return AgentResult(AgentStatus.OK, "")


@dataclass(frozen=True)
class Telling(Plain):
    """An agent that explains itself."""

    rehearses: str = ""
    notes: tuple[str, ...] = ()


REAL, ALSO = Plain("command"), Telling("claude", "2")
SCRIPTED, TAPE = Telling("claude (rehearsal)", "2", "scripted", ("a", "b")), Telling("tape", "", "cassette", ("b", "c"))
REFERENCE = Plain("reference", "1")


@pytest.mark.parametrize(
    ("agents", "facts"),
    [
        ((REAL,), {"agent": "command"}),
        ((ALSO,), {"agent": "claude", "agent_version": "2"}),
        ((SCRIPTED,), {"agent": "claude (rehearsal)", "agent_version": "2", "rehearsal": "scripted"}),
        ((SCRIPTED, TAPE), {"rehearsal": "scripted, cassette", "agent_version": "claude (rehearsal) 2"}),
        ((SCRIPTED, REFERENCE), {"rehearsal": "scripted", "agent": "claude (rehearsal), reference"}),
        ((ALSO, SCRIPTED), {"rehearsal": "scripted, in part"}),
        ((REAL, SCRIPTED), {"rehearsal": "scripted, in part"}),
        ((Telling("x"), Telling("x", rehearses="scripted")), {"agent": "x", "rehearsal": "scripted, in part"}),
    ],
)
def test_the_record_says_who_and_what_of_it_is_a_rehearsal(agents: tuple[Plain, ...], facts: dict[str, str]) -> None:
    told = Cast(agents, ()).facts

    assert {**told, **facts} == told
    if len(agents) == 1:
        assert told == facts


def test_the_notes_of_all_agents_are_told_once() -> None:
    notes = Cast((SCRIPTED, TAPE), ()).notes

    assert notes[-3:] == ("a", "b", "c")
    assert len(notes) == 5


def choose(settings: Settings, *plans: str) -> Cast:
    read = {f"{number}.md": parse_plan(text, f"{number}.md") for number, text in enumerate(plans)}
    by_name = {"claude": SCRIPTED, "reference": REFERENCE}
    return choose_cast(
        settings, {path: each for path, each in read.items() if each is not None}, lambda each: by_name[each.agent]
    )


def test_every_agent_is_there_once_and_every_model_that_is_asked_for() -> None:
    cast = choose(
        build({"agent": "claude"}, {}), plan(task(), front_matter="model: z"), plan(task(), front_matter="model: a")
    )

    assert cast.agents == (SCRIPTED,)
    assert cast.models == ("a", "z")
    assert cast.facts["model"] == "a, z"


def test_one_task_of_claude_is_enough_for_a_rehearsal() -> None:
    settings = build({"rehearse": True}, {"agent": "reference"})

    cast = choose(settings, plan(task()), plan(task(), front_matter="agent: claude"))

    assert cast.names == ["claude (rehearsal)", "reference"]


@pytest.mark.parametrize("flag", ["rehearse", "record_cassette"])
def test_a_rehearsal_in_vain_is_refused(flag: str) -> None:
    settings = build({flag: True if flag == "rehearse" else "tape"}, {"agent": "reference"})

    with pytest.raises(SettingsError, match="is for the agent claude; the tasks ask for reference"):
        choose(settings, plan(task()))
