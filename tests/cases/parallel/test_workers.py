"""The same with real workers of xdist, where only they can prove it."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree

import pytest

from tests.cases.parallel.conftest import Jobs, Ran

DIAMOND = ("1 1.1 pass", "1 1.2 pass", "2 2.1 pass", "3 3.1 pass", "4 4.1 pass", "5 5.1 pass")
EDGES = {"2.1": ["1.1", "1.2"], "3.1": ["1.1", "1.2"], "4.1": ["2.1", "3.1"]}


def assert_after(ran: Ran, needs: dict[str, list[str]]) -> None:
    for name, needed in needs.items():
        for need in needed:
            assert ran.time("end", need) < ran.time("start", name)


@pytest.mark.parametrize("workers", ["1", "2", "3"])
def test_what_is_needed_ends_before_what_needs_it_starts(jobs: Jobs, workers: str) -> None:
    jobs.write(*DIAMOND, needs=EDGES)
    ran = jobs.run("-n", workers)
    assert ran.counts == {"passed": 6}
    assert ran.code == 0
    assert_after(ran, EDGES)
    assert ran.worker("1.1") == ran.worker("1.2")
    assert ran.unrun == []


def test_independent_batches_run_side_by_side(jobs: Jobs) -> None:
    jobs.write("1 1.1 until('start gw1')", "2 2.1 until('start gw0')")
    assert jobs.run("-n2").counts == {"passed": 2}


def test_a_long_item_keeps_no_other_from_running_elsewhere(jobs: Jobs) -> None:
    jobs.write("1 1.1 until('end', times=3)", "2 2.1 pass", "3 3.1 pass", "4 4.1 pass")
    assert jobs.run("-n2").counts == {"passed": 4}


def test_a_crash_loses_one_item_and_the_rest_of_its_batch_goes_on(jobs: Jobs) -> None:
    jobs.write("1 1.1 pass", "1 1.2 os._exit(7)", "1 1.3 pass", "2 2.1 pass", needs={"2.1": ["1.3"]})
    ran = jobs.run("-n2", "--junitxml=record.xml")
    assert ran.counts == {"failed": 1, "passed": 3}
    assert ran.order().count("1.2") == 1
    assert ran.time("end", "1.3") < ran.time("start", "2.1")
    names = [case.get("name") for case in ElementTree.parse(jobs.pytester.path / "record.xml").iter("testcase")]
    assert sorted(filter(None, names)) == ["1.1", "1.2", "1.3", "2.1"]


def test_without_restarts_every_item_ran_or_is_known_not_to_have(jobs: Jobs) -> None:
    crash = "until('start', times=2); os._exit(7)"
    jobs.write(f"1 1.1 {crash}", "2 2.1 time.sleep(1)", "3 3.1 pass", "4 4.1 pass", needs={"3.1": ["2.1"]})
    ran = jobs.run("-n2", "--max-worker-restart=0")
    assert ran.code == 1
    assert ran.counts["failed"] == 1
    told = [*ran.order("end"), "1.1", *(nodeid.rpartition("::")[2] for nodeid in ran.unrun)]
    assert sorted(told) == ["1.1", "2.1", "3.1", "4.1"]


def test_the_only_worker_dies_without_restarts_and_nothing_hangs(jobs: Jobs) -> None:
    jobs.write("1 1.1 pass", "1 1.2 os._exit(7)", "1 1.3 pass")
    ran = jobs.run("-n1", "--max-worker-restart=0")
    assert ran.counts == {"passed": 1, "failed": 1}
    assert ran.unrun == ["jobs.txt::1::1.3"]


def test_a_parked_worker_that_is_killed_is_replaced_and_nothing_is_lost(jobs: Jobs) -> None:
    kill = "[os.kill(int(pid), signal.SIGKILL) for pid in worker_pids()]"
    kill = f"until('collected', times=2); {kill}; until('collected', times=3)"
    meet = "until('start', times=3)"
    jobs.write(f"1 1.1 {kill}", f"2 2.1 {meet}", f"3 3.1 {meet}", needs={"2.1": ["1.1"], "3.1": ["1.1"]})
    ran = jobs.run("-n2")
    assert ran.counts == {"passed": 3}
    assert ran.code == 0
    assert "replacing crashed worker" in ran.out
    assert {ran.worker("2.1"), ran.worker("3.1")} == {ran.worker("1.1"), "gw2"}


EDIT = "pathlib.Path(__file__).with_name('jobs.txt').open('a').write('\\n9 9.9 pass')"


def test_a_worker_that_replaces_another_and_collects_something_else_gets_no_work(jobs: Jobs) -> None:
    jobs.write(
        f"1 1.1 {EDIT}; os._exit(7)",
        "2 2.1 until('collected', times=3); until('gone')",
        "3 3.1 pass",
        needs={"3.1": ["2.1"]},
    )
    ran = jobs.run("-n2")
    assert "Worker gw2, which replaces another one, collected other items than the session began with" in ran.out
    assert "(for example jobs.txt::9::9.9)" in ran.out
    assert ran.counts == {"failed": 1, "passed": 2, "errors": 1}
    assert ran.unrun == []


def test_where_no_worker_is_left_that_collects_the_same_the_session_ends(jobs: Jobs) -> None:
    jobs.write(f"1 1.1 {EDIT}; os._exit(7)", "2 2.1 pass")
    ran = jobs.run("-n1")
    assert ran.code == 1
    assert ran.counts == {"failed": 1, "errors": 1}
    assert ran.unrun == ["jobs.txt::2::2.1"]


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_after_the_last_failure_that_is_allowed_nothing_starts(jobs: Jobs, option: str) -> None:
    jobs.write(
        "1 1.1 until('start', times=2); assert 0",
        "1 1.2 pass",
        "2 2.1 until('gone'); time.sleep(0.3)",
        "2 2.2 pass",
        "3 3.1 pass",
    )
    ran = jobs.run("-n2", option)
    assert sorted(ran.order()) == ["1.1", "2.1"]
    assert ran.order("end") == ["2.1"]
    assert len(ran.unrun) == 3


def test_an_item_that_ends_its_worker_ends_the_session(jobs: Jobs) -> None:
    jobs.write(
        "1 1.1 until('start', times=2); pytest.exit('enough', 3)",
        "2 2.1 until('gone'); time.sleep(0.3)",
        "3 3.1 pass",
        needs={"3.1": ["2.1"]},
    )
    ran = jobs.run("-n2")
    assert "INTERNALERROR" not in ran.out
    assert sorted(ran.order()) == ["1.1", "2.1"]
    assert ran.unrun == ["jobs.txt::1::1.1", "jobs.txt::3::3.1"]


def test_python_tests_run_beside_plans_and_after_whatever_of_a_plan_may_start(jobs: Jobs) -> None:
    jobs.write(*DIAMOND, needs=EDGES)
    jobs.pytester.makepyfile(
        "import conftest\n" + "\n".join(f"def test_{n}(): conftest.note('start', '::test_{n}')" for n in range(20))
    )
    ran = jobs.run("-n2", "--maxschedchunk=2")
    assert ran.counts == {"passed": 26}
    assert_after(ran, EDGES)
    firsts = {line.worker: line.nodeid for line in reversed(ran.journal) if line.what == "start"}
    assert set(firsts.values()) == {"jobs.txt::1::1.1", "jobs.txt::5::5.1"}


def test_a_session_without_plans_is_scheduled_by_xdist_itself(jobs: Jobs) -> None:
    jobs.write()
    jobs.pytester.path.joinpath("jobs.txt").unlink()
    jobs.pytester.makepyfile(
        test_a="def test_1(): pass\ndef test_2(): import os; os._exit(1)\ndef test_3(): pass\ndef test_4(): pass"
    )
    jobs.pytester.makeconftest(
        jobs.pytester.path.joinpath("conftest.py").read_text()
        + "\ndef pytest_handlecrashitem(sched): print('scheduled by', type(sched._chosen).__name__)"
    )
    ran = jobs.run("-n2", "-s")
    assert ran.counts == {"passed": 3, "failed": 1}
    assert "scheduled by LoadScheduling" in ran.out


@pytest.mark.parametrize("dist", ["worksteal", "loadscope", "loadfile", "loadgroup", "each"])
def test_another_scheduler_is_refused_with_plans(jobs: Jobs, dist: str) -> None:
    jobs.write("1 1.1 pass")
    ran = jobs.run("-n2", "--dist", dist)
    assert ran.code == 4
    assert f"ERROR: --dist {dist} knows no dependencies between batches. Leave --dist out;" in ran.out
    assert ran.order() == []


@pytest.mark.parametrize("dist", ["worksteal", "each"])
def test_another_scheduler_is_left_alone_without_plans(jobs: Jobs, dist: str) -> None:
    jobs.write()
    jobs.pytester.makepyfile("def test_1(): pass\ndef test_2(): pass")
    assert jobs.run("-n2", "--dist", dist).code == 0


def test_where_workers_wait_is_nowhere_to_be_seen(jobs: Jobs) -> None:
    jobs.write("1 1.1 pass", "1 1.2 pass")
    ran = jobs.run("-n2", "-v", "--durations=0", "-vv", "--junitxml=record.xml", "--random-order", "-k", "1.1 or 1.2")
    assert ran.counts == {"passed": 2}
    assert "2 workers [2 items]" in ran.out
    assert "park" not in ran.out
    assert "park" not in jobs.pytester.path.joinpath("record.xml").read_text()


def test_fixtures_of_a_module_live_as_long_as_without_workers(jobs: Jobs) -> None:
    jobs.write("1 1.1 pass", "1 1.2 pass", "2 2.1 pass", needs={"2.1": ["1.2"]})
    jobs.pytester.makepyfile(test_a="def test_1(): pass", test_b="def test_2(): pass")
    ran = jobs.run("-n1")
    assert ran.counts == {"passed": 5}
    modules = ["jobs.txt", "test_a.py", "test_b.py"]
    assert [(line.what, line.nodeid) for line in ran.journal if line.what in ("setup", "teardown")] == [
        (what, module) for module in modules for what in ("setup", "teardown")
    ]


def test_an_error_in_their_teardown_is_one_of_the_last_item_that_used_them(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAD_TEARDOWN", "1")
    jobs.write("1 1.1 pass", "1 1.2 pass")
    ran = jobs.run("-n1")
    assert ran.counts == {"passed": 2, "errors": 1}
    assert "ERROR at teardown of 1.1.2" in ran.out
    assert "cannot tear down" in ran.out


def test_a_crashed_item_is_not_run_again_even_where_reruns_are_asked_for(jobs: Jobs) -> None:
    jobs.write("1 1.1 os._exit(7)", "2 2.1 pass")
    ran = jobs.run("-n2", "--reruns=2")
    assert ran.counts == {"failed": 1, "passed": 1}
    assert ran.order().count("1.1") == 1


def test_xdist_is_imported_only_where_it_is_used() -> None:
    code = (
        "import sys, pytest_pipeline.cases.parallel.choice as c; c.SchedulerChoice(lambda ids: {});"
        "print([name for name in sys.modules if name.partition('.')[0] in ('xdist', 'execnet')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
