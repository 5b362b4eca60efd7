"""Bars for each run, as drawings that are part of a page: no script, no file beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_HEIGHT = 120
_STEP = 28
_WIDTH = 20
_LEAST = 1.5  # of a bar whose value is not zero


@dataclass(frozen=True)
class Bar:
    """One run in a plot. Lengths are in units of the drawing; ``text`` tells its value."""

    number: int
    state: str
    x: int
    y: float
    height: float
    width: int
    text: str


@dataclass(frozen=True)
class Plot:
    """Bars of one quantity.

    Args:
        title: what is plotted, with its unit.
        width: of the drawing.
        height: of the drawing, without the line of run numbers below.
        top: what the highest bar is worth.
        bars: one for each run whose value is known.
    """

    title: str
    width: int
    height: int
    top: str
    bars: tuple[Bar, ...]


def plot(title: str, values: Sequence[tuple[int, str, float, str]]) -> Plot | None:
    """Plot a quantity over runs.

    Args:
        title: what it is.
        values: number of the run, how it stands, the value, and the value in words.

    Returns:
        None where there is nothing to compare.
    """
    most = max((value for _, _, value, _ in values), default=0.0)
    if not most:
        return None
    bars = []
    for place, (number, state, value, text) in enumerate(values):
        height = max(value / most * _HEIGHT, _LEAST if value else 0.0)
        bars.append(Bar(number, state, place * _STEP + 4, round(_HEIGHT - height, 1), round(height, 1), _WIDTH, text))
    top = next(text for _, _, value, text in values if value == most)
    return Plot(title, len(values) * _STEP + 8, _HEIGHT, top, tuple(bars))
