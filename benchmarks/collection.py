"""What items cost: thousands of tasks against as many test functions, collected only and run with nothing to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks import noop
from benchmarks.measuring import Usage, arguments, environment, interleaved, measure, median, paired, table, workshop

ROOT = Path(__file__).resolve().parents[1]
FILES = 10
BATCHES = 10  # in each plan

PIPELINE = ("-p", "pytest_pipeline.plugin", "--agent", "reference")
DO_NOTHING = ("-p", "benchmarks.noop")
NOTHING = ("-p", "nothing")  # to name a plugin costs a look through what is installed, whichever it is
REPEAT = ("-p", "pytest_repeat")
COLLECT_ONLY = ("--collect-only",)


def plan(number: int, tasks: int) -> str:
    """A plan of that many tasks, each of which creates one file and checks it."""
    lines = [f"# Plan {number}", ""]
    for task in range(tasks):
        if task % -(-tasks // BATCHES) == 0:
            batch = task // -(-tasks // BATCHES) + 1
            lines += [f"## Batch {batch}: Part {batch}", ""]
        path = f"out/plan-{number}/file-{task}.txt"
        lines += [f"### Task {batch}.{task}: Create file {task}", "", "**Files:**", f"- Create: `{path}`", ""]
        lines += ["**Verification:**", f"- `test -f {path}`", ""]
    return "\n".join(lines)


def make_plans(project: Path, tasks: int) -> None:
    """A repository with plans of so many tasks in all."""
    (project / "plans").mkdir(parents=True)
    for number in range(FILES):
        (project / "plans" / f"plan_{number}.md").write_text(plan(number, tasks // FILES), "utf-8")
    author = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")
    for words in (("init", "--quiet"), ("add", "."), (*author, "commit", "--quiet", "--message", "Plans")):
        subprocess.run(("git", *words), cwd=project, env=environment(), check=True)
    _configure(project)


def make_parametrised(project: Path, tests: int) -> None:
    """As many test functions, made by parameters."""
    project.mkdir(parents=True)
    for number in range(FILES):
        text = (
            f"import pytest\n\n@pytest.mark.parametrize('n', range({tests // FILES}))\ndef test_nothing(n):\n    pass\n"
        )
        (project / f"test_{number}.py").write_text(text, "utf-8")
    _configure(project)


def make_functions(project: Path, tests: int) -> None:
    """As many test functions, each written down."""
    project.mkdir(parents=True)
    for number in range(FILES):
        text = "\n\n".join(f"def test_{each}():\n    pass" for each in range(tests // FILES))
        (project / f"test_{number}.py").write_text(text + "\n", "utf-8")
    _configure(project)


def _configure(project: Path) -> None:
    (project / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (project / "nothing.py").touch()


def run(project: Path, words: Sequence[str], store: str = "") -> Usage:
    """One pytest."""
    argv = (sys.executable, "-m", "pytest", "-q", *words)
    return measure(argv, project, {"PYTHONPATH": f"{project}:{ROOT}", noop.STORE: store})


def compare(title: str, rounds: int, ours: Callable[[], Usage], theirs: Callable[[], Usage]) -> tuple[str, ...]:
    """One row: seconds and memory of both, the ratios, and that of processor time, which neighbours disturb less."""
    samples = interleaved(rounds, {"ours": ours, "theirs": theirs})
    mine, other = samples["ours"], samples["theirs"]
    return (
        title,
        f"{median([each.seconds for each in mine]):.2f}",
        f"{median([each.seconds for each in other]):.2f}",
        f"{paired([each.seconds for each in mine], [each.seconds for each in other]):.2f}",
        f"{paired([each.processor for each in mine], [each.processor for each in other]):.2f}",
        f"{median([each.memory for each in mine]):.0f}",
        f"{median([each.memory for each in other]):.0f}",
        f"{paired([each.memory for each in mine], [each.memory for each in other]):.2f}",
    )


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--tasks", type=int, default=10_000, help="items in all (default: %(default)s)")
    options = parser.parse_args(words)
    with workshop(options.where) as place:
        make_plans(place / "wide", options.tasks)
        make_parametrised(place / "parameters", options.tasks)
        make_plans(place / "deep", options.tasks // 10)
        make_functions(place / "functions", options.tasks // 10)
        plans = partial(run, place / "wide")
        repeated = partial(run, place / "deep")
        parameters = partial(run, place / "parameters")
        functions = partial(run, place / "functions")
        ten, few, many = ("--count=10",), f"{options.tasks // 10:,} x 10", f"{options.tasks:,}"
        by = (*REPEAT, *ten)
        rows = []
        for what, own, only in (("collect only", COLLECT_ONLY, COLLECT_ONLY), ("run", DO_NOTHING, ())):
            ours, theirs = ("plans", *PIPELINE, *own), (*NOTHING, *only)
            rows.append(compare(f"{many}, {what}", options.rounds, partial(plans, ours), partial(parameters, theirs)))
            ours, theirs = ("plans", *PIPELINE, *ten, *own), (*by, *only)
            rows.append(compare(f"{few}, {what}", options.rounds, partial(repeated, ours), partial(functions, theirs)))
        ours = ("plans", *PIPELINE, *ten, *DO_NOTHING)
        recorded = partial(repeated, ours, "yes")
        rows.append(compare(f"{few}, run with record", max(1, options.rounds // 3), recorded, partial(functions, by)))
    head = ("items", "s", "pytest", "ratio", "of processor", "MiB", "pytest", "ratio")
    table(f"collection: tasks against functions, {options.rounds} rounds", head, rows)
    print("target: ratios of at most 1.0; pytest: parametrised functions, and pytest-repeat for those that are x 10")


if __name__ == "__main__":
    main()
