from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server.serving import Project, serving


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project whose executions sleep until they are interrupted."""
    found = Project(tmp_path)
    yield found
    found.stop()


@pytest.fixture
def client(project: Project) -> Iterator[httpx.Client]:
    """A client of a server that works in the project."""
    with serving(project.place()) as client:
        yield client
