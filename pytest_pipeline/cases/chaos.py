"""What pytest is told of a session under chaos."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_pipeline.record.chaos import foreseen

MOST_RESTARTS = "100000"
"""Of workers: they are killed on purpose, and each is replaced."""


def excuse(report: pytest.TestReport, facts: Mapping[str, str], kind: object) -> None:
    """Let a failure be one that was expected, where a fault that was injected had to bring it about.

    Args:
        report: of the failure.
        facts: of the attempt that has failed.
        kind: of the failure.
    """
    fault = foreseen(facts, kind)
    if fault:
        report.outcome = "skipped"
        report.wasxfail = f"chaos: {fault}"


def expect_dying_workers(config: pytest.Config) -> None:
    """Replace every worker that dies, unless the user has said how many."""
    if config.getoption("maxworkerrestart", None) is None:
        config.option.maxworkerrestart = MOST_RESTARTS
