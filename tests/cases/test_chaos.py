"""``--chaos``: what pytest, the record and the summary make of a session whose faults are drawn by a seed."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from textwrap import dedent
from types import SimpleNamespace
from typing import cast

import pytest

import pytest_pipeline.execution.chaos.unleashing  # noqa: F401 - else pytester would forget it, and what a test changes in it
from pytest_pipeline.cases.chaos import expect_dying_workers
from pytest_pipeline.execution.chaos.dice import Dice
from pytest_pipeline.execution.chaos.faults import Need, possible
from tests.cases.conftest import Project, batch, failing, task

CASES = {number: f"plans.plan/batch-{number[0]}-task-{number.replace('.', '-')}" for number in ("1.1", "1.2", "2.1")}


def seed_of(*names: str, number: str = "1.1", workers: bool = False) -> str:
    """A seed by which that task meets exactly these faults at a rate of 0.3, and no other one to fail by."""
    here = possible({Need.LOCAL, Need.SQLITE, Need.CHANGES, *([Need.WORKER] if workers else [])})
    others = [case for each, case in CASES.items() if each != number]
    for seed in range(10**5):
        dice = Dice(seed, 0.3)
        drawn = {fault.name for fault in dice.faults(1, CASES[number], here)}
        if drawn == set(names) and not any(fault.fatal for other in others for fault in dice.faults(1, other, here)):
            return str(seed)
    raise AssertionError(names)


def test_a_task_that_fails_as_it_has_to_is_expected_to_and_the_session_passes(project: Project) -> None:
    project.plan(batch("1", task("1.1"), task("1.2")), batch("2", task("2.1"), needs="Batch 1"))
    seed = seed_of("agent-killed")

    ran = project.run("plans", "--count", "1", "--chaos", seed, "--chaos-rate", "0.3", "-rx", "--junitxml=record.xml")

    assert ran.code == 0, ran.text
    assert ran.counts["xfailed"] == 1
    assert ran.line("XFAIL").endswith("chaos: agent-killed")
    assert ran.property("1.1", "outcome") == "failed"
    assert ran.property("1.1", "failure_kind") == "agent"
    assert ran.property("1.1", "chaos") == "agent-killed (agent)"
    assert ran.line("pipeline: CHAOS").startswith(f"pipeline: CHAOS (seed {seed}, rate 0.3): faults are injected")
    assert ran.line("criterion not met: a session under chaos never meets one")
    assert "1 failed their tasks" in ran.text
    assert not any(line.startswith("run 1: ") for line in ran.text.splitlines())
    suite = {
        each.get("name"): each.get("value")
        for each in next(ElementTree.parse(project.path / "record.xml").iter("properties"))
    }
    assert suite["pipeline.chaos"] == f"seed {seed}, rate 0.3"
    assert suite["pipeline.criterion.met"] == "no"


def test_a_failure_that_no_fault_explains_fails_the_session_and_is_named(project: Project) -> None:
    project.plan(batch("1", failing("1.1"), task("1.2")))

    ran = project.run("plans", "--chaos", seed_of("store-busy"), "--chaos-rate", "0.3")

    assert ran.code == 1
    assert ran.counts["failed"] == 1
    assert "it failed with verification, which no fault explains" in " ".join(ran.text.split())
    assert any(line.startswith("run 1: 1.1 of plans/plan.md: verification") for line in ran.text.splitlines())


def test_a_fault_that_a_task_has_to_fail_by_and_does_not_fails_the_session(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_pipeline.execution.chaos.agents._DIES", "sh -c 'mkdir made; echo 1 > made/1.1.txt'")
    project.plan(batch("1", task("1.1")))

    ran = project.run("plans", "--chaos", seed_of("agent-killed"), "--chaos-rate", "0.3")

    assert ran.code == 1
    assert "failed" not in ran.counts
    assert "agent-killed had to make it fail with agent, but it passed" in " ".join(ran.text.split())


def test_what_is_absorbed_passes_and_meets_no_criterion_all_the_same(project: Project) -> None:
    project.plan(batch("1", task("1.1")))

    ran = project.run(
        "plans", "--count", "1", "--until-consecutive", "1", "--chaos", seed_of("answer-lost"), "--chaos-rate", "0.3"
    )

    assert ran.code == 0, ran.text
    assert ran.counts == {"passed": 2}
    assert ran.line("criterion not met: a session under chaos")
    assert ran.line("evidence: 1 of 1 whole runs succeeded under chaos, which proves no success rate.")


def test_a_worker_that_chaos_kills_is_replaced_and_its_task_was_to_fail(project: Project) -> None:
    project.plan(batch("1", task("1.1"), task("1.2")), batch("2", task("2.1"), needs="Batch 1"))
    seed = seed_of("worker-killed", number="1.2", workers=True)

    ran = project.run_apart("plans", "-n", "2", "--chaos", seed, "--chaos-rate", "0.3", "-rx", "--junitxml=record.xml")

    assert ran.code == 0, ran.text
    assert ran.line("XFAIL").endswith("chaos: worker-killed")
    assert ran.counts["xfailed"] == 1
    case = next(
        each
        for each in ElementTree.parse(project.path / "record.xml").iter("testcase")
        if each.get("name") == "1.2-make-1.2" and each.find("skipped") is not None
    )
    told = {each.get("name"): each.get("value") for each in case.iter("property")}
    assert told["pipeline.failure_kind"] == "infrastructure"
    assert "worker-killed (infrastructure)" in str(told["pipeline.chaos"])


def test_only_who_has_said_how_many_workers_may_be_replaced_is_believed() -> None:
    told = SimpleNamespace(maxworkerrestart=None)
    config = SimpleNamespace(option=told, getoption=lambda name, default: getattr(told, name))

    expect_dying_workers(cast("pytest.Config", config))
    assert int(told.maxworkerrestart) > 10**4
    told.maxworkerrestart = "2"
    expect_dying_workers(cast("pytest.Config", config))
    assert told.maxworkerrestart == "2"


def test_nothing_imports_chaos_but_chaos() -> None:
    code = """
        import importlib, pkgutil, sys
        import pytest_pipeline

        for each in pkgutil.walk_packages(pytest_pipeline.__path__, "pytest_pipeline."):
            if "execution.chaos" not in each.name and "__main__" not in each.name:
                importlib.import_module(each.name)
        print([name for name in sys.modules if name.startswith("pytest_pipeline.execution.chaos.")])
    """
    argv = (sys.executable, "-c", dedent(code))
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split() == ["[]"]


def test_a_session_under_chaos_is_taken_up_with_the_same_dice(project: Project) -> None:
    project.plan(batch("1", task("1.1"), task("1.2")))
    seed = seed_of("agent-killed", number="1.2")
    project.write(
        "conftest.py",
        """
        import os, pytest

        @pytest.fixture(autouse=True)
        def interrupted(request):
            if "1.1" in request.node.name and not os.path.exists("interrupted"):
                open("interrupted", "w").close()
                pytest.exit("enough", returncode=2)
        """,
    )

    first = project.run("plans", "--chaos", seed, "--chaos-rate", "0.3")
    again = project.run("plans", "--resume", "-rx")

    assert first.code == 2
    assert again.code == 0, again.text
    assert again.line("XFAIL").endswith("chaos: agent-killed")
    assert again.property("1.1", "attempt") == "2"
    assert again.line("pipeline: CHAOS").startswith(f"pipeline: CHAOS (seed {seed}, rate 0.3)")
