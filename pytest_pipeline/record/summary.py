"""The text of the terminal summary, made from the record alone.

Plain ASCII but for what plans say; without colour nothing is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from statistics import median

from pytest_pipeline.record.chaos import Reckoning, foreseen, reckon
from pytest_pipeline.record.columns import plain, shorten, shorten_left, wrap
from pytest_pipeline.record.costs import bare, cost_of, shown, usd
from pytest_pipeline.record.criterion import Verdict
from pytest_pipeline.record.denials import counted, listed
from pytest_pipeline.record.draws import draws
from pytest_pipeline.record.evidence import anytime_lower_bound, lower_bound
from pytest_pipeline.record.junit import IN_PART
from pytest_pipeline.record.matrix import WORDS, Line, TaskKey, matrix, natural, ranges, task_names
from pytest_pipeline.record.model import AttemptRecord, Outcome, RunRecord, SessionRecord, TaskRunRecord

NARROWEST = 60
"""Columns that are assumed at least."""

_FAILURES_MOST = 50
_BLAME = (Outcome.FAILED, Outcome.INTERRUPTED, Outcome.RUNNING, Outcome.SKIPPED)  # the first that a run holds broke it


def summary(
    session: SessionRecord,
    runs: Sequence[RunRecord],
    task_runs: Sequence[TaskRunRecord],
    verdict: Verdict,
    width: int,
) -> list[Line]:
    """Everything that the terminal says about a session at its end.

    Args:
        session: the session.
        runs: its runs.
        task_runs: its task runs.
        verdict: what :func:`~pytest_pipeline.record.criterion.judge` says about its runs.
        width: columns of the terminal; no line is wider, but for terminals below :data:`NARROWEST`.
    """
    width = max(width, NARROWEST)
    drawn = matrix(runs, task_runs, width)
    told = Told.of(session, runs, task_runs, verdict)
    colour = "green" if verdict.met or (told.chaos and not told.chaos.surprises) else "red"
    lines = [*drawn, *[Line("")] * bool(drawn), *told.failures(width)]
    lines += [Line(text) for note in told.notes() for text in wrap(note, width)]
    lines += [Line(text) for text in wrap(told.streak(), width)]
    lines += [Line(text) for text in wrap(told.evidence(), width)]
    return lines + [Line(text, (colour, "bold")) for text in wrap(told.criterion(), width)]


@dataclass(frozen=True)
class Told:
    """The sentences, each from what the record holds."""

    session: SessionRecord
    runs: Sequence[RunRecord]
    task_runs: Sequence[TaskRunRecord]
    verdict: Verdict
    names: dict[TaskKey, str]

    @classmethod
    def of(
        cls,
        session: SessionRecord,
        runs: Sequence[RunRecord],
        task_runs: Sequence[TaskRunRecord],
        verdict: Verdict,
    ) -> Told:
        """What there is to say of a session, see :func:`summary`."""
        return cls(session, runs, task_runs, verdict, task_names(task_runs))

    def criterion(self) -> str:
        """Whether it is met, and what broke it; a rehearsal never without that word."""
        told = f"{self._criterion()}{self._new_draws()}"
        if not self._rehearsal:
            return told
        label = "in part a rehearsal, where" if self._in_part else "rehearsal:"
        return f"{told} ({label} no model took part)"

    def _criterion(self) -> str:
        verdict = self.verdict
        if verdict.chaos:
            return f"criterion not met: a session under chaos never meets one ({self.session.facts.get('chaos', '')})"
        if verdict.met:
            return f"criterion met: {verdict.required} of {verdict.required} consecutive runs"
        told = f"criterion not met: {verdict.streak} of {verdict.required} consecutive runs"
        if verdict.broken_by is not None:
            return f"{told} ({self._broken(verdict.broken_by)})"
        if verdict.count is None:
            return f"{told} ({_count(verdict.required - verdict.streak, 'more run')} to go)"
        return f"{told} (only {verdict.admitted} of {verdict.count} runs took place)"

    def _new_draws(self) -> str:
        runs = self.verdict.redrawn
        return f" ({_count(runs, 'run')} with a new draw)" if runs and not self.verdict.chaos else ""

    @cached_property
    def chaos(self) -> Reckoning | None:
        """What became of injected faults; None: there were none."""
        return reckon(self.task_runs) if "chaos" in self.session.facts else None

    def _chaos(self) -> Iterator[str]:
        if self.chaos is None:
            return
        listed = ", ".join(f"{name} {number}" for name, number in self.chaos.injected.items())
        yield (
            f"chaos ({self.session.facts['chaos']}): {_count(sum(self.chaos.injected.values()), 'fault')} injected, "
            f"{self.chaos.absorbed} absorbed, {self.chaos.failed} failed their tasks as they had to, "
            f"{_count(len(self.chaos.surprises), 'surprise')}{f' ({listed})' if listed else ''}"
        )
        for each in self.chaos.surprises:
            yield f"surprise: run {each.task_run.key.run}, {self._name(each.task_run)}: {each.why}"

    def streak(self) -> str:
        """The streak, and every admitted run."""
        verdict = self.verdict
        return (
            f"streak: {verdict.streak}, longest {verdict.longest}; {_count(verdict.admitted, 'run')} admitted: "
            f"{verdict.successful} successful, {verdict.failed} failed, {verdict.unfinished} unfinished"
        )

    @property
    def _rehearsal(self) -> str:
        return self.session.facts.get("rehearsal", "")

    @property
    def _in_part(self) -> bool:
        return self._rehearsal.endswith(IN_PART)

    def evidence(self) -> str:
        """What the runs prove, and in a rehearsal of what."""
        told = self._evidence()
        if not self._rehearsal:
            return told
        what = "What was rehearsed" if self._in_part else "It is a rehearsal, which"
        return f"{told} {what} proves the agent's CLI and this pipeline, and nothing about a model."

    def _evidence(self) -> str:
        """The unit is the whole run; one that succeeded by a new draw proves nothing."""
        successes, trials, redrawn = self.verdict.proving, self.verdict.trials, self.verdict.redrawn
        if self.verdict.chaos:
            shaken = f"{self.verdict.successful} of {trials} whole runs succeeded under chaos"
            return f"evidence: {shaken}, which proves no success rate."
        told = f"evidence: {successes} of {trials} whole runs succeeded{' without a new draw' if redrawn else ''}"
        if not successes:
            return f"{told}, which proves no success rate."
        anytime = f"{anytime_lower_bound(successes, trials):.1%}".replace("%", " %")
        if not self.verdict.fixed_in_advance:
            return f"{told}; at 95 % confidence at least {anytime} of whole runs do (valid for looking whenever)."
        fixed = f"{lower_bound(successes, trials):.1%}".replace("%", " %")
        return (
            f"{told}; at 95 % confidence at least {fixed} of whole runs do ({_count(trials, 'run')} fixed in advance; "
            f"{anytime} for looking whenever), if runs are independent."
        )

    def notes(self) -> Iterator[str]:
        """What else a reader must know, one sentence each."""
        yield from self._chaos()
        yield from self._pull_requests()
        yield from self._cost()
        yield from self._cost_limit()
        times = [(run.finished - run.started).total_seconds() for run in self.runs if run.finished is not None]
        if times:
            yield f"run time: median {duration(median(times))} of {_count(len(times), 'run')}"
        waited = sum(float(attempt.properties.get("forge_waited", 0)) for attempt in self._attempts())
        if waited:
            yield f"waited for the forge's limits: {duration(waited)} in all"
        yield from self._checks()
        yield from self._denied()
        retried = [each for each in self.task_runs if len(each.attempts) > 1]
        if retried:
            shown = [
                f"run {each.key.run}, {self._name(each)}: {len(each.attempts)} attempts, {_drawn(each)}"
                for each in retried
            ]
            yield f"retried: {_listed(shown, 'task run')}"
        if self.verdict.overlapping:
            yield f"overlapping in time: runs {ranges(self.verdict.overlapping)}"
        order = [run.number for run in sorted(self.runs, key=lambda run: run.admitted)]
        if order != sorted(order):
            yield f"runs in the order of admission: {', '.join(map(str, order))}"

    def failures(self, width: int) -> Iterator[Line]:
        """One line for each task run that failed or did not end."""
        failed = [each for each in self.task_runs if each.outcome in _BLAME[:3] and not self._had_to_fail(each)]
        failed.sort(key=lambda each: (each.key.run, natural(each.key.plan), natural(each.key.batch)))
        for each in failed[:_FAILURES_MOST]:
            yield Line(shorten(self._failure(each, width), width), ("red",))
        if len(failed) > _FAILURES_MOST:
            rest = failed[_FAILURES_MOST:]
            yield Line(f"and {len(rest)} more, in runs {ranges(each.key.run for each in rest)}"[:width], ("red",))

    def _had_to_fail(self, each: TaskRunRecord) -> bool:
        last = each.attempts[-1] if each.attempts else None
        return (
            last is not None and each.outcome is Outcome.FAILED and foreseen(last.properties, last.failure_kind) != ""
        )

    def _failure(self, each: TaskRunRecord, width: int) -> str:
        last = each.attempts[-1] if each.attempts else None
        kind = str(last.failure_kind) if last and last.failure_kind else WORDS[each.outcome]
        message = (last.message if last else each.reason).strip().partition("\n")[0].removeprefix(f"{kind}: ")
        name = self.names[each.key.plan, each.key.batch, each.key.task]
        plan = shorten_left(plain(each.key.plan), width // 3)
        return f"run {each.key.run}: {name} of {plan}: {kind}" + (f": {plain(message)}" if message else "")

    def _broken(self, number: int) -> str:
        for outcome in _BLAME:
            for each in self.task_runs:
                if each.key.run == number and each.outcome is outcome:
                    kind = each.attempts[-1].failure_kind if each.attempts else None
                    return f"broken by run {number}: task {self._name(each)} {WORDS[outcome]}" + (
                        f", {kind}" if kind else ""
                    )
        ended = any(run.number == number and run.finished is not None for run in self.runs)
        return f"broken by run {number}" + ("" if ended else ", not ended")

    def _name(self, each: TaskRunRecord) -> str:
        return f"{self.names[each.key.plan, each.key.batch, each.key.task]} of {plain(each.key.plan)}"

    def _pull_requests(self) -> Iterator[str]:
        """The last attempt that names one decides: an earlier one may have left it open."""
        found = {
            (each.key, attempt.properties.get("pull_request")): attempt.properties.get("pull_request_state")
            for each in self.task_runs
            for attempt in each.attempts
        }
        states = [*found.values()]
        merged, still_open = states.count("merged"), states.count("open")
        if merged or still_open:
            yield f"pull requests: {merged} merged" + (f", {still_open} open" if still_open else "")

    def _cost(self) -> Iterator[str]:
        """All attempts count, also those that were repeated; an agent that ran and does not tell is unknown."""
        costs = [cost_of(each.properties) for each in self._attempts() if _costs(each)]
        unknown = costs.count(None)
        known = len(costs) - unknown
        if known:
            rest = f" at least, unknown for {_count(unknown, 'attempt')}" if unknown else ""
            estimated = sum(each.properties.get("cost_estimated") == "yes" for each in self._attempts())
            rest += f", estimated for {_count(estimated, 'attempt')}" if estimated else ""
            if self._rehearsal and not self._in_part:
                rest += " (rehearsal: nothing was paid)"
            yield f"cost: {shown(self._spent())} USD{rest}"
        elif unknown:
            yield f"cost: unknown ({_count(unknown, 'attempt')})"

    def _cost_limit(self) -> Iterator[str]:
        allowed = usd(self.session.facts.get("max_cost", "").split("; ")[-1])  # one more each time it was changed
        if allowed is not None and self._spent() >= allowed:
            reached = f"{shown(self._spent())} USD of {bare(allowed)} (--max-cost)"
            yield f"cost limit reached: {reached}; no task started after that"

    def _spent(self) -> Decimal:
        return sum((cost_of(each.properties) or Decimal() for each in self._attempts()), Decimal())

    def _denied(self) -> Iterator[str]:
        texts = [text for each in self._attempts() if (text := each.properties.get("denied_tools"))]
        calls = sum(map(counted, texts), Counter[str]())
        if calls:
            where = _count(len(texts), "attempt")
            yield f"denied tools: {_count(calls.total(), 'call')} in {where} ({plain(listed(calls))})"

    def _checks(self) -> Iterator[str]:
        unchecked = self._tasks_with("own_checks", "0")
        if unchecked:
            yield f"no check of their own, judged by files alone: {_listed(unchecked, 'task')}"
        vacuous = self._tasks_with("vacuous", "yes")
        if vacuous:
            yield f"vacuous checks, which passed before the agent had started: {_listed(vacuous, 'task')}"
        prose = {
            (each.key.plan, each.key.batch, each.key.task): value
            for each in self.task_runs
            for attempt in each.attempts
            if (value := attempt.properties.get("judge", "")).isdecimal()
        }
        if criteria := sum(map(int, prose.values())):
            yield f"for a person to judge: {_count(criteria, 'criterion', 'criteria')} in prose"
        undeclared = [each for each in self._attempts() if each.properties.get("undeclared")]
        if undeclared:
            yield f"undeclared changes: in {_count(len(undeclared), 'attempt')} (property undeclared names the paths)"

    def _tasks_with(self, name: str, value: str) -> list[str]:
        """Names of the tasks that have this fact in any attempt of any run."""
        found = {
            self._name(each): None
            for each in self.task_runs
            if any(attempt.properties.get(name) == value for attempt in each.attempts)
        }
        return sorted(found, key=natural)

    def _attempts(self) -> Iterator[AttemptRecord]:
        return (attempt for each in self.task_runs for attempt in each.attempts)


def _drawn(each: TaskRunRecord) -> str:
    """How many attempts were made after an agent had begun on an earlier one: second chances."""
    new = draws(each.attempts) - 1
    return _count(new, "new draw") if new > 0 else "no new draw"


def _costs(attempt: AttemptRecord) -> bool:
    return "cost_usd" in attempt.properties or any(step.name == "agent" for step in attempt.steps)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _listed(names: Sequence[str], noun: str, most: int = 5) -> str:
    more = len(names) - most
    return f"{_count(len(names), noun)} ({'; '.join(names[:most])}{f'; and {more} more' if more > 0 else ''})"


def duration(seconds: float) -> str:
    """A time for people."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
