"""A GitHub on the loopback interface with one repository, and the forge that is to get along with it."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from pytest_pipeline.forges.base import Draft, MergeRequest, PullRequest
from pytest_pipeline.forges.gate_limits import CallKind
from pytest_pipeline.forges.github.client import Client
from pytest_pipeline.forges.github.forge import GitHubForge
from pytest_pipeline.forges.github.waiting import Waiting
from pytest_pipeline.host.git import Repository
from tests.github_world import GitHubWorld
from tests.host.git_world import commit_files

NAME = "octo/example"
BASE = "pipeline/s/run-01/base"
WORK = "pipeline/s/run-01/hello/batch-1-task-1-1"


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    @property
    def waiting(self) -> Waiting:
        return Waiting(lambda: self.now, self.sleep, lambda: 0.5)


class RecordingGate:
    """Lets everything pass, and remembers it; a call within a call is an error, as it is for the real gate."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.told: list[tuple[int, str]] = []
        self._within = False

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        assert not self._within, "a call within a call would wait for itself"
        self._within = True
        try:
            yield
        finally:
            self._within = False

    def call(self, kind: CallKind) -> AbstractContextManager[None]:
        self.calls.append(kind.value)
        return self._turn()

    @property
    def waited(self) -> Mapping[str, float]:
        return {}

    def heard(self, status: int, headers: Mapping[str, str], message: str) -> None:
        assert self._within
        self.told.append((status, message))


class Scene:
    """The world, its repository, and a workspace to make branches in."""

    def __init__(self, world: GitHubWorld, directory: Path) -> None:
        self.world = world
        world.tick = 100  # lag counts requests: there must have been some before the first change
        self.hosted = world.add_repository(NAME, {"a.txt": "one\ntwo\nthree\n", "b.txt": "b\n"})
        self.start = self.hosted.branches()["main"]
        self.time = Time()
        self.gate = RecordingGate()
        self.token = world.token
        self.of_git: dict[str, str] = {}
        self.directory = directory
        store = Repository.create(directory / "store.git")
        self.work = Repository(store.git_dir, directory / "workspace", directory / "workspace.index")
        self.url = world.git_url(NAME)
        with self.push_environment() as environment:
            self.work.fetch(self.url, [self.start], environment=environment)
        self._clients: list[Client] = []
        self.forge = self.another()

    @contextlib.contextmanager
    def push_environment(self) -> Iterator[Mapping[str, str]]:
        basic = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        yield {
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": f"http.{self.world.root}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
            "GIT_CONFIG_KEY_1": "http.followRedirects",
            "GIT_CONFIG_VALUE_1": "false",
            "GIT_ASKPASS": "false",
            **self.of_git,
        }

    def another(self, git: Repository | None = None, gate: RecordingGate | None = None) -> GitHubForge:
        """A forge that remembers nothing, as in a process that is new; one for another thread has its own gate."""
        client = Client(NAME, self.token, base_url=self.world.url, gate=gate or self.gate, timeout=20)
        self._clients.append(client)
        return GitHubForge(
            client,
            push_url=self.url,
            push_environment=self.push_environment,
            git=git or Repository(self.work.git_dir),
            waiting=self.time.waiting,
        )

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def tip(self, branch: str) -> str | None:
        """Where a branch is, by the server's own files."""
        return self.hosted.git.read_ref(f"refs/heads/{branch}")

    def base(self) -> str:
        found = self.tip(BASE)
        assert found is not None
        return found

    def push(self, files: dict[str, str | bytes | None], branch: str = WORK) -> str:
        """A branch with one commit, and its base."""
        self.forge.ensure_base(BASE, self.start, self.work)
        head = commit_files(self.work, self.start, files)
        with self.push_environment() as environment:
            self.work.push(self.url, head, branch, expected=None, environment=environment)
        return head

    def open(self, files: dict[str, str | bytes | None], branch: str = WORK) -> PullRequest:
        self.push(files, branch)
        return self.forge.ensure_pull_request(draft(branch))

    def request(self, pull_request: PullRequest, method: str = "squash") -> MergeRequest:
        message = f"Add things\n\nBody\n\nPipeline-Task: {pull_request.branch}\n"
        return MergeRequest(method, pull_request.head, self.base(), message)

    def asked(self, method: str, end: str = "") -> int:
        """How often the API was asked so."""
        return sum(
            each.method == method and each.path.endswith(end) for each in self.world.requests if each.kind == "api"
        )

    def pulls(self) -> int:
        return len(self.hosted.pulls)


def draft(branch: str = WORK) -> Draft:
    return Draft(branch, BASE, f"Title of {branch}", "Body")


@contextlib.contextmanager
def scene_in(directory: Path) -> Iterator[Scene]:
    """A scene for as long as the context lasts."""
    with GitHubWorld(directory) as world:
        scene = Scene(world, directory)
        try:
            yield scene
        finally:
            scene.close()
