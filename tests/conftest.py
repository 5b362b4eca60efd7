"""What every test may rely on: a HOME and a git identity of its own, and that nobody leaves anything behind."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_pipeline.host.process import MARKER

pytest_plugins = ["pytester", "tests.claude_cli", "tests.postgres"]

_GITCONFIG = """\
[user]
    name = Test
    email = test@localhost
[init]
    defaultBranch = main
[protocol "file"]
    allow = always
"""
LEAN = "-p no:schemathesis -p no:anyio"
_CHANGES_BY_ITSELF = ("PYTEST_CURRENT_TEST",)


@pytest.fixture(autouse=True)
def leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail a test that changes the environment, or leaves a process that the pipeline started."""
    before = _environment()
    yield
    after = _environment()
    os.environ.update(before)
    for name in after.keys() - before.keys():
        del os.environ[name]
    left = _left_behind(tmp_path_factory.getbasetemp())
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert after == before, "the test has changed the environment"
    assert not left, f"the test has left processes behind: {left}"


@pytest.fixture(autouse=True)
def home(
    leaves_nothing_behind: None, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A HOME, a TMPDIR and a git configuration that are this test's alone."""
    private = tmp_path_factory.mktemp("private")
    for name in ("home", "tmp"):
        (private / name).mkdir()
    (private / "home" / ".gitconfig").write_text(_GITCONFIG)
    for variable in [name for name in os.environ if name.startswith(("GIT_", "ANTHROPIC_", "CLAUDE"))]:
        monkeypatch.delenv(variable)
    for variable in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(private / "home"))
    monkeypatch.setenv("TMPDIR", str(private / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return private / "home"


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Pytester, whose runs load no plugin that is slow to load and has no part in them."""
    monkeypatch.setenv("PYTEST_ADDOPTS", LEAN)
    return pytester


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _CHANGES_BY_ITSELF}


def _left_behind(base: Path) -> list[int]:
    """Processes with the pipeline's mark that work in, or know of, this test process's temporary directory."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (place / "environ").read_bytes()
            ours = str(base).encode() in environment or (place / "cwd").readlink().is_relative_to(base)
            if MARKER.encode() + b"=" in environment and ours:
                found.append(int(place.name))
    return found
