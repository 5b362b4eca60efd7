"""``--agent-retries``: a task whose agent was unavailable is tried again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from pytest_pipeline.cases.retrying import pauses
from pytest_pipeline.errors import FailureKind
from pytest_pipeline.record.model import Outcome, TaskRunRecord
from pytest_pipeline.record.store import Store

from .conftest import Project, batch, task
from .own_agent import UNAVAILABLE, noted, own_agent

WAIT = """
    def pytest_collection_modifyitems(config):
        config.pluginmanager.get_plugin("pipeline-lifecycle").wait = lambda seconds: note("waits", seconds)
"""


def unavailable(project: Project, times: int, *, answer: str = UNAVAILABLE, hooks: str = WAIT) -> None:
    """Use an agent that is not available so many times."""
    own_agent(
        project,
        f"""
        Own.tries += 1
        note("clean", not (request.workspace / "rubbish.txt").exists())
        if Own.tries <= {times}:
            (request.workspace / "rubbish.txt").write_text("left")
            {answer}
        cost = Decimal("0.5")
        """,
        members="tries = 0",
        hooks=hooks,
    )


def record(project: Project, name: str = "1.1") -> TaskRunRecord:
    """The record of a task in the last session."""
    with Store.open(f"sqlite:///{project.path}/.pipeline/state.db") as store:
        session = store.sessions()[-1].id
        (found,) = [each for each in store.task_runs(session) if each.key.task == name]
        return found


def waits(project: Project) -> list[str]:
    return [line for line in noted(project) if line.startswith("waits")]


@pytest.fixture
def plan(project: Project) -> Project:
    project.plan(batch("1", task("1.1")))
    return project


def test_pauses_double_from_five_seconds_to_a_minute() -> None:
    assert list(pauses(6)) == [5, 10, 20, 40, 60, 60]
    assert list(pauses(0)) == []
    assert set(islice(pauses(10**6), 5000, 5010)) == {60}


def test_a_later_attempt_decides_and_the_item_passes_once(plan: Project) -> None:
    unavailable(plan, 2)

    result = plan.run("plans", "--agent-retries", "3")

    assert result.code == 0, result.text
    assert result.outcomes == {"1.1": "passed", "final-state": "passed"}
    assert waits(plan) == ["waits 5.0", "waits 10.0"]
    assert result.property("1.1", "attempt") == "3"


def test_each_attempt_is_in_the_record_with_its_kind_its_steps_and_its_cost(plan: Project) -> None:
    unavailable(plan, 2)

    result = plan.run("plans", "--agent-retries", "2")

    first, second, last = record(plan).attempts
    for failed in (first, second):
        assert (failed.outcome, failed.failure_kind) == (Outcome.FAILED, FailureKind.INFRASTRUCTURE)
        assert failed.properties["cost_usd"] == "0.25"
        assert [(step.name, str(step.outcome)) for step in failed.steps] == [
            ("prepare", "passed"),
            ("agent", "failed"),
            ("cleanup", "passed"),
        ]
    assert first.finished is not None
    assert first.finished < second.started
    assert (last.outcome, last.failure_kind, last.properties["cost_usd"]) == (Outcome.PASSED, None, "0.5")
    assert [step.name for step in last.steps][:3] == ["prepare", "agent", "verify"]
    assert [each.properties["branch"].rpartition("task-1-1")[2] for each in (first, second, last)] == [
        "",
        "-attempt-2",
        "-attempt-3",
    ]
    assert result.property("1.1", "cost_usd_all_attempts") == "1.00"
    assert "cost: 1.00 USD" in result.text
    assert "retried: 1 task run (run 1, 1.1 of plans/plan.md: 3 attempts, 2 new draws)" in result.text
    assert result.property("1.1", "draws") == "3", "each of them has cost something"


def test_each_attempt_has_a_workspace_of_its_own(plan: Project) -> None:
    unavailable(plan, 1)

    plan.run("plans", "--agent-retries", "1")

    assert [line for line in noted(plan) if line.startswith("clean")] == ["clean True", "clean True"]


def test_it_is_not_tried_more_often_than_allowed(plan: Project) -> None:
    unavailable(plan, 9)

    result = plan.run("plans", "--agent-retries", "2")

    assert result.outcomes["1.1"] == "failed"
    assert len(record(plan).attempts) == 3
    assert len(waits(plan)) == 2
    assert "infrastructure: The agent ended as unavailable: Overloaded." in result.text


HOPELESS = UNAVAILABLE.replace("retryable=True", "retryable=False")


@pytest.mark.parametrize(("answer", "flags"), [(UNAVAILABLE, ()), (HOPELESS, ("--agent-retries", "2"))])
def test_without_being_asked_or_without_hope_it_is_not_tried_again(
    plan: Project, answer: str, flags: tuple[str, ...]
) -> None:
    unavailable(plan, 9, answer=answer)

    result = plan.run("plans", *flags)

    assert result.outcomes["1.1"] == "failed"
    assert waits(plan) == []
    assert len(record(plan).attempts) == 1


def test_what_the_agent_itself_failed_at_is_not_tried_again(plan: Project) -> None:
    unavailable(plan, 9, answer='return AgentResult(AgentStatus.FAILED, "No.", retryable=True)')

    plan.run("plans", "--agent-retries", "2")

    assert len(record(plan).attempts) == 1


def test_a_failure_of_another_kind_in_a_later_attempt_ends_it(plan: Project) -> None:
    unavailable(plan, 1)
    plan.plan(batch("1", task("1.1", "", "**Verification:**", "- `test -e never-made.txt`")))

    result = plan.run("plans", "--agent-retries", "5")

    assert [each.failure_kind for each in record(plan).attempts] == [
        FailureKind.INFRASTRUCTURE,
        FailureKind.VERIFICATION,
    ]
    assert result.property("1.1", "failure_kind") == "verification"


def test_a_plan_and_a_task_say_how_often(project: Project) -> None:
    unavailable(project, 9)
    project.plan(batch("1", task("1.1")), front="agent_retries: 1")

    project.run("plans")

    assert len(record(project).attempts) == 2


def test_it_is_not_tried_again_once_the_cost_limit_is_reached(plan: Project) -> None:
    unavailable(plan, 9)

    result = plan.run("plans", "--agent-retries", "5", "--max-cost", "0.5")

    assert len(record(plan).attempts) == 2
    assert result.outcomes["1.1"] == "failed"


def test_reruns_come_on_top(plan: Project) -> None:
    unavailable(plan, 3)

    result = plan.run("plans", "--agent-retries", "1", "--reruns", "1")

    assert result.code == 0, result.text
    assert [str(each.outcome) for each in record(plan).attempts] == ["failed"] * 3 + ["passed"]
    assert result.counts == {"passed": 2, "rerun": 1}


def test_whoever_watches_is_told(plan: Project) -> None:
    watch = "\ndef pytest_pipeline_agent_activity(event): note('told', event.task.attempt, event.line)\n"
    unavailable(plan, 1, hooks=WAIT.replace("\n    ", "\n") + watch)

    plan.run("plans", "--agent-retries", "1")

    assert "told 2 the agent was not available; it is tried again in 5 s" in noted(plan)


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_ends_the_wait_and_the_attempt_that_was_to_come_is_interrupted(plan: Project) -> None:
    unavailable(
        plan,
        9,
        hooks="""
        import time

        def pytest_collection_modifyitems(config):
            def wait(seconds):
                note("waits")
                time.sleep(600)
            config.pluginmanager.get_plugin("pipeline-lifecycle").wait = wait
        """,
    )

    code = _interrupt_when(plan.path / "noted.txt", "waits", plan.path)

    assert code == pytest.ExitCode.INTERRUPTED
    assert [(str(each.outcome), each.failure_kind) for each in record(plan).attempts] == [
        ("failed", FailureKind.INFRASTRUCTURE),
        ("interrupted", FailureKind.INTERRUPTED),
    ]


def _interrupt_when(file: Path, line: str, cwd: Path) -> int:
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "plans", "--agent-retries=3", "-p", "no:cacheprovider"],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as child:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and child.poll() is None:
            if file.exists() and line in file.read_text():
                break
            time.sleep(0.02)
        os.kill(child.pid, signal.SIGINT)
        return child.wait(timeout=60)
