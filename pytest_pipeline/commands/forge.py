"""The forge that a session of this project would use, for what a command does there."""

from __future__ import annotations

from pytest_pipeline.cases.observing import ask
from pytest_pipeline.commands.project import Project
from pytest_pipeline.errors import SettingsError
from pytest_pipeline.execution.opening import state_place
from pytest_pipeline.forges.leftovers import Sweepable
from pytest_pipeline.forges.local import LocalForge


def sweepable_forge(project: Project) -> Sweepable:
    """The project's forge, if it knows what sessions left on it.

    Raises:
        SettingsError: there is no such forge, or it does not know that.
        PipelineError: a hook of the project failed.
    """
    hook = project.config.hook.pytest_pipeline_forge
    chosen = ask("pytest_pipeline_forge", lambda: hook(config=project.config, settings=project.settings))
    found: object = chosen if chosen is not None else _by_name(project)
    if not isinstance(found, Sweepable):
        raise SettingsError(
            f"The forge {getattr(found, 'name', found)!r} cannot tell what sessions left on it. "
            "Give it the methods leftovers() and remove(), or clean up by hand."
        )
    return found


def _by_name(project: Project) -> LocalForge:
    settings = project.settings
    if settings.forge != "local":
        raise SettingsError(f"There is no forge {settings.forge!r}. Use --forge local, or a conftest with that hook.")
    return LocalForge(state_place(project.directory, project.rootdir) / settings.state_dir / "forge.git")
