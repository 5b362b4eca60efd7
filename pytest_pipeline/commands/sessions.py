"""``sessions``: list the sessions of the store, or show one in full."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone

from pytest_pipeline.commands import COMMANDS
from pytest_pipeline.commands.ages import show_age
from pytest_pipeline.commands.arguments import Parser
from pytest_pipeline.commands.project import Project, in_project
from pytest_pipeline.commands.recorded import LATEST, find_session, has_store, opened_store, runs_now, words_first
from pytest_pipeline.commands.tables import show_table
from pytest_pipeline.record import telling
from pytest_pipeline.record.columns import plain
from pytest_pipeline.record.costs import shown
from pytest_pipeline.record.junit import NO_PROPERTIES
from pytest_pipeline.record.model import AttemptRecord, RunRecord, SessionRecord, StepRecord, TaskRunRecord
from pytest_pipeline.record.standing import Standing, age, standing_of
from pytest_pipeline.record.store import Store
from pytest_pipeline.record.summary import summary

_HEADINGS = ("session", "state", "streak", "criterion", "cost", "age", "agent")
_WIDTH = 100  # columns of the matrix: its lines are the same in a file as in a terminal


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit code.

    Raises:
        PipelineError: an option cannot be used, or there is no such session.
    """
    words, flags = words_first(arguments)
    parser = Parser("sessions", COMMANDS["sessions"], words="[show SESSION]")
    parser.add_argument("--json", action="store_true", help="As JSON, for programs.")
    options, rest = parser.parse_known_args(flags)
    if words[:1] not in ([], ["show"]) or len(words) > 2:
        parser.error(f"sessions takes nothing or `show SESSION`, not {' '.join(words)!r}")
    if words:
        wanted = (words[1:] or [LATEST])[0]
        return in_project(
            "sessions", rest, lambda project: _show(project, wanted, as_json=options.json), takes_words=True
        )
    return in_project("sessions", rest, lambda project: _list(project, as_json=options.json), takes_words=True)


def _standing(project: Project, store: Store, session: SessionRecord) -> Standing:
    return standing_of(store, session, alive=runs_now(project, session))


# The list


def _list(project: Project, *, as_json: bool) -> int:
    found: list[Standing] = []
    if has_store(project):
        with opened_store(project) as store:
            found = [_standing(project, store, each) for each in store.sessions()]
    now = datetime.now(timezone.utc)
    if as_json:
        print(json.dumps([telling.short(each, now) for each in found], indent=2))
    elif found:
        show_table(_HEADINGS, [_row(each, now) for each in found])
    else:
        print("There is no session here yet. Run a plan first.")
    return 0


def _row(standing: Standing, now: datetime) -> tuple[str, ...]:
    session = standing.session
    return (
        session.id,
        f"{standing.state} (chaos)" if "chaos" in session.facts else str(standing.state),
        f"{standing.verdict.streak} of {session.required}",
        "met" if standing.met else "not met",
        f"{shown(standing.cost)} USD",
        show_age(timedelta(seconds=age(standing, now))),
        session.facts.get("agent", ""),
    )


# One in full


def _show(project: Project, wanted: str, *, as_json: bool) -> int:
    with opened_store(project) as store:
        session = find_session(store, wanted)
        standing = _standing(project, store, session)
        runs, task_runs = store.runs(session.id), store.task_runs(session.id)
    now = datetime.now(timezone.utc)
    if as_json:
        print(json.dumps(telling.full(standing, runs, task_runs, now), indent=2))
        return 0
    _head(standing, now)
    _runs(runs)
    for line in summary(session, runs, task_runs, standing.verdict, _WIDTH):
        print(line.text)
    for each in task_runs:
        print()
        for text in _task_run(each):
            print(text)
    return 0


def _head(standing: Standing, now: datetime) -> None:
    session = standing.session
    facts = {
        "state": str(standing.state),
        "started": f"{session.started:%Y-%m-%d %H:%M:%S} UTC, {show_age(timedelta(seconds=age(standing, now)))} ago",
        "criterion": f"{session.required} consecutive runs, {'met' if standing.met else 'not met'}",
        "planned runs": str(session.count),
        **{name: value for name, value in session.facts.items() if name not in NO_PROPERTIES},
    }
    if session.exit_code is not None:
        facts["exit code"] = str(session.exit_code)
    print(f"session {session.id}")
    for name, value in facts.items():
        print(f"  {name:14}{plain(value)}")
    print()


def _runs(runs: Sequence[RunRecord]) -> None:
    rows = [(str(each.number), str(each.outcome), _lasted(each.started, each.finished)) for each in runs]
    if rows:
        show_table(("run", "outcome", "time"), rows)
        print()


def _task_run(task_run: TaskRunRecord) -> Iterator[str]:
    key = task_run.key
    title = f"{key.task} {task_run.title}" if key.batch else key.task
    yield plain(f"run {key.run}, {key.plan}: {title}: {task_run.outcome}{task_run.reason and f': {task_run.reason}'}")
    for attempt in task_run.attempts:
        yield from _attempt(attempt)


def _attempt(attempt: AttemptRecord) -> Iterator[str]:
    kind = f", {attempt.failure_kind}" if attempt.failure_kind else ""
    yield f"  attempt {attempt.number}: {attempt.outcome}{kind}, {_lasted(attempt.started, attempt.finished)}"
    if attempt.steps:
        yield f"    steps: {', '.join(map(_step, attempt.steps))}"
    told = {
        "pull request": " ".join(_known(attempt, "pull_request_url", "pull_request_state")),
        "merge commit": " ".join(_known(attempt, "merge_commit")),
        "cost": " ".join(f"{each} USD" for each in _known(attempt, "cost_usd")),
        "transcript": " ".join(_known(attempt, "transcript")),
        "failure": attempt.message,
    }
    yield from (f"    {name}: {plain(text)}" for name, text in told.items() if text)


def _known(attempt: AttemptRecord, *names: str) -> list[str]:
    return [attempt.properties[name] for name in names if name in attempt.properties]


def _step(step: StepRecord) -> str:
    ended = "" if step.outcome.successful else f" {step.outcome}"
    return f"{step.name}{ended} {_lasted(step.started, step.finished)}"


def _lasted(started: datetime, finished: datetime | None) -> str:
    return "not ended" if finished is None else f"{(finished - started).total_seconds():.1f} s"
