"""A later run must not find the answer of an earlier one, nor anything else that its base does not hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_pipeline.agents.base import AgentRequest
from tests.execution.stage import Stage
from tests.execution.test_workspace import TWO
from tests.host.git_world import git


def objects(directory: Path) -> set[str]:
    """Every object that git reaches there, by history and by enumeration."""
    told = git(directory, "rev-list", "--all", "--objects", "--reflog").split("\n")
    listed = git(directory, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
    return {line.split(" ")[0] for line in told if line} | set(listed)


def test_no_object_of_another_run_or_task_that_was_not_merged_can_be_reached(stage: Stage) -> None:
    pipeline = stage.open(TWO)
    seen: list[set[str]] = []
    starts: list[str] = []

    def act(name: str, text: str) -> Callable[[AgentRequest], None]:
        def play(request: AgentRequest) -> None:
            seen.append(objects(request.workspace))
            starts.append(git(request.workspace, "rev-parse", "HEAD"))
            (request.workspace / name).write_text(text)

        return play

    first = stage.attempt(pipeline, "1.1", act("a.txt", "the answer of run 1"), run=1)
    second = stage.attempt(pipeline, "1.1", act("a.txt", "the answer of run 2"), run=2)
    stage.attempt(pipeline, "1.2", act("b.txt", "b"), run=2)

    known = objects(stage.path)
    assert starts[0] == starts[1] == pipeline.base == git(stage.path, "rev-parse", "HEAD")
    assert starts[2] == second.facts["merge_commit"]
    assert seen[0] <= known
    assert seen[1] <= known, "nothing of run 1"
    assert second.facts["merge_commit"] in seen[2]
    assert first.facts["merge_commit"] not in seen[2]


def test_objects_of_the_user_that_the_base_does_not_reach_cannot_be_reached(stage: Stage) -> None:
    git(stage.path, "checkout", "--quiet", "-b", "solution")
    (stage.path / "a.txt").write_text("the solution on another branch")
    git(stage.path, "add", "--all")
    git(stage.path, "commit", "--quiet", "--message", "solution")
    solution = git(stage.path, "rev-parse", "HEAD")
    git(stage.path, "checkout", "--quiet", "main")
    seen: list[set[str]] = []

    stage.attempt(stage.open(TWO), "1.1", lambda request: seen.append(objects(request.workspace)))

    assert solution not in seen[0]
