"""A few random plans through whole sessions of several workers; see ``random_plans`` for many."""

from __future__ import annotations

import tempfile
from pathlib import Path

import hypothesis

from tests.e2e.random_plans import Session, check, sessions

few = hypothesis.settings(
    max_examples=2,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)


@few
@hypothesis.given(sessions(least=3, most=5))
def test_whatever_the_plan_and_whoever_dies(session: Session) -> None:
    with tempfile.TemporaryDirectory() as place:
        check(session, Path(place))
