"""Which Markdown files are plans, and what is said about those that are not or cannot be read."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from pytest_pipeline.naming import first_plan
from pytest_pipeline.plans.reader import is_plan

from .conftest import Project, batch, failing, task

SIMPLE = batch("1", task("1.1"))
PYTHON = "def test_passes(): pass\n"


@pytest.fixture
def mixed(project: Project) -> Project:
    """A plan, one below it, a README that shows a plan, an ordinary page, and a Python test."""
    project.plan(SIMPLE, name="plans/one.md")
    project.plan(batch("1", task("2.1")), name="plans/deep/two.md")
    project.plan(SIMPLE, name="plans/README.md")
    project.write("plans/notes.md", "# Notes\n\nAbout the task: none.\n")
    project.write("test_python.py", PYTHON)
    return project


def collected(project: Project, *arguments: str | Path) -> list[str]:
    """The plans of which pytest collects items."""
    result = project.run("--collect-only", "-q", *arguments)
    return sorted({line.partition("::")[0] for line in result.text.splitlines() if ".md::" in line})


class TestNotAskedFor:
    @pytest.mark.parametrize("arguments", [(), (".",), ("./",), ("test_python.py",), ("plans/..",)])
    def test_no_plan_is_collected(self, mixed: Project, arguments: tuple[str, ...]) -> None:
        result = mixed.run(*arguments)

        assert result.code == pytest.ExitCode.OK
        assert result.order == ["test_python.py::test_passes"]
        assert not (mixed.path / ".pipeline").exists()

    def test_nor_with_the_absolute_path_of_the_project(self, mixed: Project) -> None:
        assert collected(mixed, mixed.path) == []

    def test_nor_through_a_link_to_it(self, mixed: Project) -> None:
        link = mixed.path.parent / f"{mixed.path.name}-link"
        link.symlink_to(mixed.path)

        assert collected(mixed, link) == []

    def test_nor_by_testpaths(self, mixed: Project) -> None:
        mixed.ini("testpaths = plans test_python.py")

        assert collected(mixed) == []

    def test_nor_in_the_directory_of_plans_without_a_name(
        self, mixed: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(mixed.path / "plans")

        assert collected(mixed) == []
        assert collected(mixed, ".") == []
        assert collected(mixed, "..") == []

    @pytest.mark.parametrize("arguments", [(), (".",)])
    def test_one_line_says_how_many_and_how_to_run_them(self, mixed: Project, arguments: tuple[str, ...]) -> None:
        result = mixed.run(*arguments)

        assert result.line("pipeline: ") == (
            "pipeline: passed over 2 Markdown files that look like plans; "
            "name a file or its directory to run it: pytest plans/one.md"
        )

    def test_the_line_speaks_of_one_in_the_singular(self, project: Project) -> None:
        project.plan(SIMPLE)
        project.write("test_python.py", PYTHON)

        assert "passed over 1 Markdown file that looks like a plan;" in project.run().text

    def test_testpaths_that_hold_plans_are_told(self, mixed: Project) -> None:
        mixed.ini("testpaths = plans test_python.py")

        assert "pipeline: passed over 2 Markdown files" in mixed.run().text

    def test_neighbours_of_what_was_named_are_not_told(self, mixed: Project) -> None:
        mixed.plan(SIMPLE, name="beside.md")

        assert "passed over" not in mixed.run("test_python.py").text
        assert "passed over" not in mixed.run("plans/deep/two.md").text

    def test_markdown_that_is_no_plan_is_not_counted(self, project: Project) -> None:
        project.write("notes.md", "# Notes\n\n## Tasks\n\n- [ ] tidy up\n")
        project.write("test_python.py", PYTHON)

        assert "pipeline" not in project.run().text.replace("plugins: ", "").partition("collected")[2]


class TestAskedFor:
    @pytest.mark.parametrize("argument", ["plans/one.md", "./plans/one.md", "plans/deep/../one.md"])
    def test_a_file(self, mixed: Project, argument: str) -> None:
        assert collected(mixed, argument) == ["plans/one.md"]

    def test_a_file_by_its_absolute_path(self, mixed: Project) -> None:
        assert collected(mixed, mixed.path / "plans" / "one.md") == ["plans/one.md"]

    def test_a_node_of_a_file(self, mixed: Project) -> None:
        assert collected(mixed, "plans/one.md::batch-1") == ["plans/one.md"]

    def test_a_directory_with_all_below_it_but_the_readme(self, mixed: Project) -> None:
        assert collected(mixed, "plans") == ["plans/deep/two.md", "plans/one.md"]
        assert collected(mixed, mixed.path / "plans") == ["plans/deep/two.md", "plans/one.md"]

    def test_a_directory_below_it(self, mixed: Project) -> None:
        assert collected(mixed, "plans/deep/") == ["plans/deep/two.md"]

    def test_a_directory_that_is_a_link(self, mixed: Project) -> None:
        (mixed.path / "link").symlink_to("plans/deep")

        assert collected(mixed, "link") == ["link/two.md"]

    def test_a_file_from_within_its_directory(self, mixed: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(mixed.path / "plans")

        assert collected(mixed, "one.md") == ["plans/one.md"]
        assert collected(mixed, "deep") == ["plans/deep/two.md"]

    def test_the_readme_by_its_own_name(self, mixed: Project) -> None:
        assert collected(mixed, "plans/README.md") == ["plans/README.md"]

    def test_a_file_with_capitals_in_its_suffix(self, project: Project) -> None:
        project.plan(SIMPLE, name="plans/LOUD.MD")

        assert project.run("plans/LOUD.MD").counts == {"passed": 2}

    def test_the_same_file_twice_is_one(self, mixed: Project) -> None:
        once = mixed.run("plans/one.md").order

        assert mixed.run("plans/one.md", "plans/one.md").order == once
        assert mixed.run("plans", "plans/one.md", "--deselect", "plans/deep").order == once

    def test_the_same_task_twice_is_one(self, mixed: Project) -> None:
        task_id = "plans/one.md::batch-1::1.1-make-1.1"

        assert mixed.run(task_id, task_id).order == [task_id]
        assert mixed.run("plans/one.md::batch-1", task_id).order == [task_id]

    def test_all_of_them_in_every_run_by_the_ini_key(self, mixed: Project) -> None:
        mixed.ini("pipeline_collect = always")

        assert collected(mixed) == ["plans/deep/two.md", "plans/one.md"]
        assert collected(mixed, ".") == ["plans/deep/two.md", "plans/one.md"]
        assert "passed over" not in mixed.run("--collect-only").text

    def test_beside_python_tests(self, mixed: Project) -> None:
        result = mixed.run("plans/one.md", "test_python.py")

        assert result.outcomes == {"1.1": "passed", "final-state": "passed", "test_passes": "passed"}

    def test_collecting_alone_makes_nothing(self, mixed: Project) -> None:
        before = {path for path in mixed.path.rglob("*") if "__pycache__" not in path.parts}

        for flags in ((), ("-q",), ("-v",)):
            assert mixed.run("--collect-only", "-p", "no:cacheprovider", *flags, "plans").code == 0

        assert {path for path in mixed.path.rglob("*") if "__pycache__" not in path.parts} == before


class TestNoPlanAfterAll:
    def test_a_named_file_without_a_task_is_an_error_with_line_and_remedy(self, mixed: Project) -> None:
        result = mixed.run("plans/notes.md")

        assert result.code == pytest.ExitCode.TESTS_FAILED
        assert "plans/notes.md:1: this file holds no task. Write one, for example" in result.text
        assert "Traceback" not in result.text

    def test_in_a_named_directory_it_is_passed_over_silently(self, mixed: Project) -> None:
        result = mixed.run("plans")

        assert result.code == 0
        assert "notes.md" not in result.text
        assert "passed over" not in result.text


class TestUnreadable:
    BAD = "# Bad\n\n## Batch 1: First\n\n**Dependencies:** Batch 7\n\n" + task("1.1") + task("1.1")

    @pytest.fixture
    def beside(self, project: Project) -> Project:
        """A plan that cannot be read beside one that can."""
        project.write("plans/bad.md", self.BAD)
        project.plan(SIMPLE, name="plans/good.md")
        return project

    def test_all_its_errors_are_told_at_once_with_their_lines(self, beside: Project) -> None:
        text = beside.run("plans/bad.md").text

        assert "plans/bad.md:5: " in text
        assert "plans/bad.md:17: " in text
        assert "Traceback" not in text

    def test_the_other_plans_still_run_and_the_session_fails(self, beside: Project) -> None:
        result = beside.run("plans")

        assert result.code == pytest.ExitCode.TESTS_FAILED
        assert result.outcomes == {"1.1": "passed", "final-state": "passed"}
        assert result.counts == {"passed": 2, "errors": 1}
        assert "ERROR plans/bad.md" in result.text

    def test_no_run_is_successful_that_had_to_leave_out_a_plan(self, beside: Project) -> None:
        result = beside.run("plans", "--count", "2")

        assert result.code == pytest.ExitCode.TESTS_FAILED
        assert result.line("criterion ").startswith("criterion not met: 0 of 2 consecutive runs")
        assert "note: plans/bad.md cannot be read, so no run is a success." in result.text

    def test_nor_with_until_consecutive(self, beside: Project) -> None:
        result = beside.run("plans", "--count", "2", "--until-consecutive", "1")

        assert result.code == pytest.ExitCode.TESTS_FAILED
        assert result.counts == {"passed": 4, "errors": 1}

    def test_a_python_module_that_cannot_be_imported_interrupts_as_ever(self, beside: Project) -> None:
        beside.write("test_broken.py", "import no_such_module_anywhere\n")

        result = beside.run("plans", "test_broken.py")

        assert result.code == pytest.ExitCode.INTERRUPTED
        assert result.order == []
        assert not (beside.path / ".pipeline").exists()

    def test_maxfail_counts_it(self, beside: Project) -> None:
        result = beside.run("plans", "-x")

        assert result.order == []
        assert result.code != 0

    def test_collecting_alone_tells_it(self, beside: Project) -> None:
        result = beside.run("--collect-only", "plans")

        assert result.code != 0
        assert "plans/bad.md:5: " in result.text
        assert not (beside.path / ".pipeline").exists()

    def test_a_file_that_is_not_utf_8(self, project: Project) -> None:
        path = project.plan(SIMPLE)
        path.write_bytes(path.read_bytes() + b"\n\xff\n")

        assert "plans/plan.md:16: the file is not UTF-8. Save it as UTF-8." in project.run("plans").text

    def test_a_task_that_names_a_path_outside_fails_alone(self, project: Project) -> None:
        project.plan(batch("1", task("1.1", file="../outside.txt"), task("1.2")))

        result = project.run("plans")

        assert result.outcomes["1.1"] == "failed"
        assert result.property("1.1", "failure_kind") == "plan"
        assert not (project.path.parent / "outside.txt").exists()


def test_a_failing_task_names_story_kind_and_transcript(project: Project) -> None:
    project.plan(batch("1", failing("1.1")))

    text = project.run("plans").text

    assert "verification: " in text
    assert "task 1.1: Make 1.1, in step verify" in text
    assert "Traceback" not in text
    assert "look at:  .pipeline/sessions/" in text


def test_two_tasks_that_would_have_one_id_are_an_error_of_their_plan_alone(project: Project) -> None:
    twins = (task("1.1").replace("Make 1.1", "2 x"), task("1.1-2").replace("Make 1.1-2", "x"))
    project.plan(batch("1", *twins), name="plans/bad.md")
    project.plan(SIMPLE, name="plans/good.md")

    result = project.run("plans", "--count", "2")

    assert "two tasks of batch 1 become 1.1-2-x. Rename one." in result.text
    assert result.counts == {"passed": 4, "errors": 1}


def test_the_collector_of_garbage_is_left_as_it_was(project: Project) -> None:
    project.plan(batch("1", failing("1.1")))
    frozen = gc.get_freeze_count()

    project.run("plans")

    assert gc.get_freeze_count() == frozen


class TestWhoCannotWaitForTheCollection:
    """With ``-n`` and ``--resume`` the plans are looked for before, and must be those that are collected."""

    def found(self, project: Project, *arguments: str, everywhere: bool = False) -> str | None:
        first = first_plan(project.pytester.parseconfig(*arguments), everywhere=everywhere, is_plan=is_plan)
        return None if first is None else first.relative_to(project.path).as_posix()

    @pytest.mark.parametrize(
        "heading",
        [
            "### 任务 1：写文件",
            "### Task 1",
            "### Task #1: x",
            "### Task 1 (optional): x",
            "- [ ] Task 1: x",
            "## Batch 1: no task, which must be told",
            "x" * 1024**2 + "\n\n### Task 1: x",
        ],
    )
    def test_every_plan_is_found_that_is_collected(self, project: Project, heading: str) -> None:
        project.write("plans/deep/odd.md", f"# A plan\n\n{heading}\n\nDo it.\n")

        assert self.found(project, "plans") == "plans/deep/odd.md"
        assert "plans/deep/odd.md" in project.run("--collect-only", "-q", "plans").text

    def test_a_plan_that_cannot_be_read_is_one(self, project: Project) -> None:
        project.path.joinpath("plans").mkdir()
        project.path.joinpath("plans/a.md").write_bytes(b"\xff")

        assert self.found(project, "plans") == "plans/a.md"

    def test_what_is_no_plan_is_passed_by(self, mixed: Project) -> None:
        mixed.path.joinpath("plans/a.md").mkdir()

        assert self.found(mixed, "plans") == "plans/deep/two.md"
        assert self.found(mixed, ".") is None
        assert self.found(mixed, ".", everywhere=True) == "plans/deep/two.md"
        assert self.found(mixed, "plans/one.md::batch-1") == "plans/one.md"
