"""The front door: options, start-up, xdist."""

from __future__ import annotations

import re

import pytest

from pytest_pipeline.options import OPTIONS

from .cases.conftest import Project, batch, failing, project, task

__all__ = ["project"]

HEAVY = (
    "git",
    "github",
    "jinja2",
    "markdown_it",
    "mdit_py_plugins",
    "rich",
    "sqlalchemy",
    "unidiff",
    "yaml",
    "pytest_pipeline.agents",
    "pytest_pipeline.cases",
    "pytest_pipeline.execution",
    "pytest_pipeline.forges",
    "pytest_pipeline.host",
    "pytest_pipeline.plans",
    "pytest_pipeline.record",
)


class TestStartUp:
    @pytest.mark.parametrize("beside", [False, True], ids=["no-plan", "a-plan-passed-over"])
    def test_a_project_without_plans_pays_for_nothing(self, project: Project, beside: bool) -> None:
        project.write(
            "test_trivial.py",
            """
            import sys

            def test_trivial():
                pass

            def test_what_is_loaded():
                with open("loaded.txt", "w") as file:
                    print(*sorted(sys.modules), file=file)
            """,
        )
        if beside:
            project.plan(batch("1", task("1.1")))

        result = project.run_apart("-p", "no:xdist", "-p", "no:hypothesispytest")

        assert result.code == 0, result.text
        loaded = (project.path / "loaded.txt").read_text().split()
        assert "pytest_pipeline.plugin" in loaded
        assert [name for name in loaded if name in HEAVY or name.startswith(tuple(f"{each}." for each in HEAVY))] == []

    def test_nothing_is_made_by_it(self, project: Project) -> None:
        project.write("test_trivial.py", "def test_trivial(): pass\n")
        project.plan(batch("1", task("1.1")))
        before = {path.name for path in project.path.iterdir()}

        project.run("-p", "no:cacheprovider")

        assert {path.name for path in project.path.iterdir()} - before <= {"__pycache__"}


@pytest.fixture
def text(project: Project) -> str:
    """What ``--help`` says where we have all options to ourselves."""
    return project.run("--help", "-p", "no:repeat").text


class TestHelp:
    def test_it_lists_every_option(self, text: str) -> None:
        for option in OPTIONS:
            if option.flag:
                assert re.search(rf"^  {option.flag}\b", text, re.MULTILINE), option.flag

    def test_it_lists_every_ini_key(self, text: str) -> None:
        for option in OPTIONS:
            assert (f"pipeline_{option.name} (string):" in text) is option.ini, option.name

    def test_each_help_text_is_a_sentence(self) -> None:
        for option in OPTIONS:
            assert option.help.endswith("."), option.name
            assert option.help[0].isupper(), option.name

    def test_markers_still_work(self, project: Project) -> None:
        assert project.run("--markers").code == 0

    def test_with_pytest_repeat_the_options_are_there_once(self, project: Project) -> None:
        text = project.run("--help").text

        assert len(re.findall(r"^  --count[ =]", text, re.MULTILINE)) == 1
        assert len(re.findall(r"^  --repeat-scope\b", text, re.MULTILINE)) == 1


class TestOptions:
    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (("--merge-method", "octopus"), "--merge-method must be one of merge, squash, rebase, not 'octopus'"),
            (("--agent-time", "soon"), "--agent-time must be a duration above zero"),
            (("--until-consecutive", "0"), "--until-consecutive must be a whole number of at least 1"),
            (("--keep-workspaces", "some"), "--keep-workspaces must be one of never, failed, always"),
        ],
    )
    def test_a_value_that_cannot_be_used_is_a_usage_error(
        self, project: Project, arguments: tuple[str, ...], told: str
    ) -> None:
        result = project.run(*arguments)

        assert result.code == pytest.ExitCode.USAGE_ERROR
        assert told in result.errors
        assert "Correct it and run again." in result.errors
        assert "Traceback" not in result.errors

    def test_so_is_one_of_the_ini_file(self, project: Project) -> None:
        project.ini("pipeline_scope = loose")

        result = project.run()

        assert result.code == pytest.ExitCode.USAGE_ERROR
        assert "pipeline_scope must be one of warn, strict, not 'loose'" in result.errors

    def test_the_command_line_is_above_the_plan_and_the_plan_above_the_ini_file(self, project: Project) -> None:
        project.ini("pipeline_auto_merge = true\nconsole_output_style = classic")
        project.plan(batch("1", task("1.1")), front="auto_merge: false")
        assert project.run("plans").property("1.1", "pull_request_state") == "open"

        project.ini("pipeline_auto_merge = false")
        project.plan(batch("1", task("1.1")), front="auto_merge: true")
        assert project.run("plans").property("1.1", "pull_request_state") == "merged"
        assert project.run("plans", "--no-auto-merge").property("1.1", "pull_request_state") == "open"

    def test_a_task_is_above_its_plan(self, project: Project) -> None:
        own = "```yaml pipeline\nauto_merge: false\n```\n"
        project.plan(batch("1", task("1.1", own), task("1.2")), front="auto_merge: true")

        result = project.run("plans")

        assert result.property("1.1", "pull_request_state") == "open"
        assert result.property("1.2", "pull_request_state") == "merged"

    def test_keep_workspaces_says_which_stay(self, project: Project) -> None:
        project.plan(batch("1", task("1.1"), failing("1.2")))

        def kept(which: str) -> int:
            return project.run("plans", "--keep-workspaces", which).text.count("workspace kept:")

        assert [kept(which) for which in ("never", "failed", "always")] == [0, 1, 3]


class TestXdist:
    def test_plans_run_there(self, project: Project) -> None:
        project.plan(batch("1", task("1.1")), batch("2", task("2.1"), needs="Batch 1"))

        result = project.run_apart("plans", "-n", "2")

        assert result.code == 0
        assert result.counts == {"passed": 3}

    def test_a_session_without_plans_is_left_to_xdist(self, project: Project) -> None:
        project.write("test_python.py", "def test_a(): pass\n")
        project.write("plans/notes.md", "# Notes\n")
        project.write(
            "conftest.py",
            """
            import sys

            def pytest_unconfigure(config):
                print("ours:", *(name for name in sys.modules if name.startswith("pytest_pipeline.cases")))
            """,
        )

        result = project.run_apart("plans", "test_python.py", "-n", "2")

        assert result.code == 0
        assert result.text.rstrip().endswith("ours:")
        assert not (project.path / ".pipeline").exists()

    def test_python_tests_alone_run_there(self, project: Project) -> None:
        project.plan(batch("1", task("1.1")))
        project.write("test_python.py", "def test_a(): pass\ndef test_b(): pass\n")

        result = project.run_apart("-n", "2")

        assert result.code == 0
        assert result.counts == {"passed": 2}

    def test_no_workers_are_no_obstacle(self, project: Project) -> None:
        project.plan(batch("1", task("1.1")))

        result = project.run("plans", "-n", "0")

        assert result.code == 0
        assert result.outcomes == {"1.1": "passed", "final-state": "passed"}

    def test_without_xdist_nothing_is_missing(self, project: Project) -> None:
        project.plan(batch("1", task("1.1")))

        assert project.run("plans", "-p", "no:xdist").code == 0
