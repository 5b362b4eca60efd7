"""A user's project, agents that do as they are told, and what is left when pytest has ended."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_pipeline.record.model import AttemptRecord, TaskRunRecord
from pytest_pipeline.record.store import Store
from tests.host.git_world import git

QUIET = ("-p", "no:cacheprovider", "-p", "no:random_order", "-p", "no:hypothesispytest", "-p", "no:schemathesis")


def task(
    number: str = "1.1",
    title: str = "",
    *,
    files: Sequence[str] = (),
    does: str = "",
    reference: str = "",
    verification: Sequence[str] = (),
    expect: str = "",
    **fields: str,
) -> str:
    """One task of a plan as a user writes it.

    Args:
        number: its id.
        title: its title.
        files: items of its files list, for example ``Create: a.txt``.
        does: the script that its reference runs.
        reference: the whole of its reference, instead of a script.
        verification: commands, each an item.
        expect: what stands behind ``**Expect:**``.
        fields: further fields by name, with ``_`` for a blank.
    """
    lines = [f"### Task {number}: {title or f'Do {number}'}", ""]
    if files:
        lines += ["**Files:**", *(f"- {each}" for each in files), ""]
    lines += ["**Implementation:**", "Do it.", ""]
    if verification:
        lines += ["**Verification:**", *(f"- `{each}`" for each in verification), ""]
    for name, value in {"Expect": expect, **fields}.items():
        if value:
            lines += [f"**{name.replace('_', ' ')}:** {value}", ""]
    if does or reference:
        lines += ["**Reference:**", reference or f"```sh\n{textwrap.dedent(does).strip()}\n```", ""]
    return "\n".join(lines) + "\n"


def plan(*tasks: str, front_matter: str = "", title: str = "Batch 1: All of it") -> str:
    """A plan of one batch."""
    head = f"---\n{textwrap.dedent(front_matter).strip()}\n---\n" if front_matter else ""
    return f"{head}\n# A plan\n\n## {title}\n\n" + "\n".join(tasks)


@dataclass(frozen=True)
class Ran:
    """What is left of one pytest.

    Args:
        exit_code: pytest's.
        text: what it printed.
        state: the state directory.
    """

    exit_code: int
    text: str
    state: Path

    @property
    def session(self) -> str:
        """Id of the newest session."""
        with self._store() as store:
            return store.sessions()[-1].id

    def _store(self) -> Store:
        return Store.open(f"sqlite:///{self.state / 'state.db'}")

    @property
    def task_runs(self) -> tuple[TaskRunRecord, ...]:
        """All task runs of the newest session."""
        with self._store() as store:
            return store.task_runs(store.sessions()[-1].id)

    def task_run(self, number: str = "1.1", run: int = 1, plan: str = "") -> TaskRunRecord:
        """One task run."""
        found = [
            each
            for each in self.task_runs
            if (each.key.task, each.key.run) == (number, run) and each.key.plan.endswith(plan)
        ]
        assert len(found) == 1, f"{number} of run {run}: {found}\n{self.text}"
        return found[0]

    def last(self, number: str = "1.1", run: int = 1, plan: str = "") -> AttemptRecord:
        """The last attempt at a task run."""
        return self.task_run(number, run, plan).attempts[-1]

    def kind(self, number: str = "1.1", run: int = 1) -> str:
        """The failure kind of a task run, empty where it did not fail."""
        return str(self.last(number, run).failure_kind or "")

    @property
    def forge(self) -> Path:
        """The embedded forge's repository."""
        return self.state / "forge.git"

    def branches(self) -> dict[str, str]:
        """Every ref of the forge, without ``refs/heads/pipeline/<session>/``, and its commit."""
        lines = git(self.forge, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        prefix = re.compile(r"^refs/heads/pipeline/[^/]+/")
        return {prefix.sub("", name): commit for name, commit in (line.split() for line in lines)}

    def commits(self, run: int = 1) -> list[str]:
        """Subjects of what was merged in a run, the first one first."""
        base = f"pipeline/{self.session}/run-{run:02d}/base"
        with self._store() as store:
            start = store.session(self.session).facts["base_commit"]
        return git(self.forge, "log", "--first-parent", "--reverse", "--format=%s", f"{start}..{base}").splitlines()

    def show(self, path: str, run: int = 1) -> str:
        """A file at the end of a run."""
        return git(self.forge, "show", f"pipeline/{self.session}/run-{run:02d}/base:{path}")

    def files(self, run: int = 1) -> list[str]:
        """The files at the end of a run."""
        base = f"pipeline/{self.session}/run-{run:02d}/base"
        return git(self.forge, "ls-tree", "-r", "--name-only", base).splitlines()

    def transcripts(self) -> str:
        """All transcripts of all sessions."""
        return "\n".join(each.read_text("utf-8", "replace") for each in sorted(self.state.rglob("*.log")))

    def passed(self) -> Ran:
        """This, after making sure that everything passed."""
        assert self.exit_code == 0, self.text
        return self


@dataclass
class Project:
    """A user's project.

    Args:
        pytester: runs pytest there.
        outside: a directory outside of it, for agents and evidence.
        temporary: what TMPDIR is for the pytest that is tested.
    """

    pytester: pytest.Pytester
    outside: Path
    temporary: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Its directory."""
        return self.pytester.path

    @property
    def state(self) -> Path:
        """Its state directory."""
        return self.path / ".pipeline"

    def write(self, files: Mapping[str, str]) -> None:
        """Write files of the project."""
        for name, text in files.items():
            place = self.path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, "utf-8")

    def agent(self, script: str, name: str = "agent") -> str:
        """The command line of an agent that is this shell script; ``$OUTSIDE`` in it is :attr:`outside`."""
        return self._program(name, "/bin/sh", textwrap.dedent(script))

    def python_agent(self, script: str, name: str = "agent.py") -> str:
        """The command line of an agent that is this Python script; ``OUTSIDE`` in it is :attr:`outside`."""
        text = f"from pathlib import Path\nOUTSIDE = Path({str(self.outside)!r})\n{textwrap.dedent(script)}"
        return self._program(name, f"{sys.executable} -IS", text)

    def _program(self, name: str, interpreter: str, text: str) -> str:
        place = self.outside / name
        place.write_text(text.replace("$OUTSIDE", str(self.outside)), "utf-8")
        return f"{interpreter} {place}"

    def run(self, *arguments: str, agent: str = "", plugins: Sequence[object] = ()) -> Ran:
        """Run pytest here, in this process; ``agent`` is a command line, else references are replayed."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            result = self.pytester.runpytest_inprocess(
                *QUIET, *self._who(agent), *(arguments or ("plans",)), plugins=list(plugins)
            )
        return Ran(int(result.ret), f"{result.stdout.str()}\n{result.stderr.str()}", self.state)

    def start(self, *arguments: str, agent: str = "") -> subprocess.Popen[str]:
        """Start pytest here in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", *QUIET, *self._who(agent), *(arguments or ("plans",))],
            cwd=self.path,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(self.temporary), "PY_COLORS": "0", **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run_apart(self, *arguments: str, agent: str = "", timeout: float = 120.0) -> Ran:
        """Run pytest here in a process of its own."""
        process = self.start(*arguments, agent=agent)
        text, _ = process.communicate(timeout=timeout)
        return Ran(process.returncode, text, self.state)

    def _who(self, agent: str) -> tuple[str, ...]:
        return ("--agent", "command", "--agent-command", agent) if agent else ("--agent", "reference")

    def left(self) -> list[str]:
        """What the pipeline left in the temporary directory."""
        return sorted(each.name for each in self.temporary.glob("pytest-pipeline-*"))
