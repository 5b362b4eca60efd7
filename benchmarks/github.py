"""What a task costs on GitHub: calls, pushes, and seconds, against a GitHub on the loopback interface.

Calls are those of the server's log. What belongs to a task, a run and the session is told apart by three sessions, the
second of which has more tasks and the third more runs. Seconds are those from the admission of one attempt to that of
the next, as in :mod:`.overhead`. The loopback has no network between: what it shows is how often GitHub is asked, what
git's processes cost, and what the limits that are kept add.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

from benchmarks import clocks
from benchmarks.collection import ROOT
from benchmarks.measuring import arguments, interleaved, measure, median, paired, table, workshop
from benchmarks.overhead import admissions, afresh, plan
from pytest_pipeline.forges.gate_budget import Cost, budget
from pytest_pipeline.forges.gate_limits import PACES, CallKind, begin, limits_of
from pytest_pipeline.forges.gate_state import State
from tests.github_world import Check, GitHubWorld, Hosted, Rule
from tests.github_world.faults import meanwhile
from tests.github_world.state import Logged

NAME = "octo/example"
FILES = {f"src/file-{number}.txt": f"file {number}\n" * 20 for number in range(10)}
REQUIRED = "build"
MORE_TASKS = 2
TARGET = 8  # REST calls a task that count, without trouble
CHANGES = (CallKind.PUSH, CallKind.CONTENT, CallKind.MERGE, CallKind.WRITE)  # of one task, in their order
NETWORK = ("git ls-remote", "git push", "git fetch")
ORDER = ("list pulls", "POST pulls", "GET pulls/N", "PUT pulls/N/merge", "DELETE git/refs/heads/BRANCH")
"""The calls of a task in their order; others come behind."""

PUSHES, OTHER_GIT = "git push", "git, other requests"


@dataclass(frozen=True)
class Session:
    """One pytest, as the server and the store saw it.

    Args:
        calls: how often each call was made: its name, and whether it counted against the primary limit.
        admitted: when each attempt was admitted, in seconds since the epoch; the final state's last.
        clocked: end, name and seconds of each git and each REST call.
    """

    calls: Counter[tuple[str, bool]]
    admitted: Sequence[float]
    clocked: Sequence[tuple[float, str, float]] = field(default=())

    @property
    def seconds(self) -> float:
        """Median seconds of a task; the first one, which makes the work tree, is left out."""
        return median([later - earlier for earlier, later in list(pairwise(self.admitted))[1:]])

    @property
    def mean(self) -> float:
        """Mean seconds of a task: pauses come in some tasks and not in others."""
        return (self.admitted[-1] - self.admitted[0]) / (len(self.admitted) - 1)

    def share(self, *names: str) -> tuple[float, float]:
        """How many of these a task has, and their seconds; the first task is left out."""
        first, last = self.admitted[1], self.admitted[-1]
        found = [seconds for end, name, seconds in self.clocked if first <= end < last and name in names]
        tasks = len(self.admitted) - 2
        return len(found) / tasks, sum(found) / tasks


# Sessions


def on_github(place: Path, tasks: int, *, pace: str = "off", runs: int = 1, required: bool = False) -> Session:
    """A session on a new GitHub, which knows whether a pull request can be merged at once.

    Args:
        place: an empty directory.
        tasks: how many the plan has.
        pace: ``--forge-pace``.
        runs: ``--count``.
        required: whether the base branch requires a check, which is pending for the first two looks; then, as at
            GitHub, the first look at a pull request does not tell yet whether it can be merged.
    """
    with GitHubWorld(place / "server") as world:
        world.tick = 100  # lag counts requests: there must have been some before the first change
        hosted = world.add_repository(NAME, FILES)
        if required:
            _require(world, hosted)
        secret = {"GH_ENTERPRISE_TOKEN": world.token, "XDG_STATE_HOME": str(place / "state")}
        where = ("--forge", "github", "--github-api", world.url, "--repo", NAME, "--forge-pace", pace)
        admitted, clocked = _run(place, tasks, (*where, "--count", str(runs)), secret)
        return Session(_calls(world.requests), admitted, clocked)


def on_local(place: Path, tasks: int) -> Session:
    """The same plan and the same repository on the embedded forge."""
    with GitHubWorld(place / "server") as world:
        hosted = world.add_repository(NAME, FILES)
        admitted, clocked = _run(place, tasks, ("--repo", str(hosted.git_dir)), {})
    return Session(Counter(), admitted, clocked)


def _run(
    place: Path, tasks: int, words: Sequence[str], secret: Mapping[str, str]
) -> tuple[Sequence[float], Sequence[tuple[float, str, float]]]:
    project = place / "project"
    project.mkdir()
    (project / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (project / "many.md").write_text(plan(tasks, checked=False), "utf-8")
    notes = place / "clocks.jsonl"
    plugins = ("-p", "pytest_pipeline.plugin", "-p", "benchmarks.clocks")
    argv = (sys.executable, "-m", "pytest", "-q", *plugins, "many.md", "--agent", "reference", *words)
    surroundings = {"TMPDIR": str(place), "HOME": str(place), "PYTHONPATH": str(ROOT), clocks.CLOCKS: str(notes)}
    measure(argv, project, {**surroundings, **secret})
    clocked = [tuple(json.loads(line)) for line in notes.read_text("utf-8").splitlines()]
    return admissions(project / ".pipeline" / "state.db"), clocked


def _require(world: GitHubWorld, hosted: Hosted) -> None:
    """A check that each head must have; it ends once it was looked at twice."""
    hosted.protect("pipeline/*/base", Rule(required=(REQUIRED,), ruleset=True))
    hosted.ci.append(Check(REQUIRED, None))
    world.lag.mergeable = 1
    looks = 0

    def finish() -> None:
        for pull in hosted.open_pulls():
            hosted.set_check(pull.now.head_sha, Check(REQUIRED))

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks % 3 == 2:  # the third look sees that it has ended
            world.later(1, finish)

    world.faults.add(f"GET /repos/{NAME}/commits/*/check-runs", meanwhile(look), times=sys.maxsize)


# Calls


def _calls(requests: Sequence[Logged]) -> Counter[tuple[str, bool]]:
    return Counter((_name(each), each.counted) for each in requests)


def _name(logged: Logged) -> str:
    if logged.kind == "git":
        pushes = logged.method == "POST" and logged.path.endswith("git-receive-pack")
        return PUSHES if pushes else OTHER_GIT
    path = logged.path.removeprefix(f"/repos/{NAME}").strip("/")
    for pattern, stand_in in (
        (r"^pulls/\d+", "pulls/N"),
        (r"^commits/[0-9a-f]{40}", "commits/HEAD"),
        (r"(heads|branches)/.+", r"\1/BRANCH"),
    ):
        path = re.sub(pattern, stand_in, path)
    return "list pulls" if (logged.method, path) == ("GET", "pulls") else f"{logged.method} {path or 'repository'}"


@dataclass(frozen=True)
class Split:
    """Calls by what they belong to."""

    task: Counter[tuple[str, bool]]
    run: Counter[tuple[str, bool]]
    session: Counter[tuple[str, bool]]

    @classmethod
    def of(cls, one: Session, more_tasks: Session, more_runs: Session) -> Split:
        """What one task more and one run more cost; the rest is the session's."""
        names = {*one.calls, *more_tasks.calls, *more_runs.calls}
        task = Counter({name: (more_tasks.calls[name] - one.calls[name]) // MORE_TASKS for name in names})
        run = Counter({name: more_runs.calls[name] - one.calls[name] - task[name] for name in names})
        return cls(task, run, Counter({name: one.calls[name] - task[name] - run[name] for name in names}))

    def names(self) -> list[str]:
        """Of all REST calls, those of a task first."""
        found = {name for part in (self.task, self.run, self.session) for name, _ in +part}
        return [*(each for each in ORDER if each in found), *sorted(found - {*ORDER, PUSHES, OTHER_GIT})]


def _cell(part: Counter[tuple[str, bool]], *names: str) -> str:
    """Counted calls, and behind a plus those that are free because nothing had changed."""
    counted, free = (sum(part[name, kind] for name in names) for kind in (True, False))
    return f"{counted} + {free}" if free else str(counted or "")


def count_calls(place: Path) -> None:
    """Print the calls of a task, with and without a required check."""
    splits = []
    for required in (False, True):
        shapes = ((1, 1), (1 + MORE_TASKS, 1), (1, 2))
        sessions = [
            afresh(place, partial(on_github, tasks=tasks, runs=runs, required=required)) for tasks, runs in shapes
        ]
        splits.append(Split.of(*sessions))
    parts = [part for split in splits for part in (split.task, split.run, split.session)]
    names = list(dict.fromkeys(name for split in splits for name in split.names()))
    rows = [(name, *(_cell(part, name) for part in parts)) for name in names]
    rows.append(("REST calls in all", *(_cell(part, *names) for part in parts)))
    rows += [(name, *(str(part[name, False] or "") for part in parts)) for name in (PUSHES, OTHER_GIT)]
    head = ("call", "task", "run", "session", "task, check", "run, check", "session, check")
    table("github: requests of a task, of a run, and of the session; behind a plus those that are free", head, rows)
    print("task, check: with a required check that is pending for two looks, and mergeability known at the second one")
    print(f"target: at most {TARGET} counted REST calls and 1 push a task, without trouble")


# Seconds


def time_tasks(place: Path, rounds: int, tasks: int) -> float:
    """Print where the seconds of a task go, and what the local forge takes; return those on GitHub."""
    cases: dict[str, Callable[[], Session]] = {
        "github": partial(afresh, place, partial(on_github, tasks=tasks)),
        "local": partial(afresh, place, partial(on_local, tasks=tasks)),
    }
    samples = interleaved(rounds, cases)
    ours, local = samples["github"], samples["local"]
    seconds = median([each.seconds for each in ours])
    rows = []
    for name in (*NETWORK, clocks.REST):
        found = [each.share(name) for each in ours]
        rows.append(_share_row(name, median([count for count, _ in found]), [took for _, took in found], ours))
    rest = [each.seconds - each.share(*NETWORK, clocks.REST)[1] for each in ours]
    rows.append(_share_row("everything else", None, rest, ours))
    rows.append(("one task on GitHub", "", f"{seconds * 1000:.0f}", ""))
    rows.append(("one task on the local forge", "", f"{median([each.seconds for each in local]) * 1000:.0f}", ""))
    table(f"github: medians per task of {tasks} tasks, {rounds} rounds, no pace", ("", "times", "ms", "share"), rows)
    print(f"github : local = {paired([each.seconds for each in ours], [each.seconds for each in local]):.1f}")
    return seconds


def _share_row(name: str, count: float | None, took: Sequence[float], sessions: Sequence[Session]) -> tuple[str, ...]:
    share = median([seconds / each.seconds for seconds, each in zip(took, sessions, strict=True)])
    return (name, "" if count is None else f"{count:g}", f"{median(took) * 1000:.0f}", f"{share:.0%}")


# Paces


def compare_paces(place: Path, tasks: int, many: int) -> None:
    """Print what each pace adds: measured with some tasks, computed and played for many."""
    sessions = {pace: afresh(place, partial(on_github, tasks=tasks, pace=pace)) for pace in reversed(PACES)}
    bare = sessions["off"].mean
    rows = []
    for pace, session in sessions.items():
        told = budget(many, limits_of(pace), State(), 0.0, allowed=float("inf"), cost=Cost())
        rows.append(
            (
                pace,
                f"{session.mean:.1f}",
                f"{session.mean - bare:+.1f}" if pace != "off" else "",
                f"{told.seconds / 60:.1f}",
                f"{played(pace, many) / 60:.1f}",
            )
        )
    head = ("pace", f"s a task, of {tasks}", "more s", f"{many} tasks: min, by the budget", "played")
    table("github: what the paces add", head, rows)
    print("played: the changes of these tasks through the same limits, when all else takes no time")


def played(pace: str, tasks: int) -> float:
    """Seconds until the last of so many tasks has made its changes, at a pace, when nothing but waiting takes time."""
    limits, state, now = limits_of(pace), State(), 0.0
    for kind in CHANGES * tasks:
        while (wait := limits.due(state, kind, NAME, now)[0]) > 0:
            now += max(wait, 0.001)
        begin(state, kind, NAME, now)
    return now


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--tasks", type=int, default=10, help="tasks of which one is timed (default: %(default)s)")
    parser.add_argument("--paced", type=int, default=8, help="tasks at each pace (default: %(default)s)")
    parser.add_argument("--many", type=int, default=100, help="tasks to compute paces for (default: %(default)s)")
    options = parser.parse_args(words)
    with workshop(options.where) as place:
        count_calls(place)
        time_tasks(place, options.rounds, options.tasks)
        compare_paces(place, options.paced, options.many)


if __name__ == "__main__":
    main()
