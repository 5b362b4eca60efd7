"""What a run of the Claude CLI has used so far: as its last result says, and since then as its answers say."""

from __future__ import annotations

from decimal import Decimal

from pytest_pipeline.agents.claude.events import Ended, Said, Usage
from pytest_pipeline.agents.claude.prices import estimate

_ANSWERS = 256


class Bill:
    """Adds up the usage of one run.

    A result's own sums, which are of the whole run, replace what was added up before it. What was added up is rather
    too low: an answer's lines carry the usage at its start, when hardly a token of it was written.

    Attributes:
        answers: answers of the model itself, not of agents that it started, since the last result.
        cost: US dollars; None where nothing is known.
        tokens: tokens of all kinds; None where nothing is known.
        estimated: whether ``cost`` holds more than a result said.
    """

    def __init__(self) -> None:
        self.answers = 0
        self.cost: Decimal | None = None
        self.tokens: int | None = None
        self.estimated = False
        self._usages: dict[str, Usage] = {}  # of the last answers, because each comes in several lines

    def start(self) -> None:
        """The CLI runs: nothing was used so far."""
        if self.cost is None:
            self.cost, self.tokens, self.estimated = Decimal(0), 0, True

    def add(self, said: Said) -> None:
        """Add a piece of an answer; of pieces of one answer the last counts."""
        self.start()
        before = self._usages.pop(said.id, None)
        if said.id:
            self._usages[said.id] = said.usage
        if len(self._usages) > _ANSWERS:
            del self._usages[next(iter(self._usages))]
        if before is None and not said.nested:
            self.answers += 1
        old = before or Usage()
        self.cost = (self.cost or Decimal(0)) + estimate(said.model, said.usage) - estimate(said.model, old)
        self.tokens = (self.tokens or 0) + said.usage.total - old.total
        self.estimated = True

    def settle(self, result: Ended) -> None:
        """Take a result's own sums, where it has any."""
        self.answers = 0
        if result.cost is not None:
            self.cost, self.estimated = result.cost, False
        if result.usage is not None:
            self.tokens = result.usage.total
