"""What pytest reported of an attempt that did not simply pass, as a fact about it in the store, and back.

With it JUnit XML can be made again from the store alone, word for word.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Literal

_LONGEST = 50_000  # characters

When = Literal["setup", "call", "teardown"]
Ended = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Reported:
    """One report.

    Args:
        when: the phase.
        outcome: pytest's.
        text: what it shows.
        crash: the line that says what was raised, where pytest shows a traceback.
        expected: the reason for which a failure was expected (``xfail``); None: it was not.
    """

    when: When
    outcome: Ended
    text: str
    crash: str | None = None
    expected: str | None = None

    def fact(self) -> str:
        """As a text."""
        return json.dumps(asdict(replace(self, text=self.text[:_LONGEST])))

    @classmethod
    def read(cls, fact: str) -> Reported:
        """The inverse of :meth:`fact`."""
        return cls(**json.loads(fact))
