"""Where the live status is shown, and that it leaves no trace: real sessions on a real terminal."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_pipeline.cases.status.showing import terminal_for_status
from tests.cases.conftest import Project, batch, project, task
from tests.cases.own_agent import own_agent

from .emulator import run_pytest, terminal

__all__ = ["project"]

ROOT = Path(__file__).parents[3]
WAITS = """
import time
from pytest_pipeline.events import ForgeWaiting
CONFIG[0].hook.pytest_pipeline_forge_waiting(event=ForgeWaiting("s", "spacing", 300.0, "GitHub wants a pause."))
note("at", task)
deadline = time.monotonic() + 50
while not (HERE / "go").exists() and time.monotonic() < deadline:
    time.sleep(0.01)
"""
KNOWS = """
CONFIG = []

def pytest_configure(config):
    CONFIG.append(config)
"""
DOES = r"agent, GitHub wants a pause\. \(\d+ s left\)$"
THIS = re.compile(rf"^this process +\d:\d\d  run 1, 1\.1 of plans/plan\.md  {DOES}", re.MULTILINE)
OURS = re.compile(r"streak \d+ +.*\d:\d\d$|^this process|^gw\d .* free$|^gw\d +\d:\d\d")


# Where it is shown


@pytest.fixture
def configured(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.Config]:
    """Makes a pytest configuration whose terminal, it says, is one."""
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")

    def configure(*arguments: str, isatty: bool = True) -> pytest.Config:
        config = pytester.parseconfigure("--capture=fd", *arguments)
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.isatty = lambda: isatty
        return config

    return configure


@pytest.mark.parametrize("arguments", [(), ("-v",), ("-vv",)])
def test_on_a_terminal_it_is_shown(configured: Callable[..., pytest.Config], arguments: tuple[str, ...]) -> None:
    config = configured(*arguments)
    assert terminal_for_status(config, "auto") is config.pluginmanager.get_plugin("terminalreporter")
    assert terminal_for_status(config, "off") is None


@pytest.mark.parametrize("mode", ["auto", "on"])
@pytest.mark.parametrize(
    "arguments", [("-q",), ("-s",), ("--capture=sys",), ("--capture=tee-sys",), ("--pdb",), ("--trace",)]
)
def test_with_what_would_be_garbled_it_is_not(
    configured: Callable[..., pytest.Config], mode: str, arguments: tuple[str, ...]
) -> None:
    assert terminal_for_status(configured(*arguments), mode) is None


@pytest.mark.parametrize("plugin", ["terminal", "capture"])
def test_without_pytests_own_reporter_and_capture_it_is_not(
    configured: Callable[..., pytest.Config], plugin: str
) -> None:
    config = configured()
    manager = config.pluginmanager
    manager.unregister(name={"terminal": "terminalreporter", "capture": "capturemanager"}[plugin])
    assert terminal_for_status(config, "on") is None


def test_beside_a_reporter_that_is_not_pytests_it_is_not(configured: Callable[..., pytest.Config]) -> None:
    class Other(pytest.TerminalReporter):  # type: ignore[misc] # final, and yet there are plugins that do this
        pass

    config = configured()
    reporter = config.pluginmanager.unregister(name="terminalreporter")
    reporter.__class__ = Other
    config.pluginmanager.register(reporter, "terminalreporter")
    assert terminal_for_status(config, "on") is None


@pytest.mark.parametrize("term", ["dumb", "", None])
def test_on_a_terminal_that_cannot_be_steered_it_is_not(
    configured: Callable[..., pytest.Config], monkeypatch: pytest.MonkeyPatch, term: str | None
) -> None:
    config = configured()
    assert terminal_for_status(configured(isatty=False), "on") is None
    if term is None:
        monkeypatch.delenv("TERM")
    else:
        monkeypatch.setenv("TERM", term)
    assert terminal_for_status(config, "on") is None


@pytest.mark.parametrize("name", ["CI", "BUILD_NUMBER"])
def test_in_ci_it_is_shown_only_where_it_is_asked_for(
    configured: Callable[..., pytest.Config], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")
    config = configured()
    assert terminal_for_status(config, "auto") is None
    assert terminal_for_status(config, "on") is not None


def test_a_worker_shows_none(configured: Callable[..., pytest.Config]) -> None:
    config = configured()
    config.workerinput = {}  # type: ignore[attr-defined] # as xdist does
    assert terminal_for_status(config, "on") is None


# That it leaves no trace


def normal(lines: list[str]) -> list[str]:
    """Lines without what differs from session to session."""
    text = "\n".join(lines)
    text = re.sub(r"\d{8}-\d{6}-[0-9a-f]{6}|\b[0-9a-f]{12}\b", "ID", text)
    text = re.sub(r"=* *(.*) in [\d.]+s.* =*$", r"\1", text, flags=re.MULTILINE)
    return re.sub(r"(?<=after )[\d.]+ s|median [\d.]+ s", "TIME", text).split("\n")


def on_terminal(
    project: Project,
    *arguments: str,
    watch: Callable[[list[str], subprocess.Popen[bytes]], None] = lambda text, process: None,
    **environment: str,
) -> tuple[int, list[str]]:
    """Exit code, and what is to be read at the end."""
    with terminal(100, 30) as made:
        code = run_pytest(
            made, project.path, *arguments, environment={"PYTHONPATH": str(ROOT), **environment}, watch=watch
        )
        return code, made.text


def go_once(project: Project, seen: Callable[[str], object]) -> Callable[[list[str], subprocess.Popen[bytes]], None]:
    """Let agents go on once this is true of what the terminal shows."""

    def watch(text: list[str], process: subprocess.Popen[bytes]) -> None:
        if seen("\n".join(text)):
            (project.path / "go").touch()

    return watch


@pytest.fixture
def waiting(project: Project) -> Project:
    own_agent(project, WAITS, hooks=KNOWS)
    project.plan(batch("1", task("1.1")), batch("2", task("2.1")))
    return project


def test_it_shows_the_step_of_the_only_process_and_leaves_what_pytest_alone_prints(waiting: Project) -> None:
    code, text = on_terminal(waiting, "plans", watch=go_once(waiting, THIS.search), NO_COLOR="1")
    assert code == 0, text
    assert (waiting.path / "noted.txt").read_text().count("at") == 2

    alone = on_terminal(waiting, "plans", "--pipeline-live=off", NO_COLOR="1")
    assert (code, normal(text)) == (alone[0], normal(alone[1]))


def test_with_workers_it_shows_a_row_for_each(waiting: Project) -> None:
    def both(text: str) -> bool:
        return all(
            re.search(rf"^gw\d +\d:\d\d  run 1, {n} of plans/plan\.md  {DOES}", text, re.M) for n in ("1.1", "2.1")
        )

    code, text = on_terminal(waiting, "plans", "-n2", "-v", watch=go_once(waiting, both), NO_COLOR="1")
    assert code == 0, text
    assert (waiting.path / "go").exists()
    assert not [line for line in text if OURS.search(line)]
    assert sum(bool(re.match(r"\[gw\d\] \[ *\d+%\] PASSED plans/plan\.md::\S+$", line)) for line in text) == 3
    assert sum(line.startswith("  | run 1, ") for line in text) == 24


@pytest.mark.parametrize("end", ["interrupted", "internal error"])
def test_however_the_session_ends_it_is_gone(waiting: Project, end: str) -> None:
    seen: list[str] = []
    if end == "internal error":
        with (waiting.path / "conftest.py").open("a") as file:
            file.write("\ndef pytest_runtest_logreport(report):\n    assert report.when != 'call', 'broken'\n")

    def watch(text: list[str], process: subprocess.Popen[bytes]) -> None:
        if THIS.search("\n".join(text)) and not seen:
            seen.append("shown")
            if end == "interrupted":
                process.send_signal(signal.SIGINT)
            else:
                (waiting.path / "go").touch()

    code, text = on_terminal(waiting, "plans", "-v", watch=watch)
    assert (code, seen) == ({"interrupted": 2, "internal error": 3}[end], ["shown"]), text
    assert not [line for line in text if OURS.search(line)]
    assert any("KeyboardInterrupt" in line or "INTERNALERROR" in line for line in text)


def test_piped_output_is_the_same_byte_by_byte(project: Project) -> None:
    project.plan(batch("1", task("1.1")))
    texts = [project.run("plans", f"--pipeline-live={mode}").text for mode in ("auto", "on", "off")]
    assert normal(texts[0].split("\n")) == normal(texts[1].split("\n")) == normal(texts[2].split("\n"))
    assert not re.search(OURS.pattern, texts[0], re.MULTILINE)
