"""The first command of the README, with two runs instead of ten."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import junitparser

from tests.e2e.world import Project
from tests.host.git_world import commit_all, git, source_repository

ROOT = Path(__file__).parents[2]
COMMITS = Counter(
    {
        "feat: say hello": 1,
        "feat(thermo): convert temperatures": 1,
        "feat(thermo): add a command line": 1,
        "feat(thermo): add Kelvin": 1,
        "Write the page": 1,
        "Write the top": 1,
        "Write the bottom": 1,
        "Write two drafts": 1,
        "Publish the second draft": 1,
        "Throw the first draft away": 1,
    }
)


def clone_of_the_examples(bare_project: Project) -> Path:
    """Make the project a repository that holds what a clone of this one holds of its examples."""
    source = bare_project.outside / "clone"
    source_repository(source, {})
    for each in ("plans", "LICENSE", "conftest.py", ".gitignore"):
        copy = shutil.copytree if (ROOT / each).is_dir() else shutil.copy
        copy(ROOT / each, source / each)
    commit_all(
        source,
        {"pytest.ini": "[pytest]\naddopts = --strict-markers\nfilterwarnings = error\npipeline_agent = reference\n"},
    )
    bare_project.pytester._path = source
    return source


def test_the_example_plans_succeed_twice_in_a_row(bare_project: Project) -> None:
    source = clone_of_the_examples(bare_project)

    ran = bare_project.run_apart(
        "plans/", "--count", "2", "--junitxml", str(bare_project.outside / "record.xml")
    ).passed()

    assert "criterion met: 2 of 2 consecutive runs" in ran.text
    assert [Counter(ran.commits(run)) for run in (1, 2)] == [COMMITS, COMMITS]
    assert sorted(ran.branches()) == ["run-01/base", "run-02/base"]
    assert git(ran.forge, "fsck", "--strict", "--no-dangling") == ""
    assert git(source, "status", "--porcelain") == ""
    assert bare_project.left() == []
    suites = junitparser.JUnitXml.fromfile(str(bare_project.outside / "record.xml"))
    assert (suites.tests, suites.failures, suites.errors, suites.skipped) == (46, 0, 0, 2)
    trailers = git(ran.forge, "log", "--format=%(trailers:key=Pipeline-Run,valueonly)", *bases(ran.session)).split()
    assert Counter(trailers) == {"1": 10, "2": 10}


def bases(session: str) -> list[str]:
    return [f"pipeline/{session}/run-{run:02d}/base" for run in (1, 2)]
