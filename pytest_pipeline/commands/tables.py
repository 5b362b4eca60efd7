"""A table for whoever reads it: rich in a terminal, aligned columns elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from pytest_pipeline.record.columns import fit, plain, width

_STYLES: Mapping[str, str] = {
    "passed": "green",
    "completed": "green",
    "failed": "red",
    "criterion not met": "red",
    "unfinished": "yellow",
    "interrupted": "yellow",
    "skipped": "yellow",
    "running": "cyan",
}


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table.

    Args:
        headings: one for each column.
        rows: the cells; what would steer a terminal in them is shown as text.
    """
    cells = [[plain(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _rich(headings, cells)
        return
    everything = [list(headings), *cells]
    widths = [max(width(row[column]) for row in everything) for column in range(len(headings))]
    for row in everything:
        print("  ".join(fit(cell, room) for cell, room in zip(row, widths, strict=True)).rstrip())


def _rich(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column, heading in enumerate(headings):
        widest = max(width(cell) for cell in (heading, *(row[column] for row in cells)))
        is_last = column == len(headings) - 1
        table.add_column(heading, no_wrap=not is_last, min_width=None if is_last else widest)
    for row in cells:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    Console(markup=False, emoji=False, highlight=False).print(table)
