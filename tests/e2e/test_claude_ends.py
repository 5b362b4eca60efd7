"""However the real Claude CLI ends: the right status and failure kind, and nothing is left of it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pytest_pipeline.agents.base import (
    AgentRequest,
    AgentStatus,
    Conduct,
    Limits,
    SolutionForm,
    SolutionPart,
)
from pytest_pipeline.agents.claude.driver import ClaudeAgent
from pytest_pipeline.agents.claude.executable import find_executable
from pytest_pipeline.agents.claude.rehearsal.gateway import Rehearsal
from pytest_pipeline.agents.claude.rehearsal.misbehaving import script_for
from pytest_pipeline.host.descent import proc_rows
from pytest_pipeline.plans import read_plan
from pytest_pipeline.trouble import Trouble, TroubleKind
from tests.e2e.world import Project
from tests.host.conftest import entries

ROOT = Path(__file__).parents[2]
WRITE = SolutionPart(SolutionForm.FILE, "made\n", "a.txt")


@dataclass(frozen=True)
class Row:
    """One way to end.

    Args:
        status: what the driver must say.
        message: words that its sentence must hold.
        parts: what the scripted model plays.
        trouble: how it misbehaves.
        request: what else is different.
        denied: tools that were denied.
    """

    status: AgentStatus
    message: str = ""
    parts: tuple[SolutionPart, ...] = (WRITE,)
    trouble: Trouble | None = None
    request: dict[str, object] = field(default_factory=dict)
    denied: tuple[str, ...] = ()


def killed_by(number: signal.Signals) -> tuple[SolutionPart, ...]:
    """The agent ends its own CLI, as others may."""
    return (SolutionPart(SolutionForm.SHELL, f"kill -{int(number)} $CLAUDE_PID; sleep 600"),)


def answered(status: int, retry_after: float | None = None) -> Trouble:
    return Trouble(TroubleKind.STATUS, status=status, retry_after=retry_after)


OK, FAILED, UNAVAILABLE = AgentStatus.OK, AgentStatus.FAILED, AgentStatus.UNAVAILABLE
ROWS = {
    "it did its task": Row(OK),
    "it did nothing": Row(OK, trouble=Trouble(TroubleKind.NOTHING)),
    "every call was denied": Row(
        OK, request={"conduct": Conduct(tools=("Write", "Read"), permission_mode="manual")}, denied=("Write",)
    ),
    "the turns were used up": Row(AgentStatus.TURNS, "limits.turns", request={"limits": Limits(60.0, turns=1)}),
    "the dollars were used up": Row(
        AgentStatus.BUDGET,
        "budget",
        trouble=Trouble(TroubleKind.EXPENSIVE, tokens=500_000),
        request={"limits": Limits(60.0, budget_usd=0.01)},
    ),
    "the time was up": Row(
        AgentStatus.TIMEOUT,
        "limits.wall_time",
        trouble=Trouble(TroubleKind.ENDLESS_TOOL),
        request={"limits": Limits(4.0)},
    ),
    "the request was wrong": Row(FAILED, "400", trouble=answered(400)),
    "the request was too large": Row(FAILED, trouble=answered(413)),
    "the key was refused": Row(UNAVAILABLE, "401", trouble=answered(401)),
    "the account has no money": Row(UNAVAILABLE, "402", trouble=answered(402)),
    "the key may not do this": Row(UNAVAILABLE, "403", trouble=answered(403)),
    "the model is unknown": Row(UNAVAILABLE, "model", trouble=answered(404)),
    "the limit was reached": Row(UNAVAILABLE, "429", trouble=answered(429)),
    "the limit was reached for long": Row(UNAVAILABLE, "429", trouble=answered(429, 120)),
    "the API broke": Row(UNAVAILABLE, "500", trouble=answered(500)),
    "the API was overloaded": Row(UNAVAILABLE, "529", trouble=answered(529)),
    "the answer was cut": Row(UNAVAILABLE, trouble=Trouble(TroubleKind.DROP)),
    "the answer was no JSON": Row(UNAVAILABLE, trouble=Trouble(TroubleKind.MALFORMED)),
    "SIGKILL": Row(FAILED, "signal 9", parts=killed_by(signal.SIGKILL)),
    "SIGQUIT": Row(FAILED, "signal 3", parts=killed_by(signal.SIGQUIT)),
    "SIGTERM": Row(FAILED, parts=killed_by(signal.SIGTERM)),
    "SIGHUP": Row(FAILED, parts=killed_by(signal.SIGHUP)),
    "SIGINT, which ends with 0": Row(FAILED, parts=killed_by(signal.SIGINT)),
    "the prompt was blank": Row(FAILED, "blank", request={"prompt": " \n"}),
    "the prompt was a command": Row(OK, request={"prompt": "/clear\n"}),
}


@pytest.fixture
def agent(claude_cli: Path) -> Iterator[ClaudeAgent]:
    agent = ClaudeAgent(find_executable(str(claude_cli)), Rehearsal(script_for))
    yield agent
    agent.close()


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_every_end_has_its_status_and_leaves_nothing(agent: ClaudeAgent, tmp_path: Path, row: Row) -> None:
    for name in ("work", "home", "tmp"):
        (tmp_path / name).mkdir()
    request = AgentRequest(
        prompt="# Do it\n",
        workspace=tmp_path / "work",
        limits=Limits(60.0),
        environment={"PATH": os.defpath, "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")},
        transcript=tmp_path / "transcript.log",
        model="claude-haiku-5-5",
        reference=row.parts,
        trouble=row.trouble,
    )

    result = agent.run(replace(request, **row.request), lambda _line: None)  # type: ignore[arg-type]

    assert (result.status, result.denied) == (row.status, row.denied), result
    assert row.message in result.message
    assert result.message.endswith((".", '"', ")")), result.message
    assert list((tmp_path / "tmp").iterdir()) == []
    place = str(tmp_path).encode()
    assert [row.pid for row in proc_rows() if any(place in each for each in entries(row.pid, "environ"))] == []
    if result.status is OK and row.trouble is None and not row.denied:
        assert (tmp_path / "work" / "a.txt").read_text() == "made\n"


def test_the_plan_of_troubles_is_green_and_everything_ends_as_it_says(project: Project, claude_cli: Path) -> None:
    (project.path / "plans").mkdir()
    shutil.copy(ROOT / "plans" / "trouble.md", project.path / "plans")
    own = ("--claude-path", str(claude_cli), "--agent", "claude", "--rehearse")
    plan = read_plan(ROOT / "plans" / "trouble.md", "plans/trouble.md")
    assert plan is not None
    troubles = {task.id: task.trouble for batch in plan.batches for task in batch.tasks}

    ran = project.run_apart("plans", *own).passed()

    kinds = {each.kind for each in troubles.values() if each is not None}
    assert kinds == set(TroubleKind)
    for number, trouble in troubles.items():
        assert trouble is not None
        assert ran.last(number).properties["agent_status"] == trouble.ends, number
        assert "refused_as" in ran.last(number).properties or trouble.times is not None, number
    assert ran.last("3.3").properties["denied_tools"] == "Write 1"
    assert int(ran.last("3.6").properties["agent_survivors"]) >= 1
    assert [each for each in ran.files() if each.startswith(".claude")] == []
    assert project.left() == []
