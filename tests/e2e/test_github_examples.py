"""The example plans on GitHub, with two runs instead of ten."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import junitparser

from tests.e2e.github_project import github_project
from tests.e2e.test_example_plans import COMMITS, clone_of_the_examples
from tests.e2e.world import Project
from tests.host.git_world import git


def test_the_example_plans_succeed_twice_in_a_row_on_github(bare_project: Project, tmp_path: Path) -> None:
    source = clone_of_the_examples(bare_project)
    with github_project(bare_project, tmp_path) as github:
        main = github.hosted.branches()["main"]
        record = bare_project.outside / "record.xml"

        ran = github.run_apart("plans/", "--count", "2", "--junitxml", str(record), timeout=400.0).passed()

        assert "criterion met: 2 of 2 consecutive runs" in ran.text
        bases = [f"pipeline/{ran.session}/run-{run:02d}/base" for run in (1, 2)]
        held = github.hosted.git
        for run, base in enumerate(bases, 1):
            assert Counter(held.text("log", "--first-parent", "--format=%s", base, f"^{main}").splitlines()) == COMMITS
            told = held.text("log", "--format=%(trailers:key=Pipeline-Run,valueonly)", base, f"^{main}").split()
            assert told == [str(run)] * sum(COMMITS.values())
        assert github.hosted.branches().keys() == {"main", *bases}
        assert github.hosted.branches()["main"] == main == git(source, "rev-parse", "HEAD")
        assert git(github.hosted.git_dir, "fsck", "--strict", "--no-dangling") == ""
        assert Counter(pull.now.base for pull in github.hosted.pulls.values() if pull.now.merged) == Counter(
            dict.fromkeys(bases, sum(COMMITS.values()))
        )
        assert len(github.hosted.pulls) == len(github.merged()) == len(set(github.merged()))
    assert git(source, "status", "--porcelain") == ""
    others = [each.name for each in bare_project.temporary.iterdir() if not each.name.startswith("pytest-of-")]
    assert others == [], "nothing but what pytest itself keeps"
    suites = junitparser.JUnitXml.fromfile(str(record))
    assert (suites.tests, suites.failures, suites.errors, suites.skipped) == (46, 0, 0, 2)
