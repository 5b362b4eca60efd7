"""What is made for `--agent claude`, and which settings do not go together."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_pipeline.agents import make_agent
from pytest_pipeline.agents.base import AgentStatus, Closable, Explained, SolutionForm, SolutionPart
from pytest_pipeline.agents.claude.executable import OLDEST_TESTED
from pytest_pipeline.errors import SettingsError
from pytest_pipeline.settings import Settings
from tests.agents.claude.loopback import loopback
from tests.agents.claude.stage import Stage

VERSION = ".".join(map(str, OLDEST_TESTED))
KEY = "sk-ant-api03-the-key-of-the-test"


@pytest.fixture
def cli(tmp_path: Path) -> str:
    """A program that says that it is the Claude CLI."""
    program = tmp_path / "claude"
    program.write_text(f"#!/bin/sh\necho '{VERSION} (Claude Code)'\n")
    program.chmod(0o755)
    return str(program)


def told(settings: Settings) -> Explained:
    """The agent, closed."""
    agent = make_agent("claude", settings)
    assert isinstance(agent, Explained)
    assert isinstance(agent, Closable)
    agent.close()
    return agent


class TestWhoAnswers:
    def test_a_live_model(self, cli: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)

        agent = make_agent("claude", Settings(claude_path=cli))

        assert (agent.name, agent.version) == ("claude", VERSION)
        assert isinstance(agent, Explained)
        assert agent.rehearses == ""
        assert any("ANTHROPIC_API_KEY" in note for note in agent.notes)
        assert not any(KEY in note for note in agent.notes)

    def test_a_live_model_that_is_recorded(self, cli: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)

        agent = told(Settings(claude_path=cli, record_cassette=str(tmp_path / "cassettes")))

        assert agent.rehearses == ""
        assert any(str(tmp_path / "cassettes") in note for note in agent.notes)

    def test_a_script_that_needs_no_account(self, cli: str) -> None:
        assert told(Settings(claude_path=cli, rehearse=True)).rehearses == "scripted"

    def test_a_cassette_that_is_looked_for_at_once(self, cli: str, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"--cassette \S+nowhere is no directory"):
            make_agent("claude", Settings(claude_path=cli, rehearse=True, cassette=str(tmp_path / "nowhere")))


class TestRefusals:
    def test_without_an_account_one_sentence_says_what_to_do(self, cli: str) -> None:
        with pytest.raises(SettingsError, match=r"has no login here: set ANTHROPIC_API_KEY .* --rehearse\.$"):
            make_agent("claude", Settings(claude_path=cli))

    def test_without_the_cli_it_is_told_also_in_a_rehearsal(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="The Claude CLI was not found"):
            make_agent("claude", Settings(claude_path=str(tmp_path / "nowhere"), rehearse=True))

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            (Settings(cassette="x"), "Add --rehearse"),
            (Settings(rehearse=True, record_cassette="x"), "and --rehearse does without one"),
            (Settings(cassette="x", record_cassette="x"), "and --cassette does without one"),
            (Settings(rehearse=True, cassette="x", record_cassette="x"), "Leave one of the two out"),
        ],
    )
    def test_flags_that_do_not_go_together(self, settings: Settings, message: str) -> None:
        with pytest.raises(SettingsError, match=message):
            make_agent("claude", settings)

    def test_root_does_not_bypass_permissions(self, cli: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.delenv("IS_SANDBOX", raising=False)

        with pytest.raises(SettingsError, match="refuses the permission mode bypassPermissions to root"):
            make_agent("claude", Settings(claude_path=cli, rehearse=True, permission_mode="bypassPermissions"))


class TestWhole:
    def test_a_rehearsal_writes_the_reference_with_the_real_cli(self, tmp_path: Path, claude_cli: Path) -> None:
        stage = Stage(tmp_path)
        request = dataclasses.replace(
            stage.request(), reference=(SolutionPart(SolutionForm.FILE, "hello\n", "docs/hello.txt"),)
        )
        agent = make_agent("claude", Settings(claude_path=str(claude_cli), rehearse=True))
        assert isinstance(agent, Closable)

        got = agent.run(request, stage.events.append)
        agent.close()

        assert got.status is AgentStatus.OK, got
        assert (stage.workspace / "docs" / "hello.txt").read_text() == "hello\n"

    def test_what_was_recorded_is_played_back_without_an_account(
        self, tmp_path: Path, claude_cli: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage = Stage(tmp_path)
        request = dataclasses.replace(stage.request(), case="plans-hello/1-1.1")
        cassettes = str(tmp_path / "cassettes")
        with loopback() as api, monkeypatch.context() as patch:
            patch.setenv("ANTHROPIC_BASE_URL", api.address)
            patch.setenv("ANTHROPIC_API_KEY", KEY)
            live = make_agent("claude", Settings(claude_path=str(claude_cli), record_cassette=cassettes))
            assert isinstance(live, Closable)
            recorded = live.run(request, stage.events.append)
            live.close()
        rehearsed = make_agent("claude", Settings(claude_path=str(claude_cli), rehearse=True, cassette=cassettes))
        assert isinstance(rehearsed, Closable)

        played = rehearsed.run(request, stage.events.append)
        rehearsed.close()

        assert (recorded.status, played.status) == (AgentStatus.OK, AgentStatus.OK), (recorded, played)
        assert len(api.bodies) == 1
        assert recorded.tokens == played.tokens

    def test_nobody_else_loads_any_of_it(self) -> None:
        program = (
            "import json, sys; import pytest_pipeline.plugin, pytest_pipeline.agents; "
            "print(json.dumps([name for name in sys.modules if name.startswith('pytest_pipeline.agents.claude')]))"
        )
        printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

        assert json.loads(printed) == []
