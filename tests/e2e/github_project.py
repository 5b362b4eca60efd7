"""A user's project whose origin is a GitHub on the loopback interface."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.world import Project, Ran
from tests.github_world import GitHubWorld, Hosted
from tests.github_world.state import Logged
from tests.host.git_world import git

NAME = "octo/example"
TOKEN_VARIABLE = "GH_ENTERPRISE_TOKEN"


@dataclass
class GitHubProject:
    """A project, and the GitHub that it is pushed to.

    Args:
        project: the user's checkout; its environment holds the token.
        world: the GitHub.
        hosted: the repository there.
    """

    project: Project
    world: GitHubWorld
    hosted: Hosted

    @property
    def flags(self) -> tuple[str, ...]:
        """What a user of a GitHub Enterprise server types, at a pace that tests can wait for."""
        return ("--forge", "github", "--github-api", self.world.url, "--forge-pace", "off")

    def write(self, *tasks: str) -> None:
        """Write the plan ``plans/p.md``, of one batch; it is not committed, so that nobody has to push it."""
        text = "# A plan\n\n## Batch 1: All of it\n\n" + "\n".join(tasks)
        self.project.write({"plans/p.md": text})

    def run(self, *arguments: str, plugins: Sequence[object] = ()) -> Ran:
        """Run pytest in this process."""
        return self.project.run(*self.flags, *(arguments or ("plans",)), plugins=plugins)

    def start(self, *arguments: str, agent: str = "") -> subprocess.Popen[str]:
        """Start pytest in a process of its own."""
        return self.project.start(*self.flags, *(arguments or ("plans",)), agent=agent)

    def run_apart(self, *arguments: str, agent: str = "", timeout: float = 120.0) -> Ran:
        """Run pytest in a process of its own."""
        return self.project.run_apart(*self.flags, *(arguments or ("plans",)), agent=agent, timeout=timeout)

    def branches(self) -> dict[str, str]:
        """All branches but the default one."""
        return {name: sha for name, sha in self.hosted.branches().items() if name != "main"}

    def merged(self) -> list[str]:
        """The head branches of merged pull requests, each as often as it was merged."""
        return sorted(pull.branch for pull in self.hosted.pulls.values() if pull.now.merged)

    def changes(self) -> list[Logged]:
        """The requests that changed something: REST writes, and pushes."""
        return [each for each in self.world.requests if is_change(each)]


def is_change(logged: Logged) -> bool:
    """Whether a request changed something; what is asked of a permission is refused, and changes nothing."""
    if logged.status >= 400:
        return False
    if logged.kind == "git":
        return logged.method == "POST" and logged.path.endswith("git-receive-pack")
    return logged.method not in ("GET", "HEAD")


@contextmanager
def github_project(project: Project, place: Path) -> Iterator[GitHubProject]:
    """Push the project to a new GitHub, for as long as the context lasts.

    Args:
        project: a git repository with a commit.
        place: directory for the server's repositories.
    """
    with GitHubWorld(place) as world:
        world.tick = 100  # lag counts requests: there must have been some before the first change
        hosted = world.add_repository(NAME, {})
        address = world.git_url(NAME)
        git(project.path, "remote", "add", "origin", address)
        with_token = address.replace("://", f"://x-access-token:{world.token}@")
        git(project.path, "push", "--quiet", with_token, "HEAD:refs/heads/main")
        hosted.refresh()
        world.requests.clear()
        home = place / "home"
        home.mkdir()
        project.environment |= {TOKEN_VARIABLE: world.token, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}
        yield GitHubProject(project, world, hosted)
