"""Secrets never get through, however they are written and wherever a stream is cut."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_pipeline.host.redaction import Redactor, looks_secret

SECRET = "ghp_s3cr3t/+value?"


def test_a_secret_is_masked_and_the_rest_stays() -> None:
    assert Redactor([SECRET]).text(f"token={SECRET}!") == "token=***!"


@pytest.mark.parametrize("secret", ["", "short", "1234567"])
def test_a_short_secret_is_ignored(secret: str) -> None:
    assert Redactor([secret]).text("short 1234567") == "short 1234567"


@pytest.mark.parametrize("secret", [SECRET, "x" * 8, "token-of-11", "twelve-chars", "ünïcödé-secret"])
@pytest.mark.parametrize("encode", [base64.standard_b64encode, base64.urlsafe_b64encode])
def test_base64_is_masked_with_and_without_padding(secret: str, encode: Callable[[bytes], bytes]) -> None:
    coded = encode(secret.encode()).decode()
    assert Redactor([secret]).text(f"<{coded}> <{coded.rstrip('=')}>") == "<***> <***>"


@pytest.mark.parametrize("user", ["a", "ab", "abc", "x-access-token"])
def test_a_secret_in_the_base64_of_a_basic_authorisation_header_is_masked(user: str) -> None:
    header = base64.b64encode(f"{user}:{SECRET}".encode()).decode()
    around = Redactor([SECRET]).text(header).split("***")
    assert len(around) == 2
    assert len(around[1].rstrip("=")) <= 1, "at most the last two bits are left"


@pytest.mark.parametrize("safe", ["", "/"])
def test_percent_encoding_is_masked_in_both_cases(safe: str) -> None:
    coded = quote(SECRET, safe=safe)
    lower = coded.replace("%2F", "%2f").replace("%2B", "%2b").replace("%3F", "%3f")
    assert Redactor([SECRET]).text(f"//u:{coded}@host //u:{lower}@host") == "//u:***@host //u:***@host"


def test_a_secret_that_begins_another_does_not_leave_the_rest_of_it() -> None:
    assert Redactor(["abcdefgh", "abcdefgh-and-more"]).text("abcdefgh-and-more abcdefgh") == "*** ***"


def test_a_secret_from_a_file_is_masked_without_its_last_newline_too() -> None:
    assert Redactor([SECRET + "\n"]).text(f"[{SECRET}]") == "[***]"


def test_what_a_child_prints_is_masked_for_its_own_secrets_and_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_TOKEN", "canary-of-ours")
    masked = Redactor.for_child({"ITS_TOKEN": "canary-of-the-child"}).text("canary-of-ours canary-of-the-child canary")
    assert masked == "*** *** canary"


def test_the_environment_gives_the_secrets_by_the_names_of_its_variables() -> None:
    environ = {"GITHUB_TOKEN": "token-token", "DB_PASSWORD": "pass-pass-pass", "EDITOR": "ed-ed-ed-ed"}
    masked = Redactor.from_environment(environ).text("token-token pass-pass-pass ed-ed-ed-ed")
    assert masked == "*** *** ed-ed-ed-ed"


@pytest.mark.parametrize(
    "name",
    ["GH_TOKEN", "my_secret", "PGPASSWORD", "MYSQL_PASSWD", "API_KEY", "APIKEY", "SIGNING_KEY", "CREDENTIALS", "AUTH"],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["PATH", "LANG", "KEYBOARD", "HOME"])
def test_other_names_are_not_secrets(name: str) -> None:
    assert not looks_secret(name)


def test_a_text_that_is_not_utf_8_stays_as_it_is() -> None:
    redactor = Redactor(["\udcff-secret-\udcfe"])
    assert redactor.text("\udcff and \ud800, \udcff-secret-\udcfe") == "\udcff and \ud800, ***"
    assert redactor.stream().feed(b"\xff-secret-\xfe") == b"***"


def test_a_complete_line_does_not_wait_for_more_output() -> None:
    assert Redactor([SECRET]).stream().feed(b"all done\n") == b"all done\n"


_SMALL = st.text(alphabet="ab", min_size=8, max_size=10)


@given(
    secrets=st.lists(_SMALL, max_size=4),
    chunks=st.lists(st.text(alphabet="abc", max_size=30), max_size=12),
)
def test_a_stream_says_the_same_as_the_whole_text_wherever_it_is_cut(secrets: list[str], chunks: list[str]) -> None:
    redactor = Redactor(secrets)
    stream = redactor.stream()
    streamed = b"".join(stream.feed(chunk.encode()) for chunk in chunks) + stream.close()
    assert streamed.decode() == redactor.text("".join(chunks))
    assert not any(secret in streamed.decode() for secret in secrets)


@given(secret=st.text(min_size=8, max_size=40).filter(lambda text: len(text.strip()) >= 8), cut=st.integers(0, 60))
def test_any_secret_is_masked_in_both_halves_of_a_stream(secret: str, cut: int) -> None:
    data = b"<<" + secret.encode() + b">>"
    stream = Redactor([secret]).stream()
    assert stream.feed(data[:cut]) + stream.feed(data[cut:]) + stream.close() == b"<<***>>"


def test_the_name_of_an_author_is_no_secret() -> None:
    assert not looks_secret("GIT_AUTHOR_NAME")
    assert looks_secret("BASIC_AUTH")
