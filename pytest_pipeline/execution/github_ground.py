"""Ground on GitHub: its address and token are found first, then everything that could stop the session is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.events import ForgeWaiting
from pytest_pipeline.execution.ground import Plot, Wish, known_mirror
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.execution.target import MIRRORED, Target, find_target, mirror, mirror_of
from pytest_pipeline.findings import Finding, Level
from pytest_pipeline.forges.base import ChecksRule
from pytest_pipeline.forges.gate import gate_directory, token_id
from pytest_pipeline.forges.gate_limits import limits_of, told
from pytest_pipeline.forges.gate_opening import open_gate
from pytest_pipeline.forges.github.address import Address
from pytest_pipeline.forges.github.connection import Connection
from pytest_pipeline.forges.github.preflight import Intent, Preflight
from pytest_pipeline.forges.github.remote import Remote
from pytest_pipeline.forges.github.token import TOKEN_VARIABLES, Token, find_token, forget_variables, shown_by
from pytest_pipeline.host.git import Repository
from pytest_pipeline.host.redaction import guarded
from pytest_pipeline.settings import Settings

_STRICTEST_FIRST = (ChecksRule.ALL, ChecksRule.REQUIRED, ChecksRule.NONE)


@dataclass(frozen=True)
class GitHubGround:
    """A repository on GitHub.

    Args:
        address: where it is.
        token: for it.
        settings: the session's settings.
        base: commit or branch given by the user; None: HEAD of the checkout, or the default branch on GitHub.
        checkout: the user's checkout that the runs start from; None: they start from what is on GitHub.
        place: the checkout that the plans lie in, where it is one of the same repository.
    """

    address: Address
    token: Token
    settings: Settings
    base: str | None
    checkout: Target | None
    place: Repository | None
    _closing: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def find(cls, settings: Settings, base: str | None, plans: Path, rootdir: Path) -> GitHubGround:
        """Find address and token; the token leaves this process's environment until :meth:`close`.

        Raises:
            SettingsError: one of them is missing or cannot be used.
        """
        address, checkout, place = find_address(settings, base, plans, rootdir)
        _refuse_to_pass(settings.pass_environment)
        file = (rootdir / Path(settings.token_file).expanduser()) if settings.token_file else None
        token = find_token(os.environ, address.host, file=file)
        ground = cls(address, token, settings, base, checkout, place)
        ground._closing.enter_context(guarded(token.secrets))
        ground._closing.callback(_restore, {name: os.environ[name] for name in TOKEN_VARIABLES if name in os.environ})
        forget_variables()
        return ground

    def at(self, base: str | None, plans: Path, rootdir: Path) -> GitHubGround:
        """The same ground, with runs that start from another commit or branch.

        Raises:
            SettingsError: the checkout has no such commit.
        """
        checkout = self.checkout and find_target(self.settings.repo, base, plans, rootdir)
        return replace(self, base=base, checkout=checkout)

    @classmethod
    def joined(cls, settings: Settings, address: Address, token: Token) -> GitHubGround:
        """The ground of a session that another process has opened."""
        ground = cls(address, token, settings, None, None, None)
        ground._closing.enter_context(guarded(token.secrets))
        return ground

    def connect(self, on_wait: Callable[[str, float], None]) -> Connection:
        """A connection through the gate of the token; closed with this ground."""
        name = token_id(self.address.api_url, self.token.reveal())
        gate = open_gate(
            self.settings.store,
            gate_directory(os.environ),
            name,
            limits_of(self.settings.forge_pace),
            on_wait,
            repository=self.address.full_name,
        )
        self._closing.callback(gate.close)
        connection = Connection.open(self.address, self.token, gate)
        self._closing.callback(connection.close)
        return connection

    def prepare(self, layout: Layout, wish: Wish, on_wait: Callable[[ForgeWaiting], None]) -> Plot:
        """Ask what could stop the session, and fetch the starting commit.

        Raises:
            SettingsError: a permission or setting is missing; one sentence for each.
            ForgeError: GitHub does not answer.
        """
        connection = self.connect(
            lambda reason, seconds: on_wait(ForgeWaiting(layout.session, reason, seconds, told(reason, seconds)))
        )
        git = Repository.create(layout.scratch / "look.git")
        findings = self.examine(connection, git, wish)
        if not all(finding.ok for finding in findings):
            raise SettingsError("\n".join(str(finding) for finding in findings if not finding.ok))
        source, base = known_mirror(wish, layout) or self._source(connection.remote(git), layout, wish.start)
        forge = connection.forge(Repository.create(layout.hosted, alternates=[source.objects]))
        target = self.checkout or Target(self.name, base, False, None, self.place)
        return Plot(replace(target, name=self.name), source, base, forge, (*self.notes(), *_told(findings)))

    def examine(self, connection: Connection, git: Repository, wish: Wish) -> tuple[Finding, ...]:
        """What can be known before any agent is paid; nothing is changed on GitHub.

        Args:
            connection: to the repository.
            git: an empty repository of ours in which git runs.
            wish: what is going to be done.
        """
        tree = git.text("mktree")
        intent = Intent(
            base=f"{wish.prefix}/base",
            branch=f"{wish.prefix}/plan/batch-1-task-1",
            commit=git.commit_tree(tree, [], "Asked for, and never pushed", author=self.settings.author),
            methods=wish.merge_methods,
            rule=next(rule for rule in _STRICTEST_FIRST if rule in wish.checks),
        )
        allowed = self.settings.forge_time
        preflight = Preflight(
            connection.client,
            push_url=self.address.push_url,
            push_environment=connection.environment,
            git=git,
        )
        return preflight.findings(intent, lambda: connection.gate.budget(wish.task_runs, allowed=allowed))

    @property
    def name(self) -> str:
        """The repository as the record shows it; its host where that is not github.com."""
        return self.address.web_url.partition("://")[2].removeprefix("github.com/")

    def _source(self, remote: Remote, layout: Layout, start: str) -> tuple[Repository, str]:
        if self.checkout is not None:
            return mirror(self.checkout.at(start), layout, self.settings.author)
        commit = remote.resolve(wanted := start or self.base)
        if commit is None:
            missing = f"branch, tag or full commit id {wanted}" if wanted else "commit yet"
            raise SettingsError(
                f"{self.address.web_url} has no {missing}. Push it there, or name another one with --base-commit."
            )
        return self.mirror(commit, remote, layout), commit

    def mirror(self, commit: str, remote: Remote, layout: Layout) -> Repository:
        """A mirror of a commit that GitHub has."""
        return mirror_of(commit, layout, lambda new: remote.fetch(f"{commit}:{MIRRORED}", new))

    def notes(self) -> tuple[str, ...]:
        """What to know of address and token, in sentences."""
        notes = [self.address.notice] if self.address.notice else []
        readable = shown_by(self.token)
        if readable:
            notes.append(
                f"Agents can read the forge's token in the environment of {', '.join(readable)}. "
                "Start pytest without it there, for example with --token-file."
            )
        return tuple(notes)

    def close(self) -> None:
        """Let go of the connection; the environment has its token again."""
        self._closing.close()


def _told(findings: Iterable[Finding]) -> Iterator[str]:
    """What the header says of what was found: what is worth to know, and how long the limits will make it."""
    return (str(finding) for finding in findings if finding.level is Level.NOTE or finding.subject == "budget")


def find_address(
    settings: Settings, base: str | None, plans: Path, rootdir: Path
) -> tuple[Address, Target | None, Repository | None]:
    """Where the repository is, the checkout that runs start from, and the checkout of it that the plans lie in.

    Raises:
        SettingsError: no repository on GitHub is named, and no checkout has one as its origin.
    """
    place = Repository.of_checkout(plans) if plans.is_dir() else None
    if settings.repo and not settings.repo_is_path:
        address = Address.parse(settings.repo, api_url=settings.github_api)
        return address, None, place if place is not None and _is_origin(place, address, settings) else None
    target = find_target(settings.repo, base, plans, rootdir)
    origin = "" if target.source is None else _origin(target.source)
    if not origin:
        raise SettingsError(
            f"The repository {target.name} has no remote `origin`. Name the repository on GitHub with "
            "--repo owner/name, or add the remote."
        )
    if not target.base:
        raise SettingsError(f"The repository {target.name} has no commit yet. Commit and push something first.")
    return Address.parse(origin, api_url=settings.github_api), target, target.source


def _origin(repository: Repository) -> str:
    found = repository.run("remote", "get-url", "origin", check=False)
    return found.stdout.decode("utf-8", "surrogateescape").strip() if found.exit_code == 0 else ""


def _is_origin(place: Repository, address: Address, settings: Settings) -> bool:
    try:
        return Address.parse(_origin(place), api_url=settings.github_api) == address
    except SettingsError:
        return False


def _refuse_to_pass(names: tuple[str, ...]) -> None:
    given = [name for name in names if name in TOKEN_VARIABLES]
    if given:
        raise SettingsError(
            f"pipeline_pass_environment names {' and '.join(given)}: agents would get the token of the forge. "
            "Take it out; for an agent's own needs use a variable of another name and a token with less rights."
        )


def _restore(variables: Mapping[str, str]) -> None:
    os.environ.update(variables)
