from __future__ import annotations

import dataclasses

import pytest

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.forges.github.address import Address

LOOPBACK = "http://127.0.0.1:8123/api/v3"


@pytest.mark.parametrize(
    "text",
    [
        "owner/name",
        " owner/name.git\n",
        "github.com/owner/name",
        "https://github.com/owner/name",
        "https://github.com/owner/name.git/",
        "https://GitHub.com:443/owner/name",
        "https://www.github.com/owner/name",
        "git@github.com:owner/name.git",
        "git@github.com:/owner/name.git",
        "github.com:owner/name",
        "ssh://git@github.com/owner/name.git",
        "ssh://git@ssh.github.com:443/owner/name.git",
        "git+ssh://git@github.com:22/owner/name",
    ],
)
def test_github_com_in_all_its_spellings(text: str) -> None:
    assert Address.parse(text) == Address(
        host="github.com",
        owner="owner",
        name="name",
        api_url="https://api.github.com",
        web_url="https://github.com/owner/name",
        push_url="https://github.com/owner/name.git",
    )
    assert Address.parse(text).notice == ""


@pytest.mark.parametrize(
    ("text", "host", "api_url"),
    [
        ("https://git.example.com/owner/name", "git.example.com", "https://git.example.com/api/v3"),
        ("git@git.example.com:owner/name.git", "git.example.com", "https://git.example.com/api/v3"),
        ("ssh://git@git.example.com:2222/owner/name", "git.example.com", "https://git.example.com/api/v3"),
        ("https://git.example.com:8443/owner/name", "git.example.com:8443", "https://git.example.com:8443/api/v3"),
        ("https://ghe/owner/name", "ghe", "https://ghe/api/v3"),
        ("https://acme.ghe.com/owner/name", "acme.ghe.com", "https://api.acme.ghe.com"),
    ],
)
def test_enterprise(text: str, host: str, api_url: str) -> None:
    address = Address.parse(text)
    assert (address.host, address.api_url) == (host, api_url)
    assert address.push_url == f"https://{host}/owner/name.git"
    assert address.full_name == "owner/name"


@pytest.mark.parametrize(
    ("api_url", "host", "kept"),
    [
        ("https://api.github.com/", "github.com", "https://api.github.com"),
        ("https://api.acme.ghe.com", "acme.ghe.com", "https://api.acme.ghe.com"),
        ("https://git.example.com/api/v3/", "git.example.com", "https://git.example.com/api/v3"),
    ],
)
def test_an_api_url_names_the_host(api_url: str, host: str, kept: str) -> None:
    address = Address.parse("owner/name", api_url=api_url)
    assert (address.host, address.api_url, address.web_url) == (host, kept, f"https://{host}/owner/name")
    assert Address.parse(f"git@{host}:owner/name.git", api_url=api_url) == address


def test_plain_http_is_for_an_api_on_the_loopback_interface() -> None:
    address = Address.parse("owner/name", api_url=LOOPBACK)
    assert (address.host, address.api_url) == ("127.0.0.1:8123", LOOPBACK)
    assert address.push_url == "http://127.0.0.1:8123/owner/name.git"
    assert Address.parse(address.push_url, api_url=LOOPBACK) == address


@pytest.mark.parametrize(
    ("text", "api_url", "reason"),
    [
        ("http://127.0.0.1:8123/owner/name", None, "unencrypted"),
        ("http://github.com/owner/name", None, "unencrypted"),
        ("http://github.com/owner/name", "https://api.github.com", "unencrypted"),
        ("owner/name", "http://git.example.com/api/v3", "does not begin with https://"),
        ("owner/name", "ftp://127.0.0.1/api/v3", "does not begin with https://"),
        ("owner/name", "https://git.example.com", "is not where an API begins"),
        ("owner/name", "https://api.github.com/api/v3", "is not where an API begins"),
        ("owner/name", "https://github.com/api/v3", "is not where an API begins"),
        ("owner/name", "git.example.com", "is no URL"),
        ("owner/name", "https://me:hunter2@git.example.com/api/v3", "holds a user"),
        ("https://github.com/owner/name", LOOPBACK, "but the API URL is of 127.0.0.1:8123"),
        ("https://api.github.com/owner/name", "https://git.example.com/api/v3", "Correct one of the two"),
    ],
)
def test_urls_that_do_not_do(text: str, api_url: str | None, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        Address.parse(text, api_url=api_url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "owner/",
        "/name",
        "/srv/git/name.git",
        "/owner/name",
        "../name",
        "./name",
        "owner/..",
        "owner/na me",
        "owner/name\nx",
        "owner/name/issues",
        "öwner/name",
        "-owner/name",
        "https://github.com/owner",
        "https://github.com/owner/name/tree/main",
        "https://github.com/owner/name?tab=readme",
        "https://github.com/owner/%2e%2e",
        "https://git_hub.com\\@evil.example/owner/name",
        "https://github.com/owner//name",
        "git@github.com:name",
        "git@work:owner/name",
        "C:owner/name",
        "git://github.com/owner/name",
        "file:///srv/owner/name",
    ],
)
def test_what_is_no_repository_is_refused_with_examples(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Address.parse(text)
    assert "names no repository on GitHub" in str(caught.value)
    assert str(caught.value).endswith("https://github.example.com/owner/name.")


@pytest.mark.parametrize(
    "text",
    [
        "https://hunter2@github.com/owner/name.git",
        "https://x-access-token:hunter2@github.com/owner/name.git",
        "ssh://git:hunter2@github.com/owner/name",
        "git:hunter2@github.com:owner/name",
    ],
)
def test_a_credential_is_told_of_and_dropped(text: str) -> None:
    address = Address.parse(text)
    assert "hunter2" not in repr(dataclasses.asdict(address))
    assert "is not used and not kept" in address.notice
    assert address == Address.parse("owner/name")


@pytest.mark.parametrize(
    "text",
    [
        "https://me:hunter2@github.com/owner",
        "https://me:hunter2/hunter2@github.com/owner/name",
        "https://me:hunter2@hunter2@github.com",
        "me:hunter2@work:owner/name",
        "https://github.com/owner/name?access_token=hunter2",
        "https://github.com/owner/name#hunter2",
        "http://me:hunter2@github.com/owner/name",
        "ghp_hunter2",
    ],
)
def test_a_refusal_shows_no_credential(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Address.parse(text)
    assert "hunter2" not in str(caught.value)
    assert "***" in str(caught.value)
