"""What a page shows of a session, made from its record alone: plain values, without HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

from pytest_pipeline.record.costs import cost_of
from pytest_pipeline.record.matrix import SYMBOLS, WORDS, natural
from pytest_pipeline.record.model import FINAL_STATE, Outcome, RunRecord, SessionRecord, TaskRunKey, TaskRunRecord
from pytest_pipeline.record.selection import Selection
from pytest_pipeline.record.standing import Standing
from pytest_pipeline.record.summary import Told

_Name = tuple[str, str, str]
"""A task by plan, batch and id."""


@dataclass(frozen=True)
class Cell:
    """One task in one run.

    Args:
        run: number of the run.
        state: an outcome's word, or ``waiting``.
        symbol: what is drawn.
        label: what it means, in words.
        anchor: names its details; empty where there are none yet.
    """

    run: int
    state: str
    symbol: str
    label: str
    anchor: str = ""


@dataclass(frozen=True)
class Row:
    """One task in all runs; None where it was not selected."""

    name: str
    title: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class PlanRows:
    """The tasks of one plan."""

    path: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class RunColumn:
    """One run: its number, how it stands, and what it took."""

    number: int
    state: str
    seconds: float | None
    cost: Decimal | None


@dataclass(frozen=True)
class Picture:
    """A session.

    Args:
        session: the session.
        state: how it stands, in one word.
        met: whether its criterion was met.
        labels: what must be said wherever it is shown: a rehearsal, chaos.
        verdict: the sentence on the criterion.
        sentences: what else there is to say, the streak first.
        runs: its runs, planned ones included.
        plans: its tasks.
        passed: task runs that have passed or were completed before, final states left out.
        failed: those that have failed.
        total: all of them.
        cost: US dollars so far; None: unknown.
        seconds: how long it has taken so far, or took.
        alive: whether a process carries it on.
    """

    session: SessionRecord
    state: str
    met: bool
    labels: tuple[str, ...]
    verdict: str
    sentences: tuple[str, ...]
    runs: tuple[RunColumn, ...]
    plans: tuple[PlanRows, ...]
    passed: int
    failed: int
    total: int
    cost: Decimal | None
    seconds: float
    alive: bool


def picture(
    standing: Standing, runs: Sequence[RunRecord], task_runs: Sequence[TaskRunRecord], *, alive: bool, now: datetime
) -> Picture:
    """What there is to see of a session.

    Args:
        standing: how it stands.
        runs: its runs.
        task_runs: its task runs.
        alive: whether a process carries it on.
        now: the time.
    """
    session = standing.session
    selection = Selection.read(session)
    numbers = _numbers(selection, runs)
    found = {each.key: each for each in task_runs}
    titles = _titles(selection, task_runs)
    told = Told.of(session, runs, task_runs, standing.verdict)
    tasks = [each for each in task_runs if each.key.task != FINAL_STATE]
    columns = tuple(_column(number, runs, task_runs) for number in numbers)
    return Picture(
        session=session,
        state=str(standing.state),
        met=standing.met,
        labels=tuple(f"{name}: {session.facts[name]}" for name in ("chaos", "rehearsal") if name in session.facts),
        verdict=told.criterion() if session.finished else _so_far(standing, alive=alive),
        sentences=(told.streak(), told.evidence(), *told.notes()),
        runs=columns,
        plans=_plans(session.id, titles, numbers, _selected(selection), found),
        passed=sum(each.outcome.successful for each in tasks),
        failed=sum(each.outcome is Outcome.FAILED for each in tasks),
        total=sum(key.task != FINAL_STATE for key in _selected(selection) or found),
        cost=standing.cost if any(run.cost is not None for run in columns) else None,
        seconds=((session.finished or now) - session.started).total_seconds(),
        alive=alive,
    )


def anchor_of(key: TaskRunKey) -> str:
    """A short name for a task run within its session, for addresses."""
    text = "\0".join((key.plan, key.batch, key.task))
    return f"run-{key.run}-{sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"


def _so_far(standing: Standing, *, alive: bool) -> str:
    verdict = standing.verdict
    how = "so far" if alive else "until its process ended"
    return f"{verdict.streak} of {verdict.required} consecutive runs {how}"


def _numbers(selection: Selection | None, runs: Sequence[RunRecord]) -> tuple[int, ...]:
    """The runs that are shown, in the order in which they are planned."""
    planned = {run for item in selection.items for run in item.runs} if selection else set[int]()
    return tuple(sorted(planned | {run.number for run in runs}))


def _selected(selection: Selection | None) -> frozenset[TaskRunKey]:
    """The keys of all selected items, without a session's id."""
    if selection is None:
        return frozenset()
    return frozenset(item.key("", run) for item in selection.items for run in item.runs)


def _titles(selection: Selection | None, task_runs: Sequence[TaskRunRecord]) -> Mapping[_Name, str]:
    """Titles by plan, batch and task, in the order of the plans."""
    if selection is not None:
        return {(item.plan, item.batch, item.task): item.title for item in selection.items}
    known = {(each.key.plan, each.key.batch, each.key.task): each.title for each in task_runs}
    return {name: known[name] for name in sorted(known, key=_place)}


def _place(name: _Name) -> tuple[object, ...]:
    plan, batch, task = name
    return natural(plan), task == FINAL_STATE, natural(batch), natural(task)


def _plans(
    session: str,
    titles: Mapping[_Name, str],
    numbers: Sequence[int],
    selected: frozenset[TaskRunKey],
    found: Mapping[TaskRunKey, TaskRunRecord],
) -> tuple[PlanRows, ...]:
    rows: dict[str, list[Row]] = {}
    for (plan, batch, task), title in titles.items():
        cells = []
        for number in numbers:
            known = found.get(TaskRunKey(session, number, plan, batch, task))
            is_wanted = TaskRunKey("", number, plan, batch, task) in selected
            cells.append(_cell(number, task, title, known) if known or is_wanted else None)
        name = "" if task == FINAL_STATE else task
        rows.setdefault(plan, []).append(Row(name, "final state" if task == FINAL_STATE else title, tuple(cells)))
    return tuple(PlanRows(path, tuple(own)) for path, own in rows.items())


def _cell(number: int, task: str, title: str, known: TaskRunRecord | None) -> Cell:
    what = title if task == FINAL_STATE else f"task {task}, {title}"
    if known is None:
        return Cell(number, "waiting", "", f"run {number}, {what}: not begun")
    if known.outcome is Outcome.RUNNING:
        steps = known.attempts[-1].steps if known.attempts else ()
        at = f", in step {steps[-1].name}" if steps else ""
        return Cell(number, "running", "…", f"run {number}, {what}: under way{at}", anchor_of(known.key))
    symbol = {Outcome.PASSED: "✓", Outcome.FAILED: "✗"}.get(known.outcome, SYMBOLS[known.outcome])
    return Cell(
        number, str(known.outcome), symbol, f"run {number}, {what}: {WORDS[known.outcome]}", anchor_of(known.key)
    )


def _column(number: int, runs: Sequence[RunRecord], task_runs: Sequence[TaskRunRecord]) -> RunColumn:
    run = next((each for each in runs if each.number == number), None)
    if run is None:
        return RunColumn(number, "waiting", None, None)
    own = (attempt for each in task_runs if each.key.run == number for attempt in each.attempts)
    costs = [cost for attempt in own if (cost := cost_of(attempt.properties)) is not None]
    seconds = (run.finished - run.started).total_seconds() if run.finished else None
    return RunColumn(number, str(run.outcome), seconds, sum(costs, Decimal()) if costs else None)
