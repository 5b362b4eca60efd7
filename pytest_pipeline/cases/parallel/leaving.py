"""``pytest.exit`` in a worker: xdist passes on that the worker has left, but neither the code nor the words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

_LEFT = "pipeline_left"
"""The key of ``workeroutput`` by which a worker tells the controller."""


class Leaving:
    """The plugin of a worker that tells why it leaves.

    Args:
        config: the worker's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Also what pytest calls for ``pytest.exit``."""
        error = excinfo.value
        if isinstance(error, pytest.exit.Exception):
            code = pytest.ExitCode.INTERRUPTED if error.returncode is None else error.returncode
            self._config.workeroutput[_LEFT] = (str(error.msg), int(code))  # type: ignore[attr-defined] # as xdist does


def left(node: WorkerController) -> tuple[str, int] | None:
    """The words and the exit code with which a worker has left by ``pytest.exit``, if it has.

    Args:
        node: a worker that has ended, or has died.
    """
    told: tuple[str, int] | None = getattr(node, "workeroutput", {}).get(_LEFT)
    return told


def stopped(node: WorkerController, words: str) -> None:
    """Let xdist take a worker that was interrupted for one that stops; it would replace it as if it had crashed.

    Args:
        node: a worker that has ended, or has died.
        words: why the session stops.
    """
    told = getattr(node, "workeroutput", {})
    if told.get("exitstatus") == pytest.ExitCode.INTERRUPTED:
        told.update(exitstatus=int(pytest.ExitCode.TESTS_FAILED), shouldstop=words)
