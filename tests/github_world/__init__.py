"""A GitHub on the loopback interface: real git, real merges, GitHub's answers, and everything that can go wrong."""

from tests.github_world.hosted import Hosted
from tests.github_world.state import Check, Lag, Logged, Rule
from tests.github_world.world import GitHubWorld

__all__ = ["Check", "GitHubWorld", "Hosted", "Lag", "Logged", "Rule"]
