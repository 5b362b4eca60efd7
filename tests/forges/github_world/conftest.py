"""A GitHub with one repository."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.github_world import GitHubWorld, Hosted


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GitHubWorld]:
    with GitHubWorld(tmp_path) as world:
        yield world


@pytest.fixture
def demo(world: GitHubWorld) -> Hosted:
    return world.add_repository("acme/demo")
