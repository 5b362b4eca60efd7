"""A rehearsal can never be mistaken for the real thing."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from pytest_pipeline.record.store import Store

from .conftest import Project, batch, failing, task
from .own_agent import own_agent

EXPLAINED = """
    @property
    def notes(self):
        return ("It proves the CLI and the pipeline.", "It proves nothing about a model.")

    @property
    def rehearses(self):
        return {"own (rehearsal)": "scripted", "own cassette": "cassette"}.get(self.name, "")
"""
LABEL = "(rehearsal: no model took part)"
NAMES = """
    def pytest_pipeline_agent(settings):
        names = {"own": "own (rehearsal)", "own-real": "own real", "own-tape": "own cassette"}
        return Own(names[settings.agent]) if settings.agent in names else None
"""


@pytest.fixture
def rehearsed(project: Project) -> Project:
    """A plan whose agent rehearses."""
    own_agent(project, members=EXPLAINED, hooks=NAMES)
    project.plan(batch("1", task("1.1")))
    return project


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_header_says_what_it_proves_and_what_not(rehearsed: Project) -> None:
    lines = rehearsed.run("plans").text.splitlines()

    assert any(line.endswith("1 run, agent own (rehearsal) 7, forge local") for line in lines)
    assert "pipeline: rehearsal (scripted): no model takes part in what own (rehearsal) does" in lines
    assert "pipeline: It proves the CLI and the pipeline." in lines
    assert "pipeline: It proves nothing about a model." in lines


@pytest.mark.parametrize("count", [1, 3])
def test_the_verdict_and_the_evidence_say_so(rehearsed: Project, count: int) -> None:
    text = words(rehearsed.run("plans", "--count", str(count)).text)

    assert f"criterion met: {count} of {count} consecutive runs {LABEL}" in text
    assert "It is a rehearsal, which proves the agent's CLI and this pipeline, and nothing about a model." in text


def test_so_does_a_verdict_that_is_not_met(rehearsed: Project) -> None:
    rehearsed.plan(batch("1", failing("1.1")))

    assert f"failed, verification) {LABEL}" in words(rehearsed.run("plans").text)


def test_it_is_in_the_store_and_in_junit(rehearsed: Project) -> None:
    rehearsed.run("plans", "--junitxml=record.xml")

    with Store.open(f"sqlite:///{rehearsed.path}/.pipeline/state.db") as store:
        (session,) = store.sessions()
    assert session.facts["rehearsal"] == "scripted"
    assert (session.facts["agent"], session.facts["agent_version"]) == ("own (rehearsal)", "7")
    (suite,) = ElementTree.parse(rehearsed.path / "record.xml").getroot()
    told = {each.get("name"): each.get("value") for each in suite.findall("properties/property")}
    assert told["pipeline.rehearsal"] == "scripted"
    path = "testcase[@name='1.1-make-1.1']/properties/property"
    told = {each.get("name"): each.get("value") for each in suite.findall(path)}
    assert told["pipeline.rehearsal"] == "scripted"
    assert told["pipeline.agent"] == "own (rehearsal)"


def test_an_agent_that_works_for_real_has_none_of_it(project: Project) -> None:
    own_agent(project, members=EXPLAINED, hooks=NAMES, name="own-real")
    project.plan(batch("1", task("1.1")))

    text = project.run("plans").text

    assert "rehearsal" not in text
    assert "pipeline: It proves the CLI and the pipeline." in text  # it has a word to say all the same


def test_where_another_agent_works_for_real_that_is_told(rehearsed: Project) -> None:
    rehearsed.plan(batch("1", task("2.1")), name="plans/b.md", front="agent: own-real")

    result = rehearsed.run("plans", "--junitxml=record.xml")

    text = result.text
    assert "pipeline: rehearsal (scripted): no model takes part in what own (rehearsal) does" in text
    assert "pipeline: no rehearsal is what own real does: it works for real, and may cost money" in text
    assert "agent own (rehearsal), own real (own (rehearsal) 7, own real 7), forge local" in text
    assert "criterion met: 1 of 1 consecutive runs (in part a rehearsal, where no model took part)" in words(text)
    assert LABEL not in words(text)
    assert result.property("1.1", "rehearsal") == "scripted"
    assert result.property("2.1", "rehearsal") is None


def test_beside_the_reference_agent_it_is_still_one(rehearsed: Project) -> None:
    rehearsed.plan(batch("1", task("2.1")), name="plans/b.md", front="agent: reference")

    text = rehearsed.run("plans").text

    assert LABEL in words(text)
    assert "for real" not in text


def test_two_kinds_are_both_named(rehearsed: Project) -> None:
    rehearsed.plan(batch("1", task("2.1")), name="plans/b.md", front="agent: own-tape")

    text = rehearsed.run("plans").text

    assert "pipeline: rehearsal (cassette): no model takes part in what own cassette does" in text
    assert LABEL in words(text)
    with Store.open(f"sqlite:///{rehearsed.path}/.pipeline/state.db") as store:
        assert store.sessions()[0].facts["rehearsal"] == "scripted, cassette"


def test_a_note_cannot_steer_the_terminal(project: Project) -> None:
    members = EXPLAINED.replace("It proves the CLI", r"\x1b[2J It proves the CLI")
    own_agent(project, members=members, hooks=NAMES)
    project.plan(batch("1", task("1.1")))

    assert "\\x1b[2J It proves the CLI" in project.run("plans").text


class TestInVain:
    """``--rehearse`` and its like where no task's agent is claude."""

    @pytest.mark.parametrize(
        "flags", [("--rehearse",), ("--rehearse", "--cassette", "tape"), ("--record-cassette", "tape")]
    )
    def test_it_is_a_usage_error_that_says_what_to_add(self, project: Project, flags: tuple[str, ...]) -> None:
        project.plan(batch("1", task("1.1")))

        result = project.run("plans", *flags)

        assert result.code == pytest.ExitCode.USAGE_ERROR
        assert result.order == []
        told = result.errors + result.text
        assert f"{flags[0]} is for the agent claude; the tasks ask for reference. Add --agent claude." in told

    def test_all_agents_that_are_asked_for_are_named(self, project: Project) -> None:
        own_agent(project, hooks=NAMES, name="own-real")
        project.plan(batch("1", task("1.1")))
        project.plan(batch("1", task("2.1")), name="plans/b.md", front="agent: reference")

        result = project.run("plans", "--rehearse")

        assert "the tasks ask for reference and own-real." in result.errors + result.text

    def test_an_agent_of_a_hook_that_rehearses_is_enough(self, rehearsed: Project) -> None:
        assert rehearsed.run("plans", "--rehearse").code == 0
