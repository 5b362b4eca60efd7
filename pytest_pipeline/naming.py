"""Which Markdown files the user has asked for. Running an agent costs money, so a plan never runs by accident."""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

# Not compiled here: this module is loaded by every pytest run, and most meet no Markdown.
_LIKE_A_PLAN = rb"(?im)^#{2,6}[ \t]+(?:\W{0,8})(?:Batch|Task)[ \t]+[\w.]+[ \t*]*[:.\-\xe2]"
_MOST_BYTES = 1024**2


class Named(enum.Enum):
    """How the command line names a file."""

    FILE = "itself"
    DIRECTORY = "by a directory above it"
    NOT = "not at all, or only with the whole project"


_NAMES = pytest.StashKey["_Names"]()


@dataclass(frozen=True)
class _Names:
    """What the command line names.

    Args:
        files: the files themselves.
        directories: those that are not the whole project.
        searched: all directories that pytest looks through, also those of ``testpaths`` and of a bare ``pytest``.
    """

    files: frozenset[Path]
    directories: frozenset[Path]
    searched: frozenset[Path]


def how_named(config: pytest.Config, path: Path) -> Named:
    """Whether the command line names this file, or a directory above it that is not the whole project.

    Args:
        config: pytest's configuration.
        path: an absolute path.
    """
    names = _names(config)
    if path in names.files:
        return Named.FILE
    return Named.DIRECTORY if names.directories.intersection(path.parents) else Named.NOT


def is_searched(config: pytest.Config, path: Path) -> bool:
    """Whether a file lies where pytest was told to look; it also offers the neighbours of files that were named."""
    return not _names(config).searched.isdisjoint(path.parents)


def _names(config: pytest.Config) -> _Names:
    if _NAMES not in config.stash:
        here = config.invocation_params.dir
        paths = [Path(os.path.abspath(here / arg.partition("::")[0])) for arg in config.args]
        searched = frozenset(path for path in paths if path.is_dir())
        given = config.args_source is config.ArgsSource.ARGS
        whole = {config.rootpath.resolve(), here.resolve()}
        whole |= {parent for path in tuple(whole) for parent in path.parents}
        config.stash[_NAMES] = _Names(
            files=frozenset(path for path in paths if given and path.is_file()),
            directories=frozenset(path for path in searched if given and path.resolve() not in whole),
            searched=searched,
        )
    return config.stash[_NAMES]


def only_looks(config: pytest.Config) -> bool:
    """Whether items are only looked at, or only their fixtures; ``--setup-plan`` implies ``--setup-only``."""
    looks = ("collectonly", "setuponly", "showfixtures", "show_fixtures_per_test")
    return any(getattr(config.option, name, False) for name in looks)


def first_plan(config: pytest.Config, *, everywhere: bool, is_plan: Callable[[Path], bool]) -> Path | None:
    """A file that is going to be collected as a plan, for who cannot wait for the collection; None: none is.

    Args:
        config: pytest's configuration.
        everywhere: whether plans are collected wherever pytest looks, not only where the command line names them.
        is_plan: what the collection asks of a file that is not named itself.
    """
    names = _names(config)
    for file in sorted(names.files):
        if file.suffix.lower() == ".md":
            return file
    for directory in sorted(names.searched if everywhere else names.directories):
        for file in sorted(directory.rglob("*.[mM][dD]")):
            if file.is_file() and not is_readme(file) and is_plan(file):
                return file
    return None


def is_readme(path: Path) -> bool:
    """Whether a file says of itself that it tells of others: it is a plan only where it is named itself."""
    return path.stem.lower() == "readme"


def resembles_plan(path: Path) -> bool:
    """Whether a Markdown file has a heading like those of a plan; a cheap guess, to tell the user of it."""
    try:
        with path.open("rb") as file:
            return not is_readme(path) and re.search(_LIKE_A_PLAN, file.read(_MOST_BYTES)) is not None
    except OSError:
        return False
