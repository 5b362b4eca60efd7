"""Workers with roots of their own, as on other machines: they share GitHub and a server of PostgreSQL, nothing else."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_pipeline.record.model import FINAL_STATE, Outcome
from pytest_pipeline.record.store import Store
from tests.e2e.github_project import GitHubProject
from tests.e2e.test_parallel import batches, cases, makes, needs
from tests.e2e.world import Project, plan
from tests.host.git_world import git
from tests.postgres import PASSWORD

FORK = batches(makes("1.1"), needs(1, makes("2.1")), needs(1, makes("3.1")))


@dataclass(frozen=True)
class Machine:
    """What a worker has to itself.

    Args:
        place: directory of all of it.
        port: where its server of execnet listens.
    """

    place: Path
    port: int

    @property
    def root(self) -> Path:
        """Where xdist starts the worker."""
        return self.place / "root" / "pyexecnetcache"

    def parts(self, session: str) -> list[str]:
        """The workers that kept something of a session there."""
        return [each.name for each in (self.root / ".pipeline" / "sessions" / session).iterdir()]

    def left(self) -> list[str]:
        """What lies in its temporary directory."""
        return [each.name for each in (self.place / "tmp").iterdir()]


@contextmanager
def machine(place: Path) -> Iterator[Machine]:
    """A server of execnet in an environment of its own, for as long as the context lasts."""
    for name in ("root", "home", "tmp"):
        (place / name).mkdir(parents=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(place / "home"), "TMPDIR": str(place / "tmp")}
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "execnet.script.socketserver", "127.0.0.1:0"],
        cwd=place / "root",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"\('127\.0\.0\.1', (\d+)\)", server.stdout.readline())
            assert found is not None
            yield Machine(place, int(found[1]))
        finally:
            server.kill()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    with ExitStack() as stack:
        one, other = (stack.enter_context(machine(tmp_path / name)) for name in ("one", "other"))
        yield one, other


def on(project: Project, *machines: Machine) -> list[str]:
    """What a user types for workers on those machines."""
    ports = [f"--tx=socket=127.0.0.1:{each.port}" for each in machines]
    return [str(project.path / "plans"), *ports, f"--rsyncdir={project.path}", "-d"]


def test_two_machines_land_everything_once_and_keep_one_record(
    github: GitHubProject, machines: tuple[Machine, Machine], postgres_url: str
) -> None:
    project, record = github.project, github.project.outside / "record.xml"
    project.write({"plans/p.md": FORK})

    ran = github.run_apart(
        *on(project, *machines),
        *("--count", "2", f"--pipeline-store={postgres_url}", f"--junitxml={record}", "--keep-workspaces=always"),
    ).passed()

    assert "criterion met: 2 of 2 consecutive runs" in ran.text
    with Store.open(postgres_url) as store:
        (session,) = store.sessions()
        found = store.task_runs(session.id)
    assert (session.streak, session.met, session.exit_code) == (2, True, 0)
    assert sorted((each.key.run, each.key.task, each.outcome, len(each.attempts)) for each in found) == [
        (run, task, Outcome.PASSED, 1) for run in (1, 2) for task in ("1.1", "2.1", "3.1", FINAL_STATE)
    ]
    bases = {run: f"pipeline/{session.id}/run-0{run}/base" for run in (1, 2)}
    for run, base in bases.items():
        told = git(github.hosted.git_dir, "log", "--reverse", "--first-parent", "--format=%H %s", f"main..{base}")
        merged = [line.split(" ", 1) for line in told.splitlines()]
        assert merged[0][1] == "Do 1.1"
        assert sorted(subject for _, subject in merged) == ["Do 1.1", "Do 2.1", "Do 3.1"]
        recorded = {each.attempts[0].properties.get("merge_commit") for each in found if each.key.run == run}
        assert recorded == {None, *(commit for commit, _ in merged)}
    assert github.branches().keys() == set(bases.values())
    assert len(github.merged()) == len(set(github.merged())) == len(github.hosted.pulls) == 6
    told_by_junit = cases(record)
    assert [end for _, end, _ in told_by_junit] == ["passed"] * 8
    assert {told.get("merge_commit") for _, _, told in told_by_junit} == {
        each.attempts[0].properties.get("merge_commit") for each in found
    }

    assert not (project.state / "state.db").exists()
    assert sorted(part for each in machines for part in each.parts(session.id)) == ["gw0", "gw1"]
    for each in machines:
        assert all(name.startswith("pytest-") for name in each.left())
        assert len(list((each.root / ".pipeline" / "mirrors").iterdir())) == 1
        files = [path for path in each.place.rglob("*") if path.is_file()]
        assert not [path for path in files if path.suffix in (".db", ".lock", ".pid")]
        assert not [path for path in files if github.world.token.encode() in path.read_bytes()]
    kept = [Path(name) for name in re.findall(rf"note: A workspace is kept on {platform.node()}: (\S+)", ran.text)]
    assert {each.place for each in machines} == {each.parents[3] for each in kept}
    assert all((each / "kept.txt").is_file() for each in kept)
    assert "workspace kept:" not in ran.text
    assert PASSWORD not in ran.text
    assert github.world.token not in ran.text


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            ["--forge=local"],
            "Workers on other machines (--tx ssh=, socket=) cannot use --forge local, which lies here.",
        ),
        ([], "Workers on other machines (--tx ssh=, socket=) cannot share a store that is no server of PostgreSQL."),
        (["--pipeline-store=sqlite:////tmp/state.db"], "cannot share a store that is no server of PostgreSQL."),
    ],
)
def test_what_lies_on_one_machine_is_refused_before_any_worker_is_asked(
    github: GitHubProject, flags: list[str], sentence: str
) -> None:
    github.project.write({"plans/p.md": plan(makes("1.1"))})

    ran = github.run(*on(github.project, Machine(Path(), 9)), *flags)

    assert ran.exit_code == pytest.ExitCode.USAGE_ERROR, ran.text
    assert ran.text.count(sentence) == 1
    assert "Traceback" not in ran.text
    assert not github.project.state.exists()


def test_a_path_that_is_not_sent_is_refused_before_any_worker_is_asked(project: Project) -> None:
    project.write({"plans/p.md": plan(makes("1.1"))})

    ran = project.run("plans", "--tx=popen//chdir=elsewhere", "-d")

    assert ran.exit_code == pytest.ExitCode.USAGE_ERROR, ran.text
    assert ran.text.count("plans is not sent to the workers of --tx.") == 1
    assert not project.state.exists()
