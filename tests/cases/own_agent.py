"""An agent of a user's conftest that plays references and does what a test wants besides."""

from __future__ import annotations

from textwrap import dedent, indent

from .conftest import Project

_CONFTEST = """\
import pathlib
from decimal import Decimal

from pytest_pipeline.agents.base import AgentResult, AgentStatus

HERE = pathlib.Path(__file__).parent

def note(*words):
    with open(HERE / "noted.txt", "a") as file:
        print(*words, file=file)

class Own:
    version = "7"

    def __init__(self, name):
        self.name = name

    def run(self, request, on_event):
        task = request.case.rpartition("task-")[2].replace("-", ".")
        note("run", request.run, task)
        cost = None
{body}
        for part in request.reference:
            path = request.workspace / part.path
            path.parent.mkdir(exist_ok=True)
            path.write_text(part.content)
        return AgentResult(AgentStatus.OK, "Done.", cost_usd=cost)

{members}

def pytest_pipeline_agent(settings):
    return Own(settings.agent) if settings.agent.startswith("own") else None

{hooks}
"""

UNAVAILABLE = 'return AgentResult(AgentStatus.UNAVAILABLE, "Overloaded.", cost_usd=Decimal("0.25"), retryable=True)'
"""What an agent says that could not be reached, and may be soon."""


def own_agent(project: Project, body: str = "", *, members: str = "", hooks: str = "", name: str = "own") -> None:
    """Make an agent of this name that of the project, unless a plan says otherwise.

    Args:
        project: the project.
        body: statements before it plays the reference; they know ``request``, ``on_event``, ``task``, and may set
            ``cost``.
        members: further members of its class.
        hooks: further hooks of the conftest.
        name: ``own`` or what begins like it.
    """
    text = _CONFTEST.format(
        body=indent(dedent(body).strip(), " " * 8),
        members=indent(dedent(members).strip(), " " * 4),
        hooks=dedent(hooks).strip(),
    )
    (project.path / "conftest.py").write_text(text, "utf-8")
    project.write("pytest.ini", f"[pytest]\npipeline_agent = {name}\n")


def noted(project: Project) -> list[str]:
    """What was noted, line by line."""
    path = project.path / "noted.txt"
    return path.read_text("utf-8").splitlines() if path.exists() else []
