"""The real CLI plays reference solutions, and leaves byte for byte what the reference agent leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_pipeline.agents.base import AgentStatus, SolutionForm, SolutionPart
from pytest_pipeline.agents.claude.rehearsal.playing import Player
from pytest_pipeline.plans import read_plan
from tests.agents.claude.rehearsal.repertoire import REFUSED, SOLUTIONS
from tests.agents.claude.rehearsal.solutions import Before, file, replay, tree
from tests.agents.claude.rehearsal.stage import Performance, Stage
from tests.claude_cli import claude_cli  # noqa: F401

PLANS = Path(__file__).parents[4] / "plans"


@pytest.fixture
def stage(claude_cli: Path, tmp_path: Path) -> Stage:  # noqa: F811
    return Stage(claude_cli, tmp_path)


def last_words(played: Performance) -> str:
    return str(played.result.get("result"))


def compare(stage: Stage, before: Before, parts: tuple[SolutionPart, ...], tmp_path: Path) -> tuple[AgentStatus, str]:
    """Let both do a solution; how the reference agent ended, and the last words of the scripted model."""
    twin = tmp_path / "twin" / "workspace"
    twin.mkdir(parents=True)
    for workspace in (stage.workspace, twin):
        before.lay(workspace)
    result = replay(parts, twin, tmp_path)

    played = stage.perform(lambda request: Player(parts, request.workspace), timeout=300.0)

    assert played.verdict == (0, False, "completed", None), played.completed.tail
    assert played.result["total_cost_usd"] == 0
    assert played.result["permission_denials"] == []
    assert tree(stage.workspace) == tree(twin), last_words(played)
    return result.status, last_words(played)


@pytest.mark.parametrize("name", SOLUTIONS)
def test_a_solution_leaves_what_the_reference_agent_leaves(stage: Stage, name: str, tmp_path: Path) -> None:
    before, parts = SOLUTIONS[name]

    status, words = compare(stage, before, parts, tmp_path)

    assert status is AgentStatus.OK
    assert "in place" in words


@pytest.mark.parametrize("name", REFUSED)
def test_a_solution_that_stops_leaves_what_was_done_until_then_and_says_why(
    stage: Stage, name: str, tmp_path: Path
) -> None:
    parts, reason = REFUSED[name]

    status, words = compare(stage, Before(), (*parts, file("late.txt", "")), tmp_path)

    assert status is AgentStatus.FAILED
    assert reason in words


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        (".pre-commit-config.yaml", "repos: []\n", "which is a sensitive file"),
        (".vscode/settings.json", "{ \n", "require approval"),
        ("blank at the end ", "x\n", "requires manual approval"),
    ],
)
def test_a_call_that_is_denied_is_told_and_not_got_around(stage: Stage, path: str, content: str, reason: str) -> None:
    parts = (file(path, content), file("late.txt", ""))

    played = stage.perform(lambda request: Player(parts, request.workspace))

    assert tree(stage.workspace) == {}
    assert f"could not write {path}" in last_words(played)
    assert reason in last_words(played)


def references() -> list[tuple[str, tuple[SolutionPart, ...]]]:
    found = []
    for path in sorted(PLANS.glob("*.md")):
        plan = read_plan(path, path.name)
        assert plan is not None
        parts = [part for batch in plan.batches for task in batch.tasks for part in task.reference]
        found.append(
            (path.stem, tuple(SolutionPart(SolutionForm(part.form.value), part.content, part.path) for part in parts))
        )
    return found


@pytest.mark.parametrize(("name", "parts"), references())
def test_the_references_of_an_example_plan_leave_what_the_reference_agent_leaves(
    stage: Stage, name: str, parts: tuple[SolutionPart, ...], tmp_path: Path
) -> None:
    licence = (PLANS.parent / "LICENSE").read_bytes()

    status, words = compare(stage, Before({"LICENSE": licence}), parts, tmp_path)

    assert status is AgentStatus.OK
    assert "in place" in words
