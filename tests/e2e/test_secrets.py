"""Secrets of pytest's environment never get anywhere, also when an agent or a check looks for them in /proc."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.e2e.world import Project, plan, task
from tests.host.git_world import git

CANARY = "canary-7f3a9b2c5d"
SPY = """
    for process in /proc/[0-9]*; do tr '\\0' '\\n' < $process/environ 2>/dev/null; done
    env
    echo made > a.txt
    {end}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("fails", [False, True], ids=["the agent succeeds", "the agent fails"])
def test_a_secret_of_pytest_is_nowhere_afterwards(project: Project, fails: bool) -> None:
    """Pytest runs apart, so that its environment is in /proc as the user's would be."""
    project.environment = {"MY_API_TOKEN": CANARY, "DB_PASSWORD": f"{CANARY}-two", "HARMLESS": "harmless-marker"}
    check = 'sh -c \'tr "\\0" "\\n" < /proc/$PPID/environ; cat /proc/[0-9]*/environ; env; test -e a.txt\''
    project.write({"plans/p.md": plan(task(files=["Create: `a.txt`"], verification=[check]))})

    ran = project.run_apart(
        *("plans", "-rA", "-vv", "--junitxml=record.xml", "--keep-workspaces=always", "-o", "junit_logging=all"),
        agent=project.agent(SPY.format(end="exit 1" if fails else "")),
    )

    assert ran.exit_code == int(fails), ran.text
    assert "harmless-marker" in ran.transcripts(), "the spy has seen pytest's environment"
    assert "MY_API_TOKEN=***" in ran.transcripts()
    assert CANARY not in ran.text
    for place in (project.path, project.temporary):
        for path in place.rglob("*"):
            if path.is_file():
                assert CANARY.encode() not in path.read_bytes(), path
    held = git(ran.forge, "cat-file", "--batch-all-objects", "--batch")
    assert CANARY not in held


def test_neither_agent_nor_verification_inherit_anything_but_what_is_allowed(project: Project) -> None:
    names = f'{sys.executable} -c "import os; print(*sorted(os.environ), sep=chr(10))"'
    project.environment = {"MY_API_TOKEN": CANARY, "OTHER": "x", "WANTED": "y", "LANG": "C"}
    project.write({"plans/p.md": plan(task(files=["Create: `a.txt`"], does=f"{names} > a.txt"))})

    ran = project.run("plans", "-o", "pipeline_pass_environment=WANTED").passed()

    seen = set(ran.show("a.txt").split()) - {"PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}
    everywhere = {name for name in os.environ if name.startswith("LC_") or name in ("TZ", "TERM")}
    assert seen - everywhere == {
        *("PATH", "LANG", "HOME", "TMPDIR", "WANTED", "GIT_CEILING_DIRECTORIES", "PYTEST_PIPELINE_JOB")
    }


def test_no_path_of_this_machine_is_in_the_record(project: Project) -> None:
    project.write({"plans/p.md": plan(task(files=["Create: `a.txt`"], does="echo > a.txt"))})

    project.run("plans", "--junitxml=record.xml").passed()

    assert str(Path(project.path)) not in (project.path / "record.xml").read_text()
