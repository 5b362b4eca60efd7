"""``-n``: the same outcomes, the same record and nothing left behind, with several workers at once."""

from __future__ import annotations

import os
import signal
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import pytest

from pytest_pipeline.host.descent import proc_rows
from tests.e2e.github_project import GitHubProject
from tests.e2e.world import Project, Ran, plan, task
from tests.host.conftest import PATIENCE, entries, until
from tests.host.git_world import git

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
DIFFER = {"session", "commit", "merge_commit", "merge_base", "parent_commit", "branch", "base_branch", "transcript"} | {
    "pull_request",
    "pull_request_url",
}
"""Properties that hold ids and times, or depend on which of two tasks was merged first."""


def batches(*groups: str) -> str:
    """A plan of several batches, each given as its heading's rest and its tasks."""
    return "# A plan\n\n" + "\n".join(f"## Batch {number}: B\n\n{text}" for number, text in enumerate(groups, 1))


def makes(number: str, **more: str) -> str:
    """A task that makes a file of its own."""
    name = number.replace(".", "-")
    return task(number, files=[f"Create: `{name}.txt`"], does=f"echo {number} > {name}.txt", **more)


def needs(batch: int, text: str) -> str:
    return f"**Dependencies:** Batch {batch}\n\n{text}"


DIAMOND = batches(
    makes("1.1") + makes("1.2"),
    needs(1, makes("2.1")),
    needs(1, makes("3.1") + makes("3.2")),
    "**Dependencies:** Batch 2, Batch 3\n\n" + makes("4.1"),
)


def cases(path: Path) -> list[tuple[str, str, dict[str, str]]]:
    """Class and name of each test case, how it ended, and its properties."""
    found = []
    for each in ElementTree.parse(path).iter("testcase"):
        ends = [child.tag for child in each if child.tag in ("failure", "error", "skipped")]
        told = {str(one.get("name")).removeprefix("pipeline."): str(one.get("value")) for one in each.iter("property")}
        name = f"{each.get('classname')}::{each.get('name')}"
        found.append((name, ends[0] if ends else "passed", told))
    return sorted(found, key=lambda case: case[0])


def test_the_record_of_several_workers_is_that_of_one_process(project: Project) -> None:
    failing = makes("3.1", Expect="file `3-1.txt` contains never")
    text = batches(makes("1.1") + makes("1.2"), needs(1, makes("2.1")), failing, needs(3, makes("4.1")))
    project.write({"plans/a.md": text, "plans/b.md": DIAMOND.replace("-", "_").replace(".txt", ".b.txt")})

    quiet = ("--keep-workspaces", "never")
    alone = project.run_apart("plans", "--count", "2", "--junitxml=alone.xml", *quiet)
    many = project.run_apart("plans", "--count", "2", "-n", "3", "--junitxml=many.xml", *quiet)

    assert (alone.exit_code, many.exit_code) == (1, 1), many.text
    one, other = cases(project.path / "alone.xml"), cases(project.path / "many.xml")
    assert [each[:2] for each in one] == [each[:2] for each in other]
    for (name, _, told), (_, _, again) in zip(one, other, strict=True):
        assert told.keys() == again.keys(), name
        assert {key: told[key] for key in told.keys() - DIFFER} == {key: again[key] for key in told.keys() - DIFFER}
    assert "criterion not met: 0 of 2 consecutive runs" in many.text
    assert git(many.forge, "fsck", "--strict", "--no-dangling") == ""
    assert project.left() == []


def test_everything_is_merged_once_and_after_what_it_needs(project: Project) -> None:
    project.write({"plans/p.md": DIAMOND})

    ran = project.run_apart("plans", "--count", "3", "-n", "3").passed()

    for run in (1, 2, 3):
        merged = ran.commits(run)
        assert sorted(merged) == [f"Do {number}" for number in ("1.1", "1.2", "2.1", "3.1", "3.2", "4.1")]
        place = merged.index
        assert place("Do 1.1") < place("Do 1.2") < min(place("Do 2.1"), place("Do 3.1"))
        assert place("Do 3.1") < place("Do 3.2")
        assert merged[-1] == "Do 4.1"
    assert sorted(ran.branches()) == ["refs/heads/run-01/base", "refs/heads/run-02/base", "refs/heads/run-03/base"] or (
        sorted(ran.branches()) == ["run-01/base", "run-02/base", "run-03/base"]
    )
    assert "criterion met: 3 of 3 consecutive runs" in ran.text
    assert "merged" in ran.text
    assert list((project.state / "sessions" / ran.session).glob("run-*.git")) == []


def test_python_tests_run_in_the_same_session(project: Project) -> None:
    project.write({"plans/p.md": plan(makes("1.1")), "test_python.py": "def test_a(): pass\ndef test_b(): assert 0\n"})

    ran = project.run_apart("plans", "test_python.py", "-n", "2")

    assert ran.exit_code == 1
    assert "1 failed, 3 passed" in ran.text
    assert "criterion met: 1 of 1" in ran.text


DIES = """
import os
from pytest_pipeline.agents.base import AgentResult, AgentStatus

class Dies:
    name, version = "dies", "1"

    def run(self, request, on_event):
        if "Task 1.2" in request.prompt:
            os._exit(7)
        for part in request.reference:
            import subprocess
            subprocess.run(["sh", "-c", part.content], cwd=request.workspace, check=True)
        return AgentResult(AgentStatus.OK, "Done.")

def pytest_pipeline_agent(config, settings):
    return Dies()
"""


@pytest.mark.parametrize("restarts", [None, "0"])
def test_a_worker_that_dies_fails_the_task_that_it_ran(project: Project, restarts: str | None) -> None:
    text = batches(makes("1.1") + makes("1.2") + makes("1.3"), needs(1, makes("2.1")), makes("3.1"))
    project.write({"plans/p.md": text, "conftest.py": DIES})
    more = [] if restarts is None else [f"--max-worker-restart={restarts}"]

    ran = project.run_apart("plans", "-n", "2", "--junitxml=record.xml", *more)

    assert ran.exit_code == 1, ran.text
    found = Counter(name.rpartition("::")[2] for name, _, _ in cases(project.path / "record.xml"))
    assert found == Counter(["1.1-do-1.1", "1.2-do-1.2", "1.3-do-1.3", "2.1-do-2.1", "3.1-do-3.1", "final-state"]), (
        "every task once"
    )
    ends = {name.rpartition("::")[2][:3]: (end, told) for name, end, told in cases(project.path / "record.xml")}
    assert ends["1.2"][0] == "failure"
    assert ends["1.2"][1]["failure_kind"] == "infrastructure"
    assert ends["2.1"][0] == "skipped"
    assert ran.kind("1.2") == "infrastructure"
    assert "infrastructure: The worker gw" in ran.text
    assert "1.2-do-1.2, in step agent" in ran.text
    assert str(ran.task_run("3.1").outcome) == "passed"
    assert project.left() == []


DIES_BEHIND = """
import os
import pytest

@pytest.fixture(scope="module", autouse=True)
def of_module(request):
    yield
    if request.node.name.endswith("a.md"):
        os._exit(7)
"""


def test_a_worker_that_dies_in_the_teardown_of_a_module_is_an_error_of_its_last_item(project: Project) -> None:
    project.write({"plans/a.md": plan(makes("1.1")), "conftest.py": DIES_BEHIND})

    ran = project.run_apart("plans", "-n", "1", "--junitxml=record.xml")

    assert ran.exit_code == pytest.ExitCode.TESTS_FAILED, ran.text
    assert "2 passed, 1 error" in ran.text
    assert "The worker gw0 died behind this, while it tore down fixtures." in ran.text
    ends = [(name.rpartition("::")[2], end) for name, end, told in cases(project.path / "record.xml") if told]
    assert ends == [("1.1-do-1.1", "passed"), ("final-state", "passed"), ("final-state", "error")]


@linux
def test_nothing_of_an_agent_outlives_its_worker(project: Project) -> None:
    project.write({"plans/p.md": plan(task("1.1", files=["Create: `a.txt`"]))})
    agent = project.agent("echo $$ > $OUTSIDE/pid; sleep 600 & wait")
    process = project.start("plans", "-n", "1", "--max-worker-restart=0", agent=agent)
    until((project.outside / "pid").exists)
    until(lambda: (project.outside / "pid").read_text().strip() != "")

    (worker,) = workers_of(process.pid)
    os.kill(worker, signal.SIGKILL)
    text, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == 1, text
    name = str(project.outside).encode()
    until(lambda: not [row for row in proc_rows() if any(name in each for each in entries(row.pid, "cmdline"))])
    assert Ran(1, text, project.state).kind() == "infrastructure"
    assert project.left() == []


def workers_of(controller: int) -> list[int]:
    """The process ids of its workers."""
    return [
        row.pid
        for row in proc_rows()
        if row.parent == controller
        and any(b"execnet" in each or b"exec(eval" in each for each in entries(row.pid, "cmdline"))
    ]


FAILS_LATE = """
import pathlib, time

def test_a():
    deadline = time.monotonic() + PATIENCE
    while not pathlib.Path("READY").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert 0
"""


def test_the_first_failure_ends_the_agents_of_others_and_replaces_no_worker(project: Project) -> None:
    text = batches(task("1.1", files=["Create: `a.txt`"]), needs(1, makes("2.1")))
    late = FAILS_LATE.replace("READY", str(project.outside / "ready")).replace("PATIENCE", str(PATIENCE))
    project.write({"plans/p.md": text, "test_python.py": late})

    agent = project.agent("touch $OUTSIDE/ready; sleep 600")
    ran = project.run_apart("plans", "test_python.py", "-n", "2", "-x", "--junitxml=record.xml", agent=agent)

    assert ran.exit_code == pytest.ExitCode.INTERRUPTED, ran.text
    assert "stopping after 1 failures" in ran.text
    assert "node down" not in ran.text
    assert "replacing" not in ran.text
    assert [(each.key.task, str(each.outcome)) for each in ran.task_runs] == [("1.1", "interrupted")]
    told = [(name.rpartition("::")[2], end) for name, end, _ in cases(project.path / "record.xml")]
    assert told == [("1.1-do-1.1", "error"), ("test_a", "failure")]
    assert project.left() == []


def test_a_worker_that_dies_is_a_failure_after_which_nothing_starts(project: Project) -> None:
    project.write({"plans/p.md": batches(makes("1.2"), makes("2.1"), makes("3.1")), "conftest.py": DIES})

    ran = project.run_apart("plans", "-n", "1", "-x")

    assert ran.exit_code == pytest.ExitCode.INTERRUPTED, ran.text
    assert [(each.key.task, str(each.outcome)) for each in ran.task_runs] == [("1.2", "failed")]


def test_enough_runs_in_a_row_end_the_session(project: Project) -> None:
    project.write({"plans/p.md": plan(makes("1.1"))})

    ran = project.run_apart("plans", "--count", "9", "--until-consecutive", "2", "-n", "2")

    assert ran.exit_code == 0, ran.text
    assert "criterion met: 2 of 2 consecutive runs" in ran.text
    admitted = {each.key.run for each in ran.task_runs}
    assert 2 <= len(admitted) <= 4
    assert "deselected" in ran.text


def test_a_plan_that_cannot_be_read_is_told_and_the_others_run(project: Project) -> None:
    project.write({"plans/a.md": "---\nagnet: x\n---\n" + plan(makes("1.1")), "plans/b.md": plan(makes("1.1"))})

    ran = project.run_apart("plans", "-n", "2")

    assert ran.exit_code == 1, ran.text
    assert "Did you mean 'agent'?" in ran.text
    assert str(ran.task_run("1.1").outcome) == "passed"
    assert "plans/a.md cannot be read, so no run is a success." in ran.text


def test_schedulers_that_know_no_dependencies_are_refused_and_no_session_is_opened(project: Project) -> None:
    project.write({"plans/p.md": plan(makes("1.1"))})

    ran = project.run_apart("plans", "-n", "2", "--dist", "worksteal")

    assert ran.exit_code == pytest.ExitCode.USAGE_ERROR, ran.text
    assert not (project.state / "state.db").exists()
    assert "criterion" not in ran.text
    assert "--dist worksteal knows no dependencies between batches. Leave --dist out" in ran.text
    assert "Traceback" not in ran.text
    assert project.left() == []


def test_what_is_missing_is_said_before_any_agent_starts(project: Project) -> None:
    project.write({"plans/p.md": plan(makes("1.1"))})

    ran = project.run_apart("plans", "-n", "2", "--forge", "no-such")

    assert ran.exit_code == pytest.ExitCode.USAGE_ERROR, ran.text
    assert ran.text.count("There is no forge 'no-such'.") == 1
    assert "Traceback" not in ran.text
    assert project.left() == []


def test_a_workspace_that_stays_is_named_and_whole(project: Project) -> None:
    project.write(
        {"plans/p.md": batches(task("1.1", files=["Create: `never.txt`"], does="echo x > other.txt"), makes("2.1"))}
    )

    ran = project.run_apart("plans", "-n", "2")

    (kept,) = [line.partition(": ")[2] for line in ran.text.splitlines() if line.startswith("workspace kept:")]
    assert (Path(kept) / "other.txt").read_text() == "x\n"
    assert git(Path(kept), "status", "--porcelain") == "?? other.txt"


def test_a_part_can_be_selected(project: Project) -> None:
    project.write({"plans/p.md": DIAMOND})

    ran = project.run_apart("plans", "-n", "2", "-k", "2.1 or 3.1")

    assert ran.exit_code == 8 or ran.exit_code == 0, ran.text
    assert sorted(each.key.task for each in ran.task_runs) == ["2.1", "3.1"]
    assert ran.text.count("was not selected (counts as met)") == 2


def test_hooks_and_notes_of_workers_are_told_at_the_end(project: Project) -> None:
    project.write(
        {
            "plans/p.md": plan(makes("1.1")),
            "conftest.py": "def pytest_pipeline_run_finished(event):\n    raise ValueError('broken')\n",
        }
    )

    ran = project.run_apart("plans", "-n", "2")

    assert ran.text.count("The hook pytest_pipeline_run_finished failed with ValueError: broken") == 1
    assert ran.exit_code == 1


@pytest.mark.parametrize("workers", ["0", "2"])
def test_with_v_the_steps_are_told_as_they_end(project: Project, workers: str) -> None:
    project.write({"plans/p.md": plan(makes("1.1"))})

    ran = project.run_apart("plans", "-v", "-n", workers, "--count", "2").passed()

    lines = [line for line in ran.text.splitlines() if line.startswith("  | run ")]
    for run in (1, 2):
        told = [line for line in lines if line.startswith(f"  | run {run}, 1.1 of plans/p.md: ")]
        steps = [line.partition("plans/p.md: ")[2].partition(" passed after ")[0] for line in told]
        assert steps == [
            *("prepare", "agent", "verify", "commit", "push", "pull request", "checks", "merge", "outcome", "cleanup")
        ]
    assert "  | run" not in project.run_apart("plans", "-n", workers).text


@linux
def test_on_github_workers_have_the_token_and_their_environment_has_not(github: GitHubProject) -> None:
    spy = 'tr "\\0" "\\n" < /proc/$PPID/environ > environ.txt; env >> environ.txt; echo made > {0}.txt'
    tasks = [
        task(f"{number}.1", files=[f"Create: `{number}.txt`", "Create: `environ.txt`"], does=spy.format(number))
        for number in (1, 2)
    ]
    github.project.write(
        {
            "plans/p.md": batches(
                tasks[0],
                needs(
                    1,
                    task(
                        "2.1",
                        files=["Create: `b.txt`"],
                        does="cat /proc/[0-9]*/environ 2>/dev/null | grep -c PATH > b.txt",
                    ),
                ),
            )
        }
    )

    github.run_apart("plans", "-n", "2", "--count", "2").passed()

    assert len(github.merged()) == 4
    for pull in github.hosted.pulls.values():
        content = github.hosted.git.tree(str(pull.now.merge_sha)).read("environ.txt")
        assert content is not None
        assert github.world.token.encode() not in content
    assert github.project.left() == []
