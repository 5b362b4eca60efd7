"""What the terminal says: header, story, summary, and how options of pytest change it."""

from __future__ import annotations

import re
import subprocess

import pytest

from .conftest import Project, batch, failing, task


@pytest.fixture
def plan(project: Project) -> Project:
    project.plan(batch("1", task("1.1"), task("1.2")))
    return project


def git(project: Project, *arguments: str) -> None:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *identity, *arguments], cwd=project.path, check=True, capture_output=True)


@pytest.fixture
def repository(plan: Project) -> Project:
    """The project is a git repository with one commit."""
    git(plan, "init")
    git(plan, "add", ".")
    git(plan, "commit", "-m", "Begin")
    return plan


class TestHeader:
    def test_it_names_session_runs_agent_forge_repository_and_base(self, repository: Project) -> None:
        text = repository.run("plans", "--count", "2").text
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=repository.path, check=True, capture_output=True, text=True
        ).stdout

        assert re.search(r"pipeline: session \d{8}-\d{6}-[0-9a-f]{6}, 2 runs, agent reference, forge local", text)
        assert f"pipeline: repository {repository.path.name}, base commit {head[:12]}" in text

    def test_one_run_is_told_in_the_singular(self, plan: Project) -> None:
        assert ", 1 run, agent reference" in plan.run("plans").text

    def test_it_says_plainly_that_the_reference_agent_is_no_model(self, plan: Project) -> None:
        text = plan.run("plans").text

        assert "pipeline: the reference agent replays the plan's own solutions; no model takes part" in text

    def test_a_checkout_with_changes_is_named(self, repository: Project) -> None:
        told = "pipeline: the checkout has changes that are not committed; no run will see them"

        repository.write(".gitignore", ".pipeline\n__pycache__\n.pytest_cache\n")
        git(repository, "add", ".")
        git(repository, "commit", "-m", "Ignore")
        assert told not in repository.run("plans").text
        repository.write("pytest.ini", (repository.path / "pytest.ini").read_text() + "# changed\n")
        assert told in repository.run("plans").text

    def test_remarks_about_a_plan_are_told_with_their_lines(self, project: Project) -> None:
        project.plan(batch("1", task("1.1", "**Verification:**", "- `git push --force`")))

        text = project.run("plans").text

        assert re.search(r"plans/plan\.md:\d+: .*git push --force", text)

    def test_only_those_of_selected_plans_are_told(self, project: Project) -> None:
        project.plan(batch("1", task("1.1", "**Verification:**", "- `git push --force`")), name="plans/a.md")
        project.plan(batch("1", task("2.1")), name="plans/b.md")

        assert "git push --force" not in project.run("plans/b.md").text


class TestSummary:
    def test_ten_runs_fit_into_eighty_columns(self, plan: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "80")

        text = plan.run("plans", "--count", "10", "-k", "1.1 or final").text
        own = text.partition("= pipeline =")[2]

        assert max(map(len, own.splitlines()[1:])) <= 80
        assert re.search(r"run +1 2 3 4 5 6 7 8 9 10|run +1 +2 +3 +4 +5 +6 +7 +8 +9 +10", own)
        assert "criterion met: 10 of 10 consecutive runs" in own

    def test_it_says_streak_bound_pull_requests_cost_and_median(self, plan: Project) -> None:
        text = plan.run("plans").text

        for told in ("streak: 1", "at 95 % confidence at least", "pull requests: 2 merged", "cost: ", "median "):
            assert told in text, told
        assert "no check of their own, judged by files alone: 2 tasks" in text

    def test_kept_workspaces_are_named(self, project: Project) -> None:
        project.plan(batch("1", failing("1.1")))

        kept = project.run("plans").line("workspace kept: ").removeprefix("workspace kept: ")

        assert (project.path / kept / "made" / "1.1.txt").exists()

    def test_a_session_without_plans_has_none(self, plan: Project) -> None:
        plan.write("test_python.py", "def test_passes(): pass\n")

        assert "criterion" not in plan.run().text

    def test_a_failure_is_a_story_not_a_traceback(self, project: Project) -> None:
        project.write("check.sh", "echo so sorry\nexit 3\n")
        project.plan(batch("1", task("1.1", "**Verification:**", f"- `sh {project.path}/check.sh`")))

        text = project.run("plans", "--count", "2", "-k", "run-02").text

        for told in (
            "verification: ",
            "task 1.1: Make 1.1, run 2 of 2, in step verify",
            "expected: that the task's verification passes",
            "found:    ",
            "look at:  .pipeline/sessions/",
            "last lines of output:",
            "| so sorry",
        ):
            assert told in text, told
        assert "Traceback" not in text
        assert ".py:" not in text.partition("FAILURES")[2].partition("= pipeline")[0]


class TestOptions:
    def test_without_terminal_reporter_it_runs_all_the_same(self, plan: Project) -> None:
        result = plan.run("plans", "-p", "no:terminal")

        assert result.code == 0
        assert result.done == ["1.1", "1.2"]
        assert result.text == ""

    @pytest.mark.parametrize("flags", [("-q",), ("-qq",), ("-v",), ("-vv",), ("--tb=no",), ("-rA",), ("-s",)])
    def test_the_verdict_is_always_there(self, plan: Project, flags: tuple[str, ...]) -> None:
        result = plan.run("plans", *flags)

        assert result.code == 0
        assert "criterion met: 1 of 1 consecutive runs" in result.text

    def test_verbose_names_each_task(self, plan: Project) -> None:
        assert re.search(r"plans/plan\.md::batch-1::1\.1-make-1\.1 PASSED", plan.run("plans", "-v").text)

    @pytest.mark.parametrize("style", ["no", "line", "short", "long", "native", "auto"])
    def test_every_traceback_style_works(self, project: Project, style: str) -> None:
        project.plan(batch("1", failing("1.1")))

        result = project.run("plans", f"--tb={style}")

        assert result.code == 1
        assert "INTERNALERROR" not in result.text
        assert "FAILED plans/plan.md::batch-1::1.1-make-1.1" in result.text

    def test_colour_is_an_addition(self, project: Project) -> None:
        project.plan(batch("1", failing("1.1")))

        def summary(*flags: str) -> list[str]:
            text = re.sub(r"\x1b\[[0-9;]*m", "", project.run("plans", "-p", "no:cacheprovider", *flags).text)
            lines = text.partition("= pipeline =")[2].splitlines()
            return [line for line in lines if line.startswith(("run  ", "  1.1", "whole", "criterion"))]

        assert len(summary("--color=no")) == 4
        assert summary("--color=yes") == summary("--color=no")
