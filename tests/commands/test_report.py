"""A session as one file: when it ends, and afterwards by the command."""

from __future__ import annotations

import re

import pytest

import pytest_pipeline.commands.report  # noqa: F401 - else pytester would forget it, and import it for every test
from tests.commands.running import command_here
from tests.e2e.world import Project, plan, task


@pytest.fixture
def ended(project: Project) -> Project:
    """A project with a session that merged one task, and wrote its page."""
    project.write({"plans/p.md": plan(task(files=["Create: `a.txt`"], does="echo merged > a.txt; echo told"))})
    ran = project.run("plans", "--pipeline-report", "out/first.html")
    ran.passed()
    assert "the session as a page: " in ran.text
    return project


def test_the_option_and_the_command_write_the_same_page(ended: Project) -> None:
    ran = command_here(ended, "report", "-o", "second.html")

    assert ran.exit_code == 0
    assert re.fullmatch(r"Session \S+ is in second\.html\. Open it in a browser\.\n", ran.out)
    first, second = ((ended.path / name).read_text("utf-8") for name in ("out/first.html", "second.html"))
    assert first == second
    assert "+merged" in first
    assert "told" in first
    assert "criterion met: 1 of 1 consecutive runs" in first


def test_a_page_that_cannot_be_written_is_told_and_fails_the_session(ended: Project) -> None:
    (ended.path / "file").write_text("")

    ran = ended.run("plans", "--pipeline-report", "file/page.html")

    assert ran.exit_code == 1
    assert "cannot be written" in ran.text


def test_a_session_that_is_not_there_is_wrong_usage(ended: Project) -> None:
    ran = command_here(ended, "report", "19990101")
    assert (ran.exit_code, "holds no session" in ran.errors) == (4, True)
