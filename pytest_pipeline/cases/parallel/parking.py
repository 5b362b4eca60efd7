"""Where a worker waits: an item that is in no collection, is never run and never reported.

A worker of xdist tears down behind an item what the next one does not share, and knows the next one always to be the
park item. So the park item moves: it stands beside whatever ran last, everything above that stays set up, and once the
worker has been sent its real next item, what that does not share is torn down. Fixtures of modules, packages and
classes live as long as they do without xdist. Two things differ: they also live while the worker waits, and an error
in their teardown is reported for the last item that used them after that item's own end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from typing_extensions import Self

PARKING = "pipeline_parking"
"""The key of ``workerinput`` by which the controller tells a worker that it will be parked."""


def park_where_told(config: pytest.Config) -> None:
    """Register what a worker needs to be parked; nothing where no controller asks for it."""
    if getattr(config, "workerinput", {}).get(PARKING):
        config.pluginmanager.register(Parking(), "pipeline-parking")


class ParkItem(pytest.Item):
    """What a worker is at while it waits."""

    beside: pytest.Item | None = None

    @classmethod
    def of(cls, session: pytest.Session) -> Self:
        """The park item of a worker."""
        item: Self = cls.from_parent(session, name="pipeline-parking")
        return item

    @property
    def nodeid(self) -> str:
        """The one of the item beside it, whose fixtures it tears down: xdist compares it with that of a report."""
        return super().nodeid if self.beside is None else self.beside.nodeid

    def stand_beside(self, item: pytest.Item) -> None:
        """Share all that this item shares with its neighbours."""
        self.beside, self.parent = item, item.parent

    def leave_for(self, nextitem: pytest.Item | None) -> None:
        """Tear down what the next item does not share; an error is one of the item beside."""
        state = self.session._setupstate  # no public name; it is what pytest's own runner calls
        call = pytest.CallInfo.from_call(
            lambda: state.teardown_exact(nextitem), "teardown", reraise=(KeyboardInterrupt, pytest.exit.Exception)
        )
        if call.excinfo is not None and self.beside is not None:
            report = pytest.TestReport.from_item_and_call(self.beside, call)
            self.beside.ihook.pytest_runtest_logreport(report=report)

    def runtest(self) -> None:
        """Never called."""
        raise NotImplementedError("A park item is not run.")


class Parking:
    """The plugin of a worker that is parked between items."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Add the park item behind all others, now that everybody has counted, ordered, selected and told them."""
        session.items.append(ParkItem.of(session))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Put the park item beside an item that it follows, before anything is torn down, and run everything but it."""
        if isinstance(item, ParkItem):
            item.leave_for(nextitem)
            return True
        if isinstance(nextitem, ParkItem):
            nextitem.stand_beside(item)
        return None
