"""What was done, and what the pipeline made of it. ``python -m tests.e2e.failure_table`` prints it as a table."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.world import Project, Ran, plan, task
from tests.host.conftest import until

MOVES_THE_BASE = """
    import subprocess

    def pytest_pipeline_step_finished(event):
        if event.step != "prepare" or event.task.task != "1.1":
            return
        run = lambda *words, **more: subprocess.run(
            ["git", "--git-dir=.pipeline/forge.git", *words], check=True, capture_output=True, text=True, **more
        ).stdout.strip()
        branch = f"refs/heads/pipeline/{event.task.session}/run-01/base"
        blob = run("hash-object", "-w", "--stdin", input="somebody else\\n")
        tree = run("mktree", input=f"100644 blob {blob}\\tkept.txt\\n")
        who = {f"GIT_{role}_{what}": "x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        commit = run("commit-tree", "-p", branch, "-m", "not ours", tree, env={**__import__("os").environ, **who})
        run("update-ref", branch, commit)
"""
DELETES_THE_BASE = """
    import subprocess

    def pytest_pipeline_step_finished(event):
        if event.step == "verify" and event.task.task == "1.1":
            branch = f"refs/heads/pipeline/{event.task.session}/run-01/base"
            subprocess.run(["git", "--git-dir=.pipeline/forge.git", "update-ref", "-d", branch], check=True)
"""
BLOCKS_THE_TRANSCRIPT = """
    from pathlib import Path

    def pytest_pipeline_step_started(event):
        if event.step == "agent":
            Path(f".pipeline/sessions/{event.task.session}/transcripts/run-01/plans.p/batch-1-task-1-1-agent.log").mkdir()
"""
OBJECTS = """
    def pytest_pipeline_judge(candidate):
        return ["The house rules forbid it."]
"""
COMMITS = "git -c user.name=a -c user.email=b commit -q --allow-empty -m x"
MAKES_IT = "echo made > a.txt"
Recorder = Callable[[str, object], None]
A = ("Create: `a.txt`",)


def kill_the_agent(project: Project) -> None:
    """From outside, as an operator or the kernel's memory killer would."""
    pid = project.outside / "pid"
    until(lambda: pid.exists() and pid.read_text().strip())
    os.kill(int(pid.read_text()), signal.SIGKILL)


@dataclass(frozen=True)
class Case:
    """One row: what was done; the kind that must come out, empty for none; what its first line must say."""

    what: str
    kind: str
    message: str
    text: str | bytes = ""
    agent: str = ""
    conftest: str = ""
    arguments: tuple[str, ...] = ()
    meanwhile: Callable[[Project], None] | None = None


def case(what: str, kind: str, message: str, *, agent: str = "", **more: Any) -> Case:  # noqa: ANN401 - what `task` takes, and what `Case` does
    """A row about one task, by an agent that is a shell script, or by the task's own reference."""
    own = {name: more.pop(name) for name in ("conftest", "arguments", "meanwhile") if name in more}
    head = {"front_matter": more.pop("front_matter", "")}
    return Case(what, kind, message, plan(task(**{"files": A, **more}), **head), agent, **own)


RUN = [
    case(
        "the agent is killed from outside (SIGKILL)",
        "agent",
        r"ended as failed: sh was ended by signal 9",
        agent="echo $$ > $OUTSIDE/pid; while :; do sleep 0.1; done",
        meanwhile=kill_the_agent,
    ),
    case("the agent fails", "agent", "sh ended with exit status 3", agent="echo why; exit 3"),
    case("the agent hangs", "agent", "ended as timeout", agent="sleep 600", arguments=("--agent-time", "1s")),
    case("the agent does nothing", "agent", "ended with success and changed nothing", agent="true"),
    case("the agent removes its workspace", "agent", "workspace .* is gone", agent="rm -rf $PWD"),
    case(
        "the agent leaves conflict markers",
        "agent",
        "a.txt holds conflict markers",
        agent="printf '<<<<<<< a\\n1\\n=======\\n2\\n>>>>>>> b\\n' > a.txt",
    ),
    case(
        "the agent leaves a repository without a commit",
        "agent",
        "repository of its own without a commit, at 'n",
        agent=f"{MAKES_IT}; git init -q nested",
    ),
    case(
        "the agent leaves a repository with a commit",
        "agent",
        "nested is a nested repository or submodule",
        agent=f"{MAKES_IT}; git init -q nested; cd nested; {COMMITS}",
    ),
    case(
        "the agent leaves a file over max_file_size",
        "agent",
        "a.txt has 2,000 bytes; max_file_size allows 1,000",
        agent="head -c 2000 /dev/zero > a.txt",
        front_matter="max_file_size: 1 kB",
    ),
    case(
        "the agent leaves a symlink out of the tree",
        "agent",
        r"a.txt is a symlink to \.\./\.\./outside, which leads out",
        agent="ln -s ../../outside a.txt",
    ),
    case(
        "the plan declares a path outside", "plan", r"\.\./a.txt", files=("Create: `../a.txt`",), does="echo > ../a.txt"
    ),
    case(
        "the reference writes to an absolute path",
        "plan",
        "path '/etc/pipeline-was-here' is absolute",
        reference="```text path=/etc/pipeline-was-here\nx\n```",
    ),
    case(
        "the reference's diff does not apply",
        "agent",
        "does not apply to kept.txt",
        files=("Modify: `kept.txt`",),
        reference="```diff\n--- a/kept.txt\n+++ b/kept.txt\n@@ -1 +1 @@\n-none\n+some\n```",
    ),
    case("the task has no reference", "infrastructure", "The task has no reference solution to replay"),
    case(
        "a transcript is full, and the agent fails",
        "agent",
        "sh ended with exit status 3",
        agent="head -c 100000 /dev/zero | tr '\\0' x; echo; echo the last words; exit 3",
        arguments=("-o", "pipeline_max_transcript=10 kB"),
    ),
    case(
        "a transcript is full, and the agent succeeds",
        "",
        "",
        agent=f"head -c 100000 /dev/zero | tr '\\0' x; {MAKES_IT}",
        arguments=("-o", "pipeline_max_transcript=10 kB"),
    ),
    case(
        "a transcript cannot be written",
        "infrastructure",
        r"transcript .* cannot be written: Is a directory",
        agent=MAKES_IT,
        conftest=BLOCKS_THE_TRANSCRIPT,
    ),
    case(
        "a verification fails",
        "verification",
        "`test -e b.txt` ended with exit status 1; expected 0",
        does=MAKES_IT,
        verification=("test -e b.txt",),
    ),
    case(
        "a verification hangs",
        "verification",
        r"`sleep 600` did not end within 1 s",
        does=MAKES_IT,
        verification=("sleep 600",),
        arguments=("--verification-time", "1"),
    ),
    case(
        "a verification names no program",
        "verification",
        "exit status 127 .127: the shell did not find a program",
        does=MAKES_IT,
        verification=("sh -c no-such-program",),
    ),
    case(
        "a verification passes before the work is done",
        "verification",
        "passes on the untouched workspace",
        does=MAKES_IT,
        verification=("test -e kept.txt",),
        arguments=("--vacuous-checks", "fail"),
    ),
    case(
        "a declared file is not made", "outcome", "Expected a.txt to be created; it is not there", does="echo > b.txt"
    ),
    case(
        "an undeclared file is changed under scope: strict",
        "outcome",
        "does not declare: b.txt",
        does=f"{MAKES_IT}; echo > b.txt",
        arguments=("--change-scope", "strict"),
    ),
    case(
        "a file that is only read is changed",
        "outcome",
        "Expected kept.txt only to be read",
        files=(*A, "Read: `kept.txt`"),
        does=f"{MAKES_IT}; echo > kept.txt",
    ),
    case(
        "something is changed where nothing must be",
        "outcome",
        "change nothing; it changed b.txt",
        files=("Read: `kept.txt`",),
        does="echo > b.txt",
    ),
    case(
        "a condition does not hold",
        "outcome",
        "Expected a.txt to contain 'unmade'; it does not",
        does=MAKES_IT,
        expect='file `a.txt` contains "unmade"',
    ),
    case(
        "a task that must fail succeeds",
        "outcome",
        "Everything passed; nothing was pushed",
        does=MAKES_IT,
        expect="failure",
    ),
    case("a hook objects", "outcome", "The house rules forbid it", does=MAKES_IT, conftest=OBJECTS),
    case(
        "another merge changes the same lines (merge)",
        "conflict",
        "both changed kept.txt",
        files=("Modify: `kept.txt`",),
        does="echo we >> kept.txt",
        conftest=MOVES_THE_BASE,
        arguments=("--merge-method", "merge"),
    ),
    case(
        "another merge changes the same lines (squash)",
        "conflict",
        "both changed kept.txt",
        files=("Modify: `kept.txt`",),
        does="echo we >> kept.txt",
        conftest=MOVES_THE_BASE,
        arguments=("--merge-method", "squash"),
    ),
    case(
        "another merge changes the same lines (rebase)",
        "conflict",
        "both changed kept.txt",
        files=("Modify: `kept.txt`",),
        does="echo we >> kept.txt",
        conftest=MOVES_THE_BASE,
        arguments=("--merge-method", "rebase"),
    ),
    case("somebody deletes the run's base branch", "forge", "run-01/base", does=MAKES_IT, conftest=DELETES_THE_BASE),
]
UNREADABLE = [
    Case(
        "the plan is not UTF-8",
        "",
        r"plans/p.md:3: the file is not UTF-8",
        b"# A\n\n\xe9\n## Batch 1: B\n### Task 1.1: C\n",
    ),
    Case("the front matter is no YAML", "", r"plans/p.md:\d+: .*YAML", "---\na: [\n---\n" + plan(task())),
    Case("the front matter is no mapping", "", r"plans/p.md:\d+: .*mapping", "---\n- a\n---\n" + plan(task())),
    Case(
        "the front matter has an unknown key", "", r"plans/p.md:2: .*agent", "---\nagnet: command\n---\n" + plan(task())
    ),
    Case("two tasks have one id", "", r"plans/p.md:\d+: .*1\.1", plan(task("1.1"), task("1.1"))),
]


@pytest.mark.parametrize("row", RUN, ids=lambda row: row.what)
def test_a_failure_has_the_right_kind_and_message(project: Project, row: Case, record_property: Recorder) -> None:
    ran = carried_out(project, row)
    attempt = ran.last()
    said = attempt.message.splitlines()[0] if attempt.message else "passed"
    for name, value in (("what", row.what), ("kind", str(attempt.failure_kind or "-")), ("message", said)):
        record_property(name, value)

    assert ran.kind() == row.kind, ran.text
    assert re.search(row.message, said), said
    assert ran.exit_code == (1 if row.kind else 0)
    if row.kind:
        assert re.search(rf"^{row.kind}: .*{row.message}", ran.text, re.MULTILINE), "the story begins with it"
        assert "a.txt" not in ran.files() if "base" not in row.what else True
        assert not [each for each in ran.commits() if each != "not ours"] if row.kind != "forge" else True


@pytest.mark.parametrize("row", UNREADABLE, ids=lambda row: row.what)
def test_an_unreadable_plan_is_told_by_file_and_line_and_others_still_run(
    project: Project, row: Case, record_property: Recorder
) -> None:
    project.write({"plans/good.md": plan(task(files=A, does=MAKES_IT))})

    ran = carried_out(project, row)

    said = next((line for line in ran.text.splitlines() if re.search(row.message, line)), "")
    for name, value in (("what", row.what), ("kind", "plan (at collection)"), ("message", said)):
        record_property(name, value)
    assert said, ran.text
    assert ran.exit_code == 1
    assert "Traceback" not in ran.text
    assert {each.key.plan for each in ran.task_runs} == {"plans/good.md"}
    assert ran.commits() == ["Do 1.1"]


def carried_out(project: Project, row: Case) -> Ran:
    project.write({"conftest.py": "\n".join(line.removeprefix("    ") for line in row.conftest.splitlines())})
    place = project.path / "plans/p.md"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(row.text if isinstance(row.text, bytes) else row.text.encode())
    thread = threading.Thread(target=row.meanwhile or (lambda _project: None), args=(project,))
    thread.start()
    try:
        return project.run("plans", *row.arguments, agent=project.agent(row.agent) if row.agent else "")
    finally:
        thread.join()
