from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from pytest_pipeline.agents import make_agent
from pytest_pipeline.agents.base import AgentRequest, AgentResult, AgentStatus, Limits
from pytest_pipeline.errors import HostError, SettingsError
from pytest_pipeline.settings import Settings


def do(workspace: Path, script: str, *, prompt: str = "", wall_time: float = 60.0) -> AgentResult:
    agent = make_agent("command", Settings(agent_command=shlex.join([sys.executable, "-c", script])))
    request = AgentRequest(
        prompt=prompt,
        workspace=workspace,
        limits=Limits(wall_time),
        environment={"PATH": os.environ["PATH"], "FLAVOUR": "plum"},
        transcript=workspace / "transcript.txt",
    )
    return agent.run(request, print)


def test_the_command_reads_the_prompt_and_works_in_the_workspace(tmp_path: Path) -> None:
    result = do(tmp_path, "import sys; open('got.txt', 'w').write(sys.stdin.read())", prompt="do this; $HOME\n")

    assert result.status is AgentStatus.OK, result
    assert (tmp_path / "got.txt").read_text() == "do this; $HOME\n"


def test_it_sees_only_the_environment_of_the_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "x")

    result = do(tmp_path, "import os; print(os.environ['FLAVOUR'], 'SECRET_OF_OURS' in os.environ)")

    assert result.output.strip() == "plum False"
    assert "plum False" in (tmp_path / "transcript.txt").read_text()


def test_a_secret_that_it_was_given_does_not_reach_the_transcript(tmp_path: Path) -> None:
    agent = make_agent("command", Settings(agent_command="sh -c 'echo key: $MY_API_KEY'"))
    environment = {"PATH": os.environ["PATH"], "MY_API_KEY": "sesame-open-wide"}
    lines: list[str] = []
    request = AgentRequest("", tmp_path, Limits(60.0), environment, tmp_path / "transcript.txt")

    result = agent.run(request, lines.append)

    told = (tmp_path / "transcript.txt").read_text() + result.output + "".join(lines)
    assert "key: ***" in told
    assert "sesame" not in told


def test_any_other_exit_status_is_a_failure_with_the_last_lines(tmp_path: Path) -> None:
    result = do(tmp_path, "import sys; print('no key'); sys.exit(7)")

    assert result.status is AgentStatus.FAILED
    assert "exit status 7" in result.message
    assert "no key" in result.output


def test_a_command_that_a_signal_ends_says_so(tmp_path: Path) -> None:
    result = do(tmp_path, "import os; os.kill(os.getpid(), 9)")

    assert result.status is AgentStatus.FAILED
    assert "signal 9" in result.message


def test_a_command_that_does_not_end_is_a_timeout(tmp_path: Path) -> None:
    result = do(tmp_path, "import time; time.sleep(300)", wall_time=1.0)

    assert result.status is AgentStatus.TIMEOUT
    assert "within 1 s" in result.message


def test_a_program_that_is_not_there_is_told_before_the_first_task() -> None:
    with pytest.raises(HostError, match=r"'no-such-program-anywhere' of --agent-command was not found\. Install it"):
        make_agent("command", Settings(agent_command="no-such-program-anywhere --yes"))


def test_a_relative_program_counts_from_where_pytest_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "agent.sh"
    script.write_text("#!/bin/sh\ntouch done.txt\n")
    script.chmod(0o755)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    monkeypatch.chdir(tmp_path)
    agent = make_agent("command", Settings(agent_command="./agent.sh"))
    request = AgentRequest("", workspace, Limits(60.0), {"PATH": os.environ["PATH"]}, tmp_path / "transcript.txt")

    assert agent.run(request, print).status is AgentStatus.OK
    assert (workspace / "done.txt").exists()


@pytest.mark.parametrize(
    ("command", "message"), [("'open", "Correct its quotes"), ("", "is empty"), (None, "Add --agent-command")]
)
def test_a_command_line_that_cannot_be_used_is_a_settings_error(command: str | None, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        make_agent("command", Settings(agent_command=command))


def test_an_unknown_name_is_told_what_there_is() -> None:
    with pytest.raises(SettingsError, match="Choose claude, reference or command"):
        make_agent("oracle", Settings())
