"""The matrix of the summary: a row for each task, a column for each run, a symbol for each outcome."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from pytest_pipeline.record.columns import fit, plain, shorten, shorten_left
from pytest_pipeline.record.columns import width as columns_of
from pytest_pipeline.record.model import FINAL_STATE, Outcome, RunRecord, TaskRunKey, TaskRunRecord

SYMBOLS: Mapping[Outcome, str] = {
    Outcome.PASSED: ".",
    Outcome.FAILED: "F",
    Outcome.SKIPPED: "s",
    Outcome.COMPLETED: "c",
    Outcome.INTERRUPTED: "I",
    Outcome.RUNNING: "?",
}
WORDS: Mapping[Outcome, str] = {outcome: str(outcome) for outcome in Outcome} | {Outcome.RUNNING: "unfinished"}

_LABEL_LEAST = 28  # columns for a task's name before runs are drawn closer together
_BLOCKS_MOST = 4  # blocks of runs below one another before runs are counted instead of drawn
_ROWS_MOST = 60  # rows before tasks that never failed are counted instead of drawn

TaskKey = tuple[str, str, str]
Drawn = Callable[[Sequence[str]], str]
"""Draws the cells of one row."""


@dataclass(frozen=True)
class Line:
    """One line of text without its end; ``markup`` names what pytest's terminal writer knows, for example ``red``."""

    text: str
    markup: tuple[str, ...] = ()


@dataclass
class Row:
    """One task in all runs: outcomes by the number of the run."""

    label: str
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    @property
    def successful(self) -> bool:
        """Whether the task never was anything but passed or completed."""
        return all(outcome.successful for outcome in self.outcomes.values())


def matrix(runs: Sequence[RunRecord], task_runs: Sequence[TaskRunRecord], width: int) -> list[Line]:
    """Draw the matrix.

    Args:
        runs: become columns, in the order of admission.
        task_runs: become rows, grouped by plan; several runs of one task become one row.
        width: columns of the terminal.
    """
    ordered = sorted(runs, key=lambda run: run.admitted)
    plans = _folded(_rows(task_runs))
    whole = Row("whole run", {run.number: run.outcome for run in ordered})
    numbers = [run.number for run in ordered]
    lines = [line for block in _blocks(numbers, plans, width) for line in _block(*block, plans, whole, width)]
    used = {outcome for rows in plans.values() for row in rows for outcome in row.outcomes.values()}
    legend = [f"{symbol} {WORDS[outcome]}" for outcome, symbol in SYMBOLS.items() if outcome in used]
    return [*lines, *_in_lines(legend, width)] if lines else []


def _in_lines(parts: Iterable[str], width: int) -> Iterator[Line]:
    """The parts in as few lines as hold them."""
    line = ""
    for part in parts:
        longer = f"{line}  {part}" if line else part
        if line and columns_of(longer) > width:
            yield Line(line)
            longer = part
        line = longer
    yield Line(line)


def task_names(task_runs: Iterable[TaskRunRecord]) -> dict[TaskKey, str]:
    """The shortest name of each task that is unique in its plan: its id, with its batch where that is needed."""
    tasks = {_task(task_run.key) for task_run in task_runs}
    homonyms = Counter((plan, task) for plan, _, task in tasks)
    return {
        (plan, batch, task): plain(task if homonyms[plan, task] == 1 else f"{batch} {task}")
        for plan, batch, task in tasks
    }


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts numbers within texts as numbers."""
    parts = re.split(r"([0-9]+)", text)
    return tuple((0, int(part), "") if place % 2 else (1, 0, part) for place, part in enumerate(parts))


def ranges(numbers: Iterable[int]) -> str:
    """Numbers in ascending order, neighbours drawn together: ``1-3, 7``."""
    places = enumerate(sorted(set(numbers)))
    groups = ([number for _, number in group] for _, group in groupby(places, key=lambda each: each[1] - each[0]))
    return ", ".join(f"{group[0]}-{group[-1]}" if len(group) > 1 else str(group[0]) for group in groups)


def _task(key: TaskRunKey) -> TaskKey:
    return key.plan, key.batch, key.task


def _sorting(key: TaskKey) -> tuple[object, ...]:
    plan, batch, task = key
    return natural(plan), task == FINAL_STATE, natural(batch), natural(task)


def _rows(task_runs: Sequence[TaskRunRecord]) -> dict[str, list[Row]]:
    """The rows of each plan."""
    names = task_names(task_runs)
    titles = {_task(each.key): plain(each.title) for each in reversed(task_runs)}
    rows = {
        key: Row(f"  {names[key]}" if key[2] == FINAL_STATE else f"  {names[key]} {titles[key]}")
        for key in sorted(names, key=_sorting)
    }
    for each in task_runs:
        rows[_task(each.key)].outcomes[each.key.run] = each.outcome
    return {
        plan: [rows[key] for key in keys]
        for plan, keys in ((p, list(k)) for p, k in groupby(rows, key=lambda key: key[0]))
    }


def _folded(plans: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """In a long list, only the tasks that are not successful, and how many others there are."""
    total = sum(map(len, plans.values()))
    if total <= _ROWS_MOST:
        return plans
    shown = {plan: [row for row in rows if not row.successful] for plan, rows in plans.items()}
    rest = total - sum(map(len, shown.values()))
    return {plan: rows for plan, rows in shown.items() if rows} | {"": [Row(f"({rest} tasks without a failure)")]}


def _blocks(
    numbers: Sequence[int], plans: Mapping[str, Sequence[Row]], width: int
) -> list[tuple[Sequence[int], int, Drawn, str]]:
    """The numbers of the runs that are drawn side by side, columns for the label, how cells are drawn, the header."""
    if not numbers:
        return []
    longest = max((columns_of(row.label) for rows in plans.values() for row in rows), default=0) + 1
    cell = len(str(max(numbers))) + 1
    if width - cell * len(numbers) >= _LABEL_LEAST:
        label = min(max(longest, _LABEL_LEAST), width - cell * len(numbers))
        header = "".join(f"{number:>{cell}}" for number in numbers)
        return [(numbers, label, lambda cells: "".join(f"{each:>{cell}}" for each in cells), header)]
    label = min(max(longest, _LABEL_LEAST), max(_LABEL_LEAST, width // 3))
    size = (width - label) // 11 * 10
    if len(numbers) > size * _BLOCKS_MOST:
        return [(numbers, label, _counted(numbers, width - label), f" {len(numbers)} runs")]
    return [
        (block, label, _in_tens, "".join(f" {number:<10}" for number in block[::10]).rstrip())
        for block in (numbers[start : start + size] for start in range(0, len(numbers), size))
    ]


def _block(
    numbers: Sequence[int],
    label: int,
    drawn: Drawn,
    header: str,
    plans: Mapping[str, Sequence[Row]],
    whole: Row,
    width: int,
) -> list[Line]:
    def line(row: Row) -> Line:
        cells = [SYMBOLS[row.outcomes[number]] if number in row.outcomes else " " for number in numbers]
        bad = any(number in row.outcomes and not row.outcomes[number].successful for number in numbers)
        if not row.outcomes:
            return Line(shorten(row.label, width))
        return Line((fit(row.label, label - 1) + " " + drawn(cells)).rstrip(), ("red",) if bad else ())

    lines = [Line(fit("run", label) + header, ("bold",))]
    for plan, rows in plans.items():
        heading = [Line(shorten_left(plain(plan), width))] if plan else []
        lines += [*heading, *map(line, rows)]
    return [*lines, line(whole)]


def _in_tens(cells: Sequence[str]) -> str:
    return "".join(" " + "".join(cells[start : start + 10]) for start in range(0, len(cells), 10))


def _counted(numbers: Sequence[int], room: int) -> Drawn:
    """Draws a row as counts, and the runs that did not pass."""

    def drawn(cells: Sequence[str]) -> str:
        parts = []
        for outcome, symbol in SYMBOLS.items():
            where = [number for number, cell in zip(numbers, cells, strict=True) if cell == symbol]
            if where:
                told = "" if outcome is Outcome.PASSED else f" (run {ranges(where)})"
                parts.append(f"{len(where)} {WORDS[outcome]}{told}")
        return shorten(" " + ", ".join(parts), room)

    return drawn
