"""``--resume``: what was proved is told, what was begun is finished, what was not is done; nothing is done twice."""

from __future__ import annotations

import signal
import sqlite3
import xml.etree.ElementTree as ElementTree
from collections import Counter
from contextlib import closing

import pytest

from .conftest import Project, batch, task
from .own_agent import noted, own_agent

STOPS = """
import os, signal
for what in ("stop", "fail", "kill"):
    flag = HERE / f"{what}-{request.run}-{task}"
    if not flag.exists():
        continue
    flag.unlink()
    if what == "stop":
        raise KeyboardInterrupt
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return AgentResult(AgentStatus.FAILED, "It cannot.", cost_usd=Decimal("0.5"))
"""
FINISHED = """
def pytest_pipeline_run_finished(event):
    note("finished", event.run, event.outcome)
"""


@pytest.fixture
def stopped(project: Project) -> Project:
    """A project with an agent that stops at a task of a run where a file says so, once."""
    own_agent(project, STOPS, hooks=FINISHED)
    project.plan(batch("1", task("1.1"), task("1.2")), batch("2", task("2.1"), needs="Batch 1"))
    return project


def at(project: Project, what: str, run: int, number: str) -> None:
    (project.path / f"{what}-{run}-{number}").touch()


def asked(project: Project) -> list[str]:
    """Each task that an agent was asked for, as ``run task``."""
    return [line.removeprefix("run ") for line in noted(project) if line.startswith("run ")]


def cases(project: Project) -> Counter[str]:
    """How often each test case is in the JUnit record, and how it ended."""
    found: Counter[str] = Counter()
    for each in ElementTree.parse(project.path / "record.xml").iter("testcase"):
        told = {str(one.get("name")): one.get("value") for one in each.iter("property")}
        found[f"{told['pipeline.run']} {told['pipeline.task']} {told['pipeline.outcome']}"] += 1
    return found


def everything(outcome: str = "passed", runs: int = 2) -> Counter[str]:
    return Counter(
        f"{run} {name} {outcome}" for run in range(1, runs + 1) for name in ("1.1", "1.2", "2.1", "final-state")
    )


def test_after_ctrl_c_it_goes_on_and_tells_what_was_proved_as_it_was(stopped: Project) -> None:
    at(stopped, "stop", 2, "1.2")
    before = stopped.run("plans", "--count", "2")
    assert before.code == 2

    after = stopped.run("plans", "--resume", "--junitxml=record.xml")

    assert after.code == 0, after.text
    assert asked(stopped) == ["1 1.1", "1 1.2", "1 2.1", "2 1.1", "2 1.2", "2 1.2", "2 2.1"]
    for told in ("run-01 1.1", "run-01 2.1", "run-02 1.1"):
        first, again = (dict(each.report(told, "teardown").user_properties) for each in (before, after))
        assert again == first, "the properties of its first record"
    assert after.property("run-02 1.2", "attempt") == "2"
    assert after.property("run-02 1.2", "draws") == "2"
    assert "retried: 1 task run (run 2, 1.2 of plans/plan.md: 2 attempts, 1 new draw)" in after.text
    assert cases(stopped) == everything()
    assert "criterion met: 2 of 2 consecutive runs" in after.text
    assert [line for line in noted(stopped) if "finished" in line] == [
        "finished 1 passed",
        "finished 2 interrupted",
        "finished 2 passed",
    ], "an end is told once"


def test_what_was_selected_is_told_again_where_the_first_process_was_killed_before_it_could(stopped: Project) -> None:
    at(stopped, "stop", 1, "1.1")
    stopped.run("plans", "--count", "2")
    with closing(sqlite3.connect(stopped.path / ".pipeline" / "state.db")) as store, store:
        store.execute("DELETE FROM pipeline_fact WHERE name IN ('items', 'selected')")

    assert stopped.run("plans", "--resume").code == 0

    with closing(sqlite3.connect(stopped.path / ".pipeline" / "state.db")) as store:
        names = [name for (name,) in store.execute("SELECT name FROM pipeline_fact")]
    assert (names.count("items"), names.count("selected")) == (1, 1)


def test_it_can_be_interrupted_again_and_again(stopped: Project) -> None:
    for run, number in ((1, "1.1"), (1, "2.1"), (2, "1.1")):
        at(stopped, "stop", run, number)
    assert stopped.run("plans", "--count", "2").code == 2
    assert stopped.run("plans", "--resume").code == 2
    assert stopped.run("plans", "--resume").code == 2

    last = stopped.run("plans", "--resume", "--junitxml=record.xml")

    assert last.code == 0, last.text
    assert Counter(asked(stopped)) == {"1 1.1": 2, "1 1.2": 1, "1 2.1": 2, "2 1.1": 2, "2 1.2": 1, "2 2.1": 1}
    assert cases(stopped) == everything()


def test_with_nothing_left_to_do_it_says_so_and_does_nothing(stopped: Project) -> None:
    assert stopped.run("plans").code == 0

    again = stopped.run("plans", "--resume")

    assert again.code == pytest.ExitCode.USAGE_ERROR
    assert "Every session came to its end: there is none to resume" in again.errors
    assert len(asked(stopped)) == 3


def test_without_a_plan_it_asks_for_one(stopped: Project) -> None:
    found = stopped.run("--resume", "plans")

    assert found.code == pytest.ExitCode.USAGE_ERROR
    assert "Name those of the session on the command line, before --resume" in found.errors


def test_what_has_failed_stays_failed_until_fresh_failures_are_asked_for(stopped: Project) -> None:
    at(stopped, "fail", 1, "1.1")
    at(stopped, "stop", 2, "1.2")
    assert stopped.run("plans", "--count", "2").code == 2

    after = stopped.run("plans", "--resume")

    assert after.code == 1
    assert asked(stopped).count("1 1.1") == 1
    assert after.outcomes["run-01 1.1"] == "failed"
    assert after.outcomes["run-01 2.1"] == "skipped"
    assert "It cannot. (It failed before the session was resumed.)" in after.text
    assert "criterion not met" in after.text

    fresh = stopped.run("plans", "--resume", "--fresh-failures", "--junitxml=record.xml")

    assert fresh.code == 0, fresh.text
    assert asked(stopped).count("1 1.1") == 2
    assert asked(stopped).count("1 1.2") == 1
    assert asked(stopped).count("1 2.1") == 1, "what was skipped because of it has run"
    assert fresh.property("run-01 1.1", "draws") == "2"
    assert "evidence: 0 of 2 whole runs succeeded without a new draw" in fresh.text
    assert "criterion met: 2 of 2 consecutive runs (2 runs with a new draw)" in fresh.text
    assert cases(stopped) == everything()
    assert fresh.report("run-01 final-state", "call").passed


def test_a_final_state_is_looked_at_again_after_something_was_merged(stopped: Project) -> None:
    """It had passed with what there was then."""
    at(stopped, "fail", 1, "1.2")
    before = stopped.run("plans")
    assert before.outcomes["final-state"] == "passed"
    assert before.property("final-state", "merges") == "1"

    after = stopped.run("plans", "--resume", "--fresh-failures")

    assert after.code == 0, after.text
    assert after.property("final-state", "merges") == "3"
    assert after.property("final-state", "attempt") == "2"


def test_after_x_the_rest_is_run(stopped: Project) -> None:
    at(stopped, "fail", 1, "1.1")
    assert stopped.run("plans", "-x", "--count", "2").code == 1
    assert asked(stopped) == ["1 1.1"]

    after = stopped.run("plans", "--resume", "--junitxml=record.xml")

    assert after.code == 1
    assert asked(stopped) == ["1 1.1", "1 1.2", "2 1.1", "2 1.2", "2 2.1"]
    assert sum(cases(stopped).values()) == 8
    assert "run 1: 1.1 of plans/plan.md: agent" in after.text


def test_enough_runs_in_a_row_are_enough(stopped: Project) -> None:
    at(stopped, "stop", 2, "2.1")
    assert stopped.run("plans", "--count", "5", "--until-consecutive", "2").code == 2

    after = stopped.run("plans", "--resume")

    assert after.code == 0, after.text
    assert "criterion met: 2 of 2 consecutive runs" in after.text
    assert {each.partition(" ")[0] for each in asked(stopped)} == {"1", "2"}
    assert after.counts["deselected"] == 12


def test_another_selection_is_refused(stopped: Project) -> None:
    at(stopped, "stop", 1, "1.2")
    stopped.run("plans")

    found = stopped.run("plans", "--resume", "-k", "1.2")

    assert found.code == pytest.ExitCode.USAGE_ERROR
    assert "other items were selected" in found.errors
    assert stopped.run("plans", "--resume").code == 0


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0)])
def test_a_session_that_was_killed_goes_on_with_other_workers(stopped: Project, before: int, after: int) -> None:
    at(stopped, "kill", 1, "1.2")
    many = ("-n", str(before), "--max-worker-restart=0") if before else ("-p", "no:xdist")

    killed = stopped.run_apart("plans", "--count", "2", *many)

    assert killed.code == (1 if before else -signal.SIGKILL), killed.text
    more = ("-n", str(after)) if after else ("-p", "no:xdist")
    again = stopped.run_apart("plans", "--resume", "--fresh-failures", "--junitxml=record.xml", *more)
    assert again.code == 0, again.text
    assert cases(stopped) == everything()
    assert Counter(asked(stopped)) == {**dict.fromkeys(("1 1.1", "1 2.1", "2 1.1", "2 1.2", "2 2.1"), 1), "1 1.2": 2}
