"""A picture as lines of a terminal, by rich. Imported when the first picture is drawn."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pytest_pipeline.cases.status.picture import Picture, Row
from pytest_pipeline.record.columns import plain, shorten
from pytest_pipeline.record.costs import shown


def draw(picture: Picture, columns: int, lines: int, *, coloured: bool) -> list[str]:
    """The lines.

    Args:
        picture: what to show.
        columns: most columns of a line.
        lines: most lines; workers that do not fit are counted.
        coloured: whether escape sequences for colours may be used.
    """
    if columns < 1 or lines < 2:
        return []
    text = io.StringIO()
    console = Console(
        file=text,
        width=columns,
        force_terminal=coloured,
        color_system="standard" if coloured else None,
        legacy_windows=False,
        force_jupyter=False,
        _environ={},
    )
    console.print(header(picture), no_wrap=True, overflow="ellipsis", crop=True)
    room = lines - 1
    rows = picture.rows if len(picture.rows) <= room else picture.rows[: room - 1]
    console.print(_table(rows), no_wrap=True, crop=True)
    if len(rows) < len(picture.rows):
        console.print(Text(f"and {len(picture.rows) - len(rows)} more workers", "dim"), no_wrap=True, crop=True)
    return text.getvalue().splitlines()


def header(picture: Picture) -> Text:
    """The line on the session as a whole."""
    ended = [f"{picture.passed} passed"]
    ended += [f"{picture.failed} failed"] if picture.failed else []
    ended += [f"{picture.skipped} skipped"] if picture.skipped else []
    parts = [
        Text("pipeline", "bold"),
        Text(f"{', '.join(ended)} of {picture.tasks} tasks", "red" if picture.failed else "green"),
        Text(f"{picture.runs_ended} of {picture.runs} runs ended, streak {picture.streak}"),
        *([Text(f"{shown(picture.cost)} USD")] if picture.cost else []),
        Text(clock(picture.seconds)),
    ]
    return Text("  ").join(parts)


def _table(rows: tuple[Row, ...]) -> Table:
    table = Table.grid(padding=(0, 2), pad_edge=False)
    for justify in ("left", "right", "left", "left", "right"):
        table.add_column(justify=justify, no_wrap=True, overflow="ellipsis")
    for row in rows:
        cost = f"{shown(row.cost)} USD" if row.cost else ""
        if row.is_free:
            table.add_row(row.worker, "", Text("free", "dim"), "", cost)
        else:
            table.add_row(Text(row.worker, "cyan"), clock(row.seconds), _place(row), _doing(row), cost)
    return table


def _place(row: Row) -> Text:
    where = f" of {row.plan}" if row.plan else ""
    when = "" if row.run is None else f"run {row.run}, "
    return Text(shorten(plain(f"{when}{row.task}{where}"), 60))


def _doing(row: Row) -> Text:
    if row.waits:
        return Text(plain(", ".join(filter(None, (row.step, row.waits)))), "yellow")
    return Text(plain(row.step))


def clock(seconds: float) -> str:
    """A time for people: ``1:05`` or ``2:00:07``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
