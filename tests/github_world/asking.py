"""Clients for tests of this GitHub: one that hides nothing of HTTP, and git with a token."""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.github_world.hosted import Hosted
from tests.github_world.world import GitHubWorld


@dataclass(frozen=True)
class Reply:
    """What came back: names of headers in lower case, the body as JSON where it is some."""

    status: int
    headers: Mapping[str, str]
    body: Any
    data: bytes

    @property
    def message(self) -> str:
        """What GitHub says of an error."""
        return str(self.body["message"])

    @property
    def problem(self) -> dict[str, str]:
        """The first failed field."""
        problem: dict[str, str] = self.body["errors"][0]
        return problem


def ask(
    world: GitHubWorld,
    method: str,
    path: str,
    body: object = None,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """One request on a connection of its own; ``path`` is below the API's base.

    ``token``: None is the world's, an empty one is none.
    """
    credential = world.token if token is None else token
    sent = {
        "User-Agent": "test",
        **({"Authorization": f"Bearer {credential}"} if credential else {}),
        **(headers or {}),
    }
    place = urlsplit(world.url)
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    connection = http.client.HTTPConnection(place.netloc, timeout=60)
    try:
        connection.request(method, place.path + path, data, {name: value for name, value in sent.items() if value})
        answer = connection.getresponse()
        raw = answer.read()
    finally:
        connection.close()
    found = {name.lower(): value for name, value in answer.getheaders()}
    is_json = found.get("content-type", "").startswith("application/json")
    return Reply(answer.status, found, json.loads(raw) if is_json and raw else None, raw)


def opened(world: GitHubWorld, hosted: Hosted, branch: str = "topic", base: str = "main") -> str:
    """Commit a file of its own to a branch, open its pull request, and return that one's path."""
    hosted.commit(branch, {f"{branch}.txt": "x\n"}, f"Add {branch}")
    pulls = f"/repos/{hosted.full_name}/pulls"
    made = ask(world, "POST", pulls, {"title": f"Add {branch}", "head": branch, "base": base})
    assert made.status == 201, made.body
    return f"{pulls}/{made.body['number']}"


def git(
    world: GitHubWorld, directory: Path, *arguments: str, token: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run git with a token (None: the world's; an empty one: none), and nothing of this machine."""
    credential = world.token if token is None else token
    basic = base64.b64encode(f"x-access-token:{credential}".encode()).decode()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent/client",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Ada Example",
        "GIT_AUTHOR_EMAIL": "ada@example.org",
        "GIT_COMMITTER_NAME": "Ada Example",
        "GIT_COMMITTER_EMAIL": "ada@example.org",
        "LC_ALL": "C",
        "GIT_CONFIG_COUNT": "1" if credential else "0",
        "GIT_CONFIG_KEY_0": f"http.{world.root}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
    }
    return subprocess.run(("git", *arguments), cwd=directory, env=environment, capture_output=True, text=True)
