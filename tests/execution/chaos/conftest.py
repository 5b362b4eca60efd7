"""Dice that fall as a test wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from pytest_pipeline.execution.chaos.dice import Dice
from pytest_pipeline.execution.chaos.faults import CATALOGUE, Fault

Load = Callable[..., None]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Let every task meet exactly these faults, whether they are possible or not, with these numbers for details."""

    def load(*names: str, numbers: dict[str, int] | None = None) -> None:
        chosen = tuple(fault for fault in CATALOGUE if fault.name in names)
        assert len(chosen) == len(names)

        def faults(self: Dice, run: int, case: str, possible: Sequence[Fault]) -> tuple[Fault, ...]:
            return chosen

        monkeypatch.setattr(Dice, "faults", faults)
        if numbers is not None:
            monkeypatch.setattr(Dice, "number", lambda self, run, case, what, sides: numbers.get(what, 0))

    return load
