"""``verify`` with pull requests on a GitHub of the loopback interface."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_pipeline.execution.github_ground
import pytest_pipeline.forges.github.client  # noqa: F401 - else pytester would forget half of PyGithub
from tests.commands.running import Told, command_here
from tests.e2e.github_project import GitHubProject, github_project
from tests.e2e.world import Project, task


@pytest.fixture
def github(
    project: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GitHubProject]:
    with github_project(project, tmp_path_factory.mktemp("github")) as found:
        for name, value in project.environment.items():
            monkeypatch.setenv(name, value)
        yield found


def verify(github: GitHubProject) -> Told:
    return command_here(github.project, "verify", "record.xml", *github.flags)


def test_a_record_is_held_against_pull_requests_and_branches_there(github: GitHubProject) -> None:
    github.write(task(files=["Create: `a.txt`"], does="echo a > a.txt"))
    ran = github.run("plans", "--junitxml=record.xml").passed()
    record = Path("record.xml")
    merged = ran.last().properties["merge_commit"]

    told = verify(github)

    assert (told.exit_code, told.errors) == (0, "")
    assert "these are as the record says: base branches 1, merges 1, pull requests 1." in told.out
    assert github.world.token not in told.out

    honest = record.read_text()
    record.write_text(honest.replace(merged, "a" * 40))
    assert f"has the merge commit {merged}; the record says {'a' * 40}." in verify(github).out
    record.write_text(honest.replace('"octo/example"', '"octo/other"').replace('/octo/example"', '/octo/other"'))
    told = verify(github)
    assert (told.exit_code, told.out) == (4, "")
    assert "not octo/example. Name it with --repo." in told.errors
    record.write_text(honest)
    (base,) = github.branches()
    github.hosted.git.text("update-ref", "-d", f"refs/heads/{base}")
    github.hosted.refresh()
    told = verify(github)
    assert told.exit_code == 1
    assert f"CANNOT BE CONFIRMED: The branch {base} is gone from octo/example" in told.out
    assert "LIE" not in told.out
