"""What a user sees of one task run that went as the plan says."""

from __future__ import annotations

import pytest

from pytest_pipeline.forges.local import LocalForge
from tests.e2e.world import Project, Ran, plan, task
from tests.host.git_world import git

A, B = ["Create: `a.txt`"], ["Create: `b.txt`"]


def pull_requests(ran: Ran, run: int = 1) -> list[tuple[str, str]]:
    """Title and state of every pull request of a run."""
    forge = LocalForge(ran.forge)
    return [(each.title, str(each.state)) for each in forge.pull_requests(f"pipeline/{ran.session}/run-{run:02d}/base")]


def test_what_is_expected_to_fail_is_neither_pushed_nor_opened(project: Project) -> None:
    text = plan(
        task("1.1", files=A, does="echo > a.txt", verification=["test -e b.txt"], expect="failure"),
        task("1.2", files=B, does="echo > b.txt"),
        task("1.3", files=["Read: `kept.txt`"], does="cat kept.txt"),
    )
    project.write({"plans/p.md": text})

    ran = project.run().passed()

    assert pull_requests(ran) == [("Do 1.2", "merged")]
    assert list(ran.branches()) == ["run-01/base"]
    assert ran.commits() == ["Do 1.2"]
    assert ran.last("1.1").properties["refused_as"] == "verification"
    assert "Do 1.1" not in git(ran.forge, "cat-file", "--batch-all-objects", "--batch"), (
        "no commit of it was ever there"
    )


def test_without_auto_merge_pull_requests_stay_open_and_dependants_skip(project: Project) -> None:
    text = plan(
        task("1.1", files=A, does="echo > a.txt"),
        task("1.2", files=B, does="echo > b.txt", Depends_on="Task 1.1"),
        task("1.3", files=["Create: `c.txt`"], does="echo > c.txt"),
    )
    project.write({"plans/p.md": text})

    ran = project.run("plans", "--no-auto-merge", "-rs")

    assert pull_requests(ran) == [("Do 1.1", "open"), ("Do 1.3", "open")]
    assert ran.commits() == []
    assert str(ran.task_run("1.2").outcome) == "skipped"
    assert "was left as an open pull request, not merged" in ran.text
    assert "pull requests: 0 merged, 2 open" in ran.text
    branches = ran.branches()
    assert sorted(branches) == [
        "run-01/base",
        "run-01/plans.p/batch-1-task-1-1",
        "run-01/plans.p/batch-1-task-1-3",
    ]


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_ten_tasks_land_one_after_the_other(project: Project, method: str) -> None:
    files = [
        task(f"1.{n}", files=[f"Create: `{n}.txt`"], does=f"echo {n} > {n}.txt", Commit=f"feat: {n}") for n in range(3)
    ]
    project.write({"plans/p.md": plan(*files)})

    ran = project.run("plans", "--merge-method", method, "--count", "2").passed()

    if method != "merge":
        assert [ran.commits(run) for run in (1, 2)] == [[f"feat: {n}" for n in range(3)]] * 2
    assert git(ran.forge, "fsck", "--strict", "--no-dangling") == ""
    assert sorted(ran.branches()) == ["run-01/base", "run-02/base"]


def test_an_undeclared_change_is_a_property_and_a_warning(project: Project) -> None:
    project.write({"plans/p.md": plan(task(files=A, does="echo > a.txt; echo > b.txt"))})

    ran = project.run("plans", "--junitxml=record.xml").passed()

    assert "PipelineWarning: plans/p.md: task 1.1: files changed that the task does not declare: b.txt" in ran.text
    assert 'name="pipeline.undeclared" value="b.txt"' in (project.path / "record.xml").read_text()


def test_a_vacuous_check_is_a_warning_and_stands_in_the_summary(project: Project) -> None:
    project.write({"plans/p.md": plan(task(files=A, does="echo > a.txt", verification=["test -e kept.txt"]))})

    ran = project.run("plans", "--count", "2").passed()

    assert "vacuous checks, which passed before the agent had started: 1 task (1.1 of plans/p.md)" in " ".join(
        ran.text.split()
    )
    assert ran.text.count("passes already before the agent has started") >= 1


def test_a_merge_that_a_later_one_reverts_fails_the_final_state_by_name(project: Project) -> None:
    text = plan(task("1.1", files=A, does="echo > a.txt"), task("1.2", files=B, does="echo > b.txt; rm a.txt"))
    project.write({"plans/p.md": text})

    ran = project.run()

    assert ran.exit_code == 1
    assert ran.kind("final-state") == "outcome"
    assert "task 1.1 of plans/p.md: Expected a.txt to stay as the task left it" in ran.text


@pytest.mark.parametrize(("rule", "kept"), [("never", 0), ("failed", 1), ("always", 3)])
def test_workspaces_are_kept_as_asked_and_named(project: Project, rule: str, kept: int) -> None:
    text = plan(task("1.1", files=A, does="echo > a.txt"), task("1.2", files=B, does="echo > c.txt"))
    project.write({"plans/p.md": text})

    ran = project.run("plans", "--keep-workspaces", rule)

    assert ran.text.count("workspace kept: ") == kept
    places = [line.partition(": ")[2] for line in ran.text.splitlines() if line.startswith("workspace kept: ")]
    assert all(git(project.path.__class__(place), "status", "--porcelain") is not None for place in places)
    assert bool(project.left()) == bool(kept)


def test_a_transcript_that_is_full_says_so_and_so_does_the_record(project: Project) -> None:
    project.write({"plans/p.md": plan(task(files=A))})

    ran = project.run(
        *("plans", "-o", "pipeline_max_transcript=10 kB"),
        agent=project.agent("head -c 100000 /dev/zero | tr '\\0' x; echo made > a.txt"),
    ).passed()

    assert "[pytest-pipeline: what follows is left out, 10000 bytes are the limit]" in ran.transcripts()
    assert len(ran.transcripts()) < 11_000
    assert ran.last().properties["transcript_truncated"] == "yes"


def test_a_directory_that_is_named_like_a_plan_is_none(project: Project) -> None:
    (project.path / "plans/odd.md").mkdir(parents=True)
    (project.path / "plans/gone.md").symlink_to("nowhere.md")
    project.write({"plans/p.md": plan(task(files=A, does="echo > a.txt"))})

    assert project.run().passed().commits() == ["Do 1.1"]
