"""All that belongs to one repository on GitHub in one process: address, token, gate, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property

from pytest_pipeline.forges.gate import Gate
from pytest_pipeline.forges.github.address import Address
from pytest_pipeline.forges.github.client import Client
from pytest_pipeline.forges.github.forge import GitHubForge
from pytest_pipeline.forges.github.push import push_environment
from pytest_pipeline.forges.github.remote import Remote
from pytest_pipeline.forges.github.token import Token
from pytest_pipeline.forges.github.waiting import Patience, Waiting
from pytest_pipeline.host.git import Repository


@dataclass(frozen=True)
class Connection:
    """A way to one repository; for one thread.

    Args:
        address: the repository.
        token: for it.
        gate: what every call and every push goes through.
        waiting: how to wait.
        patience: how long.
    """

    address: Address
    token: Token
    gate: Gate
    waiting: Waiting
    patience: Patience

    @classmethod
    def open(cls, address: Address, token: Token, gate: Gate) -> Connection:
        """A connection that waits as GitHub needs it; nothing is asked yet."""
        return cls(address, token, gate, Waiting(), Patience())

    @cached_property
    def client(self) -> Client:
        """Asks the REST interface."""
        return Client(self.address.full_name, self.token.reveal(), base_url=self.address.api_url, gate=self.gate)

    @property
    def environment(self) -> Callable[[], AbstractContextManager[Mapping[str, str]]]:
        """Makes the environment for one git push or fetch."""
        return lambda: push_environment(self.address, self.token)

    def remote(self, git: Repository) -> Remote:
        """The repository as git talks to it.

        Args:
            git: a repository of ours in which git runs, and in which fetched objects are kept.
        """
        return Remote(self.address.push_url, self.environment, git, self.gate, self.waiting, self.patience)

    def forge(self, git: Repository) -> GitHubForge:
        """The forge.

        Args:
            git: a repository of ours in which git runs, and in which fetched objects are kept.
        """
        return GitHubForge(
            self.client,
            push_url=self.address.push_url,
            push_environment=self.environment,
            git=git,
            waiting=self.waiting,
            patience=self.patience,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self.client.close()
