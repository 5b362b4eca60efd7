"""Tools that an agent asked for and was denied, as one text: ``Write 2, Bash 1``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping


def told(calls: Iterable[str]) -> str:
    """The text for tools, each named once for every call; the most frequent one first."""
    return listed(Counter(calls))


def listed(counts: Mapping[str, int]) -> str:
    """The same for tools that are counted already."""
    return ", ".join(f"{tool} {number}" for tool, number in Counter(counts).most_common())


def counted(text: str) -> Counter[str]:
    """The tools of such a text; what is none is passed over."""
    return Counter({tool: int(number) for tool, number in re.findall(r"(\S.*?) ([0-9]{1,9})(?:, |$)", text)})
