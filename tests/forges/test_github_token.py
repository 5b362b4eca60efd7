from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_pipeline.errors import HostError, SettingsError
from pytest_pipeline.forges.github.token import TOKEN_VARIABLES, Token, find_token, forget_variables, shown_by
from pytest_pipeline.host.process import Captured
from pytest_pipeline.host.redaction import Redactor

VALUE = "ghp_canary0123456789"
ENTERPRISE = "git.example.com"
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


def file_of(tmp_path: Path, content: str = VALUE + "\n", mode: int = 0o600) -> Path:
    file = tmp_path / "token"
    file.write_text(content)
    file.chmod(mode)
    return file


def gh_in(tmp_path: Path, script: str) -> dict[str, str]:
    """An environment with a program ``gh`` that keeps what it was asked and given, and then does as it is told."""
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    gh = bin_directory / "gh"
    gh.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nexport -p > {tmp_path}/given\n{script}\n')
    gh.chmod(0o755)
    return {"PATH": str(bin_directory), "HOME": str(tmp_path)}


def without_gh(tmp_path: Path) -> dict[str, str]:
    return {"PATH": str(tmp_path)}


def no_gh(host: str, environ: object) -> Captured | None:
    raise AssertionError("gh is not needed")


@pytest.mark.parametrize("host", ["github.com", "acme.ghe.com"])
def test_variables_of_github_com_in_the_order_of_gh(host: str) -> None:
    environ = {"GITHUB_TOKEN": "github-token", "GH_TOKEN": "gh-token", "GH_ENTERPRISE_TOKEN": "enterprise-token"}
    assert find_token(environ, host, run_gh=no_gh).reveal() == "gh-token"
    del environ["GH_TOKEN"]
    found = find_token(environ, host, run_gh=no_gh)
    assert (found.reveal(), found.source) == ("github-token", "GITHUB_TOKEN")


def test_variables_of_an_enterprise() -> None:
    environ = {"GH_TOKEN": "gh-token", "GH_ENTERPRISE_TOKEN": "gh-enterprise", "GITHUB_ENTERPRISE_TOKEN": "enterprise"}
    assert find_token(environ, ENTERPRISE, run_gh=no_gh).reveal() == "gh-enterprise"
    del environ["GH_ENTERPRISE_TOKEN"]
    assert find_token(environ, ENTERPRISE, run_gh=no_gh).reveal() == "enterprise"


def test_no_other_host_gets_the_token_of_github_com(tmp_path: Path) -> None:
    environ = {"GH_TOKEN": VALUE, "GITHUB_TOKEN": VALUE, **without_gh(tmp_path)}
    with pytest.raises(SettingsError, match=r"no token for git\.example\.com\. Set GH_ENTERPRISE_TOKEN"):
        find_token(environ, ENTERPRISE)


def test_the_runner_of_an_enterprise_has_its_token_in_github_token() -> None:
    environ = {"GITHUB_TOKEN": VALUE, "GITHUB_SERVER_URL": f"https://{ENTERPRISE}"}
    assert find_token(environ, ENTERPRISE, run_gh=no_gh).reveal() == VALUE


def test_a_file_that_is_named_wins(tmp_path: Path) -> None:
    found = find_token({"GH_TOKEN": "gh-token"}, file=file_of(tmp_path), run_gh=no_gh)
    assert (found.reveal(), found.source) == (VALUE, str(tmp_path / "token"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_file_that_others_may_use_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    with pytest.raises(SettingsError, match=f"mode {mode:o}.*Run `chmod 600 ") as caught:
        find_token({}, file=file_of(tmp_path, mode=mode))
    assert VALUE not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(SettingsError, match=r"cannot be read: .* Name a file"):
            find_token({"GH_TOKEN": VALUE}, file=place)


@pytest.mark.parametrize(
    "content", ["", "short", f"{VALUE} {VALUE}", f"{VALUE}\r\nX-Evil: 1", "tökentöken", "x" * 5000]
)
def test_what_is_no_token_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    with pytest.raises(SettingsError, match="is no token") as caught:
        find_token({}, file=file_of(tmp_path, content))
    assert not content or content not in str(caught.value)
    assert VALUE not in str(caught.value)


def test_gh_is_asked_for_what_it_stores(tmp_path: Path) -> None:
    environ = gh_in(tmp_path, f"echo {VALUE}") | {"GH_TOKEN": " ", "GITHUB_ENTERPRISE_TOKEN": "other", "GH_DEBUG": "1"}
    found = find_token(environ)
    assert (found.reveal(), found.source) == (VALUE, "gh auth token")
    assert (tmp_path / "asked").read_text() == "auth token --hostname github.com\n"
    given = (tmp_path / "given").read_text()
    assert "GH_PROMPT_DISABLED" in given
    assert not any(name in given for name in (*TOKEN_VARIABLES, "GH_DEBUG"))


def test_nothing_found_tells_every_way(tmp_path: Path) -> None:
    environ = gh_in(tmp_path, "echo no oauth token found for github.com >&2; exit 1") | {"GITHUB_TOKEN": ""}
    with pytest.raises(SettingsError) as caught:
        find_token(environ)
    assert str(caught.value) == (
        "There is no token for github.com. (GITHUB_TOKEN is set, but empty: CI hides secrets from forks.) Set "
        "GH_TOKEN, name a file that holds it (mode 600), or run `gh auth login --hostname github.com` (`gh auth token "
        "--hostname github.com` said: no oauth token found for github.com). It must be allowed to write contents and "
        "pull requests."
    )
    with pytest.raises(SettingsError, match="gh is not installed"):
        find_token(without_gh(tmp_path))


def test_gh_that_does_not_answer() -> None:
    def hangs(host: str, environ: object) -> Captured | None:
        raise HostError("gh did not end within 30 s and was killed. Look what it waits for.")

    with pytest.raises(SettingsError, match=r"No token for github\.com in GH_TOKEN or GITHUB_TOKEN.*did not end"):
        find_token({}, run_gh=hangs)


def test_no_text_shows_it() -> None:
    token = Token(f" {VALUE}\n", "GH_TOKEN")
    shown = (repr(token), str(token), f"{token}", f"{token!r:>40}", repr([token]), repr({"token": token}))
    assert not any(secret in text for text in shown for secret in token.secrets)
    assert token.reveal() == VALUE
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(token, protocol)
    for copying in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            copying(token)
    with pytest.raises(TypeError):
        json.dumps(token)
    with pytest.raises(TypeError):
        vars(token)


def test_its_secrets_are_what_the_redactor_needs() -> None:
    token = Token(VALUE, "GH_TOKEN")
    assert token.secrets == (VALUE, "eC1hY2Nlc3MtdG9rZW46Z2hwX2NhbmFyeTAxMjM0NTY3ODk=")
    masked = Redactor(token.secrets).text(f"Authorization: Basic {token.basic} and {VALUE}.")
    assert masked == "Authorization: Basic *** and ***."


def test_its_id_is_short_equal_everywhere_and_not_the_token() -> None:
    token = Token(VALUE, "GH_TOKEN")
    assert token.id == Token(VALUE, "elsewhere").id != Token(VALUE + "x", "GH_TOKEN").id
    assert len(token.id) == 12
    assert token.id not in VALUE


_FORGETS = """
import json, os, subprocess, sys
from pytest_pipeline.forges.github.token import Token, forget_variables, shown_by
if sys.argv[1] == "changed":
    os.environ["GH_TOKEN"] = "something else"
def other_process_reads():
    place = f"/proc/{os.getpid()}/environ"
    return subprocess.run(["cat", place], capture_output=True, check=True).stdout.decode()
token = Token(sys.stdin.read(), "stdin")
me = f"({os.getpid()})"
before = other_process_reads(), any(each.endswith(me) for each in shown_by(token))
left = forget_variables()
after = other_process_reads(), any(each.endswith(me) for each in shown_by(token))
inherited = subprocess.run(["env"], capture_output=True, check=True).stdout.decode()
print(json.dumps([before, list(left), after, inherited, os.environ.get("KEPT"), list(forget_variables())]))
"""


@on_linux
@pytest.mark.parametrize("how", ["untouched", "changed"])
def test_variables_are_forgotten_also_where_other_processes_look(how: str) -> None:
    environment = {"PATH": os.environ["PATH"], "GH_TOKEN": VALUE, "KEPT": "kept", "GITHUB_TOKEN": VALUE, "LAST": "last"}
    done = subprocess.run(
        [sys.executable, "-c", _FORGETS, how], env=environment, input=VALUE, capture_output=True, check=True, text=True
    )
    before, left, after, inherited, kept, again = json.loads(done.stdout)
    assert f"GH_TOKEN={VALUE}" in before[0]
    assert before[1]
    assert left == again == []
    assert VALUE not in after[0]
    assert not after[1]
    assert "KEPT=kept" in after[0]
    assert "LAST=last" in after[0]
    assert "TOKEN" not in inherited
    assert (kept, "KEPT=kept" in inherited) == ("kept", True)


def test_forgetting_what_is_not_there_changes_nothing() -> None:
    before = dict(os.environ)
    assert forget_variables(("PIPELINE_NO_SUCH_TOKEN",)) == ()
    assert dict(os.environ) == before


@on_linux
def test_other_processes_that_show_the_token_are_named() -> None:
    token = Token(f"{VALUE}-{os.getpid()}", "GH_TOKEN")
    assert shown_by(token) == ()
    with subprocess.Popen(["cat"], env={"PATH": os.environ["PATH"], "X": token.reveal()}, stdin=subprocess.PIPE) as cat:
        assert shown_by(token) == (f"cat ({cat.pid})",)
