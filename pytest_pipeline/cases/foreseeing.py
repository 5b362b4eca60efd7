"""What will be collected, for who cannot wait for it: a controller collects nothing, and ``--resume`` comes before."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_pipeline.errors import PlanError
from pytest_pipeline.naming import Named, asked_for


def first_plan(config: pytest.Config, *, everywhere: bool) -> Path | None:
    """A file that is going to be collected as a plan; None: none is.

    Args:
        config: pytest's configuration.
        everywhere: whether plans are collected wherever pytest looks, not only where the command line names them.
    """
    for file, named in asked_for(config, everywhere=everywhere):
        if named is Named.FILE or _is_plan(file):
            return file
    return None


def _is_plan(path: Path) -> bool:
    from pytest_pipeline.plans.reader import read_plan  # many a session with -n meets no Markdown

    try:
        return read_plan(path, path.name) is not None
    except PlanError:  # a plan all the same, which the collection tells of
        return True
