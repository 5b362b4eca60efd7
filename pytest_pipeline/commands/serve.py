"""``serve``: the HTTP face of this project."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pytest_pipeline.commands import COMMANDS
from pytest_pipeline.commands.arguments import Parser
from pytest_pipeline.commands.doctor import examine_agent, examine_forge, shown
from pytest_pipeline.commands.project import Project, in_project
from pytest_pipeline.errors import SettingsError
from pytest_pipeline.execution.layout import store_url
from pytest_pipeline.execution.opening import state_place
from pytest_pipeline.findings import Finding
from pytest_pipeline.host.redaction import Redactor, looks_secret

if TYPE_CHECKING:
    from pytest_pipeline.server.services import Place
    from pytest_pipeline.server.shapes import Part
    from pytest_pipeline.server.tokens import ApiToken

_PORT, _LAST_PORT = 8642, 65_535


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit code.

    Raises:
        PipelineError: an option cannot be used, or the address cannot be listened on.
    """
    parser = Parser("serve", COMMANDS["serve"])
    parser.add_argument("--host", default="127.0.0.1", help="Address to listen on. Default: this machine alone.")
    parser.add_argument("--port", type=int, default=_PORT, help=f"Port to listen on; 0: a free one. Default: {_PORT}.")
    parser.add_argument(
        "--plan-root",
        metavar="DIR",
        action="append",
        default=[],
        help="Plans below this directory can be started, and no others; may be given several times. Default: plans.",
    )
    parser.add_argument(
        "--api-token-file",
        metavar="FILE",
        help="Holds the token that requests must bring (mode 600). Default: a new one, which is printed.",
    )
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="A further name that requests may ask for, for example that of a proxy; may be given several times.",
    )
    options, rest = parser.parse_known_args(arguments)
    if not 0 <= options.port <= _LAST_PORT:
        raise SettingsError(f"--port must be a number from 0 to {_LAST_PORT}, not {options.port}. 0 takes a free one.")
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise SettingsError("serve needs the extra server: python -m pip install 'pytest-pipeline-hardening[server]'.")
    from pytest_pipeline.server.tokens import ApiToken, refuse_open_door

    refuse_open_door(options.host, has_file=options.api_token_file is not None)
    file = options.api_token_file
    token = ApiToken.from_file(Path(file)) if file is not None else ApiToken.new()
    places: list[Place] = []
    code = in_project("serve", rest, lambda project: _look(project, options, rest, token, places))
    for place in places:
        _serve(place, token, options)
    return code


def _look(
    project: Project, options: argparse.Namespace, rest: Sequence[str], token: ApiToken, places: list[Place]
) -> int:
    """Find out where the server works, while pytest knows it."""
    from pytest_pipeline.server.requests import roots_of
    from pytest_pipeline.server.services import Place

    state = state_place(project.directory, project.rootdir) / project.settings.state_dir
    pinned = _pinned(project, state)
    python = [sys.executable, "-m"]
    known = [value for name, value in os.environ.items() if looks_secret(name)]
    places.append(
        Place(
            directory=project.directory,
            rootdir=project.rootdir,
            state=state,
            store_url=project.settings.store or store_url(state),
            roots=roots_of([project.directory / each for each in options.plan_root or ["plans"]]),
            command=lambda arguments, plan: [*python, "pytest", *rest, *pinned, *arguments, plan],
            record=lambda session: [*python, "pytest_pipeline", "junit", session, *rest, *pinned],
            agent=_part(project.settings.agent, examine_agent(project)),
            forge=_part(project.settings.forge, examine_forge(project)),
            secrets=Redactor([*known, token.reveal()]),
        )
    )
    return 0


def _pinned(project: Project, state: Path) -> list[str]:
    """What makes pytest find the same project whatever plan it is told."""
    ini = ["-c", str(project.config.inipath)] if project.config.inipath is not None else []
    return [*ini, f"--rootdir={project.rootdir}", "-o", f"pipeline_state_dir={state}"]


def _part(name: str, findings: Iterable[Finding]) -> Part:
    """What was found, as the state of a part; it is printed, because a server says less of it to strangers."""
    from pytest_pipeline.server.shapes import Part

    state: Literal["ok", "failed"] = "ok"
    for finding in findings:
        for line in shown(finding):
            print(line)
        if not finding.ok:
            state = "failed"
    return Part(name=name, state=state)


def _serve(place: Place, token: ApiToken, options: argparse.Namespace) -> None:
    from pytest_pipeline.server.running import serve

    def say(address: str) -> None:
        print(f"Plans below {', '.join(map(str, place.roots))} can be started at {address}.")
        if options.api_token_file is None:
            print(f"Every request brings this token, which is new and kept nowhere: {token.reveal()}")
        print("Ctrl-C ends the server. Executions go on, and the next server tells of them.", flush=True)

    try:
        serve(place, token, host=options.host, port=options.port, names=options.allow_host, say=say)
    except KeyboardInterrupt:
        print("The server has ended.")
