"""The driver, with programs that play the Claude CLI: well, badly, and never to an end."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path

import pytest

from pytest_pipeline.agents.base import AgentStatus, Closable, Conduct, Explained, Limits
from pytest_pipeline.agents.claude import driver
from pytest_pipeline.agents.claude.driver import ClaudeAgent
from pytest_pipeline.agents.claude.executable import Executable
from pytest_pipeline.agents.claude.gateway import Access
from pytest_pipeline.errors import HostError
from pytest_pipeline.host.process import MARKER
from tests.agents.claude.stage import SESSION, Complaining, Door, Stage, init, result, says
from tests.host.conftest import is_alive

SECRET = "sk-ant-the-key-of-the-test"
TELL = (
    "json.dump([sys.argv, dict(os.environ), os.getcwd(), sys.stdin.read()], open(os.environ['HERE'] + '/told', 'w'))\n"
)
WELL = says(init(), result())
DAEMON = (
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        open(os.environ['HERE'] + '/daemon', 'w').write(str(os.getpid())); time.sleep(600)\n"
    "    os._exit(0)\n"
    "os.wait()\n"
    "while not (os.path.exists(os.environ['HERE'] + '/daemon') and os.path.getsize(os.environ['HERE'] + '/daemon')): "
    "time.sleep(0.01)\n"
)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "GRACE", 0.3)
    monkeypatch.setattr(driver, "LINGER", 0.3)


def told(stage: Stage) -> tuple[list[str], dict[str, str], str, str]:
    """Arguments, environment, directory and input of the program."""
    argv, environment, cwd, stdin = json.loads((stage.path / "told").read_text())
    return argv, environment, cwd, stdin


class TestSelf:
    @pytest.mark.parametrize(("rehearses", "name"), [("", "claude"), ("scripted", "claude (rehearsal)")])
    def test_it_says_what_it_is(self, rehearses: str, name: str) -> None:
        door = Door(rehearses=rehearses)
        agent = ClaudeAgent(Executable(Path("/bin/claude"), "2.1.1", "on PATH", ("old",)), door)

        assert isinstance(agent, Explained)
        assert isinstance(agent, Closable)
        assert (agent.name, agent.version, agent.rehearses) == (name, "2.1.1", rehearses)
        assert agent.notes == ("Claude CLI 2.1.1, on PATH: /bin/claude", "old", "a door")
        agent.close()
        assert door.closed


class TestCall:
    def test_the_program_gets_prompt_workspace_and_a_session_of_its_own(self, stage: Stage) -> None:
        got = [stage.play(TELL + WELL, stage.request(prompt="/do\r\nit, Zoë\n")) for _ in range(2)]
        argv, environment, cwd, stdin = told(stage)

        assert [each.status for each in got] == [AgentStatus.OK, AgentStatus.OK], got
        assert stdin == "\n/do\r\nit, Zoë\n"
        assert Path(cwd).samefile(stage.workspace)
        assert argv[1:3] == ["-p", "--output-format"]
        assert environment["HOME"] == str(stage.home)
        assert environment["TMPDIR"] == str(stage.temporary)
        assert MARKER in environment
        assert "PYTEST_CURRENT_TEST" not in environment

    def test_two_runs_have_two_sessions_and_two_configurations(self, stage: Stage) -> None:
        sessions = set()
        for _ in range(2):
            stage.play(TELL + WELL)
            argv = told(stage)[0]
            sessions.add(argv[argv.index("--session-id") + 1])

        assert len(sessions) == len(set(stage.door.configs)) == 2
        assert not any(config.exists() for config in stage.door.configs)

    def test_the_configuration_is_private_and_gone_afterwards(self, stage: Stage) -> None:
        look = "open(os.environ['HERE'] + '/mode', 'w').write(oct(os.stat(os.environ['CLAUDE_CONFIG_DIR']).st_mode))\n"
        litter = "os.makedirs(os.environ['CLAUDE_CONFIG_DIR'] + '/a/b'); os.chmod(os.environ['CLAUDE_CONFIG_DIR'], 0)\n"

        stage.play(look + litter + WELL)

        assert (stage.path / "mode").read_text() == "0o40700"
        assert not list(stage.temporary.iterdir())
        assert stage.door.open == 0

    def test_a_long_name_of_the_temporary_directory_is_got_around(self, stage: Stage) -> None:
        long = stage.temporary / ("x" * 100)
        long.mkdir()

        stage.play(TELL + WELL, stage.request(more={"TMPDIR": str(long)}))
        environment = told(stage)[1]

        assert environment["TMPDIR"] == str(long)
        assert len(environment["CLAUDE_CODE_TMPDIR"]) <= driver.SOCKET_ROOM
        assert Path(environment["CLAUDE_CONFIG_DIR"]).parent.parent == long
        assert not Path(environment["CLAUDE_CODE_TMPDIR"]).parent.exists()
        assert not list(long.iterdir())

    def test_so_is_one_of_ours(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        long = stage.temporary / ("x" * 100)
        long.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(long))

        stage.play(TELL + WELL, stage.request(more={"TMPDIR": str(long)}))

        assert len(told(stage)[1]["CLAUDE_CODE_TMPDIR"]) <= driver.SOCKET_ROOM

    def test_a_temporary_directory_that_is_not_there_is_told(self, stage: Stage) -> None:
        with pytest.raises(HostError, match=r"No private directory .* in /nowhere: No such file .* mend TMPDIR"):
            stage.play(WELL, stage.request(more={"TMPDIR": "/nowhere"}))

    def test_the_system_prompt_goes_through_a_file(self, stage: Stage) -> None:
        (stage.workspace / "CLAUDE.md").write_text("Use tabs.")
        read = (
            "file = sys.argv[sys.argv.index('--append-system-prompt-file') + 1]\n"
            "open(os.environ['HERE'] + '/read', 'w').write(open(file).read() + oct(os.stat(file).st_mode))\n"
        )
        conduct = Conduct(system_prompt="Be brief, Zoë.", project_instructions=True)

        stage.play(read + WELL, stage.request(conduct=conduct))

        text = (stage.path / "read").read_text()
        assert text == "Be brief, Zoë.\n\nThe repository's CLAUDE.md says:\n\nUse tabs.0o100600"

    def test_without_one_there_is_no_such_option(self, stage: Stage) -> None:
        stage.play(TELL + WELL)

        assert "--append-system-prompt-file" not in told(stage)[0]

    def test_a_rehearsal_waits_less(self, stage: Stage) -> None:
        stage.door.rehearses = "scripted"

        stage.play(TELL + WELL)

        assert told(stage)[1]["CLAUDE_CODE_MAX_RETRIES"] == "2"

    @pytest.mark.parametrize("prompt", ["", " \n\t\n"])
    def test_a_blank_prompt_is_not_sent(self, stage: Stage, prompt: str) -> None:
        got = stage.play(TELL + WELL, stage.request(prompt=prompt))

        assert got.status is AgentStatus.FAILED
        assert got.message.startswith("The prompt is blank")
        assert not (stage.path / "told").exists()


class TestEnd:
    def test_what_the_stream_says_is_in_the_result(self, stage: Stage) -> None:
        got = stage.play(WELL)

        assert (got.status, got.turns, got.model, got.session_id) == (AgentStatus.OK, 1, "claude-haiku-5-5", SESSION)
        assert str(got.cost_usd) == "0.25"
        assert (got.survivors, got.truncated, got.retryable) == (0, False, False)
        assert stage.transcript.read_text().splitlines() == [init(), result()]

    def test_the_session_is_known_also_when_nothing_was_said(self, stage: Stage) -> None:
        got = stage.play(TELL + "sys.exit(1)")
        argv = told(stage)[0]

        assert got.status is AgentStatus.FAILED
        assert got.session_id == argv[argv.index("--session-id") + 1]

    def test_complaints_on_stderr_are_the_last_lines_of_the_transcript(self, stage: Stage) -> None:
        got = stage.play("print('wrong\\nflag', file=sys.stderr)\n" + says(init()) + "sys.exit(1)")

        assert got.status is AgentStatus.FAILED
        assert "wrong" in got.message + got.output
        assert stage.transcript.read_text() == f"{init()}\nstderr: wrong\nstderr: flag\n"

    def test_secrets_reach_nobody(self, stage: Stage) -> None:
        stage.door.access = Access({"ANTHROPIC_API_KEY": SECRET}, ("a-header-of-ours",))
        leak = f"print('{SECRET} a-header-of-ours', file=sys.stderr)\n"

        got = stage.play(leak + says(init(model=SECRET), result(result=f"{SECRET} a-header-of-ours", is_error=True)))

        written = stage.transcript.read_text() + repr(got) + "".join(stage.events)
        assert "***" in written
        assert SECRET not in written
        assert "a-header-of-ours" not in written

    def test_a_complaint_of_the_gateway_is_the_verdict(self, stage: Stage) -> None:
        stage.door.access = Complaining(words="The cassette does not fit. Record it again.")

        got = stage.play(WELL)

        assert (got.status, got.retryable) == (AgentStatus.UNAVAILABLE, False)
        assert got.message == "The cassette does not fit. Record it again."
        assert str(got.cost_usd) == "0.25"

    def test_what_it_leaves_is_killed_and_counted(self, stage: Stage) -> None:
        got = stage.play(DAEMON + WELL)

        assert (got.status, got.survivors) == (AgentStatus.OK, 1)
        assert not is_alive(int((stage.path / "daemon").read_text()))

    def test_a_transcript_that_is_cut_is_told(self, stage: Stage) -> None:
        request = dataclasses.replace(stage.request(), transcript_limit=10)

        got = stage.play(WELL, request)

        assert (got.status, got.truncated) == (AgentStatus.OK, True)

    def test_a_line_of_400_kilobytes_is_read_whole(self, stage: Stage) -> None:
        got = stage.play(says(init(), result(total_cost_usd=0.5, permission_denials=[{"tool_input": "x" * 400_000}])))

        assert got.status is AgentStatus.OK
        assert str(got.cost_usd) == "0.5"

    def test_time_that_is_up_is_a_timeout(self, stage: Stage, impatient: None) -> None:
        ignoring = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"

        got = stage.play(ignoring + says(init()) + "time.sleep(600)", stage.request(limits=Limits(1.0)))

        assert got.status is AgentStatus.TIMEOUT

    def test_one_that_hangs_after_its_result_is_ended_and_not_believed(self, stage: Stage, impatient: None) -> None:
        got = stage.play(WELL + "time.sleep(600)")

        assert got.status is AgentStatus.FAILED
        assert "did not end, and was ended" in got.message

    def test_one_whose_credentials_are_refused_is_ended_at_once(self, stage: Stage) -> None:
        retry = {
            "type": "system",
            "subtype": "api_retry",
            "attempt": 1,
            "max_retries": 4,
            "retry_delay_ms": 500,
            "error_status": 401,
            "error": "authentication_failed",
        }

        got = stage.play(says(init(), json.dumps(retry)) + "time.sleep(600)")

        assert (got.status, got.retryable) == (AgentStatus.UNAVAILABLE, False)

    def test_an_interruption_ends_everything_and_passes_through(self, stage: Stage) -> None:
        note = "open(os.environ['HERE'] + '/cli', 'w').write(str(os.getpid()))\n"

        def interrupt(_line: str) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            stage.play(note + DAEMON + says(init()) + "time.sleep(600)", on_event=interrupt)

        for name in ("cli", "daemon"):
            assert not is_alive(int((stage.path / name).read_text()))
        assert not list(stage.temporary.iterdir())
        assert stage.door.open == 0
