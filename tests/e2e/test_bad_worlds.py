"""A full disk, a store that cannot be written, no room for a workspace: one clear error, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import Project, Ran, plan, task

TWO = plan(
    task("1.1", files=["Create: `a.txt`"], does="echo a > a.txt"),
    task("1.2", files=["Create: `b.txt`"], does="test ! -e $OUTSIDE/fill || {fill}; echo b > b.txt"),
)
QUIET = ("--keep-workspaces", "never")


@pytest.fixture
def small(project: Project) -> Iterator[Path]:
    """A file system of a few MiB, where one can be mounted."""
    place = project.outside.parent / "small"
    place.mkdir()
    mounted = sys.platform == "linux" and os.getuid() == 0
    mounted = (
        mounted
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m,mode=777", "tmpfs", str(place)], capture_output=True
        ).returncode
    )
    if not mounted:
        pytest.skip("nothing may be mounted here, and a limit of one file's size is not a full disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fills(project: Project, place: Path) -> None:
    """The second task fills that file system before it does its work, where a file asks for it."""
    text = TWO.replace("{fill}", f"dd if=/dev/zero of={place}/filler bs=64k 2> /dev/null")
    project.write({"plans/p.md": text.replace("$OUTSIDE", str(project.outside))})
    (project.outside / "fill").touch()


def gone_on(project: Project, place: Path, *flags: str) -> Ran:
    """Free the room, and take the session up again."""
    (place / "filler").unlink()
    (project.outside / "fill").unlink()
    return project.run("plans", "--resume", "--fresh-failures", *QUIET, *flags)


def assert_one_clear_error(ran: Ran, *texts: str) -> None:
    assert ran.exit_code in (1, 3), ran.text
    assert "Traceback" not in ran.text
    assert any(text in ran.text for text in texts), ran.text


def test_the_disk_of_store_and_forge_is_full(project: Project, small: Path) -> None:
    """Whatever is written first then, the store or an object of git."""
    fills(project, small)
    state = ("-o", f"pipeline_state_dir={small}/state")

    ran = project.run("plans", *QUIET, *state)

    assert_one_clear_error(ran, "the disk is full", "No space left on device")
    again = gone_on(project, small, *state)
    assert again.exit_code == 0, again.text
    after = Ran(0, again.text, small / "state")
    assert after.commits() == ["Do 1.1", "Do 1.2"]
    assert "criterion met: 1 of 1" in again.text


class Fills:
    """A plugin that fills a file system when the session is open."""

    def __init__(self, place: Path) -> None:
        self.filler = place / "filler"

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        """Write until nothing more fits."""
        subprocess.run(["dd", "if=/dev/zero", f"of={self.filler}", "bs=4k"], stderr=subprocess.DEVNULL)


def test_there_is_no_room_for_a_workspace(project: Project, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = TWO.replace("{fill}", "true").replace("$OUTSIDE", str(project.outside))
    project.write({"plans/p.md": text})
    monkeypatch.setattr("tempfile.tempdir", str(small))

    ran = project.run("plans", *QUIET, plugins=[Fills(small)])

    assert_one_clear_error(ran, f"There is no room for a workspace in {small}/pytest-pipeline-")
    assert (ran.kind("1.1"), ran.kind("1.2")) == ("infrastructure", "infrastructure")
    (small / "filler").unlink()
    again = project.run("plans", "--resume", "--fresh-failures", *QUIET)
    assert again.exit_code == 0, again.text
    assert again.commits() == ["Do 1.1", "Do 1.2"]
    assert list(small.iterdir()) == []


def test_a_store_that_became_read_only_is_told_before_anything_is_done(project: Project) -> None:
    project.write({"plans/p.md": plan(task("1.1", files=["Create: `a.txt`"], does="exit 1"))})
    assert project.run("plans", *QUIET).exit_code == 1
    store = project.state / "state.db"
    url = f"sqlite:///file:{store}?mode=ro&uri=true"

    ran = project.run("plans", "--resume", "--fresh-failures", "--pipeline-store", url, *QUIET)

    assert ran.exit_code == pytest.ExitCode.USAGE_ERROR
    assert "it is read-only. Make it writable" in ran.text
    assert "Traceback" not in ran.text
    assert len(ran.task_runs[0].attempts) == 1
    assert project.run("plans", "--resume", "--fresh-failures", *QUIET).exit_code == 1
    assert len(ran.task_runs[0].attempts) == 2
