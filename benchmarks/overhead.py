"""What the pipeline itself costs per task: the reference agent against a shell script that does the same git work.

Start-up is left out on both sides, by what lies between one task and the next: the pipeline's tasks are timed from the
store, from the admission of one attempt to that of the next, so everything that pytest and the plugin do in between
counts; the script notes the time at the top of each task. The first task of each round is left out too: it makes the
work tree that the others use again. Run it in memory (``--where``): on some disks checkouts drown everything else.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path

from benchmarks.measuring import Sample, arguments, environment, interleaved, measure, median, paired, table, workshop

SCRIPT = """
set -eu
# One bare repository stands for the forge; a clone of it is where somebody works.
tasks=$1
git clone --quiet "$2" forge.git --bare
git clone --quiet forge.git clone
cd clone
branch=$(git symbolic-ref --short HEAD)
for task in $(seq "$tasks"); do
    date +%s.%N
    git worktree add --quiet -b "task-$task" ../work "$branch"
    mkdir -p ../work/made
    echo "content of task $task" > "../work/made/file-$task.txt"
    CHECK
    git -C ../work add --all
    git -C ../work commit --quiet --message "Create file $task"
    git -C ../work push --quiet origin "task-$task"
    git merge --quiet --squash "task-$task" > /dev/null
    git commit --quiet --message "Create file $task (squashed)"
    git push --quiet origin "$branch"
    git push --quiet origin --delete "task-$task"
    git worktree remove ../work
    git branch --quiet -D "task-$task"
done
date +%s.%N
"""
CHECK = "test -f ../work/made/file-$task.txt"


def make_repository(place: Path, files: int) -> Path:
    """A repository of that many small files, a hundred in a directory."""
    place.mkdir()
    for number in range(files):
        file = place / f"src-{number // 1000}" / f"part-{number // 100}" / f"file-{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"file {number}\n" * 20, "utf-8")
    _git(place, "init", "--quiet")
    _git(place, "add", ".")
    _git(place, "commit", "--quiet", "--message", "Begin")
    return place


def plan(tasks: int, *, checked: bool) -> str:
    """A plan of independent tasks; each creates a file, and perhaps checks that it is there."""
    lines = ["# Many files", "", "## Batch 1: Files", ""]
    for task in range(1, tasks + 1):
        path = f"made/file-{task}.txt"
        lines += [f"### Task 1.{task}: Create file {task}", "", "**Files:**", f"- Create: `{path}`", ""]
        lines += ["**Verification:**", f"- `test -f {path}`", ""] if checked else []
        lines += ["**Reference:**", f"```text path={path}", f"content of task {task}", "```", ""]
    return "\n".join(lines)


def run_pipeline(place: Path, repository: Path, tasks: int, checked: bool) -> float:
    """Median seconds per task of one pytest."""
    project = place / "project"
    project.mkdir()
    (project / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (project / "many.md").write_text(plan(tasks, checked=checked), "utf-8")
    argv = (sys.executable, "-m", "pytest", "-q", "-p", "pytest_pipeline.plugin", "many.md", "--agent", "reference")
    measure((*argv, "--repo", str(repository)), project, {"TMPDIR": str(place)})
    return _median_step(admissions(project / ".pipeline" / "state.db"))


def admissions(store: Path) -> list[float]:
    """When each attempt was admitted, the final state's last."""
    connection = sqlite3.connect(store)
    try:
        rows = connection.execute("SELECT started FROM pipeline_attempt ORDER BY id").fetchall()
    finally:
        connection.close()
    return [datetime.fromisoformat(started).timestamp() for (started,) in rows]


def run_script(place: Path, repository: Path, tasks: int, checked: bool) -> float:
    """Median seconds per task of one script."""
    script = SCRIPT.replace("CHECK", CHECK if checked else ":")
    done = subprocess.run(
        ("/bin/sh", "-c", script, "script", str(tasks), str(repository)),
        cwd=place,
        env=_git_environment(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return _median_step([float(line) for line in done.stdout.split()])


def _median_step(times: Sequence[float]) -> float:
    return median([later - earlier for earlier, later in list(pairwise(times))[1:]])


def _git(place: Path, *words: str) -> None:
    subprocess.run(("git", *words), cwd=place, env=_git_environment(), check=True)


def _git_environment() -> dict[str, str]:
    who = {"NAME": "benchmark", "EMAIL": "benchmark@localhost"}
    return environment({f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()})


def afresh(place: Path, run: Callable[[Path], Sample]) -> Sample:
    """Run in a new directory, removed afterwards."""
    with workshop(place) as room:
        return run(room)


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--tasks", type=int, default=30, help="tasks in each round (default: %(default)s)")
    parser.add_argument("--files", type=int, nargs="*", default=[10, 5000], help="sizes of the repository")
    options = parser.parse_args(words)
    rows = []
    with workshop(options.where) as place:
        for files in options.files:
            repository = make_repository(place / f"repository-{files}", files)
            for checked in (False, True):
                ours = partial(run_pipeline, repository=repository, tasks=options.tasks, checked=checked)
                theirs = partial(run_script, repository=repository, tasks=options.tasks, checked=checked)
                cases = {"ours": partial(afresh, place, ours), "theirs": partial(afresh, place, theirs)}
                samples = interleaved(options.rounds, cases)
                mine, other = samples["ours"], samples["theirs"]
                what = f"{files:,} files, {'one test -f' if checked else 'no check'}"
                ratio = f"{paired(mine, other):.2f}"
                rows.append((what, f"{median(mine) * 1000:.1f}", f"{median(other) * 1000:.1f}", ratio))
    title = f"overhead: medians per task of {options.tasks} tasks, {options.rounds} rounds, {os.cpu_count()} processors"
    table(title, ("repository", "pipeline ms", "script ms", "ratio"), rows)
    print("target: at most 1.0 with 10 files, 0.5 with 5,000")


if __name__ == "__main__":
    main()
