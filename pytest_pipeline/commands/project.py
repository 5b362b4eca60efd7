"""The project that a command works in, as pytest itself reads it: root directory, ini file, conftest, options."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_pipeline import plugin
from pytest_pipeline.commands import PROGRAM
from pytest_pipeline.settings import Settings


@dataclass(frozen=True)
class Project:
    """What pytest found.

    Args:
        config: pytest's configuration, not configured: no plugin has opened anything.
        settings: what a session here would be told.
    """

    config: pytest.Config
    settings: Settings

    @property
    def rootdir(self) -> Path:
        """Pytest's root directory."""
        return self.config.rootpath

    @property
    def directory(self) -> Path:
        """The directory that the command was started in."""
        return self.config.invocation_params.dir


Work = Callable[[Project], int]
"""What a command does in its project; returns the exit code."""


def in_project(command: str, arguments: Sequence[str], work: Work, *, takes_words: bool = False) -> int:
    """Let pytest start as for a test run, and do the command's work in the place of the tests.

    So a command has exactly the settings of a session: pytest alone knows how to find them. Nothing is collected, and
    pytest writes nothing into the project, because it is never configured (``--help`` does the same).

    Args:
        command: the command's name, for messages.
        arguments: options for pytest, without the command's own.
        work: what to do.
        takes_words: whether the command takes words, such as a session, before its options.

    Returns:
        The work's exit code; pytest's own where it could not start, after it has told why.

    Raises:
        PipelineError: the work could not be done.
    """
    # Pytest warns of what matters to tests alone, such as modules that are imported already, and a project may make
    # errors of that.
    quiet = ("-W", "ignore::pytest.PytestWarning")
    return int(pytest.main([*quiet, *arguments], plugins=[_InPlaceOfTests(command, arguments, work, takes_words)]))


class _InPlaceOfTests:
    def __init__(self, command: str, arguments: Sequence[str], work: Work, takes_words: bool) -> None:
        self._command = f"{PROGRAM} {command}"
        self._arguments = arguments
        self._work = work
        self._takes_words = takes_words

    @pytest.hookimpl(wrapper=True)
    def pytest_cmdline_parse(self) -> Generator[None, pytest.Config, pytest.Config]:
        """Pytest tells of an option that it does not know with its own usage around it."""
        try:
            return (yield)
        except pytest.UsageError as error:
            found = re.search(r": error: (.+)", str(error))
            if found is None:
                raise
            said = f"{found[1][0].upper()}{found[1][1:]}"
            raise pytest.UsageError(f"{said}. `{self._command} --help` lists the options.") from None

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int:
        """Do the work; what the hook returns is the exit code."""
        if not config.pluginmanager.is_registered(plugin):
            raise pytest.UsageError(
                "pytest does not load pytest-pipeline here (-p no:pipeline, or PYTEST_DISABLE_PLUGIN_AUTOLOAD). "
                "Add -p pipeline."
            )
        stray = [each for each in config.args if each in self._arguments]
        if stray and self._takes_words:
            raise pytest.UsageError(
                f"{self._command} takes its words before its options, and {stray[0]!r} stands after one. Put it before "
                f"all options; `{self._command} --help` lists them."
            )
        if stray:
            raise pytest.UsageError(
                f"{self._command} takes options only, not {stray[0]!r}. "
                f"`{self._command} --help` lists them; run it in the directory of the project."
            )
        return self._work(Project(config, plugin.settings_of(config)))
