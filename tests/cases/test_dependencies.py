"""What needs what, in which order, and who is skipped why."""

from __future__ import annotations

import pytest

from .conftest import Project, Session, batch, failing, failing_until, task


def reason(result: Session, name: str) -> str:
    """Why a task was skipped."""
    longrepr = result.report(name, "setup").longrepr
    assert isinstance(longrepr, tuple)
    return longrepr[2]


class TestOrder:
    def test_tasks_of_a_batch_run_in_the_order_of_the_file(self, project: Project) -> None:
        project.plan(batch("1", task("1.2"), task("1.1"), task("1.10")))

        assert project.run("plans").done == ["1.2", "1.1", "1.10"]

    def test_batches_run_after_those_they_need_whatever_their_order_in_the_file(self, project: Project) -> None:
        project.plan(
            batch("3", task("3.1"), needs="Batch 1, Batch 2"),
            batch("2", task("2.1"), needs="Batch 1"),
            batch("1", task("1.1")),
        )

        assert project.run("plans").done == ["1.1", "2.1", "3.1"]

    def test_a_task_runs_after_the_task_that_it_names(self, project: Project) -> None:
        project.plan(batch("1", task("1.1", "**Depends on:** 1.3"), task("1.2"), task("1.3"), parallel=True))

        assert project.run("plans").done == ["1.3", "1.1", "1.2"]

    @pytest.mark.parametrize("seed", range(3))
    def test_no_shuffle_breaks_it(self, project: Project, seed: int) -> None:
        project.plan(
            batch("1", task("1.1")),
            batch("2", task("2.1"), task("2.2"), task("2.3"), needs="Batch 1"),
            batch("3", task("3.1"), needs="Batch 2"),
        )

        result = project.run(
            "plans", "--count", "2", "--random-order-bucket=global", f"--random-order-seed={seed}", "--random-order"
        )

        assert set(result.outcomes.values()) == {"passed"}, result.text
        for run in ("run-01", "run-02"):
            mine = [each.partition(" ")[2] for each in result.done if each.startswith(run)]
            assert mine == ["1.1", "2.1", "2.2", "2.3", "3.1"]
            assert [name for name in result.outcomes if name.startswith(run)][-1] == f"{run} final-state"

    @pytest.mark.parametrize("bucket", ["class", "module", "package", "parent", "grandparent", "none"])
    def test_no_bucket_of_the_shuffle_crashes(self, project: Project, bucket: str) -> None:
        project.plan(batch("1", task("1.1"), task("1.2")))

        assert project.run("--co", "plans", "--random-order", f"--random-order-bucket={bucket}").code == 0

    def test_failed_first_does_not_break_it(self, project: Project) -> None:
        project.plan(batch("1", task("1.1")), batch("2", failing("2.1"), needs="Batch 1"), batch("3", task("3.1")))
        project.run("plans")

        result = project.run("plans", "--ff")

        assert result.done.index("1.1") < result.done.index("2.1") < result.done.index("3.1")

    def test_failed_first_goes_before_tasks_of_a_batch_that_may_run_in_any_order(self, project: Project) -> None:
        project.plan(batch("1", task("1.1"), failing("1.2"), parallel=True))
        project.run("plans")

        assert project.run("plans", "--ff").done == ["1.2", "1.1"]

    def test_but_not_before_what_stands_before_it_in_a_batch_that_runs_in_order(self, project: Project) -> None:
        project.plan(batch("1", task("1.1"), failing("1.2")))
        project.run("plans")

        assert project.run("plans", "--ff").done == ["1.1", "1.2"]

    def test_a_chain_of_a_thousand_tasks_is_collected(self, project: Project) -> None:
        tasks = [task(f"1.{number}", f"**Depends on:** 1.{number + 1}") for number in range(1, 1000)]
        project.plan(batch("1", *tasks, task("1.1000"), parallel=True))

        text = project.run("--co", "-q", "plans").text

        assert "1001 tests collected" in text
        assert text.index("::1.1000-") < text.index("::1.999-") < text.index("::1.1-")


class TestSkipping:
    def test_what_needs_a_failed_task_is_skipped_with_that_reason(self, project: Project) -> None:
        project.plan(batch("1", failing("1.1")), batch("2", task("2.1"), needs="Batch 1"), batch("3", task("3.1")))

        result = project.run("plans", "-rs")

        assert result.outcomes == {"1.1": "failed", "2.1": "skipped", "3.1": "passed", "final-state": "passed"}
        assert reason(result, "2.1") == "Skipped: It needs task 1.1 of batch 1, which has failed."
        assert result.property("2.1", "outcome") == "skipped"
        assert "plans/plan.md:" in result.line("SKIPPED")

    def test_and_so_is_what_needs_that(self, project: Project) -> None:
        project.plan(
            batch("1", failing("1.1")),
            batch("2", task("2.1"), needs="Batch 1"),
            batch("3", task("3.1"), needs="Batch 2"),
        )

        result = project.run("plans")

        assert result.outcomes["3.1"] == "skipped"
        assert "task 2.1 of batch 2, which was skipped" in reason(result, "3.1")

    def test_one_failed_need_of_several_is_enough(self, project: Project) -> None:
        project.plan(batch("1", task("1.1"), failing("1.2")), batch("2", task("2.1"), needs="Batch 1"))

        assert project.run("plans").outcomes["2.1"] == "skipped"

    def test_a_run_is_not_touched_by_what_failed_in_another(self, project: Project) -> None:
        failing_until(project, 2)
        project.plan(batch("1", task("1.1")), batch("2", task("2.1"), needs="Batch 1"))

        result = project.run("plans", "--count", "3")

        assert [result.outcomes[f"run-0{run} 2.1"] for run in (1, 2, 3)] == ["skipped", "failed", "passed"]

    def test_the_final_state_is_not_looked_at_where_nothing_passed(self, project: Project) -> None:
        project.plan(batch("1", failing("1.1")))

        result = project.run("plans")

        assert result.outcomes["final-state"] == "skipped"
        assert "No task of the plan has passed in this run." in reason(result, "final-state")

    def test_a_completed_task_is_skipped_with_that_reason_and_counts_as_met(self, project: Project) -> None:
        project.plan(
            batch("1", task("1.1", "**Status:** completed", file=None)), batch("2", task("2.1"), needs="Batch 1")
        )

        result = project.run("plans")

        assert result.outcomes == {"1.1": "skipped", "2.1": "passed", "final-state": "passed"}
        assert reason(result, "1.1") == "Skipped: The plan says that it is completed."
        assert result.property("1.1", "outcome") == "completed"
        assert result.code == 0

    def test_a_plan_that_is_completed_as_a_whole_is_a_success(self, project: Project) -> None:
        project.plan(batch("1", task("1.1", "**Status:** completed", file=None)))

        result = project.run("plans")

        assert set(result.outcomes.values()) == {"skipped"}
        assert result.code == 0
        assert "criterion met: 1 of 1" in result.text

    @pytest.mark.parametrize("how", ["front", "flag"])
    def test_what_needs_an_open_pull_request_is_skipped(self, project: Project, how: str) -> None:
        project.plan(
            batch("1", task("1.1")),
            batch("2", task("2.1"), needs="Batch 1"),
            front="auto_merge: false" if how == "front" else "",
        )

        result = project.run("plans", *([] if how == "front" else ["--no-auto-merge"]))

        assert result.outcomes["1.1"] == "passed"
        assert result.property("1.1", "pull_request_state") == "open"
        assert result.outcomes["2.1"] == "skipped"
        assert "task 1.1 of batch 1, which was left as an open pull request, not merged" in reason(result, "2.1")

    def test_a_need_that_was_not_selected_counts_as_met(self, project: Project) -> None:
        project.plan(batch("1", failing("1.1")), batch("2", task("2.1"), needs="Batch 1"))

        result = project.run("plans", "-k", "2.1")

        assert result.outcomes == {"2.1": "passed"}
        assert "which it needs, was not selected (counts as met)" in result.text
