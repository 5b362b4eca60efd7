"""The forge that a session of this project would use, for what a command does there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pytest_pipeline.cases.observing import ask
from pytest_pipeline.commands.project import Project
from pytest_pipeline.errors import SettingsError
from pytest_pipeline.execution.opening import state_place
from pytest_pipeline.forges.base import Forge
from pytest_pipeline.forges.gate_limits import told
from pytest_pipeline.forges.leftovers import Sweepable
from pytest_pipeline.forges.local import LocalForge
from pytest_pipeline.record.columns import plain


@contextmanager
def sweepable_forge(project: Project) -> Iterator[Sweepable]:
    """The project's forge for as long as the context lasts, if it knows what sessions left on it.

    Raises:
        SettingsError: there is no such forge, or it does not know that.
        PipelineError: a hook of the project failed.
    """
    with project_forge(project) as forge:
        yield _sweepable(forge)


@contextmanager
def project_forge(project: Project) -> Iterator[Forge]:
    """The project's forge for as long as the context lasts.

    Raises:
        SettingsError: there is no such forge.
        PipelineError: a hook of the project failed.
    """
    hook = project.config.hook.pytest_pipeline_forge
    chosen = ask("pytest_pipeline_forge", lambda: hook(config=project.config, settings=project.settings))
    if chosen is not None:
        yield chosen
    elif project.settings.forge == "github":
        with _github(project) as forge:
            yield forge
    else:
        yield _local(project)


def _sweepable(found: object) -> Sweepable:
    if not isinstance(found, Sweepable):
        raise SettingsError(
            f"The forge {getattr(found, 'name', found)!r} cannot tell what sessions left on it. "
            "Give it the methods leftovers() and remove(), or clean up by hand."
        )
    return found


def _local(project: Project) -> LocalForge:
    settings = project.settings
    if settings.forge != "local":
        raise SettingsError(
            f"There is no forge {settings.forge!r}. Use --forge local or --forge github, or a conftest with that hook."
        )
    return LocalForge(state_place(project.directory, project.rootdir) / settings.state_dir / "forge.git")


@contextmanager
def _github(project: Project) -> Iterator[Forge]:
    from pytest_pipeline.execution.github_ground import GitHubGround
    from pytest_pipeline.host.git import Repository

    settings = project.settings
    ground = GitHubGround.find(settings, settings.base, project.directory, project.rootdir)
    with closing(ground), tempfile.TemporaryDirectory() as place:
        connection = ground.connect(lambda reason, seconds: print(plain(told(reason, seconds)), flush=True))
        yield connection.forge(Repository.create(Path(place, "forge.git")))
