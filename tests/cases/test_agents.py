"""The agents of a session: each made once, and closed once however the session ends."""

from __future__ import annotations

import pytest

from pytest_pipeline import agents
from pytest_pipeline.agents.base import Agent, AgentRequest, AgentResult, AgentStatus, OnEvent
from pytest_pipeline.cases import choosing
from pytest_pipeline.settings import Settings

from .conftest import Project, batch, failing, task
from .own_agent import noted, own_agent

CLOSES = """
    def close(self):
        note("closed", self.name)
"""


@pytest.fixture
def plan(project: Project) -> Project:
    project.plan(batch("1", task("1.1")), name="plans/a.md")
    project.plan(batch("1", task("2.1")), name="plans/b.md", front="model: large")
    return project


def closed(project: Project) -> list[str]:
    return [line for line in noted(project) if line.startswith("closed")]


class Held:
    """An agent that counts how often it is made and closed."""

    name = "held"
    version = ""
    made = 0
    closed = 0

    def __init__(self) -> None:
        type(self).made += 1

    def run(self, request: AgentRequest, on_event: OnEvent) -> AgentResult:
        return AgentResult(AgentStatus.OK, "")

    def close(self) -> None:
        type(self).closed += 1


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> type[Held]:
    """The agent that every name stands for, as one of ours."""

    def make(name: str, settings: Settings) -> Agent:
        return Held()

    monkeypatch.setattr(agents, "make_agent", make)
    monkeypatch.setattr(choosing, "make_agent", make)
    Held.made = Held.closed = 0
    return Held


def test_one_of_ours_does_for_all_models_and_is_closed_once(plan: Project, held: type[Held]) -> None:
    plan.run("plans", "--count", "2")

    assert (held.made, held.closed) == (1, 1)


def test_each_name_has_its_own(plan: Project, held: type[Held]) -> None:
    plan.plan(batch("1", task("3.1")), name="plans/c.md", front="agent: other")

    plan.run("plans")

    assert (held.made, held.closed) == (2, 2)


def test_those_of_hooks_are_closed_too_each_once(plan: Project) -> None:
    own_agent(plan, members=CLOSES)

    result = plan.run("plans", "--count", "2")

    assert result.code == 0, result.text
    assert closed(plan) == ["closed own", "closed own"]  # one for each model


def test_one_that_a_hook_gives_twice_is_closed_once(plan: Project) -> None:
    own_agent(
        plan,
        members=CLOSES,
        hooks="""
        ONLY = Own("own only")

        def pytest_pipeline_agent(settings):
            note("asked", settings.model)
            return ONLY
        """,
    )

    plan.run("plans")

    assert [line for line in noted(plan) if line.startswith("asked")] == ["asked None", "asked large"]
    assert closed(plan) == ["closed own only"]


@pytest.mark.parametrize("flags", [("-x",), ("--setup-show",)])
def test_they_are_closed_after_failures(project: Project, flags: tuple[str, ...]) -> None:
    own_agent(project, members=CLOSES)
    project.plan(batch("1", failing("1.1"), task("1.2")))

    project.run("plans", *flags)

    assert closed(project) == ["closed own"]


def test_they_are_closed_where_the_session_could_not_be_opened(project: Project) -> None:
    own_agent(project, members=CLOSES)
    project.plan(batch("1", task("1.1")))

    result = project.run("plans", "--forge", "no-such")

    assert result.code == pytest.ExitCode.USAGE_ERROR
    assert closed(project) == ["closed own"]


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "SystemExit", "MemoryError"])
def test_they_are_closed_where_the_session_was_broken_off(project: Project, raised: str) -> None:
    own_agent(project, f"raise {raised}", members=CLOSES)
    project.plan(batch("1", task("1.1")))

    project.run_apart("plans")

    assert closed(project) == ["closed own"]


def test_one_that_cannot_be_closed_keeps_no_other_from_it(plan: Project) -> None:
    own_agent(
        plan,
        members="""
        def close(self):
            note("closed", self.name)
            raise OSError("still busy")
        """,
    )

    result = plan.run_apart("plans")

    assert result.code == 0
    assert closed(plan) == ["closed own"] * 2
    assert result.errors.count("close of its agent own) failed with OSError: still busy (conftest.py:") == 2
    assert "Traceback" not in result.errors + result.text


def test_nothing_is_made_where_nothing_is_run(plan: Project, held: type[Held]) -> None:
    plan.run("plans", "--collect-only")

    assert (held.made, held.closed) == (0, 0)
