"""What an agent tells while it works: costs go into the record, and lines to whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

from pytest_pipeline.errors import PipelineError
from pytest_pipeline.events import AgentActivity
from pytest_pipeline.execution.attempt import Attempt


class Watch:
    """Listens to the agent of one attempt.

    An agent is in the middle of something when it tells, so what goes wrong here, in a hook or in the store, is not
    raised there. It is kept, nothing further is passed on, and :meth:`watching` raises it when the agent has ended.

    Args:
        attempt: whose agent; its facts hold what the agent has cost so far.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._trouble: PipelineError | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the agent inside.

        Raises:
            PipelineError: the first thing that went wrong with a line or a cost.
        """
        yield
        if self._trouble is not None:
            raise self._trouble

    def line(self, text: str) -> None:
        """What the agent says that it does."""
        self._pass_on(lambda: self._tell(text))

    def cost(self, cost: Decimal) -> None:
        """What it has cost so far, in US dollars, estimated."""
        if self._attempt.facts.get("cost_usd") != str(cost):
            self._attempt.facts.update(cost_usd=str(cost), cost_estimated="yes")
            self._pass_on(self._attempt.note)

    def _tell(self, text: str) -> None:
        self._attempt.pipeline.observer.agent_activity(AgentActivity(self._attempt.reference, text))

    def _pass_on(self, action: Callable[[], None]) -> None:
        if self._trouble is None:
            try:
                action()
            except PipelineError as error:
                self._trouble = error
