"""Which Claude CLI is taken, and what is said when there is none."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
from pathlib import Path

import pytest

from pytest_pipeline.agents.claude.executable import OLDEST_TESTED, find_executable
from pytest_pipeline.errors import HostError, SettingsError

TESTED = ".".join(map(str, OLDEST_TESTED))


def fake(file: Path, script: str = f"echo '{TESTED} (Claude Code)'", mode: int = 0o755) -> Path:
    """A program that answers as the CLI does."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(mode)
    return file


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the wheel's package, for as long as the test lasts; it has no binary."""
    package = tmp_path / "site" / "claude_agent_sdk"
    package.mkdir(parents=True)
    spec = importlib.machinery.ModuleSpec("claude_agent_sdk", None, is_package=True)
    spec.submodule_search_locations = [str(package)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: {"claude_agent_sdk": spec}[name])
    return package


def environ(*path: Path) -> dict[str, str]:
    return {"PATH": os.pathsep.join([*map(str, path), "/usr/bin", "/bin"])}


class TestWhere:
    def test_the_setting_comes_first(self, tmp_path: Path, wheel: Path) -> None:
        fake(wheel / "_bundled" / "claude")
        fake(tmp_path / "bin" / "claude")
        mine = fake(tmp_path / "mine")

        found = find_executable(str(mine), environ(tmp_path / "bin"))

        assert (found.path, found.version, found.source, found.notes) == (mine, TESTED, "as --claude-path says", ())

    def test_then_path(self, tmp_path: Path, wheel: Path) -> None:
        fake(wheel / "_bundled" / "claude")
        on_path = fake(tmp_path / "bin" / "claude")

        found = find_executable(None, environ(tmp_path / "bin"))

        assert (found.path, found.source) == (on_path, "on PATH")

    def test_then_the_wheel(self, wheel: Path) -> None:
        bundled = fake(wheel / "_bundled" / "claude")

        found = find_executable(None, environ())

        assert (found.path, found.source) == (bundled, "in the wheel claude-agent-sdk")

    def test_the_setting_may_be_relative_or_begin_with_the_home(
        self, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        here, there = fake(tmp_path / "bin" / "mine"), fake(home / "mine")

        assert find_executable("bin/mine", environ()).path == here
        assert find_executable("~/mine", environ()).path == there

    def test_the_setting_may_be_a_name_on_path(self, tmp_path: Path) -> None:
        beta = fake(tmp_path / "bin" / "claude-beta")

        assert find_executable("claude-beta", environ(tmp_path / "bin")).path == beta

    def test_the_real_one_in_the_real_wheel(self, claude_cli: Path) -> None:
        found = find_executable(None, environ())

        assert found.path == claude_cli
        assert found.notes == ()
        assert tuple(map(int, found.version.split("."))) >= OLDEST_TESTED


class TestMissing:
    def test_a_setting_that_leads_nowhere_is_named(self, tmp_path: Path, wheel: Path) -> None:
        fake(wheel / "_bundled" / "claude")

        with pytest.raises(SettingsError, match=r"not found at '\S+nowhere', which --claude-path .* Correct the path"):
            find_executable(str(tmp_path / "nowhere"), environ())

    @pytest.mark.parametrize("mode", [None, 0o644])
    def test_a_wheel_without_a_binary_is_the_reason(self, wheel: Path, mode: int | None) -> None:
        if mode:
            fake(wheel / "_bundled" / "claude", mode=mode)

        with pytest.raises(SettingsError, match=r"there is no `claude` on PATH, and the .* has none") as error:
            find_executable(None, environ())

        self.names_three_ways(str(error.value))

    def test_no_wheel_is_the_reason(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

        with pytest.raises(SettingsError, match="which brings one, is not installed") as error:
            find_executable(None, environ())

        self.names_three_ways(str(error.value))

    @staticmethod
    def names_three_ways(message: str) -> None:
        for way in ("put it on PATH", "--claude-path", 'pip install "pytest-pipeline-hardening[claude]"'):
            assert way in message


class TestVersion:
    def test_an_older_one_is_taken_with_a_warning(self, tmp_path: Path) -> None:
        old = fake(tmp_path / "old", "echo '2.1.99 (Claude Code)'")

        found = find_executable(str(old), environ())

        assert found.version == "2.1.99"
        assert found.notes[0].startswith(f"the Claude CLI 2.1.99 is older than {TESTED}, the oldest one tested; update")

    @pytest.mark.parametrize("version", ["2.1.1000", "2.2.0", "3.0.0-beta.1"])
    def test_a_newer_one_is_taken_silently(self, tmp_path: Path, version: str) -> None:
        new = fake(tmp_path / "new", f"echo '{version} (Claude Code)'")

        assert find_executable(str(new), environ()).notes == ()

    @pytest.mark.parametrize(
        ("script", "said"),
        [
            ("echo GNU coreutils 9.1", "'GNU coreutils 9.1' with exit status 0"),
            ("echo '2.1.330 (Claude Code)'; exit 3", "with exit status 3"),
            ("echo wrong >&2; exit 1", "'wrong' with exit status 1"),
            ("true", "'nothing' with exit status 0"),
        ],
    )
    def test_something_else_is_not_the_claude_cli(self, tmp_path: Path, script: str, said: str) -> None:
        other = fake(tmp_path / "other", script)

        with pytest.raises(SettingsError, match=r"is not the Claude CLI: .*--claude-path") as error:
            find_executable(str(other), environ())

        assert said in str(error.value)

    def test_what_is_no_program_is_told(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        data.write_text("just data")
        data.chmod(0o755)

        with pytest.raises(HostError, match="is no program"):
            find_executable(str(data), environ())

    def test_it_is_asked_with_nothing_of_this_user(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-somebody")
        seen = tmp_path / "seen"
        nosy = fake(tmp_path / "nosy", f"env >'{seen}'; touch \"$HOME/x\"; echo '{TESTED} (Claude Code)'")

        find_executable(str(nosy), environ())

        told = dict(line.split("=", 1) for line in seen.read_text().splitlines())
        assert "ANTHROPIC_API_KEY" not in told
        assert told["HOME"] == told["CLAUDE_CONFIG_DIR"] == told["TMPDIR"] != os.environ["HOME"]
        assert not Path(told["HOME"]).exists()
