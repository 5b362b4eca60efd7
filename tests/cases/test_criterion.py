"""N consecutive successful runs: verdict, exit code, early stop, interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from pytest_pipeline.cases.conducting import out_of_reach
from pytest_pipeline.record.model import Outcome, RunRecord
from pytest_pipeline.record.store import Store

from .conftest import Project, batch, failing, failing_until, task
from .own_agent import own_agent


@pytest.fixture
def one_task(project: Project) -> Project:
    project.plan(batch("1", task("1.1")))
    return project


class TestExitCode:
    def test_all_runs_successful_is_zero(self, project: Project) -> None:
        project.plan(batch("1", task("1.1")))

        result = project.run("plans", "--count", "2")

        assert result.code == 0
        assert result.text.splitlines()[-2].startswith("criterion met: 2 of 2 consecutive runs")

    def test_a_failed_task_is_one(self, project: Project) -> None:
        project.plan(batch("1", failing("1.1")))

        result = project.run("plans")

        assert result.code == pytest.ExitCode.TESTS_FAILED
        assert "criterion not met: 0 of 1 consecutive runs (broken by run 1: task 1.1 of" in result.text

    @pytest.mark.parametrize(
        "arguments",
        [
            ("plans/plan.md::run-02",),
            ("plans", "-k", "run-01"),
            ("plans", "--deselect", "plans/plan.md::run-02"),
        ],
    )
    def test_too_few_runs_that_all_passed_are_eight(self, project: Project, arguments: tuple[str, ...]) -> None:
        project.plan(batch("1", task("1.1")))

        result = project.run(*arguments, "--count", "2")

        assert set(result.outcomes.values()) == {"passed"}
        assert result.code == 8
        assert "criterion not met: 1 of 2 consecutive runs" in result.text

    def test_last_failed_that_passes_now_is_eight(self, one_task: Project) -> None:
        failing_until(one_task, 2)
        assert one_task.run("plans", "--count", "2").code == 1

        result = one_task.run("plans", "--count", "2", "--lf")

        assert result.done == ["run-01 1.1"]
        assert result.code == 8

    def test_a_failing_run_breaks_the_criterion_wherever_it_is(self, one_task: Project) -> None:
        failing_until(one_task, 2)

        result = one_task.run("plans", "--count", "3")

        assert result.outcomes["run-01 1.1"] == "failed"
        assert result.code == pytest.ExitCode.TESTS_FAILED
        assert "criterion not met: 2 of 3 consecutive runs (broken by run 1" in result.text

    def test_usage_errors_keep_their_code(self, project: Project) -> None:
        project.plan(batch("1", task("1.1")))

        result = project.run("plans", "--agent", "no-such-agent")

        assert result.code == pytest.ExitCode.USAGE_ERROR
        assert "There is no agent `no-such-agent`." in result.errors + result.text
        assert "Traceback" not in result.errors + result.text

    def test_where_claude_has_no_login_the_error_names_the_rehearsal(self, project: Project, claude_cli: Path) -> None:
        project.write("pytest.ini", "[pytest]\n")
        project.plan(batch("1", task("1.1")))

        result = project.run("plans")

        assert result.code == pytest.ExitCode.USAGE_ERROR
        assert "has no login here" in result.errors + result.text
        assert "--rehearse" in result.errors + result.text


class TestUntilConsecutive:
    def test_it_stops_once_enough_runs_in_a_row_have_succeeded(self, one_task: Project) -> None:
        failing_until(one_task, 3)

        result = one_task.run("plans", "--count", "6", "--until-consecutive", "2")

        assert result.done == ["run-01 1.1", "run-02 1.1", "run-03 1.1", "run-04 1.1"]
        assert result.code == 0
        assert "criterion met: 2 of 2 consecutive runs" in result.text
        assert "4 runs admitted: 2 successful, 2 failed" in result.text
        assert result.counts["deselected"] == 4

    def test_the_failures_before_are_shown_plainly(self, one_task: Project) -> None:
        failing_until(one_task, 2)

        text = one_task.run("plans", "--count", "3", "--until-consecutive", "1").text

        assert "FAILED plans/plan.md::run-01::batch-1::1.1-make-1.1" in text
        assert "whole run                    F ." in text

    def test_it_stops_once_too_few_runs_are_left(self, one_task: Project) -> None:
        failing_until(one_task, 2)

        result = one_task.run("plans", "--count", "3", "--until-consecutive", "3")

        assert result.done == ["run-01 1.1"]
        assert result.code == pytest.ExitCode.TESTS_FAILED
        assert "criterion not met: 0 of 3 consecutive runs" in result.text
        assert "note: 3 successful runs in a row were out of reach, so 2 more runs did not begin." in result.text
        assert result.counts["deselected"] == 4

    def test_it_goes_on_while_just_enough_are_left(self, one_task: Project) -> None:
        failing_until(one_task, 2)

        result = one_task.run("plans", "--count", "3", "--until-consecutive", "2")

        assert result.code == 0
        assert "out of reach" not in result.text

    @pytest.mark.parametrize(
        ("ended", "unbegun", "lost"),
        [
            ("F", 3, False),
            ("F", 2, True),
            ("PPFP", 1, True),
            ("PPFP", 2, False),
            ("FRR", 1, False),
            ("RRF", 2, True),
            ("PI", 2, True),
            ("", 1, False),
            ("P", 1, False),
        ],
    )
    def test_what_runs_may_still_succeed_and_what_was_not_selected_breaks_nothing(
        self, ended: str, unbegun: int, lost: bool
    ) -> None:
        words = {"P": Outcome.PASSED, "F": Outcome.FAILED, "R": Outcome.RUNNING, "I": Outcome.INTERRUPTED}
        began = datetime(2026, 1, 1, tzinfo=timezone.utc)
        runs = [RunRecord("s", 9, number, began, words[letter]) for number, letter in enumerate(ended, 1)]
        assert out_of_reach(runs[::-1], unbegun, 3) is lost

    def test_a_failing_python_test_beside_it_keeps_its_code(self, one_task: Project) -> None:
        failing_until(one_task, 2)
        one_task.write("test_python.py", "def test_fails(): assert 0\n")

        result = one_task.run("plans", "test_python.py", "--count", "2", "--until-consecutive", "1", "-p", "no:repeat")

        assert result.code == pytest.ExitCode.TESTS_FAILED
        assert "criterion met: 1 of 1" in result.text

    def test_so_does_a_python_module_that_cannot_be_imported(self, one_task: Project) -> None:
        failing_until(one_task, 2)
        one_task.write("test_python.py", "import no_such_module_anywhere\n")

        result = one_task.run(
            "plans",
            "test_python.py",
            "--count=2",
            "--until-consecutive=1",
            "--continue-on-collection-errors",
        )

        assert "criterion met: 1 of 1" in result.text
        assert result.code == pytest.ExitCode.TESTS_FAILED

    def test_python_tests_after_the_streak_still_run(self, project: Project) -> None:
        project.plan(batch("1", task("1.1")))
        project.write("test_python.py", "def test_passes(): pass\n")

        result = project.run("plans", "test_python.py", "--count=2", "--until-consecutive=1", "-p", "no:repeat")

        assert result.done == ["run-01 1.1", "test_passes"]
        assert result.outcomes["test_passes"] == "passed"

    def test_an_error_when_the_plan_is_left_behind_keeps_its_code(self, project: Project) -> None:
        project.write(
            "plans/conftest.py",
            """
            import pytest

            @pytest.fixture(scope="module", autouse=True)
            def around():
                yield
                raise OSError("cannot tear down")
            """,
        )
        project.plan(batch("1", task("1.1")))
        project.write("other/test_python.py", "def test_passes(): pass\n")

        result = project.run("plans", "other", "--count=2", "--until-consecutive=1", "-p", "no:repeat")

        assert result.text.count("E       OSError: cannot tear down") == 1
        assert result.outcomes["test_passes"] == "passed"
        assert "criterion met: 1 of 1" in result.text
        assert result.code == pytest.ExitCode.TESTS_FAILED

    def test_more_than_there_are_runs_is_a_usage_error(self, project: Project) -> None:
        project.plan(batch("1", task("1.1")))

        result = project.run("plans", "--count", "2", "--until-consecutive", "3")

        assert result.code == pytest.ExitCode.USAGE_ERROR
        assert "can never be met by --count 2. Raise --count to at least that number." in result.errors

    def test_it_stops_also_where_runs_of_several_plans_interleave(self, project: Project) -> None:
        project.plan(batch("1", task("1.1")), name="plans/a.md")
        project.plan(batch("1", task("2.1")), name="plans/b.md")

        result = project.run("plans", "--count", "3", "--until-consecutive", "1")

        assert result.done == ["run-01 1.1", "run-01 2.1"]


class TestInterrupted:
    """Ctrl-C while an agent works, in a process of its own."""

    @pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
    def test_the_run_is_recorded_as_interrupted_and_the_code_is_pytests(self, project: Project) -> None:
        started = project.path / "started.txt"
        agent = project.write("agent.sh", f"touch {started}; sleep 600\n")
        project.write("pytest.ini", f"[pytest]\npipeline_agent = command\npipeline_agent_command = /bin/sh {agent}\n")
        project.plan(batch("1", task("1.1"), task("1.2")))

        code, text = interrupt_when(started, project.path)

        assert code == pytest.ExitCode.INTERRUPTED, text
        assert "criterion not met: 0 of 1 consecutive runs (broken by run 1: task 1.1 of plans/plan.md" in " ".join(
            text.split()
        )
        assert "I interrupted" in text
        assert "1 run admitted: 0 successful, 1 failed, 0 unfinished" in text

    def test_what_an_agent_had_cost_by_then_is_in_the_record(self, project: Project) -> None:
        own_agent(project, 'request.on_cost(Decimal("0.40")); raise KeyboardInterrupt')
        project.plan(batch("1", task("1.1")))

        result = project.run_apart("plans")

        assert result.code == pytest.ExitCode.INTERRUPTED
        assert "cost: 0.40 USD, estimated for 1 attempt" in result.text
        with Store.open(f"sqlite:///{project.path}/.pipeline/state.db") as store:
            (record,) = store.task_runs(store.sessions()[0].id)
        assert str(record.outcome) == "interrupted"
        assert record.attempts[0].properties["cost_estimated"] == "yes"

    def test_an_interruption_by_a_test_ends_with_code_two_and_a_summary(self, project: Project) -> None:
        project.plan(batch("1", task("1.1")))
        project.write("test_python.py", "def test_a(): raise KeyboardInterrupt\n")

        result = project.run_apart("test_python.py", "plans")

        assert result.code == pytest.ExitCode.INTERRUPTED
        assert "criterion not met: 0 of 1 consecutive runs (only 0 of 1 runs took place)" in result.text


def interrupt_when(there: Path, cwd: Path) -> tuple[int, str]:
    """Run pytest and send Ctrl-C when a file is there; exit code and output."""
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "plans", "-p", "no:cacheprovider"],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as child:
        deadline = time.monotonic() + 60
        while not there.exists() and time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.02)
        os.kill(child.pid, signal.SIGINT)
        text, _ = child.communicate(timeout=60)
    return child.returncode, text


class TestHistory:
    def test_a_criterion_is_built_up_over_sessions(self, one_task: Project) -> None:
        first = one_task.run("plans", "--count-history", "2")
        second = one_task.run("plans", "--count-history", "2")

        assert (first.code, second.code) == (8, 0)
        assert "criterion not met: 1 of 2 consecutive runs (1 more run to go)" in first.text
        assert "criterion met: 2 of 2 consecutive runs" in second.text

    def test_a_changed_plan_begins_anew_and_says_so(self, one_task: Project) -> None:
        one_task.run("plans")
        one_task.plan(batch("1", task("1.1"), task("1.2")))

        result = one_task.run("plans", "--history")

        assert "history: streak 1, longest 1; 1 of 1 runs succeeded in this session alone; the session" in result.text
        assert "had another plan text" in result.text
        assert result.code == 0
