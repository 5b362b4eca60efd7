"""Which Markdown files the user has asked for. Running an agent costs money, so a plan never runs by accident."""

from __future__ import annotations

import enum
import re
from pathlib import Path

import pytest

_LIKE_A_PLAN = re.compile(
    rb"^#{2,6}[ \t]+(?:\W{0,8})(?:Batch|Task)[ \t]+[\w.]+[ \t*]*[:.\-\xe2]", re.MULTILINE | re.IGNORECASE
)
_MOST_BYTES = 1024**2


class Named(enum.Enum):
    """How the command line names a file."""

    FILE = "itself"
    DIRECTORY = "by a directory above it"
    NOT = "not at all, or only with the whole project"


_NAMES = pytest.StashKey[tuple[frozenset[Path], frozenset[Path]]]()


def how_named(config: pytest.Config, path: Path) -> Named:
    """Whether the command line names this file, or a directory above it that is not the whole project.

    Args:
        config: pytest's configuration.
        path: an absolute path.
    """
    files, directories = _named(config)
    if path in files:
        return Named.FILE
    return Named.DIRECTORY if directories.intersection(path.parents) else Named.NOT


def _named(config: pytest.Config) -> tuple[frozenset[Path], frozenset[Path]]:
    if _NAMES not in config.stash:
        here = config.invocation_params.dir
        paths: list[Path] = []
        if config.args_source is config.ArgsSource.ARGS:
            paths = [(here / arg.partition("::")[0]).resolve() for arg in config.args]
        whole = {config.rootpath.resolve(), here.resolve()}
        whole |= {parent for path in tuple(whole) for parent in path.parents}
        directories = (path for path in paths if path not in whole and path.is_dir())
        config.stash[_NAMES] = frozenset(path for path in paths if path.is_file()), frozenset(directories)
    return config.stash[_NAMES]


def resembles_plan(path: Path) -> bool:
    """Whether a Markdown file has a heading like those of a plan; a cheap guess, to tell the user of it."""
    try:
        with path.open("rb") as file:
            return path.stem.lower() != "readme" and _LIKE_A_PLAN.search(file.read(_MOST_BYTES)) is not None
    except OSError:
        return False
