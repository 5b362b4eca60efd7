"""A part of the kill matrix that changes from day to day; all of it with ``PIPELINE_KILL_MATRIX=1``, for the night."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.e2e.kill_points import MOMENTS, STEPS, cells

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc for what is left")
ROOT = Path(__file__).parents[2]
SECONDS = 3 * 3600


def matrix(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The matrix in an interpreter of its own: it forks, which pytest-xdist's threads do not bear."""
    return subprocess.run(
        [sys.executable, "-m", "tests.e2e.kill_matrix", "--verbose", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def chosen(name: str, number: int) -> tuple[str, ...]:
    """The cells of today, by a seed that can be given: so many with that text in their name."""
    seed = os.environ.get("PIPELINE_KILL_SEED") or str(datetime.now(timezone.utc).toordinal())
    if os.environ.get("PIPELINE_KILL_MATRIX"):
        return ("--only", name)
    return ("--only", name, "--seed", seed, "--cells", str(number))


@pytest.mark.parametrize(("name", "number"), [("alone", 3), ("-n 2", 1)])
def test_whoever_dies_a_session_that_is_taken_up_ends_as_an_undisturbed_one(name: str, number: int) -> None:
    arguments = chosen(name, number)
    done = matrix(*arguments)

    assert done.returncode == 0, f"kill_matrix {shlex.join(arguments)}\n{done.stdout}{done.stderr}"
    assert " cells, 0 not as they must be" in done.stdout


@pytest.mark.parametrize("whole", ["", "1"])
def test_a_matrix_that_fails_tells_its_table_and_how_to_run_it_again(
    whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_KILL_SEED", "7")
    monkeypatch.setenv("PIPELINE_KILL_MATRIX", whole)
    monkeypatch.setattr(f"{__name__}.matrix", lambda *told: subprocess.CompletedProcess(told, 1, "a table", "a reason"))

    with pytest.raises(AssertionError) as failed:
        test_whoever_dies_a_session_that_is_taken_up_ends_as_an_undisturbed_one("-n 2", 1)

    again = "kill_matrix --only '-n 2'" + ("" if whole else " --seed 7 --cells 1")
    assert str(failed.value).startswith(f"{again}\n  a tablea reason")


def test_every_step_is_met_at_every_moment_and_every_name_once() -> None:
    known = cells()
    assert len(known) >= 60
    assert len({each.name for each in known}) == len(known)
    for victim, workers in (("controller", 0), ("controller", 2), ("worker", 2)):
        found = {
            (each.where.partition(" of ")[0], each.moment)
            for each in known
            if (each.victim, each.workers) == (victim, workers)
        }
        assert found >= {(step, moment) for step in STEPS for moment in MOMENTS}
