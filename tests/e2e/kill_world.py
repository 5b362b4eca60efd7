"""A project whose session somebody is killed in, and the pytest that is run there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import pytest_pipeline.cases.collect
import pytest_pipeline.execution.final_state
import pytest_pipeline.execution.task_run  # noqa: F401 - what a pytest imports, before it is forked
from pytest_pipeline import commands
from tests.e2e.kill_points import CONFTEST, Cell
from tests.host.git_world import source_repository

RUNS = 2
TASKS = ("1.1", "1.2", "2.1")
_PATIENCE = 60.0

_PLAN = """\
# A plan

## Batch 1: First

### Task 1.1: Make 1.1

**Files:**
- Create: `1.1.txt`

**Implementation:**
Make it.

### Task 1.2: Make 1.2

**Files:**
- Create: `1.2.txt`

**Implementation:**
Make it.

**Verification:**
- `test -s 1.2.txt`

## Batch 2: Second

**Dependencies:** Batch 1

### Task 2.1: Make 2.1

**Files:**
- Create: `2.1.txt`

**Implementation:**
Make it.

**Verification:**
- `test -s 1.1.txt -a -s 2.1.txt`
"""

_AGENT = """\
#!/bin/sh
task=$(sed -n 's/^# Task \\([0-9.]*\\).*/\\1/p' | head -n 1)
echo "$(cat .git/HEAD)" "$task" >> {calls}
strike() {{
    test "$1 $task" = "{moment} 1.2" && mkdir {flag} 2> /dev/null && kill -9 {pid} && sleep 600
}}
strike before
printf 'made' > "$task.txt"
strike within
echo >> "$task.txt"
strike after
exit 0
"""

_GIT = """\
#!/bin/sh
for each; do case $each in {command}) echo x >> {counter};; esac; done
case " $* " in *" {command} "*) ;; *) exec {git} "$@";; esac
test "$(wc -l < {counter})" -ge {nth} && mkdir {flag} 2> /dev/null || exec {git} "$@"
test {when} = before && kill -9 $$
{git} "$@"
kill -9 $$
"""


@dataclass
class World:
    """A project, an agent and a git of its own.

    Args:
        root: directory of all of it.
    """

    root: Path

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def state(self) -> Path:
        return self.project / ".pipeline"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    @property
    def calls(self) -> list[str]:
        """Each time that an agent was asked: branch and task."""
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def struck(self) -> bool:
        """Whether the cell came about."""
        return (self.root / "struck").exists() or (self.project / "struck").exists()

    def build(self, cell: Cell) -> None:
        """Write everything."""
        told = json.loads(cell.told)
        source_repository(self.project, {"README.md": "A project.\n", ".gitignore": ".pipeline\nstruck\n"})
        for name, text in {
            "plans/p.md": _PLAN,
            "conftest.py": CONFTEST,
            "told.json": json.dumps(told),
            "pytest.ini": "[pytest]\n",
        }.items():
            (self.project / name).parent.mkdir(exist_ok=True)
            (self.project / name).write_text(text)
        for name in ("tmp", "bin", "home"):
            (self.root / name).mkdir()
        flag, real = self.root / "struck", shutil.which("git")
        agent = _AGENT.format(
            calls=self.root / "calls", moment=told.get("agent", "never"), flag=flag, pid=told.get("pid", "")
        )
        self._program("agent", agent)
        if "git" in told:
            counter = self.root / "counter"
            self._program(
                "git",
                _GIT.format(
                    command=told["git"], counter=counter, nth=told["nth"], flag=flag, when=told["when"], git=real
                ),
            )

    def _program(self, name: str, text: str) -> None:
        place = self.root / "bin" / name
        place.write_text(text)
        place.chmod(0o755)

    def pytest(self, *arguments: str, workers: int) -> tuple[int, str]:
        """Run pytest in the project; exit code, negative for a signal, and what it printed."""
        many = ("-n", str(workers)) if workers else ("-p", "no:xdist")
        quiet = ("-p", "no:cacheprovider", "-p", "no:random_order", "-p", "no:hypothesispytest")
        agent = ("--agent", "command", "--agent-command", str(self.root / "bin/agent"))
        return self._forked(pytest.main, [*quiet, *many, *agent, "plans", *arguments])

    def command(self, *arguments: str) -> tuple[int, str]:
        """Run one of the package's commands in the project; exit code, and what it printed."""
        return self._forked(commands.main, list(arguments))

    def _forked(self, main: Callable[[list[str]], int], arguments: list[str]) -> tuple[int, str]:
        said = self.root / "said"
        pid = os.fork()  # a new interpreter would import everything again, which is most of what a cell costs
        if not pid:
            self._become(main, arguments, said)
        deadline = time.monotonic() + _PATIENCE
        while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        return os.waitstatus_to_exitcode(ended[1]), said.read_text("utf-8", "replace")

    def _become(self, main: Callable[[list[str]], int], arguments: list[str], said: Path) -> None:
        """In a process of its own: be pytest or a command, and end."""
        code = 70
        try:
            os.setsid()
            os.chdir(self.project)
            kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
            path = f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}"
            os.environ.clear()
            os.environ.update(
                PATH=path, HOME=str(self.root / "home"), TMPDIR=str(self.temporary), PY_COLORS="0", **kept
            )
            tempfile.tempdir = None
            output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for each in (1, 2):
                os.dup2(output, each)
            code = int(main(arguments))
            sys.stdout.flush()
        finally:
            os._exit(code)
