"""However a child, its supervisor or its caller ends: nothing that it started is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pytest_pipeline.errors import HostError
from pytest_pipeline.host import process, supervisor
from pytest_pipeline.host.descent import Listing
from pytest_pipeline.host.process import Completed, run
from pytest_pipeline.host.supervisor import Pool
from tests.host.conftest import PATIENCE, Yard, until

STUBBORN = "trap '' TERM INT HUP; touch \"$PIDS/$$\"; while :; do sleep 0.05; done"

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs subreapers")


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """Supervisors of this test alone."""
    fresh = Pool(portable=sys.platform != "linux")
    monkeypatch.setattr(process, "_POOL", fresh)
    yield fresh
    fresh.shutdown()
    assert not fresh.supervisors()


@pytest.fixture(params=["subreaper", "portable"])
def means(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both ways to find descendants."""
    if request.param == "subreaper" and sys.platform != "linux":
        pytest.skip("needs subreapers")
    fresh = Pool(portable=request.param == "portable")
    monkeypatch.setattr(process, "_POOL", fresh)
    yield request.param
    fresh.shutdown()


def test_a_background_job_is_killed_when_its_parent_succeeds(yard: Yard, means: str) -> None:
    done = run(yard.shell("sleep 600 & exit 0"))
    assert (done.exit_code, done.survivors) == (0, 1)


def test_a_child_with_a_session_of_its_own_is_killed(yard: Yard, means: str) -> None:
    done = run(yard.shell('setsid sh -c \'touch "$PIDS/$$"; sleep 600\' & until test -n "$(ls pids)"; do :; done'))
    assert done.exit_code == 0
    assert done.survivors >= 1


def test_an_orphan_with_a_session_of_its_own_that_ignores_signals_is_killed(yard: Yard, means: str) -> None:
    inner = f"(setsid sh -c '{STUBBORN.replace(chr(39), chr(34) * 2)}' &)"
    done = run(yard.shell(f'{inner}; until test -n "$(ls pids)"; do :; done'))
    assert done.exit_code == 0
    assert done.survivors >= 1


@linux
def test_a_daemon_that_cleared_its_environment_is_killed(yard: Yard) -> None:
    done = run(yard.shell(f'{yard.daemon}; until test -n "$(ls pids)"; do :; done; echo born'))
    assert (done.exit_code, done.tail, done.survivors) == (0, "born", 1)


def test_without_leftovers_there_are_no_survivors(yard: Yard, means: str) -> None:
    done = run(yard.shell("sleep 0.01 & wait; echo a | cat"))
    assert (done.exit_code, done.survivors) == (0, 0)


def test_a_child_whose_time_is_up_may_end_in_order(yard: Yard, means: str) -> None:
    done = run(yard.shell("trap 'echo bye; exit 5' TERM; leave sleep 600 & wait", timeout=1.0, grace=15.0))
    assert (done.exit_code, done.timed_out, done.tail) == (5, True, "bye")
    assert done.elapsed < 12


def test_a_child_that_ignores_sigterm_is_killed_after_its_grace(yard: Yard, means: str) -> None:
    done = run(yard.shell(STUBBORN, timeout=1.0, grace=0.3))
    assert (done.exit_code, done.timed_out) == (-signal.SIGKILL, True)


def test_a_stopped_child_is_ended_too(yard: Yard) -> None:
    done = run(yard.shell('touch "$PIDS/$$"; kill -STOP $$', timeout=0.5, grace=15.0))
    assert (done.exit_code, done.timed_out) == (-signal.SIGTERM, True)


@linux
def test_when_time_is_up_what_has_a_session_of_its_own_hears_of_it_too(yard: Yard) -> None:
    script = 'setsid sh -c \'trap "touch heard; exit" TERM; touch "$PIDS/$$"; sleep 600 & wait\' & wait'
    done = run(yard.shell(script, timeout=1.0, grace=15.0))
    assert done.timed_out
    assert (yard.path / "heard").exists()


@linux
def test_processes_that_fork_on_and_on_are_caught(yard: Yard) -> None:
    program = (
        "import os, time\nend = time.monotonic() + 30\nif os.fork(): os._exit(0)\n"
        "while time.monotonic() < end:\n    os.setsid()\n    if os.fork(): os._exit(0)\n"
    )
    done = run(yard.command(sys.executable, "-ISc", program))
    assert done.exit_code == 0
    assert done.survivors >= 1


def test_an_exception_in_the_caller_ends_the_child_and_goes_on(yard: Yard, means: str) -> None:
    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    since = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(
            yard.shell(f"(setsid sh -c 'touch \"$PIDS/$$\"; sleep 600' &); echo up; {STUBBORN}", grace=300.0), interrupt
        )
    assert time.monotonic() - since < 8
    assert not yard.alive()


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_the_caller_whatever_kills_it(yard: Yard, number: int) -> None:
    born = 'touch "$PIDS/$PPID"; leave sleep 600 & until test $(ls pids | wc -l) -ge 4; do :; done; touch ready'
    script = STUBBORN.replace("while", f"{yard.daemon}; {born}; while")
    driver = yard.driver(f"run(yard.shell({script!r}))")
    until((yard.path / "ready").exists)
    pids = yard.pids()
    assert yard.alive() >= pids
    driver.send_signal(number)
    driver.communicate(timeout=PATIENCE)
    until(lambda: not yard.alive())
    assert len(yard.pids()) == 4, "supervisor, daemon, background job and the script itself"


@linux
def test_private_directories_go_with_a_killed_caller_and_stay_with_another(yard: Yard) -> None:
    private, kept = yard.path / "private", yard.path / "kept"
    for place in (private, kept):
        (place / "deep").mkdir(parents=True)
        (place / "login").write_text("token")
    (yard.path / "link").symlink_to(kept)
    names = "private=(yard.path / 'private', yard.path / 'link', yard.path / 'absent')"
    driver = yard.driver(f"run(replace(yard.shell('touch ready; sleep 600'), {names}))")
    until((yard.path / "ready").exists)
    driver.kill()
    driver.communicate(timeout=PATIENCE)
    until(lambda: not private.exists())

    run(replace(yard.shell("true"), private=(kept,)))

    assert (kept / "login").read_text() == "token"


@linux
def test_a_captured_tool_does_not_outlive_a_killed_caller(yard: Yard) -> None:
    script = f"touch pids/$$ pids/$PPID; {yard.daemon}; touch ready; sleep 600"
    driver = yard.driver(f"capture(['sh', '-c', {script!r}], environment=yard.environment, cwd=yard.path)")
    until((yard.path / "ready").exists)
    driver.kill()
    driver.communicate(timeout=PATIENCE)
    until(lambda: not yard.alive())


@linux
def test_the_supervisor_cannot_be_ended_by_polite_signals(yard: Yard, pool: Pool) -> None:
    done = run(yard.shell("for name in INT TERM HUP QUIT; do kill -$name $PPID; done; sleep 0.2; echo still here"))
    assert (done.exit_code, done.tail) == (0, "still here")
    assert len(pool.supervisors()) == 1


@linux
def test_a_child_that_kills_its_supervisor_is_swept_and_told(yard: Yard, pool: Pool) -> None:
    orphan = '(setsid sh -c \'touch "$PIDS/$$"; sleep 600\' &); until test -n "$(ls pids)"; do :; done'
    script = f"{orphan}; kill -9 $PPID; sleep 600"
    with pytest.raises(HostError, match="supervisor of '/bin/sh' was killed"):
        run(yard.shell(script))
    assert not yard.alive()
    assert run(yard.command("echo", "again")).tail == "again"


@linux
def test_a_child_that_stops_its_supervisor_cannot_stop_the_caller(
    yard: Yard, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "KILL_LIMIT", 0.0)
    monkeypatch.setattr(supervisor, "_SLACK", 0.5)
    with pytest.raises(HostError, match="was killed or stopped"):
        run(yard.shell('touch "$PIDS/$$"; kill -STOP $PPID; sleep 600', timeout=0.5, grace=0.0))
    assert not yard.alive()


@linux
@pytest.mark.parametrize("means", ["the marker", "the group"])
def test_a_listing_finds_a_job_by_its_marker_or_by_its_group(yard: Yard, means: str) -> None:
    with subprocess.Popen(["sleep", "600"], env={"ONE": yard.witness, "TWO": "2"}, start_new_session=True) as child:
        listing = Listing(None)
        listing.begin(*((-1, yard.witness) if means == "the marker" else (child.pid, "no such marker")))
        found: dict[int, int] = {}
        deadline = time.monotonic() + 20
        while not found and time.monotonic() < deadline:  # its environment is to be seen only after its exec
            found = listing.find()
        child.kill()
    assert found == {child.pid: child.pid}


def test_one_supervisor_serves_one_child_after_the_other(yard: Yard, pool: Pool) -> None:
    for number in range(5):
        assert run(yard.command("echo", str(number))).tail == str(number)
    assert len(pool.supervisors()) == 1


def test_a_supervisor_that_died_between_two_children_is_replaced(yard: Yard, pool: Pool) -> None:
    run(yard.command("true"))
    (old,) = pool.supervisors()
    os.kill(old, signal.SIGKILL)
    until(lambda: not pool.supervisors())
    assert run(yard.command("echo", "new")).tail == "new"


def test_two_threads_run_two_children_at_once(yard: Yard, pool: Pool) -> None:
    done: list[Completed] = []
    scripts = [f"touch {mine}; until test -e {other}; do sleep 0.01; done" for mine, other in ("ab", "ba")]
    threads = [
        threading.Thread(target=lambda script=script: done.append(run(yard.shell(script, timeout=20.0))))
        for script in scripts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.exit_code for each in done] == [0, 0]
    assert len(pool.supervisors()) == 2


def test_a_shutdown_ends_what_another_thread_runs(yard: Yard, pool: Pool) -> None:
    done: list[Completed] = []
    thread = threading.Thread(target=lambda: done.append(run(yard.shell("touch ready; sleep 600"))))
    thread.start()
    until((yard.path / "ready").exists)
    pool.shutdown()
    thread.join()
    assert [each.exit_code for each in done] == [-signal.SIGTERM]
    assert not pool.supervisors()


def test_a_forked_process_takes_a_supervisor_of_its_own(yard: Yard) -> None:
    driver = yard.driver(
        "print(run(yard.shell('echo $PPID')).tail, flush=True)\n"
        "child = os.fork()\n"
        "print(run(yard.shell('echo $PPID')).tail, flush=True)\n"
        "if child:\n    os.waitpid(child, 0)\n    print(run(yard.shell('echo $PPID')).tail)"
    )
    out, err = driver.communicate(timeout=PATIENCE)
    first, *others = out.split()
    assert err == ""
    assert others.count(first) == 2
    assert len(set(others)) == 2


@linux
def test_a_forked_process_does_not_keep_what_its_killed_parent_ran(yard: Yard) -> None:
    driver = yard.driver(
        "def later():\n"
        "    while not (yard.path / 'ready').exists(): time.sleep(0.01)\n"
        "    if os.fork() == 0:\n"
        "        (yard.path / 'forked').write_text(str(os.getpid())); time.sleep(600)\n"
        "threading.Thread(target=later).start()\n"
        "run(yard.shell('touch \"$PIDS/$$\"; touch ready; sleep 600'))"
    )
    until((yard.path / "forked").exists)
    until((yard.path / "forked").read_text)
    driver.kill()
    until(lambda: not yard.alive())
    os.kill(int((yard.path / "forked").read_text()), signal.SIGKILL)
    driver.communicate(timeout=PATIENCE)


def test_the_supervisor_ends_when_its_process_ends_in_order(yard: Yard) -> None:
    driver = yard.driver("print(run(yard.shell('touch \"$PIDS/$PPID\"')).exit_code)")
    out, err = driver.communicate(timeout=PATIENCE)
    assert (out, err) == ("0\n", "")
    assert len(yard.pids()) == 1
    assert not yard.alive()
