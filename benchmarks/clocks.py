"""A pytest plugin (``-p benchmarks.clocks``) that notes how long each git and each REST call took, for :mod:`.github`.

The notes go to the file that the variable ``BENCHMARK_CLOCKS`` names: one JSON list for each, of its end in seconds
since the epoch, its name, and its seconds.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from pytest_pipeline.forges.github.client import Client
from pytest_pipeline.host import git, git_command

CLOCKS = "BENCHMARK_CLOCKS"
REST = "REST call"

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@contextmanager
def _noted(name: str) -> Iterator[None]:
    since = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - since
        with Path(os.environ[CLOCKS]).open("a", encoding="utf-8") as file:
            print(json.dumps([time.time(), name, seconds]), file=file)


def _timed(function: Callable[Parameters, Result], name: Callable[Parameters, str]) -> Callable[Parameters, Result]:
    def timed(*arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
        with _noted(name(*arguments, **options)):
            return function(*arguments, **options)

    return timed


def _git_name(arguments: Sequence[str], **_: object) -> str:
    return "git " + next(word for word in arguments if not word.startswith("--"))


def _rest_name(*_: object, **__: object) -> str:
    return REST


def pytest_configure(config: pytest.Config) -> None:
    """Put clocks around both."""
    del config
    setattr(git, "git", _timed(git_command.git, _git_name))  # noqa: B010 - mypy refuses to assign to an import
    setattr(Client, "_once", _timed(Client._once, _rest_name))  # noqa: B010 - mypy refuses to assign to a method
