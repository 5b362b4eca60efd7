"""A project with plans, and what pytest makes of it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import pytest

# pytester forgets the modules that an inner run imports; these shall be imported once, not once per run
import pytest_pipeline.cases.collect
import pytest_pipeline.execution.final_state
import pytest_pipeline.execution.task_run  # noqa: F401


@dataclass(eq=False)  # pytest 8.4 puts plugins into sets
class Journal:
    """A plugin that writes down what happens in an inner run."""

    started: list[str] = field(default_factory=list)
    reports: list[pytest.TestReport] = field(default_factory=list)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.started.append(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reports.append(report)


@dataclass
class Session:
    """An inner run of pytest, when it has ended."""

    code: int
    text: str
    errors: str
    counts: dict[str, int]
    journal: Journal

    @property
    def order(self) -> list[str]:
        """Node ids in the order in which their call phase was executed."""
        return [report.nodeid for report in self.journal.reports if report.when == "call"]

    @property
    def done(self) -> list[str]:
        """The same without the files and the final states, short: ``run-01 1.2``."""
        return [short(nodeid) for nodeid in self.order if not nodeid.endswith("::final-state")]

    @property
    def outcomes(self) -> dict[str, str]:
        """How each item ended, in pytest's words: passed, failed, error, skipped, rerun."""
        found: dict[str, str] = {}
        for report in self.journal.reports:
            if report.when == "call" or not report.passed:
                word = "error" if report.failed and report.when != "call" else report.outcome
                found[short(report.nodeid)] = word
        return found

    def report(self, task: str, when: str = "call") -> pytest.TestReport:
        """The last report of a task in a phase."""
        return [each for each in self.journal.reports if short(each.nodeid) == task and each.when == when][-1]

    def property(self, task: str, name: str) -> str | None:
        """A property of a task's test case."""
        return next(
            (str(value) for key, value in self.report(task, "teardown").user_properties if key == f"pipeline.{name}"),
            None,
        )

    def line(self, start: str) -> str:
        """The one line of the output that begins like this."""
        (found,) = [line for line in self.text.splitlines() if line.startswith(start)]
        return found


def short(nodeid: str) -> str:
    """``plans/a.md::run-01::batch-1::1.2-more`` is ``run-01 1.2``; Python tests keep what follows the file."""
    path, *names = nodeid.split("::")
    if not path.endswith(".md"):
        return "::".join(names)
    words = [name.partition("-")[0] if "-" in name and name[0].isdigit() else name for name in names]
    return " ".join(word for word in words if not word.startswith("batch-"))


def task(number: str, *fields: str, file: str | None = "", reference: str = "") -> str:
    """A task that creates a file of its own, and its solution.

    Args:
        number: its id.
        fields: further lines of it.
        file: the file; None: ``fields`` say everything.
        reference: the content of its solution; without it, one line.
    """
    made = file or f"made/{number}.txt"
    own = [] if file is None else ["**Files:**", f"- Create: `{made}`", ""]
    solution = [] if file is None else ["", "**Reference:**", f"```text path={made}", reference or number, "```"]
    return "\n".join([f"### Task {number}: Make {number}", "", *own, *fields, *solution, ""])


def batch(number: str, *tasks: str, needs: str = "", parallel: bool = False) -> str:
    """A batch of such tasks."""
    head = [f"## Batch {number}: Number {number}", "", *(["**Execution Mode:** parallel", ""] if parallel else [])]
    return "\n".join([*head, *([f"**Dependencies:** {needs}", ""] if needs else []), *tasks])


def failing(number: str, *fields: str) -> str:
    """A task whose verification never passes."""
    return task(number, *fields, "", "**Verification:**", "- `test -e never-made.txt`")


_CHEAP = ("-p", "no:hypothesispytest")
"""Hypothesis' plugin imports it at the end of every run, a second each."""


@dataclass
class Project:
    """Somebody's project, in the current directory."""

    pytester: pytest.Pytester

    @property
    def path(self) -> Path:
        return self.pytester.path

    def write(self, name: str, text: str) -> Path:
        """Write a file; text may be indented."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    def plan(self, *batches: str, name: str = "plans/plan.md", front: str = "", title: str = "A plan") -> Path:
        """Write a plan."""
        head = f"---\n{dedent(front).strip()}\n---\n" if front else ""
        return self.write(name, "\n".join([f"{head}# {title}\n", *batches]))

    def ini(self, text: str) -> None:
        """Set ini keys besides the agent."""
        lines = dedent(text).strip()
        self.write("pytest.ini", f"[pytest]\npipeline_agent = reference\n{lines}\n")

    def run(self, *arguments: str | Path) -> Session:
        """Run pytest in this process."""
        journal = Journal()
        with warnings.catch_warnings():
            warnings.resetwarnings()  # this repository makes errors of them; a user's project need not
            result = self.pytester.runpytest_inprocess(*_CHEAP, *arguments, plugins=[journal], no_reraise_ctrlc=True)
        return _session(result, journal)

    def run_apart(self, *arguments: str | Path) -> Session:
        """Run pytest in a process of its own; its journal is empty."""
        return _session(self.pytester.runpytest_subprocess(*arguments, timeout=120), Journal())


def _session(result: pytest.RunResult, journal: Journal) -> Session:
    try:
        counts = result.parseoutcomes()
    except ValueError:  # there is no summary line
        counts = {}
    return Session(int(result.ret), str(result.stdout), str(result.stderr), counts, journal)


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    """An empty project whose agent replays references."""
    made = Project(pytester)
    made.ini("")
    return made


_FIRST_FAILURES = """
    file=$(grep -o 'made/[0-9.]*txt' | head -n 1)
    echo "$file" >> {tally}
    test "$(grep -c "$file" {tally})" -ge {good_from} || exit 1
    mkdir -p made
    echo "$file" > "$file"
"""


def failing_until(project: Project, good_from: int) -> None:
    """Use an agent that fails at each task until it is asked for the ``good_from``-th time."""
    tally = project.path / "tally.txt"
    agent = project.write("agent.sh", _FIRST_FAILURES.format(tally=tally, good_from=good_from))
    project.write("pytest.ini", f"[pytest]\npipeline_agent = command\npipeline_agent_command = /bin/sh {agent}\n")
