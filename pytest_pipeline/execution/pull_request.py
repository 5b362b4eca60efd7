"""Title and text of a pull request, from the project's templates or ours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pytest_pipeline.events import TaskReference
from pytest_pipeline.execution.prompt import told
from pytest_pipeline.execution.templates import render_file, render_text
from pytest_pipeline.plans.model import Task
from pytest_pipeline.settings import Settings


def describe(
    task: Task, reference: TaskReference, settings: Settings, *, subject: str, agent: str, rootdir: Path
) -> tuple[str, str]:
    """Title and text.

    Args:
        task: the task that was done; its reference solution is in neither.
        reference: which task run it is.
        settings: name the templates and the record.
        subject: first line of the commit.
        agent: who did it.
        rootdir: the template's path is relative to it.

    Raises:
        SettingsError: a template is not there or wrong.
    """
    variables = {
        **told(task),
        "plan": {"path": reference.plan},
        "batch": reference.batch,
        "run": reference.run,
        "session": reference.session,
        "attempt": reference.attempt,
        "subject": subject,
        "agent": agent,
        "record_url": settings.record_url or actions_run(os.environ),
    }
    template = rootdir / settings.pull_request_template if settings.pull_request_template else None
    title = render_text(settings.pull_request_title, variables, ini_key="pipeline_pull_request_title")
    key = "pipeline_pull_request_template"
    return title, render_file("pull_request.md.j2", template, variables, ini_key=key) + "\n"


def actions_run(environ: Mapping[str, str]) -> str:
    """The page of the run of GitHub Actions that this process is part of; empty elsewhere.

    Args:
        environ: has the variables of GitHub Actions, see "Default environment variables" in its documentation.
    """
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    if not all(environ.get(name) for name in names):
        return ""
    server, repository, run = (environ[name] for name in names)
    return f"{server}/{repository}/actions/runs/{run}"
