"""``--max-cost``: once the session has cost so much, no further task starts."""

from __future__ import annotations

import pytest

from pytest_pipeline.record.store import Store

from .conftest import Project, batch, failing, task
from .own_agent import noted, own_agent

REASON = "The session has cost {} USD, and --max-cost allows {}. Raise it to go on."


@pytest.fixture
def dear(project: Project) -> Project:
    """Two tasks, of which each costs 1.10 dollars; the limit is 3, so that the third one reaches it."""
    own_agent(project, 'cost = Decimal("1.10")')
    project.plan(batch("1", task("1.1"), task("1.2")))
    return project


def test_no_further_task_starts_and_each_says_why(dear: Project) -> None:
    result = dear.run("plans", "--max-cost", "3", "--count", "3")

    assert noted(dear) == ["run 1 1.1", "run 1 1.2", "run 2 1.1"]
    told = {name: word for name, word in result.outcomes.items() if word != "passed"}
    assert told == dict.fromkeys(
        ["run-02 1.2", "run-02 final-state", "run-03 1.1", "run-03 1.2", "run-03 final-state"], "skipped"
    )
    reasons = [each.longrepr[2] for each in result.journal.reports if each.skipped and isinstance(each.longrepr, tuple)]
    assert reasons == ["Skipped: " + REASON.format("3.30", "3")] * 5


def test_the_criterion_is_not_met_and_nothing_has_failed(dear: Project) -> None:
    result = dear.run("plans", "--max-cost", "3", "--count", "3")

    assert result.code == 8
    words = " ".join(result.text.split())
    assert "criterion not met: 0 of 3 consecutive runs (broken by run 2: task 1.2 of plans/plan.md skipped)" in words
    assert "cost limit reached: 3.30 USD of 3 (--max-cost); no task started after that" in result.text


def test_a_task_that_failed_before_keeps_pytests_code(project: Project) -> None:
    own_agent(project, "cost = Decimal(2)")
    project.plan(batch("1", failing("1.1"), task("1.2")))

    result = project.run("plans", "--max-cost", "1")

    assert result.code == pytest.ExitCode.TESTS_FAILED
    assert result.outcomes == {"1.1": "failed", "1.2": "skipped", "final-state": "skipped"}


def test_a_run_that_never_began_is_no_failed_run(dear: Project) -> None:
    result = dear.run("plans", "--max-cost", "2.2", "--count", "4")

    assert noted(dear) == ["run 1 1.1", "run 1 1.2"]
    assert "1 run admitted: 1 successful, 0 failed, 0 unfinished" in result.text
    assert "criterion not met: 1 of 4 consecutive runs (only 1 of 4 runs took place)" in result.text
    with Store.open(f"sqlite:///{dear.path}/.pipeline/state.db") as store:
        (session,) = store.sessions()
        assert [run.number for run in store.runs(session.id)] == [1]
        assert {record.key.run for record in store.task_runs(session.id)} == {1}


def test_its_tasks_still_say_in_junit_which_they_are(dear: Project) -> None:
    result = dear.run("plans", "--max-cost", "2.2", "--count", "2")

    assert result.property("run-02 1.1", "outcome") == "skipped"
    assert (result.property("run-02 1.1", "run"), result.property("run-02 1.1", "task")) == ("2", "1.1")


def test_a_final_state_costs_nothing_and_is_looked_at_where_no_task_was_refused(dear: Project) -> None:
    result = dear.run("plans", "--max-cost", "2.2")

    assert result.outcomes == {"1.1": "passed", "1.2": "passed", "final-state": "passed"}
    assert result.code == 0
    assert "cost limit reached: 2.20 USD" in result.text


def test_of_several_plans_each_final_state_is_its_own(project: Project) -> None:
    own_agent(project, "cost = Decimal(1)")
    project.plan(batch("1", task("1.1")), name="plans/a.md")
    project.plan(batch("1", task("2.1")), name="plans/b.md")

    result = project.run("plans", "--max-cost", "1")

    states = [each.outcome for each in result.journal.reports if each.nodeid.endswith("final-state")]
    assert noted(project) == ["run 1 1.1"]
    assert "passed" in states
    assert "skipped" in states
    assert result.code == 8


def test_what_the_plan_calls_completed_stays_so(project: Project) -> None:
    own_agent(project, "cost = Decimal(1)")
    project.plan(batch("1", task("1.1"), task("1.2", "**Status:** completed"), task("1.3")))

    result = project.run("plans", "--max-cost", "1")

    assert result.property("1.2", "outcome") == "completed"
    assert result.property("1.3", "outcome") == "skipped"


def test_in_a_run_that_never_began_not_even_that_is_written(project: Project) -> None:
    own_agent(project, "cost = Decimal(1)")
    project.plan(batch("1", task("1.1", "**Status:** completed"), task("1.2")))

    result = project.run("plans", "--max-cost", "1", "--count", "2")

    assert [result.property(f"run-0{run} 1.1", "outcome") for run in (1, 2)] == ["completed", "skipped"]
    assert "1 run admitted: 1 successful" in result.text


def test_a_limit_that_is_not_reached_changes_nothing(dear: Project) -> None:
    result = dear.run("plans", "--max-cost", "2.21")

    assert result.code == 0
    assert "cost limit" not in result.text


def test_ten_times_ten_cents_reach_a_dollar(project: Project) -> None:
    own_agent(project, 'cost = Decimal("0.1")')
    project.plan(batch("1", *[task(f"1.{number}") for number in range(1, 13)]))

    result = project.run("plans", "--max-cost", "1", "-rs")

    assert list(result.outcomes.values()).count("passed") == 10
    assert REASON.format("1.00", "1") in result.text


def test_attempts_that_were_repeated_count_and_a_rerun_is_not_paid_for(project: Project) -> None:
    own_agent(project, "cost = Decimal(1)")
    project.plan(batch("1", failing("1.1")))

    result = project.run("plans", "--max-cost", "2", "--reruns", "5")

    assert noted(project) == ["run 1 1.1", "run 1 1.1"]
    assert "INTERNALERROR" not in result.text
    assert result.property("1.1", "outcome") == "failed"
    assert "(broken by run 1: task 1.1 of plans/plan.md failed, verification)" in " ".join(result.text.split())
    assert result.code != 0


def test_what_other_processes_have_spent_in_this_session_counts(dear: Project) -> None:
    dear.write(
        "plans/conftest.py",
        """
        from datetime import datetime, timezone
        from pytest_pipeline.record.model import TaskRunKey
        from pytest_pipeline.record.store import Store

        def pytest_runtest_logfinish(nodeid):
            if "1.1" in nodeid:
                with Store.open("sqlite:///.pipeline/state.db") as store:
                    key = TaskRunKey(store.sessions()[0].id, 1, "other.md", "1", "1")
                    attempt = store.admit_attempt(key, "", datetime.now(timezone.utc))
                    store.note_attempt(attempt, {"cost_usd": "7"})
        """,
    )

    result = dear.run("plans", "--max-cost", "3", "-rs")

    assert noted(dear) == ["run 1 1.1"]
    assert REASON.format("8.10", "3") in result.text


def test_the_limit_is_in_the_record(dear: Project) -> None:
    dear.run("plans", "--max-cost", "50")

    with Store.open(f"sqlite:///{dear.path}/.pipeline/state.db") as store:
        assert store.sessions()[0].facts["max_cost"] == "50"
