"""How a project extends the pipeline: one hook, one fixture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_pipeline.events import Candidate


def pytest_pipeline_judge(candidate: Candidate) -> list[str]:
    """Refuse work that leaves a debugger behind, whatever the plan's own verification says."""
    python = [path for path in candidate.changed if path.endswith(".py")]
    return [f"{path} calls breakpoint()." for path in python if b"breakpoint()" in (candidate.read(path) or b"")]


@pytest.fixture
def database() -> Iterator[str]:
    """Stand-in for a service that a task needs; a plan asks for it with ``marks: [{usefixtures: [database]}]``."""
    yield "in-memory"
