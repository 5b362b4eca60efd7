"""The token of the forge: an agent, a check and a sampler look for it everywhere, and find it in git's pushes alone.

One task runs at a time, so no push of ours runs while an agent does; with ``-n`` an agent could read the environment of
another task's push, because both belong to the same user.
"""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.canary import Sampler, holders
from tests.e2e.github_injecting import MAKES
from tests.e2e.github_project import GitHubProject
from tests.e2e.world import task
from tests.github_world import faults
from tests.github_world.answers import error
from tests.github_world.smart_git import plain
from tests.host.git_world import git

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

TALKS_TO_GITHUB = {
    *("push", "fetch", "ls-remote", "remote-http", "git-remote-http"),
    *("send-pack", "fetch-pack", "pack-objects", "index-pack", "unpack-objects", "rev-list"),
}
"""Words of a push or a fetch, and of what git itself starts for one."""

SPY = """
import os, re, subprocess, sys
prompt = "" if sys.stdin.isatty() else sys.stdin.read()
PROJECT, HOME, TEMPORARY, ME = {project!r}, {home!r}, {temporary!r}, sys.argv[1:]

def everything():
    for place in Path("/proc").glob("[0-9]*"):
        for name in ("environ", "cmdline"):
            yield f"{{place}}/{{name}}", place / name
    for name in ("environ", "cmdline", "stat"):
        yield "parent", Path(f"/proc/{{os.getppid()}}/{{name}}")
    for root in (".", "~", PROJECT, HOME, TEMPORARY):
        for path in Path(root).expanduser().rglob("*"):
            if path.is_file():
                yield str(path), path

with open(OUTSIDE / ("spied-" + (ME or ["agent"])[0]), "ab") as raw:
    for name, path in everything():
        try:
            raw.write(name.encode() + b"\\n" + path.read_bytes() + b"\\n")
        except OSError:
            pass
    for words in (["env"], ["git", "config", "--list", "--show-origin"], ["git", "remote", "-v"],
                  ["git", "-C", PROJECT, "config", "--list"], ["git", "credential", "fill"]):
        said = subprocess.run(words, input=b"url=" + {url!r}.encode() + b"\\n\\n", capture_output=True)
        raw.write(said.stdout + said.stderr)
print("looked")
if not ME:
    number = re.search(r"Task 1[.](\\d)", prompt)[1]
    Path(number + ".txt").write_text("made")
"""


def spy(github: GitHubProject) -> str:
    """The command line of a program that looks wherever an agent can look; a word names what it writes."""
    project = github.project
    where = {"project": str(project.path), "home": project.environment["HOME"], "temporary": str(project.temporary)}
    return project.python_agent(SPY.format(**where, url=github.world.git_url("octo/example")))


def places(github: GitHubProject) -> list[Path]:
    """All that a session may have written to."""
    project = github.project
    return [project.path, project.temporary, project.outside, Path(project.environment["HOME"])]


def test_the_token_is_shown_by_nothing_but_the_git_that_pushes_or_fetches(github: GitHubProject) -> None:
    command = spy(github)
    github.write(*(task(f"1.{n}", files=[f"Create: `{n}.txt`"], verification=[f"{command} check"]) for n in (1, 2)))
    checkout = git(github.project.path, "config", "--list", "--local")
    spied = [github.project.outside / f"spied-{who}" for who in ("agent", "check")]
    store = tuple(github.project.state / f"state.db{end}" for end in ("", "-wal", "-shm"))
    process = github.start(
        *("plans", "-rA", "-vv", "--keep-workspaces=always", "--junitxml=record.xml", "-o", "junit_logging=all"),
        agent=command,
    )
    with Sampler(github.world.token, spied[0].exists, store) as sampler:
        text, _ = process.communicate(timeout=240)

    assert process.returncode == 0, text
    for raw in spied:
        looked_at = raw.read_bytes()
        for name in (f"/proc/{process.pid}/environ", ".pipeline/state.db", ".git/config", "remote.origin.url="):
            assert name.encode() in looked_at, name
    assert len(github.merged()) == 2
    (kept, *_) = github.project.temporary.rglob("1.txt")
    assert kept.read_text() == "made"
    assert holders(places(github), github.world.token) == []
    assert github.world.token not in text
    assert git(github.project.path, "config", "--list", "--local") == checkout
    assert sampler.files == set()
    assert {each for each in sampler.seen if each.where == "cmdline"} == set()
    shown = {each for each in sampler.seen if each.pid != process.pid}
    assert shown, "the sampler is fast enough to see a push"
    assert {each.name for each in shown if not each.name.startswith("git")} == set()
    assert {each for each in shown if not TALKS_TO_GITHUB.intersection(map(os.path.basename, each.words))} == set()
    assert [each for each in sampler.seen if each.pid == process.pid and each.while_agents_ran] == []


ECHOES: dict[str, tuple[str, Callable[[str], faults.Fault]]] = {
    "REST": ("POST /repos/*/pulls", lambda said: faults.answered(error(403, said))),
    "git": ("GET /octo/example.git/info/refs", lambda said: faults.answered(plain(403, said))),
}


@pytest.mark.parametrize("way", ECHOES)
def test_a_server_that_repeats_the_token_is_masked_everywhere(github: GitHubProject, way: str) -> None:
    github.write(MAKES)
    token = github.world.token
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    route, echo = ECHOES[way]

    class Echoes:
        def pytest_pipeline_step_started(self, event: object) -> None:
            if getattr(event, "step", "") in ("push", "pull request"):
                github.world.faults.clear()
                github.world.faults.add(route, echo(f"The token {token} ({basic}) may not do that\n"))

    ran = github.run("plans", "-rA", "-vv", "--junitxml=record.xml", "-o", "junit_logging=all", plugins=[Echoes()])

    assert ran.kind() == "forge", ran.text
    assert "The token *** (***) may not do that" in ran.last().message
    assert "The token *** (***) may not do that" in (github.project.path / "record.xml").read_text()
    assert token not in ran.text
    assert basic not in ran.text
    assert holders(places(github), token) == []
