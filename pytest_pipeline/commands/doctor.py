"""``doctor``: look whether a session could begin here, and say for each thing that hinders how to mend it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from platform import python_version

from pytest_pipeline import __version__
from pytest_pipeline.cases.choosing import ChosenAgents
from pytest_pipeline.cases.observing import ask
from pytest_pipeline.commands import COMMANDS, FAILED
from pytest_pipeline.commands.arguments import Parser
from pytest_pipeline.commands.project import Project, in_project
from pytest_pipeline.errors import PipelineError
from pytest_pipeline.execution.ground import Wish
from pytest_pipeline.execution.layout import run_prefix, store_url
from pytest_pipeline.execution.opening import new_session_id, state_place
from pytest_pipeline.execution.target import find_target
from pytest_pipeline.findings import Finding, Level
from pytest_pipeline.forges.gate_limits import told
from pytest_pipeline.host.git_command import require_git
from pytest_pipeline.record.columns import plain
from pytest_pipeline.record.examining import examine_store

_SIGNS = {Level.OK: "ok", Level.NOTE: "note", Level.FAILED: "FAILED"}


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit code: 1 when something hinders.

    Raises:
        PipelineError: an option cannot be used.
    """
    options, rest = Parser("doctor", COMMANDS["doctor"]).parse_known_args(arguments)
    del options  # it has none of its own
    return in_project("doctor", rest, _doctor)


def _doctor(project: Project) -> int:
    healthy = True
    for finding in examine(project):
        healthy = healthy and finding.ok
        for line in shown(finding):
            print(line, flush=True)
    print("Everything that can be known before is well." if healthy else "Mend what is marked FAILED, and ask again.")
    return 0 if healthy else FAILED


def shown(finding: Finding) -> Iterator[str]:
    """A finding as the lines of a table; the remedy has one of its own."""
    yield f"{_SIGNS[finding.level]:8}{finding.subject:15}{plain(finding.detail)}"
    if finding.remedy:
        yield f"{'':23}{plain(finding.remedy)}"


def examine(project: Project) -> Iterator[Finding]:
    """Look at programs, agent, store and forge, one after the other."""
    yield from _told("programs", _programs)
    yield from examine_agent(project)
    yield from _told("store", lambda: _store(project))
    yield from examine_forge(project)


def examine_agent(project: Project) -> Iterator[Finding]:
    """Look whether the project's agent can be started."""
    yield from _told("agent", lambda: _agent(project))


def examine_forge(project: Project) -> Iterator[Finding]:
    """Look whether the project's forge can be used."""
    yield from _told("forge", lambda: _forge(project))


def _told(subject: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What is found; an error that hinders a session is a finding too."""
    try:
        yield from look()
    except PipelineError as error:
        yield Finding.failed(subject, str(error))


def _programs() -> Iterator[Finding]:
    git = require_git()
    names = f"pytest-pipeline {__version__}, pytest {version('pytest')}, Python {python_version()}, git {git}"
    yield Finding.good("programs", f"{names}.")


def _agent(project: Project) -> Iterator[Finding]:
    with closing(ChosenAgents(project.config)) as agents:
        agent = agents(project.settings)
        yield Finding.good("agent", f"{' '.join(filter(None, (agent.name, agent.version)))} can be started.")


def _store(project: Project) -> Iterator[Finding]:
    state = state_place(project.directory, project.rootdir) / project.settings.state_dir
    yield examine_store(project.settings.store or store_url(state))


def _forge(project: Project) -> Iterator[Finding]:
    settings, hook = project.settings, project.config.hook.pytest_pipeline_forge
    chosen = ask("pytest_pipeline_forge", lambda: hook(config=project.config, settings=settings))
    if chosen is not None:
        yield Finding.good("forge", f"A hook of this project brings the forge {chosen.name}.")
    elif settings.forge == "github":
        yield from _github(project)
    else:
        target = find_target(settings.repo, settings.base, project.directory, project.rootdir)
        start = f"{target.name} at {target.base[:12]}" if target.base else "an empty repository"
        yield Finding.good("forge", f"The forge local is embedded; runs start from {start}.")


def _github(project: Project) -> Iterator[Finding]:
    from pytest_pipeline.execution.github_ground import GitHubGround
    from pytest_pipeline.host.git import Repository

    settings = project.settings
    wish = Wish(
        task_runs=settings.count,
        merge_methods=(settings.merge_method,) if settings.auto_merge else (),
        checks=(settings.checks,),
        prefix=run_prefix(new_session_id(), 1),
    )
    with closing(GitHubGround.find(settings, settings.base, project.directory, project.rootdir)) as ground:
        yield Finding.good("token", f"There is one, from {ground.token.source}.")
        connection = ground.connect(lambda reason, seconds: print(plain(told(reason, seconds)), flush=True))
        with tempfile.TemporaryDirectory() as place:
            yield from ground.examine(connection, Repository.create(Path(place, "look.git")), wish)
        yield from (Finding.note("token", note) for note in ground.notes())
