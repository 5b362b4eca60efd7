from __future__ import annotations

import contextlib
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pytest_pipeline.errors import HostError
from pytest_pipeline.forges.github.address import Address
from pytest_pipeline.forges.github.push import push_environment
from pytest_pipeline.forges.github.token import Token
from pytest_pipeline.host.git import GitError, Repository
from tests.forges.git_server import GitServer, git_server
from tests.host.git_world import git, source_repository, workspace

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


class World:
    """A GitHub with the repository ``owner/name``, an evil server, and a store with a commit to push."""

    def __init__(self, tmp_path: Path, github: GitServer, evil: GitServer, token: Token) -> None:
        self.github = github
        self.evil = evil
        self.token = token
        self.address = Address.parse("owner/name", api_url=f"{github.origin}/api/v3")
        self.remote = tmp_path / "github" / "owner" / "name.git"
        git(tmp_path, "init", "--quiet", "--bare", str(self.remote))
        self.commit = source_repository(tmp_path / "source", {"a.txt": "a\n"})
        self.store = workspace(tmp_path, tmp_path / "source", self.commit)
        assert self.store.work_tree is not None
        self.workspace = self.store.work_tree

    def push(self) -> None:
        with push_environment(self.address, self.token) as environment:
            self.store.push(self.address.push_url, self.commit, "topic", expected=None, environment=environment)

    def pushed(self) -> bool:
        return Repository(self.remote).read_ref("refs/heads/topic") == self.commit

    def config(self, name: str) -> str:
        """What git reads in the store with the environment of a push."""
        with push_environment(self.address, self.token) as environment:
            return self.store.run("config", "--get", name, environment=environment).stdout.decode().strip()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    token = Token(f"canary{secrets.token_hex(16)}", "a test")
    with (
        git_server(tmp_path / "github", token.basic) as github,
        git_server(tmp_path / "evil", "never") as evil,
    ):
        yield World(tmp_path, github, evil, token)


def processes(file: str) -> dict[str, bytes]:
    """That file in /proc of every process that lets us read it, by name and id of the process."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found[f"{(place / 'comm').read_text().strip()} {place.name}"] = (place / file).read_bytes()
    return found


def files_with(directory: Path, token: Token) -> list[Path]:
    secret = [each.encode() for each in token.secrets]
    files = [each for each in directory.rglob("*") if each.is_file()]
    return [each for each in files if any(form in each.read_bytes() for form in secret)]


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def hostile(world: World, tmp_path: Path) -> Mapping[str, str]:
    """Configuration that would carry a token away, each in its own way."""
    url, evil = world.address.push_url, world.evil.origin
    spy = executable(tmp_path / "spy", f"env >> {tmp_path}/spied; echo password=x")
    return {
        "rewritten": f'[url "{evil}/"]\n\tinsteadOf = {world.github.origin}/\n',
        "rewritten for a push": f'[url "{evil}/"]\n\tpushInsteadOf = {url}\n',
        "proxy": f"[http]\n\tproxy = {evil}\n",
        "proxy of the host": f'[http "{world.github.origin}"]\n\tproxy = {evil}\n',
        "another header": f'[http "{url}"]\n\textraHeader = Authorization: Basic bmV2ZXI=\n',
        "helper": f"[credential]\n\thelper = {spy}\n",
        "helper of the host": f'[credential "{world.github.origin}"]\n\thelper = {spy}\n',
        "helper of the repository": f'[credential "{url}"]\n\thelper = {spy}\n',
        "askpass": f"[core]\n\taskPass = {spy}\n",
        "hooks": f"[core]\n\thooksPath = {executable(tmp_path / 'hooks' / 'pre-push', str(spy)).parent}\n",
    }


WAYS = (
    "rewritten",
    "rewritten for a push",
    "proxy",
    "proxy of the host",
    "another header",
    "helper",
    "helper of the host",
    "helper of the repository",
    "askpass",
    "hooks",
)


def test_a_push_and_a_fetch_succeed_without_being_asked_for_a_credential(world: World, tmp_path: Path) -> None:
    world.push()
    assert world.pushed()
    assert [(each.method, each.authorization) for each in world.github.heard] == [
        ("GET", f"Basic {world.token.basic}"),
        ("POST", f"Basic {world.token.basic}"),
    ]
    other = Repository.create(tmp_path / "other.git")
    with push_environment(world.address, world.token) as environment:
        other.fetch(world.address.push_url, ["refs/heads/topic:refs/heads/topic"], environment=environment)
    assert other.read_ref("refs/heads/topic") == world.commit


def test_without_it_nothing_is_pushed(world: World) -> None:
    with pytest.raises(GitError):
        world.store.push(world.address.push_url, world.commit, "topic", expected=None)
    assert not world.pushed()


@on_linux
def test_while_it_pushes_the_token_is_in_no_argument_and_only_in_the_environment_of_git(world: World) -> None:
    arguments, environments = {}, {}

    def look() -> None:
        arguments.update(processes("cmdline"))
        environments.update(processes("environ"))

    world.github.during_push = look
    world.push()
    assert any(world.address.push_url.encode() in each for each in arguments.values())
    secret = [each.encode() for each in world.token.secrets]
    assert not any(form in each for each in arguments.values() for form in secret)
    holders = {name.split()[0] for name, each in environments.items() if any(form in each for form in secret)}
    assert holders  # a process of the same user can read it there: nothing better is known for git's own https
    assert all(holder.startswith("git") for holder in holders)


def test_it_is_in_no_file_no_trace_and_no_hook(
    world: World, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TRACE", "TRACE_CURL", "TRACE_PACKET", "TRACE2", "TRACE2_EVENT", "TRACE_SETUP"):
        monkeypatch.setenv(f"GIT_{name}", str(tmp_path / f"trace-{name}"))
    monkeypatch.setenv("GIT_TRACE_REDACT", "0")
    monkeypatch.setenv("GIT_CURL_VERBOSE", "1")
    for hook in ("pre-push", "reference-transaction", "post-update"):
        executable(world.store.git_dir / "hooks" / hook, f"env > {tmp_path}/hook-{hook}")
    with push_environment(world.address, world.token) as environment:
        to = (world.address.push_url, f"{world.commit}:refs/heads/topic")
        said = world.store.run("push", "--verbose", *to, environment=environment)
        again = world.store.run("fetch", "--verbose", to[0], "topic:refs/heads/back", environment=environment)
    assert world.pushed()
    assert not list(tmp_path.glob("trace-*")) + list(tmp_path.glob("hook-*"))
    assert files_with(tmp_path, world.token) + files_with(home, world.token) == []
    assert not any(secret in each.stderr for each in (said, again) for secret in world.token.secrets)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_a_refusal_shows_no_token_even_when_the_server_does(world: World, status: int) -> None:
    world.github.status = status
    with pytest.raises(GitError) as caught:
        world.push()
    assert world.github.heard_of(world.token.basic)
    assert not any(secret in str(caught.value) for secret in world.token.secrets)
    assert status == 401 or "Authorization: Basic ***" in str(caught.value)


def test_other_errors_that_pass_through_are_masked_too(world: World) -> None:
    with pytest.raises(HostError, match=r"^the header was \*\*\* and the token \*\*\*$"):  # noqa: SIM117
        with push_environment(world.address, world.token):
            raise HostError(f"the header was {world.token.basic} and the token {world.token.reveal()}")


@pytest.mark.parametrize("way", WAYS)
def test_the_configuration_of_a_workspace_gets_nothing(world: World, tmp_path: Path, way: str) -> None:
    world.store.restore_work_tree(world.commit)
    world.store.plant_clone(world.commit, "topic")
    with (world.workspace / ".git" / "config").open("a") as config:
        config.write(hostile(world, tmp_path)[way])
    world.push()
    assert world.pushed()
    assert world.evil.heard == []
    assert not (tmp_path / "spied").exists()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [0, 401])
def test_even_the_configuration_of_the_store_gets_no_token(world: World, tmp_path: Path, way: str, status: int) -> None:
    world.github.status = status
    with (world.store.git_dir / "config").open("a") as config:
        config.write(hostile(world, tmp_path)[way])
    with contextlib.suppress(GitError):
        world.push()
    assert world.pushed() == (status == 0 and not way.startswith("rewritten"))
    assert not world.evil.heard_of(*world.token.secrets)
    assert not (tmp_path / "spied").exists()
    assert files_with(tmp_path, world.token) == []


@pytest.mark.parametrize("status", [0, 401])
def test_the_helpers_of_the_user_get_nothing(world: World, home: Path, status: int) -> None:
    world.github.status = status
    with (home / ".gitconfig").open("a") as config:
        config.write(f'[credential]\n\thelper = store\n[credential "{world.github.origin}"]\n\thelper = store\n')
    (home / ".git-credentials").write_text(f"http://me:mine@{world.address.host}\n")
    with contextlib.suppress(GitError):
        world.push()
    assert world.pushed() == (status == 0)
    assert (home / ".git-credentials").read_text() == f"http://me:mine@{world.address.host}\n"
    assert {each.authorization for each in world.github.heard} == {f"Basic {world.token.basic}"}


def test_a_redirect_leads_the_token_nowhere(world: World) -> None:
    world.github.location = world.evil.origin
    with pytest.raises(GitError, match="301"):
        world.push()
    assert world.evil.heard == []


def test_another_repository_of_the_host_is_not_told(world: World) -> None:
    with (
        push_environment(world.address, world.token) as environment,
        pytest.raises(GitError),
    ):
        world.store.fetch(f"{world.github.origin}/owner/other.git", ["refs/heads/main"], environment=environment)
    assert [each.authorization for each in world.github.heard] == [None]


def test_only_the_protocol_of_the_address_is_spoken(world: World) -> None:
    with (
        push_environment(world.address, world.token) as environment,
        pytest.raises(GitError, match="transport 'file' not allowed"),
    ):
        world.store.run("ls-remote", str(world.remote), environment=environment)


def test_who_is_refused_is_not_asked_for_another_credential(world: World) -> None:
    world.github.status = 401
    with pytest.raises(GitError, match=r"could not read Username .*: terminal prompts disabled"):
        world.push()


def test_what_every_git_of_ours_is_told_stays(world: World) -> None:
    with (world.store.git_dir / "config").open("a") as config:
        config.write('[core]\n\thooksPath = /elsewhere\n[protocol "ext"]\n\tallow = always\n')
    assert world.config("core.hooksPath") == "/dev/null"
    assert world.config("protocol.ext.allow") == "never"
    assert world.config(f"http.{world.address.push_url}.lowSpeedTime") == "120"
    assert world.config(f"http.{world.address.push_url}.sslVerify") == "true"


def test_the_proxy_and_the_certificates_of_the_machine_are_for_https(world: World) -> None:
    machine = {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "a", "GIT_SSL_CAINFO": "/ca.pem", "GIT_TRACE": "1"}
    address = Address.parse("owner/name")
    with push_environment(address, world.token, machine) as environment:
        asked = ("config", "--get-urlmatch", "http.proxy", address.push_url)
        assert world.store.run(*asked, environment=environment).stdout == b"http://proxy:3128\n"
    assert (environment["NO_PROXY"], environment["GIT_SSL_CAINFO"]) == ("a", "/ca.pem")
    assert "GIT_TRACE" not in environment
    with push_environment(world.address, world.token, machine) as plain:
        assert world.store.run(*asked[:3], world.address.push_url, environment=plain).stdout == b"\n"
    assert "NO_PROXY" not in plain
