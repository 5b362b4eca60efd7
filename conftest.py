"""How a project extends the pipeline: one hook, one fixture."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_pipeline.events import Candidate


def pytest_pipeline_judge(candidate: Candidate) -> list[str]:
    """Refuse work that leaves a debugger behind, whatever the plan's own verification says."""
    python = [path for path in candidate.changed if path.endswith(".py")]
    return [f"{path} calls breakpoint()." for path in python if b"breakpoint()" in (candidate.read(path) or b"")]


@pytest.fixture
def room_on_disk(tmp_path: Path) -> None:
    """Skip tasks that need room; a plan asks for it with ``marks: [{usefixtures: [room_on_disk]}]``."""
    if shutil.disk_usage(tmp_path).free < 50 * 1024**2:
        pytest.skip("there are less than 50 MiB left on this disk")
