"""Ages as users write and read them: 30m, 12h, 7d, 2w."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_LONGEST = timedelta.max.days  # and more than anything is old


def read_age(text: str) -> timedelta:
    """Read an age; a number alone means nothing but 0.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"([0-9]+)([wdhms])|0", text.strip())
    if found is None:
        raise ValueError(f"must be 0 or an age such as 12h, 7d or 2w, not {text!r}")
    seconds = int(found[1]) * _UNITS[found[2]] if found[1] else 0
    return timedelta(days=_LONGEST) if seconds > _LONGEST * _UNITS["d"] else timedelta(seconds=seconds)


def show_age(age: timedelta) -> str:
    """An age in its largest unit from days down, rounded down; what lies in the future is 0s old."""
    seconds = max(0, int(age.total_seconds()))
    unit = next((unit for unit in "dhm" if seconds >= _UNITS[unit]), "s")
    return f"{seconds // _UNITS[unit]}{unit}"
