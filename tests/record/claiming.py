"""Records to be held against themselves: honest, but for what a test changes."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_pipeline.record.claimed_criterion import Known
from pytest_pipeline.record.claims import Claim, Record
from pytest_pipeline.record.consistency import admitted_runs, contradictions
from pytest_pipeline.record.evidence import anytime_lower_bound, lower_bound
from pytest_pipeline.record.model import Outcome, TaskRunKey

ELEMENTS = {Outcome.PASSED: "passed", Outcome.FAILED: "failure"}


def claim(
    run: int, outcome: str = "passed", *, attempt: int = 1, shown: str = "", task: str = "a", **facts: str
) -> Claim:
    ended = Outcome(outcome)
    if ended is Outcome.FAILED:
        facts.setdefault("failure_kind", "agent")
    number = 0 if ended in (Outcome.SKIPPED, Outcome.COMPLETED) else attempt
    return Claim(TaskRunKey("S", run, "p.md", "1", task), number, ended, shown or ELEMENTS.get(ended, "skipped"), facts)


def record(*claims: Claim, required: int, streak: int, admitted: int, successful: int, **facts: str) -> Record:
    proving = successful - int(facts.get("runs__redrawn", "0"))
    anytime = f"{anytime_lower_bound(proving, admitted):.4f}"
    fixed = required == admitted and "history" not in facts
    known = {
        "criterion.required": str(required),
        "criterion.streak": str(streak),
        "criterion.met": "yes" if streak >= required else "no",
        "runs.admitted": str(admitted),
        "runs.successful": str(successful),
        "lower_bound": f"{lower_bound(proving, admitted):.4f}" if fixed else anytime,
        "lower_bound_rule": "runs fixed in advance" if fixed else "looking whenever one likes",
        "lower_bound_anytime": anytime,
    }
    return Record("S", {**known, **{name.replace("__", "."): value for name, value in facts.items()}}, claims)


def lies(
    of: Record,
    expected: Iterable[TaskRunKey] = (),
    excused: Iterable[TaskRunKey] = (),
    known: Known | None = None,
) -> list[str]:
    return [*contradictions(of, [*expected], [*excused], admitted_runs(of), known)]
