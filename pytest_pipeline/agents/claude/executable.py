"""Finds the Claude CLI, and asks it once for its version."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.host.process import capture

OLDEST_TESTED = (2, 1, 330)
"""Older versions may behave differently; nobody has looked."""

_WHEEL = "claude-agent-sdk"
_PACKAGE = "claude_agent_sdk"
_VERSION_TIME = 60.0
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)\S* \(Claude Code\)")


@dataclass(frozen=True)
class Executable:
    """The Claude CLI of this machine.

    Args:
        path: the program, absolute.
        version: for example ``2.1.330``.
        source: where it was found, for the session's header.
        notes: what the user should know about it.
    """

    path: Path
    version: str
    source: str
    notes: tuple[str, ...] = ()


def find_executable(claude_path: str | None, environ: Mapping[str, str] = os.environ) -> Executable:
    """The CLI that the setting names, else the one on PATH, else the one in the installed wheel claude-agent-sdk.

    Args:
        claude_path: the setting; a path, counted from the current directory, or a name on PATH.
        environ: where PATH and the home directory come from.

    Raises:
        SettingsError: there is none, or what was found is not the Claude CLI.
        HostError: it cannot be executed.
    """
    path, source = _located(claude_path, environ)
    found = _ask_version(path, environ)
    version = ".".join(map(str, found))
    if found >= OLDEST_TESTED:
        return Executable(path, version, source)
    tested = ".".join(map(str, OLDEST_TESTED))
    warning = (
        f"the Claude CLI {version} is older than {tested}, the oldest one tested; update it with `claude update` or "
        f"`pip install -U {_WHEEL}`"
    )
    return Executable(path, version, source, (warning,))


def _located(claude_path: str | None, environ: Mapping[str, str]) -> tuple[Path, str]:
    search = environ.get("PATH", os.defpath)
    if claude_path is not None:
        named = shutil.which(os.path.expanduser(claude_path), path=search)
        if named is None:
            raise SettingsError(
                f"The Claude CLI was not found at {claude_path!r}, which --claude-path or the ini key "
                "pipeline_claude_path names. Correct the path, or leave it out: then `claude` on PATH is taken, or the "
                f"one in the wheel {_WHEEL}."
            )
        return Path(named).absolute(), "as --claude-path says"
    on_path = shutil.which("claude", path=search)
    if on_path is not None:
        return Path(on_path).absolute(), "on PATH"
    return _in_the_wheel(), f"in the wheel {_WHEEL}"


def _in_the_wheel() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    for place in places:
        binary = place / "_bundled" / "claude"
        if os.access(binary, os.X_OK) and binary.is_file():
            return binary.absolute()
    raise SettingsError(
        f"The Claude CLI was not found: there is no `claude` on PATH, and {_why_not(installed=bool(places))}. Install "
        "it and put it on PATH, or name it with --claude-path (ini key pipeline_claude_path), or bring it along with "
        '`pip install "pytest-pipeline-hardening[claude]"`.'
    )


def _why_not(*, installed: bool) -> str:
    if not installed:
        return f"the wheel {_WHEEL}, which brings one, is not installed"
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return f"the installed {_WHEEL} {importlib.metadata.version(_WHEEL)} has none for this platform"
    return f"the package {_PACKAGE} that lies on Python's path has none"


def _ask_version(path: Path, environ: Mapping[str, str]) -> tuple[int, int, int]:
    """What ``--version`` says; the program sees nothing of this user."""
    with tempfile.TemporaryDirectory(prefix="claude-version-") as private:
        environment = {
            "PATH": environ.get("PATH", os.defpath),
            **dict.fromkeys(("HOME", "TMPDIR", "CLAUDE_CONFIG_DIR"), private),
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }
        told = capture((str(path), "--version"), environment=environment, cwd=Path(private), timeout=_VERSION_TIME)
    printed = told.stdout.decode("utf-8", "replace").strip()
    match = _VERSION.match(printed)
    if told.exit_code != 0 or match is None:
        said = (printed or told.stderr.strip() or "nothing").splitlines()[0][:200]
        raise SettingsError(
            f"{path} is not the Claude CLI: `{path.name} --version` says {said!r} with exit status {told.exit_code}. "
            "Name the right one with --claude-path, or put it first on PATH."
        )
    return int(match[1]), int(match[2]), int(match[3])
