"""What lies on disk for a gate, and what happens when it is not what was written."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_pipeline.errors import ForgeError
from pytest_pipeline.forges.gate import gate_directory, token_id
from pytest_pipeline.forges.gate_files import FileTurnstile, Lock
from pytest_pipeline.forges.gate_limits import CallKind
from tests.forges.gate_desk import ID, START, TOKEN, Desk

READ, WRITE = CallKind.READ, CallKind.WRITE

GOOD: Mapping[str, object] = {
    "version": 1,
    "written": START,
    "last_write": None,
    "write_open": False,
    "content": [],
    "pushes": {},
    "merges": {},
    "primary": None,
    "blocked_until": 0,
    "strikes": 0,
    "struck_reading": False,
}
BAD: tuple[Mapping[str, object], ...] = (
    {"version": 2},
    {"written": None},
    {"last_write": "x"},
    {"last_write": True},
    {"last_write": float("nan")},
    {"content": None},
    {"content": [None]},
    {"pushes": []},
    {"merges": {"a": 1}},
    {"primary": [1, 2, 3]},
    {"primary": {}},
    {"primary": [5000, -1, START + 50, START]},
    {"blocked_until": float("inf")},
    {"strikes": "many"},
    {"write_open": 1},
)
TORN = (b"", b"{", b"\xff", b"null", b"[1]", b"{}", b"[" * 100_000, b'"text"')


def test_a_state_file_is_read_as_it_was_written(desk: Desk) -> None:
    desk.directory.mkdir()
    desk.state_file.write_text(json.dumps(GOOD))
    assert desk.waits(desk.gate(), WRITE) == 0


@pytest.mark.parametrize(
    "content",
    [*TORN, *(json.dumps({**GOOD, **change}).encode() for change in BAD)],
    ids=lambda content: str(len(content)),
)
def test_a_file_that_is_torn_or_not_ours_counts_as_a_change_just_made(desk: Desk, content: bytes) -> None:
    desk.directory.mkdir()
    desk.state_file.write_bytes(content)
    assert desk.waits(desk.gate(), READ) == 0
    assert desk.waits(desk.gate(), WRITE) == 1.0
    desk.clock.now += 1.0
    assert desk.waits(desk.gate(), WRITE) == 0


def test_a_clock_that_was_set_back_makes_nobody_wait_longer(desk: Desk) -> None:
    desk.waits(desk.gate(), WRITE)
    desk.hears(desk.gate(), 429, headers={"Retry-After": 30})
    desk.clock.now -= 7200
    assert desk.waits(desk.gate(), WRITE) == 30


def test_what_lies_on_disk_is_private_and_knows_no_token(desk: Desk) -> None:
    desk.hears(desk.gate(), 429, headers={"Retry-After": 9})
    assert {path.name for path in desk.directory.iterdir()} == {f"{ID}.lock", f"{ID}.next", f"{ID}.json"}
    assert stat.S_IMODE(desk.directory.stat().st_mode) == 0o700
    for path in desk.directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert TOKEN.encode() not in path.read_bytes()


def test_an_id_tells_tokens_and_hosts_apart_and_nothing_else_is_taken_for_one(tmp_path: Path) -> None:
    assert token_id("https://API.github.com/", TOKEN) == ID
    assert len({ID, token_id("https://api.github.com", "other"), token_id("https://ghe/api/v3", TOKEN)}) == 3
    for wrong in (TOKEN, "0" * 40, "../x", ""):
        with pytest.raises(ValueError, match=r"^That is not what token_id\(\) gives\.$"):
            FileTurnstile(tmp_path, wrong)


def test_the_directory_of_a_user() -> None:
    assert gate_directory({"HOME": "/h"}) == Path("/h/.local/state/pytest-pipeline/gates")
    assert gate_directory({"HOME": "/h", "XDG_STATE_HOME": "/s"}) == Path("/s/pytest-pipeline/gates")
    assert gate_directory({"HOME": "/h", "XDG_STATE_HOME": "s"}) == Path("/h/.local/state/pytest-pipeline/gates")


def test_a_place_that_cannot_be_used_is_said(desk: Desk) -> None:
    desk.directory.write_text("a file")
    with pytest.raises(ForgeError, match=r"cannot be used: .*Make .* a directory that can be written"):
        desk.waits(desk.gate(), READ)


def test_a_call_that_could_not_be_noted_is_not_made(desk: Desk) -> None:
    desk.state_file.with_suffix(".new").mkdir(parents=True)
    assert desk.waits(desk.gate(), READ) == 0
    for _ in range(2):
        with pytest.raises(ForgeError, match="cannot be used"):
            desk.waits(desk.gate(), WRITE)
    desk.state_file.with_suffix(".new").rmdir()
    assert desk.waits(desk.gate(), WRITE) == 0


def test_who_waits_for_a_lock_has_it_before_those_who_come_later(tmp_path: Path) -> None:
    first, second, third = (Lock(tmp_path / "a.lock") for _ in range(3))
    held = first.take()
    assert held is not None
    assert second.take() is None
    os.close(held)
    assert first.take() is None
    assert third.take() is None
    held = second.take()
    assert held is not None
    assert third.take() is None
    third.give_up()
    assert first.take() is None
    os.close(held)
    held = first.take()
    assert held is not None
    os.close(held)


def test_who_loses_patience_is_no_longer_next(desk: Desk) -> None:
    impatient = desk.gate()
    with desk.gate().call(READ), pytest.raises(ForgeError, match="Another process"), impatient.call(READ, patience=0.1):
        pass
    assert desk.waits(desk.gate(), READ) == 0


def test_who_is_closed_has_neither_the_turn_nor_the_next_one(tmp_path: Path) -> None:
    first, second, third = (FileTurnstile(tmp_path, ID) for _ in range(3))
    assert first.take()
    assert not second.take()
    first.close()
    assert not third.take()
    second.close()
    assert third.take()
    third.close()


def test_a_lock_on_a_file_that_was_removed_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"

    def removed_meanwhile(descriptor: int, operation: int) -> None:
        path.unlink(missing_ok=True)
        real(descriptor, operation)

    real = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", removed_meanwhile)
    assert Lock(path).take() is None


def test_who_does_not_get_a_lock_keeps_no_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Lock(tmp_path / "lock").take()
    assert held is not None
    waiting = Lock(tmp_path / "lock")
    before = len(os.listdir("/dev/fd"))
    assert waiting.take() is None
    waiting.give_up()
    assert len(os.listdir("/dev/fd")) == before

    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(OSError, match="No locks"):
        waiting.take()
    assert len(os.listdir("/dev/fd")) == before
    os.close(held)
