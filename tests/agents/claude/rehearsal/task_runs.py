"""Task runs with the real Claude CLI, through any gateway, in places of their own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline.agents.base import AgentRequest, Limits
from pytest_pipeline.agents.claude.gateway import Gateway
from pytest_pipeline.host.process import Command, Completed, run
from tests.agents.claude.rehearsal.real_api import MODEL
from tests.agents.claude.rehearsal.stage import FLAGS, SWITCHES

PROMPT = "Create hello.txt with a greeting.\n"


def task_run(
    place: Path, *, prompt: str = PROMPT, case: str = "plans.hello/batch-1-task-1-1", nr: int = 1
) -> AgentRequest:
    """A request whose workspace, HOME and TMPDIR lie in a directory."""
    for name in ("workspace", "home", "tmp", "config"):
        (place / name).mkdir(parents=True, exist_ok=True)
    return AgentRequest(
        prompt=prompt,
        workspace=place / "workspace",
        limits=Limits(60.0),
        environment={"HOME": str(place / "home"), "TMPDIR": str(place / "tmp"), "PATH": os.defpath},
        transcript=place / "transcript.txt",
        case=case,
        run=nr,
    )


@dataclass(frozen=True)
class Did:
    """What came of it: how the CLI ended, what it left in the workspace, and what the gateway has against it."""

    completed: Completed
    tree: dict[str, bytes]
    complaint: str
    printed: str


def do(cli: Path, gateway: Gateway, request: AgentRequest) -> Did:
    """Let the CLI do a task run."""
    config = Path(request.environment["HOME"]).with_name("config")
    lines: list[str] = []
    with gateway.admit(request, config) as access:
        environment = {
            **request.environment,
            **dict.fromkeys(SWITCHES, "1"),
            "CLAUDE_CONFIG_DIR": str(config),
            "CLAUDE_CODE_MAX_RETRIES": "2",
            **access.environment,
        }
        command = Command(
            (str(cli), *FLAGS, "--model", MODEL),
            cwd=request.workspace,
            environment=environment,
            stdin=request.prompt.encode(),
            timeout=request.limits.wall_time,
            reads_stream=True,
        )
        completed = run(command, lines.append, lambda: False)
        complaint = access.complaint()
    return Did(completed, tree(request.workspace), complaint, "\n".join(lines))


def tree(workspace: Path) -> dict[str, bytes]:
    files = (path for path in sorted(workspace.rglob("*")) if path.is_file())
    return {str(path.relative_to(workspace)): path.read_bytes() for path in files}
