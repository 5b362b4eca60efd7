"""The token, and where the server may listen."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.server.tokens import ApiToken, is_loopback, refuse_open_door

TEXT = "abcdefghijklmnop0123456789abcdef"


@pytest.mark.parametrize(
    "header", [b"Bearer abcdefghijklmnop0123456789abcdef", b"bearer  abcdefghijklmnop0123456789abcdef"]
)
def test_it_opens_to_itself(header: bytes) -> None:
    assert ApiToken.of(TEXT).opens(header)


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer abcdefghijklmnop0123456789abcde",
        b"Bearer abcdefghijklmnop0123456789abcdefg",
        b"Bearer Abcdefghijklmnop0123456789abcdef",
        b"Basic abcdefghijklmnop0123456789abcdef",
        b"abcdefghijklmnop0123456789abcdef",
        b"Bearer abcdefghijklmnop0123456789abcdef, Bearer x",
        b"Bearer \xff",
        b"Bearer " + b"a" * 100_000,
    ],
)
def test_it_opens_to_nothing_else(header: bytes | None) -> None:
    assert not ApiToken.of(TEXT).opens(header)


def test_a_new_one_is_always_another_and_shows_itself_to_nobody() -> None:
    one, other = ApiToken.new(), ApiToken.new()
    assert one.reveal() != other.reveal()
    assert len(one.reveal()) >= 40
    assert one.reveal() not in repr(one)


def test_one_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TEXT}\n")
    file.chmod(0o600)
    assert ApiToken.from_file(file).opens(f"Bearer {TEXT}".encode())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "token"
    file.write_text(TEXT)
    file.chmod(mode)
    with pytest.raises(SettingsError, match="Others may read"):
        ApiToken.from_file(file)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        TEXT[:-1].encode(),
        b"two words of a token that is long enough",
        b"\xff" * 40,
        "tökens-are-ascii-only-whatever-their-length".encode(),
    ],
)
def test_a_file_without_a_token_is_refused_and_not_repeated(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(SettingsError) as refused:
        ApiToken.from_file(file)
    assert "words of" not in str(refused.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        ApiToken.from_file(tmp_path / "nothing")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "::1"])
def test_addresses_of_this_machine_alone(host: str) -> None:
    assert is_loopback(host)
    refuse_open_door(host, has_file=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.org", "localhost.example.org", ""])
def test_elsewhere_it_listens_only_with_a_token_from_a_file(host: str) -> None:
    refuse_open_door(host, has_file=True)
    with pytest.raises(SettingsError, match="can be reached from other machines"):
        refuse_open_door(host, has_file=False)
