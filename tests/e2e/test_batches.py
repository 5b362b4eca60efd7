"""``--batches``: some batches of a plan, by their numbers."""

from __future__ import annotations

import pytest

from tests.e2e.world import Project, plan, task

PLAN = (
    plan(task("1.1", files=["Create: a.txt"], does="echo a > a.txt"))
    + "\n## Batch 2: Next\n\n**Dependencies:** Batch 1\n\n"
    + task("2.1", files=["Create: b.txt"], does="echo b > b.txt")
    + "\n## Batch 3: Last\n\n"
    + task("3.1", files=["Create: c.txt"], does="echo c > c.txt")
)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_a_range_runs_alone_and_what_it_needs_of_others_counts_as_met(
    project: Project, workers: tuple[str, ...]
) -> None:
    project.write({"plans/three.md": PLAN, "plans/one.md": plan(task("1.1", files=["Create: d.txt"]))})
    ran = project.run("plans", "--batches", "2-7", "--count", "2", *workers).passed()
    tried = {(each.key.plan, each.key.run, each.key.task) for each in ran.task_runs}
    assert tried == {("plans/three.md", run, name) for run in (1, 2) for name in ("2.1", "3.1", "final-state")}
    assert ran.files() == [".gitignore", "README.md", "b.txt", "c.txt", "kept.txt"]
    assert "which it needs, was not selected (counts as met)" in ran.text
    assert "criterion met: 2 of 2 consecutive runs" in ran.text


def test_python_tests_of_the_session_stay(project: Project) -> None:
    project.write({"plans/three.md": PLAN, "test_it.py": "def test_it(): pass\n"})
    ran = project.run("plans", "test_it.py", "--batches=3").passed()
    assert {each.key.task for each in ran.task_runs} == {"3.1", "final-state"}
    assert "3 passed, 2 deselected" in ran.text


def test_a_range_without_any_batch_runs_nothing(project: Project) -> None:
    project.write({"plans/three.md": PLAN})
    ran = project.run("plans", "--batches", "4")
    assert ran.exit_code == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "4 deselected" in ran.text


@pytest.mark.parametrize("wrong", ["4-2", "x", "1,2", ""])
def test_what_is_no_range_is_told(project: Project, wrong: str) -> None:
    project.write({"plans/three.md": PLAN})
    ran = project.run("plans", f"--batches={wrong}")
    assert ran.exit_code == pytest.ExitCode.USAGE_ERROR
    assert "--batches must be a number or a range of numbers, for example 2 or 2-4" in ran.text


def test_a_resumed_session_keeps_its_range(project: Project) -> None:
    fails_once = f"test -e {project.outside}/tried || {{ touch {project.outside}/tried; exit 1; }}; echo c > c.txt"
    project.write({"plans/three.md": PLAN.replace("echo c > c.txt", fails_once)})
    project.run("plans", "--batches", "2-3")
    ran = project.run("plans", "--resume", "--fresh-failures").passed()
    assert {each.key.task for each in ran.task_runs} == {"2.1", "3.1", "final-state"}
