"""Marks of a plan, and fixtures of a user's conftest around its tasks."""

from __future__ import annotations

import pytest

from .conftest import Project, batch, short, task

TWO_BATCHES = (batch("1", task("1.1"), task("1.2")), batch("2", task("2.1"), needs="Batch 1"))


def selected(project: Project, *arguments: str) -> list[str]:
    """What pytest would run, short."""
    text = project.run("--collect-only", "-q", "plans", *arguments).text
    return [short(line) for line in text.splitlines() if "::" in line]


class TestMarks:
    @pytest.fixture
    def marked(self, project: Project) -> Project:
        overrides = "```yaml pipeline\nmarks: [slow, {issue: [7]}]\n```\n"
        project.ini("addopts = --strict-markers --strict-config")
        project.plan(batch("1", task("1.1"), task("1.2", overrides)), front="marks: [nightly]")
        project.plan(batch("1", task("3.1")), name="plans/other.md")
        return project

    def test_those_of_the_front_matter_are_on_every_task_and_the_final_state(self, marked: Project) -> None:
        assert selected(marked, "-m", "nightly") == ["1.1", "1.2", "final-state"]
        assert selected(marked, "-m", "not nightly") == ["3.1", "final-state"]

    def test_those_of_a_task_are_its_own(self, marked: Project) -> None:
        assert selected(marked, "-m", "slow") == ["1.2"]
        assert selected(marked, "-m", "issue") == ["1.2"]

    def test_in_every_run_again(self, marked: Project) -> None:
        assert selected(marked, "-m", "slow", "--count", "2") == ["run-01 1.2", "run-02 1.2"]

    def test_they_run_without_a_warning(self, marked: Project) -> None:
        result = marked.run("plans", "-W", "error")

        assert set(result.outcomes.values()) == {"passed"}

    def test_an_unknown_mark_of_a_python_test_is_still_refused(self, marked: Project) -> None:
        marked.write("test_python.py", "import pytest\n\n@pytest.mark.no_such_mark\ndef test_it(): pass\n")

        assert marked.run("plans", "test_python.py").code == pytest.ExitCode.INTERRUPTED

    def test_a_skip_mark_skips_the_task_and_what_needs_it(self, project: Project) -> None:
        skip = '```yaml pipeline\nmarks: [{skip: ["not today"]}]\n```\n'
        project.plan(batch("1", task("1.1"), task("1.2", skip)), batch("2", task("2.1"), needs="Batch 1"))

        result = project.run("plans", "-rs")

        assert result.outcomes == {"1.1": "passed", "1.2": "skipped", "2.1": "skipped", "final-state": "passed"}
        assert "not today" in result.text
        assert result.property("1.2", "outcome") == "skipped"
        assert result.code == 8

    def test_a_plan_whose_every_task_is_marked_to_be_skipped_is_no_success(self, project: Project) -> None:
        project.plan(batch("1", task("1.1"), task("1.2")), front='marks: [{skip: ["not today"]}]')

        result = project.run("plans")

        assert set(result.outcomes.values()) == {"skipped"}
        assert result.code == 8


class TestFixtures:
    CONFTEST = """
        import pathlib
        import pytest

        @pytest.fixture(autouse=True)
        def everywhere(request):
            with open(request.config.rootpath / "seen.txt", "a") as file:
                print("autouse", request.node.name, file=file)

        @pytest.fixture(scope="session", autouse=True)
        def once(request):
            with open(request.config.rootpath / "seen.txt", "a") as file:
                print("session begins", file=file)
            yield
            with open(request.config.rootpath / "seen.txt", "a") as file:
                print("session ends", file=file)

        @pytest.fixture
        def database(request):
            with open(request.config.rootpath / "seen.txt", "a") as file:
                print("up", request.node.name, file=file)
            yield
            with open(request.config.rootpath / "seen.txt", "a") as file:
                print("down", request.node.name, file=file)
    """

    def seen(self, project: Project) -> list[str]:
        return (project.path / "seen.txt").read_text().splitlines()

    def test_autouse_and_usefixtures_of_a_plan_surround_every_task(self, project: Project) -> None:
        project.write("conftest.py", self.CONFTEST)
        project.plan(batch("1", task("1.1")), front="marks: [{usefixtures: [database]}]")

        result = project.run("plans")

        assert result.code == 0
        assert self.seen(project) == [
            "session begins",
            "autouse 1.1-make-1.1",
            "up 1.1-make-1.1",
            "down 1.1-make-1.1",
            "autouse final-state",
            "up final-state",
            "down final-state",
            "session ends",
        ]

    def test_usefixtures_of_one_task_is_for_it_alone(self, project: Project) -> None:
        project.write("conftest.py", self.CONFTEST)
        own = "```yaml pipeline\nmarks: [{usefixtures: [database]}]\n```\n"
        project.plan(batch("1", task("1.1", own), task("1.2")))

        project.run("plans")

        assert [line for line in self.seen(project) if "up" in line] == ["up 1.1-make-1.1"]

    @pytest.mark.parametrize("scope", ["function", "class", "module", "package", "session"])
    def test_an_autouse_fixture_of_any_scope_works(self, project: Project, scope: str) -> None:
        project.write(
            "conftest.py",
            f"""
            import pytest

            @pytest.fixture(scope="{scope}", autouse=True)
            def everywhere(request):
                yield
            """,
        )
        project.plan(batch("1", task("1.1")))

        result = project.run("plans")

        assert result.outcomes == {"1.1": "passed", "final-state": "passed"}, result.text

    def test_a_module_fixture_is_made_once_for_each_plan(self, project: Project) -> None:
        project.write(
            "conftest.py",
            """
            import pytest

            @pytest.fixture(scope="module", autouse=True)
            def once(request):
                with open(request.config.rootpath / "seen.txt", "a") as file:
                    print("up", request.node.name, file=file)
            """,
        )
        project.plan(*TWO_BATCHES)
        project.plan(batch("1", task("3.1")), name="plans/second.md")

        assert project.run("plans").code == 0
        assert self.seen(project) == ["up plan.md", "up second.md"]

    def test_a_fixture_that_fails_is_an_error_and_no_agent_starts(self, project: Project) -> None:
        project.write(
            "conftest.py",
            """
            import pytest

            @pytest.fixture
            def database():
                raise OSError("no database here")
            """,
        )
        project.plan(batch("1", task("1.1")), front="marks: [{usefixtures: [database]}]")

        result = project.run("plans")

        assert result.outcomes["1.1"] == "error"
        assert "no database here" in result.text
        assert result.property("1.1", "failure_kind") == "infrastructure"
        assert result.code == pytest.ExitCode.TESTS_FAILED

    def test_a_fixture_that_skips_skips_the_task(self, project: Project) -> None:
        project.write(
            "conftest.py",
            """
            import pytest

            @pytest.fixture
            def database():
                pytest.skip("no database here")
            """,
        )
        project.plan(batch("1", task("1.1")), front="marks: [{usefixtures: [database]}]")

        result = project.run("plans")

        assert result.outcomes == {"1.1": "skipped", "final-state": "skipped"}
        assert result.property("1.1", "outcome") == "skipped"

    def test_a_fixture_that_is_not_there_is_told_with_those_that_are(self, project: Project) -> None:
        project.plan(batch("1", task("1.1")), front="marks: [{usefixtures: [no_such_fixture]}]")

        result = project.run("plans")

        assert result.outcomes["1.1"] == "error"
        assert "fixture 'no_such_fixture' not found" in result.text
        assert "INTERNALERROR" not in result.text

    def test_a_plugin_that_stops_an_item_before_its_setup_fails_that_task_in_the_record_too(
        self, project: Project
    ) -> None:
        project.write(
            "conftest.py",
            """
            import pytest

            @pytest.hookimpl(tryfirst=True)
            def pytest_runtest_setup(item):
                if item.name.startswith("1.2"):
                    raise RuntimeError("not this one")
            """,
        )
        project.plan(batch("1", task("1.1"), task("1.2")))

        result = project.run("plans")

        assert result.outcomes == {"1.1": "passed", "1.2": "error", "final-state": "passed"}
        assert result.property("1.2", "failure_kind") == "infrastructure"
        assert result.line("criterion ").startswith("criterion not met: 0 of 1 consecutive runs (broken by run 1")
