"""One task run on a page: its attempts with steps, facts, pull request, transcript and diff."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_pipeline.record.junit import TESTCASE_PROPERTIES
from pytest_pipeline.record.model import FINAL_STATE, AttemptRecord, Outcome, SessionRecord, TaskRunRecord
from pytest_pipeline.record.report.picture import anchor_of

_SAFE = ("https://", "http://")


@dataclass(frozen=True)
class Material:
    """What a page shows beside the record; each is asked for an attempt, and answers with a text or nothing.

    Args:
        transcript: what the agent printed.
        diff: what was merged.
    """

    transcript: Callable[[AttemptRecord], str] = lambda _: ""
    diff: Callable[[AttemptRecord], str] = lambda _: ""


@dataclass(frozen=True)
class StepLine:
    """A step: its name, how it ended, seconds, what is worth knowing."""

    name: str
    state: str
    seconds: float | None
    detail: str


@dataclass(frozen=True)
class Try:
    """One attempt.

    Args:
        number: from 1.
        state: how it ended.
        kind: whose fault a failure is, or an empty text.
        message: the story of a failure.
        steps: its steps.
        facts: names and values.
        pull_request: what its pull request is called; empty: it has none.
        link: where that can be seen; empty: nowhere by a browser.
        transcript: what the agent printed.
        diff: its lines with ``add``, ``del``, ``hunk`` or an empty text.
    """

    number: int
    state: str
    kind: str
    message: str
    steps: tuple[StepLine, ...]
    facts: tuple[tuple[str, str], ...]
    pull_request: str
    link: str
    transcript: str
    diff: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Detail:
    """A task run."""

    anchor: str
    run: int
    plan: str
    heading: str
    state: str
    reason: str
    tries: tuple[Try, ...]


def detail(session: SessionRecord, task_run: TaskRunRecord, material: Material) -> Detail:
    """What there is to see of a task run.

    Args:
        session: its session.
        task_run: the task run.
        material: what is shown beside the record.
    """
    key = task_run.key
    heading = "Final state" if key.task == FINAL_STATE else f"Task {key.task}: {task_run.title}"
    return Detail(
        anchor=anchor_of(key),
        run=key.run,
        plan=key.plan,
        heading=heading,
        state=str(task_run.outcome),
        reason=task_run.reason,
        tries=tuple(_try(each, material) for each in task_run.attempts),
    )


def _try(attempt: AttemptRecord, material: Material) -> Try:
    known = attempt.properties
    number, address = known.get("pull_request", ""), known.get("pull_request_url", "")
    shown = [name for name in TESTCASE_PROPERTIES if name in known]
    return Try(
        number=attempt.number,
        state=str(attempt.outcome),
        kind=str(attempt.failure_kind or ""),
        message=attempt.message,
        steps=tuple(
            StepLine(
                step.name,
                "unfinished" if step.outcome is Outcome.RUNNING else str(step.outcome),
                (step.finished - step.started).total_seconds() if step.finished else None,
                step.detail,
            )
            for step in attempt.steps
        ),
        facts=tuple((name, known[name]) for name in shown),
        pull_request=f"#{number} {known.get('pull_request_state', '')}".strip() if number else "",
        link=address if address.startswith(_SAFE) else "",
        transcript=material.transcript(attempt),
        diff=tuple((_kind(line), line) for line in material.diff(attempt).splitlines()),
    )


def _kind(line: str) -> str:
    if line.startswith("@@"):
        return "hunk"
    if line.startswith(("+++", "---", "diff ", "index ")):
        return "file"
    return {"+": "add", "-": "del"}.get(line[:1], "")
