"""Runs of the real CLI (2.1.330) against a loopback server: their lines, cut down to the fields that matter."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pytest_pipeline.agents.base import AgentResult, Limits
from pytest_pipeline.agents.claude.stream import Stream, Summary
from pytest_pipeline.agents.claude.verdict import judge
from pytest_pipeline.host.process import Completed


@dataclass(frozen=True)
class Run:
    name: str
    exit_code: int
    stderr: str
    lines: tuple[str, ...]


def _run(line: str) -> Run:
    run = json.loads(line)
    return Run(run["name"], run["exit_code"], run["stderr"], tuple(json.dumps(one) for one in run["lines"]))


_HERE = Path(__file__).with_name("runs.jsonl")
RUNS = {run.name: run for run in map(_run, _HERE.read_text(encoding="utf-8").splitlines())}
LIMITS = Limits(wall_time=60.0, turns=2, budget_usd=0.01)


class Told:
    """A stream that remembers what it told."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.costs: list[Decimal] = []
        self.now = 100.0
        self.stream = Stream(self.events.append, self.costs.append, lambda: self.now)

    def take(self, *lines: str | dict[str, object]) -> Told:
        for line in lines:
            self.stream.line(line if isinstance(line, str) else json.dumps(line))
        return self

    def summary(self) -> Summary:
        return self.stream.summary()


def told(name: str) -> Told:
    return Told().take(*RUNS[name].lines)


def ended(exit_code: int = 0, *, stderr: str = "", timed_out: bool = False) -> Completed:
    return Completed(exit_code, timed_out, stderr, truncated=False, elapsed=2.5, survivors=0)


def judged(name: str) -> AgentResult:
    run = RUNS[name]
    return judge(told(name).summary(), ended(run.exit_code, stderr=run.stderr), LIMITS)
