"""A child whose stdout a program reads, and a child that is stopped before its time is up."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator

import pytest

from pytest_pipeline.host import process
from pytest_pipeline.host.process import run
from pytest_pipeline.host.reaper import GRACE_WHEN_ABANDONED
from pytest_pipeline.host.redaction import Redactor
from pytest_pipeline.host.supervisor import Pool
from tests.host.conftest import Yard

SECRET = "s3cr3t-token-of-the-model"
STUBBORN = "trap '' TERM INT HUP; touch \"$PIDS/$$\"; echo up; while :; do sleep 0.05; done"


@pytest.fixture(params=["subreaper", "portable"])
def pool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """Supervisors of this test alone, with either way to find descendants."""
    if request.param == "subreaper" and sys.platform != "linux":
        pytest.skip("needs subreapers")
    fresh = Pool(portable=request.param == "portable")
    monkeypatch.setattr(process, "_POOL", fresh)
    yield fresh
    fresh.shutdown()


class TestStream:
    def test_a_line_of_400_kilobytes_comes_whole(self, yard: Yard) -> None:
        lines: list[str] = []
        program = "print('x' * 400_000 + '!'); print(); print('ä' * 100_000, end='')"

        run(yard.command(sys.executable, "-ISXutf8", "-c", program, reads_stream=True), lines.append)

        assert lines == ["x" * 400_000 + "!", "", "ä" * 100_000]

    def test_stderr_is_kept_apart(self, yard: Yard) -> None:
        lines: list[str] = []
        transcript = yard.path / "transcript"

        done = run(
            yard.shell("echo out; echo err >&2; echo more", reads_stream=True, transcript=transcript), lines.append
        )

        assert lines == ["out", "more"]
        assert transcript.read_text() == "out\nmore\n"
        assert done.tail == "err"

    def test_without_stderr_there_is_no_tail(self, yard: Yard) -> None:
        assert run(yard.shell("echo out", reads_stream=True)).tail == ""

    def test_a_flood_on_stderr_does_not_block_it(self, yard: Yard) -> None:
        lines: list[str] = []

        done = run(
            yard.shell("head -c 3000000 /dev/zero >&2; echo; echo wrong >&2; echo end", reads_stream=True), lines.append
        )

        assert lines == ["", "end"]
        assert done.tail.endswith("wrong")
        assert len(done.tail) < 10_000

    def test_a_secret_that_two_chunks_share_is_masked_on_both(self, yard: Yard) -> None:
        lines: list[str] = []
        half, transcript = len(SECRET) // 2, yard.path / "transcript"
        first, second = SECRET[:half], SECRET[half:]
        script = (
            f"printf %s {first} >&2; printf %s 'a {first}'; until test -e go; do sleep 0.01; done; "
            f"echo {second} >&2; echo '{second} b'"
        )

        def let_it_go_on() -> bool:
            """The second half is written when the first has been taken; this is asked after each piece of output."""
            if transcript.exists() and transcript.stat().st_size:
                (yard.path / "go").touch()
            return False

        command = yard.shell(script, reads_stream=True, transcript=transcript, redactor=Redactor([SECRET]))
        done = run(command, lines.append, let_it_go_on)

        assert lines == ["a *** b"]
        assert transcript.read_text() == "a *** b\n"
        assert done.tail == "***"


class TestStop:
    def test_a_child_that_is_stopped_has_all_its_grace_to_end_in_order(self, yard: Yard, pool: Pool) -> None:
        lines: list[str] = []
        longer = GRACE_WHEN_ABANDONED + 0.5  # than it would have if nobody waited for it

        done = run(
            yard.shell(f"trap 'sleep {longer}; echo bye; exit 5' TERM; echo up; leave sleep 600 & wait", grace=15.0),
            lines.append,
            lambda: "up" in lines,
        )

        assert lines == ["up", "bye"]
        assert (done.exit_code, done.timed_out) == (5, False)

    def test_one_that_ignores_it_is_killed_after_its_grace(self, yard: Yard, pool: Pool) -> None:
        lines: list[str] = []

        done = run(yard.shell(STUBBORN, grace=0.3), lines.append, lambda: bool(lines))

        assert (done.exit_code, done.timed_out) == (-signal.SIGKILL, False)

    def test_what_it_has_started_ends_too(self, yard: Yard, pool: Pool) -> None:
        lines: list[str] = []
        inner = f"(setsid sh -c '{STUBBORN.replace(chr(39), chr(34) * 2)}' &)"

        done = run(
            yard.shell(f'{inner}; until test -n "$(ls pids)"; do :; done; echo born; sleep 600', grace=0.3),
            lines.append,
            lambda: "born" in lines,
        )

        assert done.exit_code == -signal.SIGTERM
        assert not yard.alive()

    def test_a_silent_child_is_stopped_too(self, yard: Yard, pool: Pool) -> None:
        since = time.monotonic()

        done = run(yard.shell("touch ready; sleep 600"), None, (yard.path / "ready").exists)

        assert done.exit_code == -signal.SIGTERM
        assert time.monotonic() - since < 60

    def test_the_same_supervisor_serves_the_next_child(self, yard: Yard, pool: Pool) -> None:
        run(yard.shell("touch ready; sleep 600"), None, (yard.path / "ready").exists)
        (before,) = pool.supervisors()

        assert run(yard.command("echo", "next")).tail == "next"
        assert pool.supervisors() == [before]

    def test_a_stop_that_comes_when_the_child_has_ended_stops_nobody_else(self, yard: Yard, pool: Pool) -> None:
        ending = yard.path / "ending"
        for _ in range(5):
            ending.unlink(missing_ok=True)
            run(yard.shell("touch ending"), None, ending.exists)
            done = run(yard.shell("sleep 0.2; echo undisturbed"))
            assert (done.exit_code, done.tail) == (0, "undisturbed")

    def test_an_exception_while_it_is_asked_ends_the_child(self, yard: Yard, pool: Pool) -> None:
        def stop() -> bool:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(yard.shell('echo up; touch "$PIDS/$$"; sleep 600', grace=300.0), print, stop)

        assert not yard.alive()
