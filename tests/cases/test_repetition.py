"""``--count`` and ``--repeat-scope``, with and without pytest-repeat; reruns."""

from __future__ import annotations

import pytest

from .conftest import Project, batch, task

PYTHON = "def test_a(): pass\ndef test_b(): pass\n"
WITHOUT = ("-p", "no:repeat")


@pytest.fixture
def two_plans(project: Project) -> Project:
    """Plan a of two batches, of which the second has two tasks, and plan b of one task."""
    project.plan(batch("1", task("1.1")), batch("2", task("2.1"), task("2.2")), name="plans/a.md")
    project.plan(batch("1", task("3.1")), name="plans/b.md")
    return project


def order(project: Project, *arguments: str) -> str:
    """What is executed, in short: run and task, final states as ``a`` and ``b``."""
    words = []
    for nodeid in project.run("--co", "-q", "plans", *arguments).text.splitlines():
        if ".md::" in nodeid:
            path, run, *_, name = nodeid.split("::")
            words.append(f"{run[-1]}:{path[6] if name == 'final-state' else name.partition('-')[0]}")
    return " ".join(words)


ORDERS = {
    "session": "1:1.1 1:2.1 1:2.2 1:a 1:3.1 1:b 2:1.1 2:2.1 2:2.2 2:a 2:3.1 2:b",
    "module": "1:1.1 1:2.1 1:2.2 1:a 2:1.1 2:2.1 2:2.2 2:a 1:3.1 1:b 2:3.1 2:b",
    "class": "1:1.1 2:1.1 1:2.1 1:2.2 2:2.1 2:2.2 1:a 2:a 1:3.1 2:3.1 1:b 2:b",
    "function": "1:1.1 2:1.1 1:2.1 2:2.1 1:2.2 2:2.2 1:a 2:a 1:3.1 2:3.1 1:b 2:b",
}


class TestScope:
    @pytest.mark.parametrize("without", [(), WITHOUT], ids=["with-repeat", "without-repeat"])
    @pytest.mark.parametrize("scope", ORDERS)
    def test_what_is_repeated_as_a_block(self, two_plans: Project, scope: str, without: tuple[str, ...]) -> None:
        assert order(two_plans, "--count", "2", "--repeat-scope", scope, *without) == ORDERS[scope]

    @pytest.mark.parametrize("without", [(), WITHOUT], ids=["with-repeat", "without-repeat"])
    def test_by_default_it_is_the_whole_session(self, two_plans: Project, without: tuple[str, ...]) -> None:
        assert order(two_plans, "--count", "2", *without) == ORDERS["session"]

    def test_the_ini_file_may_say_it_in_addopts(self, two_plans: Project) -> None:
        two_plans.ini("addopts = --repeat-scope=module --count=2")

        assert order(two_plans) == ORDERS["module"]

    def test_and_so_may_the_environment(self, two_plans: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTEST_ADDOPTS", "--repeat-scope module --count 2")

        assert order(two_plans) == ORDERS["module"]

    def test_execution_follows_it(self, two_plans: Project) -> None:
        result = two_plans.run("plans", "--count", "2", "--repeat-scope", "function", "-k", "not final-state")

        assert result.done == [f"run-0{run} {name}" for name in ("1.1", "2.1", "2.2", "3.1") for run in (1, 2)]
        assert "criterion met: 2 of 2 consecutive runs" in result.text

    def test_an_unknown_scope_is_a_usage_error(self, two_plans: Project) -> None:
        for flags in ((), WITHOUT):
            result = two_plans.run("plans", "--repeat-scope", "fortnight", *flags)

            assert result.code == pytest.ExitCode.USAGE_ERROR
            assert "fortnight" in result.errors

    def test_needs_come_first_in_every_scope(self, project: Project) -> None:
        late_first = (batch("2", task("2.1"), needs="Batch 1"), batch("1", task("1.1")))
        project.plan(*late_first, name="plans/a.md")

        for scope in ORDERS:
            found = order(project, "--count", "2", "--repeat-scope", scope).split()

            for run in "12":
                mine = [word[2:] for word in found if word.startswith(run)]
                assert mine == ["1.1", "2.1", "a"], scope


class TestCount:
    @pytest.mark.parametrize("flags", [("--count", "3"), ("--count=3",)])
    @pytest.mark.parametrize("without", [(), WITHOUT], ids=["with-repeat", "without-repeat"])
    def test_each_task_runs_that_often(
        self, two_plans: Project, flags: tuple[str, ...], without: tuple[str, ...]
    ) -> None:
        found = order(two_plans, *flags, *without).split()

        assert len(found) == 3 * 6
        assert len(set(found)) == len(found)

    @pytest.mark.parametrize("flags", [("--count", "2"), ("--count=2",)])
    def test_the_number_is_no_path_also_where_it_stands_first(self, two_plans: Project, flags: tuple[str, ...]) -> None:
        (two_plans.path / "2").mkdir()

        result = two_plans.run(*flags, "plans/b.md", *WITHOUT)

        assert result.done == ["run-01 3.1", "run-02 3.1"]

    def test_one_is_no_repetition(self, two_plans: Project) -> None:
        assert two_plans.run("plans/b.md", "--count", "1").order[0] == "plans/b.md::batch-1::3.1-make-3.1"

    @pytest.mark.parametrize("count", ["0", "-1", "1.5", "ten"])
    @pytest.mark.parametrize("without", [(), WITHOUT], ids=["with-repeat", "without-repeat"])
    def test_less_than_one_and_what_is_no_number_is_a_usage_error(
        self, two_plans: Project, count: str, without: tuple[str, ...]
    ) -> None:
        result = two_plans.run("plans", f"--count={count}", *without)

        assert result.code == pytest.ExitCode.USAGE_ERROR
        assert "--count" in result.errors
        assert not (two_plans.path / ".pipeline").exists()

    def test_the_message_says_what_it_must_be(self, two_plans: Project) -> None:
        errors = two_plans.run("plans", "--count", "0").errors

        assert "--count must be a whole number of at least 1" in errors
        assert "Traceback" not in errors

    def test_every_run_starts_from_the_same_commit_on_a_base_of_its_own(self, two_plans: Project) -> None:
        result = two_plans.run("plans/b.md", "--count", "2")

        first, second = (f"run-0{run} 3.1" for run in (1, 2))
        assert result.property(first, "base_commit") == result.property(second, "base_commit")
        assert result.property(first, "base_branch") != result.property(second, "base_branch")
        assert result.outcomes[second] == "passed"  # its file was not there yet


class TestPytestRepeat:
    """Python tests repeat as ever where pytest-repeat is there, and plans repeat once."""

    def test_python_tests_repeat_as_ever_and_plans_once(self, two_plans: Project) -> None:
        two_plans.write("test_python.py", PYTHON)

        result = two_plans.run("plans/b.md", "test_python.py", "--count", "2")

        assert result.done == [
            "run-01 3.1",
            "run-02 3.1",
            "test_a[1-2]",
            "test_a[2-2]",
            "test_b[1-2]",
            "test_b[2-2]",
        ]

    def test_the_scope_serves_both(self, two_plans: Project) -> None:
        two_plans.write("test_python.py", PYTHON)

        result = two_plans.run("plans/b.md", "test_python.py", "--count", "2", "--repeat-scope", "session")

        assert result.done[2:] == ["test_a[1-2]", "test_b[1-2]", "test_a[2-2]", "test_b[2-2]"]

    def test_its_mark_still_works(self, two_plans: Project) -> None:
        two_plans.write("test_python.py", "import pytest\n\n@pytest.mark.repeat(2)\ndef test_a(): pass\n")

        assert two_plans.run("test_python.py").done == ["test_a[1-2]", "test_a[2-2]"]

    def test_without_it_python_tests_run_once(self, two_plans: Project) -> None:
        two_plans.write("test_python.py", PYTHON)

        result = two_plans.run("plans/b.md", "test_python.py", "--count", "2", *WITHOUT)

        assert result.done == ["run-01 3.1", "run-02 3.1", "test_a", "test_b"]

    LOADED: tuple[tuple[dict[str, str], tuple[str, ...]], ...] = (
        ({}, ()),
        ({}, WITHOUT),
        ({}, ("-p", "pipeline")),
        ({}, ("-p", "repeat")),
        ({"PYTEST_PLUGINS": "pipeline"}, ()),
        ({"PYTEST_PLUGINS": "repeat"}, ()),
        ({"PYTEST_PLUGINS": "repeat,pipeline"}, ()),
        ({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, ("-p", "pytest_pipeline.plugin", "-p", "pytest_repeat")),
        ({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, ("-p", "pytest_repeat", "-p", "pytest_pipeline.plugin")),
        ({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, ("-p", "pytest_pipeline.plugin")),
        ({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_repeat,pytest_pipeline.plugin"}, ()),
    )

    @pytest.mark.parametrize(("environment", "flags"), LOADED)
    def test_no_order_of_loading_crashes_or_multiplies(
        self,
        two_plans: Project,
        monkeypatch: pytest.MonkeyPatch,
        environment: dict[str, str],
        flags: tuple[str, ...],
    ) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

        result = two_plans.run(*flags, "--co", "-q", "plans/b.md", "--count", "2")

        assert result.code == 0, result.text + result.errors
        assert [line for line in result.text.splitlines() if "::" in line] == [
            "plans/b.md::run-01::batch-1::3.1-make-3.1",
            "plans/b.md::run-01::final-state",
            "plans/b.md::run-02::batch-1::3.1-make-3.1",
            "plans/b.md::run-02::final-state",
        ]

    def test_loaded_by_a_conftest_it_has_its_option_too(
        self, two_plans: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        two_plans.write("conftest.py", "pytest_plugins = ['pytest_repeat']\n")
        two_plans.write("test_python.py", PYTHON)

        result = two_plans.run("-p", "pytest_pipeline.plugin", "plans/b.md", "test_python.py", "--count=2")

        assert result.done[:3] == ["run-01 3.1", "run-02 3.1", "test_a[1-2]"]

    def test_a_projects_own_option_of_that_name_keeps_its_meaning_and_serves_us(
        self, two_plans: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        two_plans.write(
            "conftest.py",
            """
            import pytest

            def pytest_addoption(parser):
                parser.addoption("--count", default="1", help="how many cats")

            @pytest.fixture
            def cats(request):
                return request.config.getoption("--count")
            """,
        )
        two_plans.write("test_python.py", "def test_a(cats): assert cats == '2'\n")

        result = two_plans.run(*WITHOUT, "plans/b.md", "test_python.py", "--count=2")

        assert result.done == ["run-01 3.1", "run-02 3.1", "test_a"]
        assert result.code == 0


class TestReruns:
    """pytest-rerunfailures: a new attempt in a clean workspace."""

    @pytest.fixture
    def flaky(self, project: Project) -> Project:
        """The agent fails the first time, and looks for what an earlier attempt has left."""
        marker = project.path / "tried.txt"
        agent = project.write(
            "agent.sh",
            f"""
            #!/bin/sh
            test -e rubbish.txt && echo "not clean" && exit 3
            if test -e {marker}; then mkdir -p made; echo 1.1 > made/1.1.txt; exit 0; fi
            touch {marker} rubbish.txt
            echo "sorry, not today"
            exit 1
            """,
        )
        agent.chmod(0o755)
        project.write("pytest.ini", f"[pytest]\npipeline_agent = command\npipeline_agent_command = /bin/sh {agent}\n")
        project.plan(batch("1", task("1.1")))
        return project

    def test_without_reruns_it_fails(self, flaky: Project) -> None:
        assert flaky.run("plans").outcomes["1.1"] == "failed"

    def test_a_rerun_is_a_new_attempt_in_a_clean_workspace_and_the_run_counts_once(self, flaky: Project) -> None:
        result = flaky.run("plans", "--reruns", "1")

        assert result.code == 0, result.text
        assert result.outcomes == {"1.1": "passed", "final-state": "passed"}
        assert result.counts == {"passed": 2, "rerun": 1}
        assert result.property("1.1", "attempt") == "2"
        assert "criterion met: 1 of 1 consecutive runs" in result.text
        assert "1 run admitted: 1 successful" in result.text

    def test_the_summary_says_that_it_was_tried_twice(self, flaky: Project) -> None:
        assert "2 attempts" in flaky.run("plans", "--reruns", "1").text

    def test_what_depends_on_it_runs_after_the_last_attempt(self, flaky: Project) -> None:
        flaky.plan(batch("1", task("1.1")), batch("2", task("2.1", file="made/1.1.txt"), needs="Batch 1"))

        result = flaky.run("plans", "--reruns", "1")

        assert result.done[:3] == ["1.1", "1.1", "2.1"]

    def test_a_task_that_always_fails_has_as_many_attempts_and_fails_its_run(self, project: Project) -> None:
        project.plan(batch("1", task("1.1", "**Verification:**", "- `test -e never.txt`")))

        result = project.run("plans", "--reruns", "2")

        assert result.property("1.1", "attempt") == "3"
        assert result.code == pytest.ExitCode.TESTS_FAILED
        assert "criterion not met: 0 of 1" in result.text
