"""A report of pytest's becomes a fact about the attempt."""

from __future__ import annotations

import pytest

from pytest_pipeline.record.reported import Reported


def what_was_reported(report: pytest.TestReport) -> str:
    """What there is to say of a report that is not simply passed."""
    shown = report.longrepr
    crash = getattr(shown, "reprcrash", None)
    assert report.when is not None
    return Reported(
        when=report.when,
        outcome=report.outcome,
        text=str(shown[2] if isinstance(shown, tuple) else shown),
        crash=None if crash is None else str(crash.message),
        expected=getattr(report, "wasxfail", None),
    ).fact()
