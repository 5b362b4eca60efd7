"""The dice: which faults a task meets, by the seed alone. Pure; the same in every process, order and time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from pytest_pipeline.execution.chaos.faults import Fault


@dataclass(frozen=True)
class Dice:
    """The dice of a session.

    Args:
        seed: what tells one session's chaos from another's.
        rate: probability of a fault at each seam of each task, from 0 to 1.
    """

    seed: int
    rate: float

    def faults(self, run: int, case: str, possible: Sequence[Fault]) -> tuple[Fault, ...]:
        """What a task meets: at most one fault of each seam, and at most one of all that it must fail by.

        Args:
            run: number of the run.
            case: names the task among all plans.
            possible: what can be injected, by seam.
        """
        drawn = []
        for seam, group in groupby(possible, key=lambda fault: fault.seam):
            if self._chance(run, case, str(seam)) < self.rate:
                drawn.append(min(group, key=lambda fault: self._chance(run, case, fault.name)))
        fatal = min(filter(_is_fatal, drawn), key=lambda fault: self._chance(run, case, fault.name), default=None)
        return tuple(fault for fault in drawn if not fault.fatal or fault is fatal)

    def number(self, run: int, case: str, what: str, sides: int) -> int:
        """A number from 0 on, below ``sides``, for a detail of a fault."""
        return int(self._chance(run, case, f"number {what}") * sides)

    def _chance(self, run: int, case: str, what: str) -> float:
        told = "\0".join((str(self.seed), str(run), case, what)).encode("utf-8", "surrogateescape")
        return int.from_bytes(hashlib.sha256(told).digest()[:6], "big") / 2**48  # 48 bits: exact as a float


def _is_fatal(fault: Fault) -> bool:
    return fault.fatal
