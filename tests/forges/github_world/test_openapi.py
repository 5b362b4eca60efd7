"""What the loopback GitHub answers, against GitHub's own description of its REST API."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped] # it brings no types
import pytest

from tests.github_world import Check, GitHubWorld, Hosted, Rule
from tests.github_world.asking import Reply, ask, opened

PACKAGE = "@octokit/openapi@23.0.2"
REPO = "/repos/acme/demo"
DESCRIBED = "/repos/{owner}/{repo}"


@pytest.fixture
def description(tmp_path: Path) -> dict[str, Any]:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("There is no npm here to fetch GitHub's description with.")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("npm_")}
    try:
        done = subprocess.run((npm, "pack", PACKAGE), cwd=tmp_path, env=environment, capture_output=True, timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not fetch {PACKAGE} within two minutes.")
    if done.returncode:
        pytest.skip(f"npm cannot fetch {PACKAGE}: {done.stderr.decode()[-300:]}")
    with tarfile.open(next(tmp_path.glob("*.tgz"))) as package:
        member = package.extractfile("package/generated/api.github.com.json")
        assert member is not None
        found: dict[str, Any] = json.load(member)
    return found


def _schema(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """OpenAPI 3.0 as JSON Schema: there, null is a type."""
    if isinstance(value, list):
        return [_schema(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {name: _schema(each) for name, each in value.items() if name not in ("example", "examples")}
    return {"anyOf": [kept, {"type": "null"}]} if kept.pop("nullable", False) is True else kept


class Described:
    """Compares answers with the description, and keeps what differs."""

    def __init__(self, description: dict[str, Any], world: GitHubWorld) -> None:
        self._paths = description["paths"]
        self._responses = description["components"]["responses"]
        self._components = _schema({"schemas": description["components"]["schemas"]})
        self._world = world
        self.differences: list[str] = []

    def ask(self, method: str, route: str, path: str, body: object = None) -> Reply:
        """Ask for a path, and compare with the route that describes it."""
        reply = ask(self._world, method, path, body)
        told = f"{method} {path} {reply.status}"
        response = self._paths[route][method.lower()]["responses"].get(str(reply.status))
        if response is None:
            self.differences.append(f"{told}: this status is not described")
            return reply
        name = response.get("$ref", "").rpartition("/")[2]
        content = (self._responses[name] if name else response).get("content", {}).get("application/json")
        if content is not None:
            schema = {"allOf": [_schema(content["schema"])], "components": self._components}
            validator = jsonschema.Draft7Validator(schema)
            for problem in validator.iter_errors(reply.body):
                self.differences.append(f"{told}: {list(problem.path)} {problem.message[-200:]}")
        return reply


def _read(described: Described, sha: str) -> None:
    for route in ("", "/pulls"):
        described.ask("GET", DESCRIBED + route, REPO + route)
    for route, path in [
        ("/git/ref/{ref}", "/git/ref/heads/main"),
        ("/git/matching-refs/{ref}", "/git/matching-refs/heads/"),
        ("/pulls/{pull_number}", "/pulls/1"),
        ("/pulls/{pull_number}", "/pulls/9"),
        ("/commits/{ref}", "/commits/topic"),
        ("/commits/{ref}/status", "/commits/topic/status"),
        ("/commits/{ref}/check-runs", "/commits/topic/check-runs"),
        ("/commits/{commit_sha}/pulls", f"/commits/{sha}/pulls"),
        ("/branches/{branch}", "/branches/main"),
        ("/rules/branches/{branch}", "/rules/branches/main"),
        ("/rulesets/{ruleset_id}", "/rulesets/1"),
        ("/rulesets/{ruleset_id}", "/rulesets/9"),
    ]:
        described.ask("GET", DESCRIBED + route, REPO + path)
    for path in ("/user", "/rate_limit"):
        described.ask("GET", path, path)


def _write(described: Described, hosted: Hosted) -> list[int]:
    pull = f"{DESCRIBED}/pulls/{{pull_number}}"
    main = {"ref": "refs/heads/new", "sha": hosted.branches()["main"]}
    second = {"title": "T", "head": "side", "base": "main"}
    calls: list[tuple[str, str, str, object]] = [
        ("POST", f"{DESCRIBED}/pulls", "/pulls", second),
        ("POST", f"{DESCRIBED}/pulls", "/pulls", second),
        ("PUT", f"{pull}/merge", "/pulls/1/merge", {"sha": "0" * 40}),
        ("PUT", f"{pull}/merge", "/pulls/1/merge", {"merge_method": "none"}),
        ("PUT", f"{pull}/merge", "/pulls/1/merge", {}),
        ("PUT", f"{pull}/merge", "/pulls/1/merge", {}),
        ("GET", pull, "/pulls/1", None),
        ("GET", f"{pull}/merge", "/pulls/1/merge", None),
        ("GET", f"{pull}/merge", "/pulls/2/merge", None),
        ("PUT", f"{pull}/update-branch", "/pulls/2/update-branch", {}),
        ("PUT", f"{pull}/update-branch", "/pulls/2/update-branch", {}),
        ("PATCH", pull, "/pulls/2", {"state": "closed"}),
        ("POST", f"{DESCRIBED}/git/refs", "/git/refs", main),
        ("POST", f"{DESCRIBED}/git/refs", "/git/refs", main),
        ("PATCH", f"{DESCRIBED}/git/refs/{{ref}}", "/git/refs/heads/new", {"sha": main["sha"]}),
        ("DELETE", f"{DESCRIBED}/git/refs/{{ref}}", "/git/refs/heads/new", None),
        ("DELETE", f"{DESCRIBED}/git/refs/{{ref}}", "/git/refs/heads/new", None),
    ]
    return [described.ask(method, route, REPO + path, body).status for method, route, path, body in calls]


def test_every_answer_is_as_github_describes_it(description: dict[str, Any], world: GitHubWorld, demo: Hosted) -> None:
    opened(world, demo)
    demo.commit("side", {"side.txt": "1"})
    demo.set_check("topic", Check("build"))
    demo.set_check("topic", Check("deploy", kind="status"))
    demo.protect("main", Rule(("build",), reviews=1, ruleset=True, methods=("squash",), others=("creation",)))
    described = Described(description, world)
    _read(described, demo.branches()["topic"])
    demo.protect("main", Rule())
    statuses = _write(described, demo)
    assert statuses == [201, 422, 409, 422, 200, 405, 200, 204, 404, 202, 422, 200, 201, 422, 200, 204, 422]
    assert described.differences == []
