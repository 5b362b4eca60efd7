"""What a child sees, what is kept of its output, and why it could not be started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pytest_pipeline.errors import HostError
from pytest_pipeline.host.process import MARKER, Command, capture, child_environment, run
from pytest_pipeline.host.redaction import Redactor
from tests.host.conftest import Yard

SECRET = "s3cr3t-token-of-the-forge"


def test_a_child_sees_exactly_the_environment_it_is_given_and_its_marker(yard: Yard) -> None:
    seen = run(yard.command("/usr/bin/env", environment={"ONE": "1", "B": "ä\udcff"})).tail.splitlines()
    assert sorted(line.partition("=")[0] for line in seen) == ["B", "ONE", MARKER]
    assert "ONE=1" in seen


def test_a_child_leads_a_session_and_a_group_of_its_own_in_its_directory(yard: Yard) -> None:
    program = "import os; print(os.getpid() == os.getsid(0) == os.getpgrp(), os.getcwd())"
    assert run(yard.command(sys.executable, "-ISc", program)).tail == f"True {os.path.realpath(yard.path)}"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_child_ignores_and_blocks_no_signal(yard: Yard) -> None:
    status = run(yard.command("grep", "-E", "SigBlk|SigIgn", "/proc/self/status")).tail.split()
    assert [int(mask, 16) for mask in status[1::2]] == [0, 0]


def test_a_child_inherits_no_file_of_ours(yard: Yard) -> None:
    program = "import os; print(sorted(set(os.listdir('/dev/fd')) & set(map(str, range(4, 999)))))"
    assert run(yard.command(sys.executable, "-ISc", program)).tail == "[]"


def test_exit_code_and_time_are_told(yard: Yard) -> None:
    done = run(yard.shell("exit 7"))
    assert (done.exit_code, done.timed_out, done.survivors, done.truncated) == (7, False, 0, False)
    assert 0 < done.elapsed < 20


def test_a_child_that_a_signal_ended_has_a_negative_exit_code(yard: Yard) -> None:
    assert run(yard.shell("kill -11 $$")).exit_code == -11


def test_a_large_input_that_is_echoed_does_not_block(yard: Yard) -> None:
    done = run(yard.command("tee", "/dev/stderr", stdin=b"x" * 3_000_000, transcript=yard.path / "t"))
    assert done.exit_code == 0
    assert (yard.path / "t").stat().st_size == 6_000_000


@pytest.mark.parametrize("script", ["true", "exec <&-; cat /dev/null"])
def test_an_input_that_is_not_read_does_no_harm(yard: Yard, script: str) -> None:
    assert run(yard.shell(script, stdin=b"x" * 3_000_000)).exit_code == 0


def test_without_input_a_child_reads_an_end_of_file(yard: Yard) -> None:
    assert run(yard.command("cat")).tail == ""


def test_output_is_appended_to_the_transcript_as_it_comes(yard: Yard) -> None:
    transcript = yard.path / "transcript"
    transcript.write_text("before\n")
    seen: list[str] = []

    def look(line: str) -> None:
        seen.append(transcript.read_text())
        (yard.path / "go").touch()

    script = "echo out; while ! test -e go; do sleep 0.01; done; echo err >&2"
    done = run(yard.shell(script, transcript=transcript), on_output=look)
    assert seen == ["before\nout\n", "before\nout\nerr\n"]
    assert done.tail == "out\nerr"


def test_lines_come_whole_cut_and_with_the_last_one_that_has_no_end(yard: Yard) -> None:
    lines: list[str] = []
    run(
        yard.shell("printf 'a\\r\\n\\n'; head -c 400000 /dev/zero | tr '\\0' x; printf '\\nend'"),
        on_output=lines.append,
    )
    assert lines == ["a", "", "x" * 2_000, "end"]


def test_a_transcript_is_bounded_and_says_so(yard: Yard) -> None:
    transcript = yard.path / "transcript"
    command = yard.shell("seq 1000; echo the end", transcript=transcript, transcript_limit=10)
    done = run(command)
    text = transcript.read_text()
    assert done.truncated
    assert done.tail.endswith("\nthe end")
    assert text.startswith("1\n2\n3\n4\n5\n\n[pytest-pipeline: ")
    assert text.count("\n") == 7


def test_a_transcript_that_is_just_full_is_not_truncated(yard: Yard) -> None:
    done = run(yard.shell("printf 12345", transcript=yard.path / "t", transcript_limit=5))
    assert not done.truncated
    assert (yard.path / "t").read_text() == "12345"


def test_the_tail_holds_the_last_forty_lines(yard: Yard) -> None:
    assert run(yard.command("seq", "100")).tail.splitlines() == [str(number) for number in range(61, 101)]


def test_the_tail_of_a_very_long_line_is_bounded_and_cuts_no_character(yard: Yard) -> None:
    program = "print('ä' * 200_000, end='!')"
    tail = run(yard.command(sys.executable, "-ISXutf8", "-c", program)).tail
    assert tail == "ä" * 4095 + "!"


def test_binary_output_is_decoded_with_replacement(yard: Yard) -> None:
    assert run(yard.shell("printf 'a\\377\\000b'")).tail == "a�\0b"


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_five_hundred_megabytes_of_output_take_no_memory(yard: Yard) -> None:
    driver = yard.driver(
        "import resource\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "run(yard.command('true')); before = peak()\n"
        "done = run(yard.command('head', '-c', '500000000', '/dev/zero', transcript=yard.path / 't', "
        "transcript_limit=1000))\n"
        "print(done.exit_code, done.truncated, peak() - before)"
    )
    exit_code, truncated, kibibytes = driver.communicate(timeout=60)[0].split()
    assert (exit_code, truncated) == ("0", "True")
    assert int(kibibytes) < 16 * 1024
    assert (yard.path / "t").stat().st_size < 1200


def test_secrets_reach_neither_transcript_nor_tail_nor_lines(yard: Yard) -> None:
    transcript, lines = yard.path / "t", list[str]()
    first, second = SECRET[:9], SECRET[9:]
    script = f"echo {SECRET}; printf {first}; touch half; sleep 0.2; echo {second}; printf %s {SECRET} | base64"
    command = yard.shell(script, transcript=transcript, redactor=Redactor([SECRET]))
    done = run(command, on_output=lines.append)
    assert lines == ["***", "***", "***"]
    assert done.tail == "***\n***\n***"
    assert transcript.read_text() == "***\n***\n***\n"


def test_a_transcript_that_cannot_be_opened_is_an_error_of_the_host(yard: Yard) -> None:
    with pytest.raises(HostError, match=r"transcript .* cannot be written: Is a directory"):
        run(yard.shell("true", transcript=yard.path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_ends_the_child_and_is_an_error_of_the_host(yard: Yard) -> None:
    with pytest.raises(HostError, match="No space left"):
        run(yard.shell("leave sleep 600 & while :; do echo more; done", transcript=Path("/dev/full")))


def test_a_program_that_is_not_there_is_named(yard: Yard) -> None:
    with pytest.raises(HostError, match=r"'no-such-program' was not found\. Install it"):
        run(yard.command("no-such-program"))


def test_the_program_is_looked_up_on_the_childs_own_path(yard: Yard) -> None:
    program = yard.path / "bin" / "only-here"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    assert run(yard.command("only-here", environment={"PATH": str(program.parent)})).tail == "found"


def test_a_working_directory_that_is_not_there_is_named(yard: Yard) -> None:
    command = Command(("true",), yard.path / "nowhere", yard.environment)
    with pytest.raises(HostError, match="nowhere' of 'true' cannot be entered: No such file"):
        run(command)


@pytest.mark.parametrize(("mode", "sentence"), [(0o644, "must not be executed"), (0o755, "is no program")])
def test_a_file_that_is_no_program_is_named(yard: Yard, mode: int, sentence: str) -> None:
    file = yard.path / "data"
    file.write_bytes(b"just data")
    file.chmod(mode)
    with pytest.raises(HostError, match=sentence):
        run(yard.command(str(file)))


def test_arguments_that_are_too_long_are_told(yard: Yard) -> None:
    with pytest.raises(HostError, match="too long for this machine"):
        run(yard.command("true", "x" * 5_000_000))


@pytest.mark.parametrize("argv", [(), ("tr\0ue",)])
def test_a_command_that_no_system_can_run_is_told(yard: Yard, argv: tuple[str, ...]) -> None:
    with pytest.raises(HostError, match="cannot be run"):
        run(yard.command(*argv))


def test_a_refusal_leaves_the_next_child_unharmed(yard: Yard) -> None:
    with pytest.raises(HostError):
        run(yard.command("no-such-program"))
    assert run(yard.command("echo", "well")).tail == "well"


def test_a_captured_tool_gives_stdout_and_stderr_whole_and_apart(yard: Yard) -> None:
    script = "cat; head -c 300000 /dev/zero; echo wrong >&2; exit 3"
    got = capture(["sh", "-c", script], environment=yard.environment, cwd=yard.path, stdin=b"in\xff")
    assert (got.exit_code, got.stdout, got.stderr) == (3, b"in\xff" + b"\0" * 300_000, "wrong\n")


def test_a_captured_tool_that_does_not_end_is_killed(yard: Yard) -> None:
    with pytest.raises(HostError, match=r"did not end within 0\.2 s and was killed"):
        capture(
            ["sh", "-c", "touch pids/$$; sleep 600 & wait"], environment=yard.environment, cwd=yard.path, timeout=0.2
        )


def test_a_captured_tool_that_is_not_there_is_named(yard: Yard) -> None:
    with pytest.raises(HostError, match="'no-such-tool' was not found"):
        capture(["no-such-tool"], environment=yard.environment)


AMBIENT = {
    "PATH": "/usr/bin",
    "LANG": "C.UTF-8",
    "LC_TIME": "C",
    "LC_SECRET": "x",
    "TZ": "UTC",
    "TERM": "dumb",
    "HOME": "/home/somebody",
    "TMPDIR": "/var/tmp",
    "GH_TOKEN": "x",
    "ANTHROPIC_API_KEY": "x",
    "CLAUDECODE": "1",
    "CLAUDE_CODE_SESSION_ID": "x",
    "AI_AGENT": "x",
    "GIT_EDITOR": "true",
    "PYTEST_CURRENT_TEST": "x",
}


def test_the_environment_of_a_child_is_built_from_nothing() -> None:
    assert child_environment((), {"HOME": "/private"}, AMBIENT) == {
        "PATH": os.pathsep.join((os.path.dirname(sys.executable), "/usr/bin")),
        "LANG": "C.UTF-8",
        "LC_TIME": "C",
        "TZ": "UTC",
        "TERM": "dumb",
        "HOME": "/private",
    }


def test_what_the_user_allows_by_name_passes_whatever_its_name() -> None:
    child = child_environment(["ANTHROPIC_API_KEY", "GIT_EDITOR", "NOT_SET"], {"HOME": "/private"}, AMBIENT)
    assert (child["ANTHROPIC_API_KEY"], child["GIT_EDITOR"], "NOT_SET" in child) == ("x", "true", False)


def test_an_environment_without_a_home_is_refused() -> None:
    with pytest.raises(ValueError, match="HOME"):
        child_environment((), {}, AMBIENT)
