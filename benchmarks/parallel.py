"""What workers are worth: agents that take their time, on more and more workers, against the same in one process.

Efficiency is the time of one process over workers times the time of them. Two times are told: ``tasks``, from the
admission of the first task to the end of the last one as the record has them, and ``whole``, that of the whole pytest
with the start of its workers. The forge is the embedded one, each task has its own pull request and merge.
"""

from __future__ import annotations

import math
import sqlite3
import sys
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from benchmarks.measuring import arguments, interleaved, measure, median, table, workshop
from benchmarks.overhead import afresh


def independent(batches: int, seconds: Sequence[float]) -> str:
    """A plan of that many batches of one task, none of which needs another; the times are used in turns."""
    return "# Side by side\n\n" + "\n".join(
        _batch(number, seconds[(number - 1) % len(seconds)], "") for number in range(1, batches + 1)
    )


def chain(batches: int, seconds: float) -> str:
    """A plan of that many batches, each of which needs the one before."""
    needs = ["", *(f"**Dependencies:** Batch {number}\n\n" for number in range(1, batches))]
    return "# A chain\n\n" + "\n".join(_batch(number, seconds, need) for number, need in enumerate(needs, 1))


def _batch(number: int, seconds: float, needs: str) -> str:
    return (
        f"## Batch {number}: Number {number}\n\n{needs}### Task {number}.1: Make {number}\n\n**Files:**\n"
        f"- Create: `made/{number}.txt`\n\n**Implementation:** sleep {seconds:g}, make made/{number}.txt\n"
    )


def run(place: Path, text: str, workers: int, count: int = 1) -> tuple[float, float]:
    """Seconds of the tasks and of the whole pytest."""
    project = place / "project"
    project.mkdir()
    (project / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (project / "many.md").write_text(text, "utf-8")
    (project / "agent.py").write_text(
        "import re, sys, time, pathlib\n"
        "seconds, path = re.search(r'sleep (\\S+), make (\\S+)', sys.stdin.read()).groups()\n"
        "time.sleep(float(seconds))\n"
        "pathlib.Path(path).parent.mkdir(exist_ok=True)\n"
        "pathlib.Path(path).write_text(path)\n",
        "utf-8",
    )
    agent = f"{sys.executable} -IS {project / 'agent.py'}"
    plugins = ("-p", "pytest_pipeline.plugin", *(("-p", "xdist.plugin", "-n", str(workers)) if workers > 1 else ()))
    argv = (sys.executable, "-m", "pytest", "-q", *plugins, "many.md", "--agent", "command", "--agent-command", agent)
    usage = measure((*argv, "--count", str(count)), project, {"TMPDIR": str(place)})
    return _span(project / ".pipeline" / "state.db"), usage.seconds


def _span(store: Path) -> float:
    connection = sqlite3.connect(store)
    try:
        rows = connection.execute("SELECT started, finished FROM pipeline_attempt").fetchall()
    finally:
        connection.close()
    began = min(datetime.fromisoformat(started) for started, _ in rows)
    ended = max(datetime.fromisoformat(finished) for _, finished in rows)
    return (ended - began).total_seconds()


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__ or "", rounds=1)
    parser.add_argument("--workers", type=int, nargs="*", default=[2, 4, 8], help="numbers of workers")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long an agent takes (default: %(default)s)")
    options = parser.parse_args(words)
    with workshop(options.where) as place:
        _independent(place, options.workers, options.seconds, options.rounds)
        _chain(place, options.seconds, options.rounds)
        _uneven(place, options.rounds)


def _independent(place: Path, workers: Sequence[int], seconds: float, rounds: int) -> None:
    text = independent(16, [seconds])
    cases = {number: partial(afresh, place, partial(run, text=text, workers=number)) for number in (1, *workers)}
    samples = interleaved(rounds, {str(number): case for number, case in cases.items()})
    alone = samples["1"]
    rows = []
    for number in workers:
        tasks = median([one[0] / (number * many[0]) for one, many in zip(alone, samples[str(number)], strict=True)])
        whole = median([one[1] / (number * many[1]) for one, many in zip(alone, samples[str(number)], strict=True)])
        rows.append(
            [f"{number}", f"{median([each[0] for each in samples[str(number)]]):.1f} s", f"{tasks:.2f}", f"{whole:.2f}"]
        )
    one = median([each[0] for each in alone])
    title = f"16 independent batches of {seconds:g} s; one process: {one:.1f} s"
    table(title, ["workers", "tasks", "efficiency of tasks", "of the whole"], rows)


def _chain(place: Path, seconds: float, rounds: int) -> None:
    """Five batches in ten runs on four workers: fifty tasks, which no machine ends in less than thirteen turns."""
    case = partial(afresh, place, partial(run, text=chain(5, seconds), workers=4, count=10))
    found = median([each[0] for each in interleaved(rounds, {"chain": case})["chain"]])
    bound = math.ceil(10 * 5 / 4) * seconds
    print(
        f"a chain of 5 batches of {seconds:g} s, 10 runs, 4 workers: {found:.1f} s, "
        f"{found / bound:.2f} of its bound {bound:g} s"
    )


def _uneven(place: Path, rounds: int) -> None:
    text = independent(4, [2.0, 2.0, 0.05, 0.05])
    case = partial(afresh, place, partial(run, text=text, workers=2))
    found = median([each[0] for each in interleaved(rounds, {"uneven": case})["uneven"]])
    print(f"2 s, 2 s, 50 ms and 50 ms on 2 workers: {found:.2f} s (bound 2.05 s; twice that where work is sent ahead)")


if __name__ == "__main__":
    main()
