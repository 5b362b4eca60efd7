"""Plan items take part in everything that pytest users know."""

from __future__ import annotations

import re

import pytest

from .conftest import Project, batch, failing, short, task

TWO_BATCHES = (batch("1", task("1.1"), task("1.2")), batch("2", task("2.1"), needs="Batch 1"))
IDS = [
    "plans/plan.md::batch-1::1.1-make-1.1",
    "plans/plan.md::batch-1::1.2-make-1.2",
    "plans/plan.md::batch-2::2.1-make-2.1",
    "plans/plan.md::final-state",
]


@pytest.fixture
def plan(project: Project) -> Project:
    project.plan(*TWO_BATCHES)
    return project


def selected(project: Project, *arguments: str) -> list[str]:
    """What pytest would run, short."""
    text = project.run("--collect-only", "-q", "plans", *arguments).text
    return [short(line) for line in text.splitlines() if "::" in line]


class TestNodeIds:
    def test_without_repetition_they_name_batch_and_task(self, plan: Project) -> None:
        assert plan.run("plans").order == IDS

    def test_with_repetition_the_run_comes_first_padded_with_zeros(self, plan: Project) -> None:
        text = plan.run("--collect-only", "-q", "plans", "--count", "2").text

        assert [line for line in text.splitlines() if "::" in line] == [
            each.replace("plan.md::", f"plan.md::run-{run}::") for run in ("01", "02") for each in IDS
        ]

    def test_a_hundred_runs_need_three_digits(self, plan: Project) -> None:
        assert "plans/plan.md::run-007::final-state" in plan.run("--co", "-q", "plans", "--count", "100").text

    def test_titles_lose_what_pytest_reads_as_its_own(self, project: Project) -> None:
        project.plan(
            batch("1", task("1.1").replace("Make 1.1", "Fix `a::b[c]` (*now*), über/alles & more"), task("1.2")),
            name="plans/strange [name].md",
        )

        order = project.run("plans").order

        assert order[0] == "plans/strange [name].md::batch-1::1.1-fix-a-b-c-now-über-alles-more"

    def test_they_are_the_same_when_the_file_is_named_alone(self, plan: Project) -> None:
        assert plan.run("plans/plan.md").order == IDS

    def test_the_tree_shows_what_each_node_is(self, plan: Project) -> None:
        text = plan.run("--collect-only", "plans", "--count", "2").text

        for node in ("<PlanFile plan.md>", "<RunNode run-02>", "<BatchNode batch-1>", "<TaskItem 1.1-make-1.1>"):
            assert node in text, node
        assert "<FinalStateItem final-state>" in text


class TestByIdOrKeyword:
    def test_one_task_runs_and_what_it_needs_counts_as_met_with_a_note(self, plan: Project) -> None:
        result = plan.run(IDS[2])

        assert result.outcomes == {"2.1": "passed"}
        assert result.code == 0
        note = f"note: {IDS[2]} ran although 1.1, 1.2, which it needs, was not selected (counts as met)"
        assert note in result.text

    def test_a_run(self, plan: Project) -> None:
        result = plan.run("plans/plan.md::run-02", "--count", "3")

        assert result.done == ["run-02 1.1", "run-02 1.2", "run-02 2.1"]

    def test_a_batch(self, plan: Project) -> None:
        assert plan.run("plans/plan.md::batch-1").done == ["1.1", "1.2"]

    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("1.2", ["1.2"]),
            ("make-2", ["2.1"]),
            ("batch-1", ["1.1", "1.2"]),
            ("not batch-1", ["2.1", "final-state"]),
            ("final-state", ["final-state"]),
            ("plan.md and 1.1", ["1.1"]),
        ],
    )
    def test_by_keyword(self, plan: Project, expression: str, expected: list[str]) -> None:
        assert selected(plan, "-k", expression) == expected

    def test_a_run_by_keyword(self, plan: Project) -> None:
        found = selected(plan, "-k", "run-02", "--count", "3")

        assert found == [f"run-02 {name}" for name in ("1.1", "1.2", "2.1", "final-state")]

    def test_deselect_takes_a_task_or_all_of_a_run(self, plan: Project) -> None:
        assert selected(plan, "--deselect", IDS[0]) == ["1.2", "2.1", "final-state"]
        assert selected(plan, "--count", "2", "--deselect", "plans/plan.md::run-01") == [
            f"run-02 {name}" for name in ("1.1", "1.2", "2.1", "final-state")
        ]

    def test_an_id_that_is_not_there_is_told_by_pytest(self, plan: Project) -> None:
        result = plan.run("plans/plan.md::batch-1::9.9-no-such")

        assert result.code == pytest.ExitCode.USAGE_ERROR
        assert "not found" in result.errors

    def test_nothing_selected_is_pytests_own_code_and_opens_no_session(self, plan: Project) -> None:
        assert plan.run("plans", "-k", "no-such").code == pytest.ExitCode.NO_TESTS_COLLECTED
        assert not (plan.path / ".pipeline").exists()


class TestAfterAFailure:
    @pytest.fixture
    def broken(self, project: Project) -> Project:
        """Three independent tasks, the second fails until ``mended`` is called."""
        project.plan(batch("1", task("1.1"), failing("1.2"), task("1.3"), parallel=True))
        return project

    def mended(self, project: Project) -> None:
        project.plan(batch("1", task("1.1"), task("1.2"), task("1.3"), parallel=True))

    def test_last_failed_runs_that_task_alone(self, broken: Project) -> None:
        assert broken.run("plans").outcomes["1.2"] == "failed"

        result = broken.run("plans", "--lf")

        assert result.done == ["1.2"]
        assert "rerun previous 1 failure" in result.text

    def test_last_failed_of_a_repeated_plan_runs_that_task_of_that_run(self, broken: Project) -> None:
        broken.run("plans", "--count", "2", "-k", "run-02")

        assert broken.run("plans", "--count", "2", "--lf").done == ["run-02 1.2"]

    def test_failed_first(self, broken: Project) -> None:
        broken.run("plans")

        assert broken.run("plans", "--ff").done == ["1.2", "1.1", "1.3"]

    def test_new_first(self, broken: Project) -> None:
        assert broken.run("plans", "--nf").done == ["1.1", "1.2", "1.3"]

    @pytest.mark.parametrize("flag", ["--sw", "--stepwise"])
    def test_stepwise_stops_and_goes_on_there(self, broken: Project, flag: str) -> None:
        assert broken.run("plans", flag).done == ["1.1", "1.2"]
        self.mended(broken)

        assert broken.run("plans", flag).done == ["1.2", "1.3"]

    @pytest.mark.parametrize("flag", ["-x", "--exitfirst", "--maxfail=1"])
    def test_it_stops_when_asked(self, broken: Project, flag: str) -> None:
        result = broken.run("plans", flag)

        assert result.done == ["1.1", "1.2"]
        assert result.code == pytest.ExitCode.TESTS_FAILED
        assert "criterion not met: 0 of 1 consecutive runs" in result.text

    def test_maxfail_counts_plan_items_and_python_tests_together(self, broken: Project) -> None:
        broken.write("test_python.py", "def test_a(): assert 0\ndef test_b(): assert 0\n")

        result = broken.run("plans", "test_python.py", "--maxfail=2")

        assert [report.nodeid for report in result.journal.reports if report.failed] == [
            "plans/plan.md::batch-1::1.2-make-1.2",
            "test_python.py::test_a",
        ]

    def test_durations_are_those_of_tasks(self, broken: Project) -> None:
        text = broken.run("plans", "--durations=0", "-vv").text

        for phase in ("setup", "call", "teardown"):
            assert re.search(rf"s {phase} +plans/plan.md::batch-1::1.1-make-1.1", text), phase


class TestCollectOnlyVerbose:
    def test_it_shows_what_will_be_run_and_what_is_for_a_person(self, project: Project) -> None:
        project.plan(
            batch(
                "1",
                task(
                    "1.1",
                    "**Verification:**",
                    "- `test -s made/1.1.txt`",
                    "- `git push --force`",
                    "- The wording is friendly",
                    "",
                    "**Acceptance Criteria:**",
                    "- It reads well",
                ),
                task("1.2"),
            )
        )

        text = project.run("--collect-only", "-v", "plans").text

        assert "will run:  test -s made/1.1.txt" in text
        assert "NOT run:   git push --force  [" in text
        assert "for a person to judge: The wording is friendly" in text
        assert "for a person to judge: It reads well" in text
        assert "no check of its own: judged by its files alone" in text
        assert "file:      create made/1.1.txt" in text
        assert "expects:   changes" in text

    def test_without_v_it_does_not(self, plan: Project) -> None:
        assert "expects:" not in plan.run("--collect-only", "plans").text


class TestLookingOnly:
    """Options that look at items and run none make nothing, and pass nothing."""

    @pytest.mark.parametrize("flag", ["--fixtures-per-test", "--fixtures", "--setup-plan", "--setup-only"])
    def test_nothing_is_opened_and_nothing_passes(self, plan: Project, flag: str) -> None:
        result = plan.run("plans", flag)

        assert result.code == 0
        assert "criterion" not in result.text
        assert not (plan.path / ".pipeline").exists()

    def test_a_fixture_that_fails_is_an_error_of_each_item_and_no_crash(self, plan: Project) -> None:
        plan.write(
            "conftest.py", "import pytest\n\n@pytest.fixture(autouse=True)\ndef broken(): raise ValueError('no')\n"
        )

        result = plan.run("plans", "--setup-only")

        assert result.code == 1
        assert result.counts == {"errors": 4}
        assert "INTERNALERROR" not in result.text
        assert not (plan.path / ".pipeline").exists()

    def test_setup_plan_shows_the_fixtures_of_tasks(self, project: Project) -> None:
        project.write("conftest.py", "import pytest\n\n@pytest.fixture\ndef database(): yield\n")
        project.plan(batch("1", task("1.1")), front="marks: [{usefixtures: [database]}]")

        text = project.run("plans", "--setup-plan").text

        assert "SETUP    F database" in text
        assert "plans/plan.md::batch-1::1.1-make-1.1 (fixtures used: database" in text

    def test_setup_show_runs_them(self, plan: Project) -> None:
        result = plan.run("plans", "--setup-show")

        assert result.code == 0
        assert "criterion met: 1 of 1 consecutive runs" in result.text


class TestPythonTestsBeside:
    def test_a_failing_one_fails_the_session_and_not_the_criterion(self, plan: Project) -> None:
        plan.write("test_python.py", "def test_fails(): assert 1 == 2\n")

        result = plan.run("plans", "test_python.py")

        assert result.code == pytest.ExitCode.TESTS_FAILED
        assert "assert 1 == 2" in result.text
        assert "criterion met: 1 of 1 consecutive runs" in result.text

    def test_they_keep_their_place(self, plan: Project) -> None:
        plan.write("test_python.py", "def test_a(): pass\ndef test_b(): pass\n")

        order = plan.run("test_python.py", "plans").order

        assert order == ["test_python.py::test_a", "test_python.py::test_b", *IDS]
