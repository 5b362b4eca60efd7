"""A project with real git, real pytest and agents that do as they are told."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_pipeline.cases.collect  # else pytester would forget it, and import it for every run
import pytest_pipeline.execution.github_ground
import pytest_pipeline.forges.github.client  # noqa: F401 - with it PyGithub, half of which would else be forgotten
from tests.e2e.github_project import GitHubProject, github_project
from tests.e2e.world import Project
from tests.host.git_world import source_repository


@pytest.fixture
def bare_project(
    pytester: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Project:
    """A project that is no git repository."""
    place = tmp_path_factory.mktemp("around")
    for name in ("outside", "tmp"):
        (place / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place / "tmp"))
    pytester.makeini("[pytest]\nfilterwarnings = default\n")
    return Project(pytester, place / "outside", place / "tmp")


@pytest.fixture
def project(bare_project: Project) -> Project:
    """A project in a git repository of one commit."""
    files = {
        "README.md": "A project.\n",
        "kept.txt": "one\ntwo\nthree\n",
        ".gitignore": "*.log\n__pycache__/\n.pipeline\n",
    }
    source = Path(bare_project.path, "repository")
    source_repository(source, files)
    for each in source.iterdir():
        each.rename(bare_project.path / each.name)
    source.rmdir()
    return bare_project


@pytest.fixture
def github(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHubProject]:
    """A project whose origin is a GitHub on the loopback interface."""
    with github_project(project, tmp_path_factory.mktemp("github")) as found:
        yield found
