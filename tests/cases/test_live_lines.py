"""``-vv``: what an agent does is shown while it does it."""

from __future__ import annotations

import re

import pytest

from .conftest import Project, batch, task
from .own_agent import own_agent

LINE = "12 s  0.03 USD  Write src/a.py"


@pytest.fixture
def talking(project: Project) -> Project:
    own_agent(project, f"on_event({LINE!r}); on_event('second')")
    project.plan(batch("1", task("1.1"), task("1.2")))
    return project


@pytest.mark.parametrize("capture", ["fd", "no"])
def test_each_line_stands_by_itself_and_pytests_lines_are_whole(talking: Project, capture: str) -> None:
    result = talking.run_apart("plans", "-vv", f"--capture={capture}", "--color=no")

    assert result.code == 0, result.text
    own = [line for line in result.text.splitlines() if "|" in line and "| run 1, " not in line]
    assert own == [f"  | {LINE}", "  | second"] * 2
    verdicts = re.findall(r"^plans/plan\.md::\S+ PASSED( +\[ *\d+%\])?$", result.text, re.MULTILINE)
    assert len(verdicts) == 3, result.text


@pytest.mark.parametrize("flags", [(), ("-v",), ("-q",), ("-s",), ("-v", "-s")])
def test_with_less_there_is_nothing(talking: Project, flags: tuple[str, ...]) -> None:
    result = talking.run("plans", *flags)

    assert result.code == 0
    assert "Write src/a.py" not in result.text


def test_they_come_while_the_agent_works(project: Project) -> None:
    own_agent(
        project,
        f"""
        on_event({LINE!r})
        note("seen", "Write src/a.py" in (HERE / "out.txt").read_text())
        """,
    )
    project.plan(batch("1", task("1.1")))
    code = (
        "import sys, pytest\n"
        "sys.stdout = open('out.txt', 'w')\n"
        "sys.exit(pytest.main(['plans', '-vv', '-p', 'no:cacheprovider', '--capture=sys']))\n"
    )

    project.pytester.runpython_c(code)

    assert "seen True" in (project.path / "noted.txt").read_text()


def test_they_are_short_and_cannot_steer_the_terminal(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    own_agent(project, r"on_event('\x1b[2J\r\n' + 'x' * 500)")
    project.plan(batch("1", task("1.1")))

    result = project.run("plans", "-vv", "--color=no")

    (line,) = [line for line in result.text.splitlines() if "|" in line and "| run 1, " not in line]
    assert line.startswith("  | \\x1b[2J xxx")
    assert len(line) == 80
    assert line.endswith("..")


def test_they_do_not_end_up_in_the_captured_output_of_a_failed_task(project: Project) -> None:
    own_agent(project, f"on_event({LINE!r}); return AgentResult(AgentStatus.FAILED, 'No.')")
    project.plan(batch("1", task("1.1")))

    text = project.run_apart("plans", "-vv").text

    assert text.count(LINE) == 1
    assert "Captured stdout" not in text


def test_beside_live_logging_both_are_readable(project: Project) -> None:
    own_agent(project, f"import logging; logging.warning('a log line'); on_event({LINE!r}); logging.warning('another')")
    project.plan(batch("1", task("1.1")))

    lines = project.run_apart("plans", "-vv", "--log-cli-level=INFO", "--color=no").text.splitlines()

    assert f"  | {LINE}" in lines
    assert sum(line.startswith("WARNING ") for line in lines) == 2
