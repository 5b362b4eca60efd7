"""Properties for JUnit XML, made from the store alone. The names are defined here and nowhere else.

The execution gives facts about an attempt to the store by short names (``branch``); each becomes a property of the
test case with the prefix (``pipeline.branch``). Names that are not listed, from a user's hooks, follow the listed
ones in the order of the alphabet. What is not known has no property.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from pytest_pipeline.record.costs import cost_of
from pytest_pipeline.record.criterion import Verdict
from pytest_pipeline.record.draws import draws
from pytest_pipeline.record.evidence import anytime_lower_bound, lower_bound
from pytest_pipeline.record.model import SessionRecord, TaskRunRecord
from pytest_pipeline.record.selection import ITEMS, SELECTED

PREFIX = "pipeline."

ATTEMPT_FACTS: Mapping[str, str] = MappingProxyType(
    {
        "agent": "who did the task, for example claude, claude (rehearsal) or reference",
        "agent_version": "its version",
        "model": "the model it used",
        "agent_session": "the agent's own id of its session",
        "agent_status": "how the agent ended: ok, failed, timeout, budget, turns or unavailable",
        "rehearsal": "what stood in for the model, scripted or cassette: none took part",
        "cost_usd": "what it cost in US dollars, as far as the agent tells; missing: unknown",
        "cost_estimated": "yes when that was put together from what was seen; the agent did not get to tell it",
        "turns": "model turns",
        "tokens": "tokens used",
        "base_commit": "commit that the run started from",
        "denied_tools": "tools that the agent asked for and was denied, with the number of calls",
        "branch": "branch that was pushed",
        "commit": "commit that was verified and pushed",
        "pull_request": "number of the pull request",
        "pull_request_url": "its address",
        "pull_request_state": "merged or open",
        "merge_commit": "commit that the merge made",
        "updated_commit": "head of the branch after it was brought up to date with its base, where rules demand that",
        "forge_waited": "seconds that the forge's limits made it wait",
        "own_checks": "number of verification commands and predicates that the task brings",
        "judge": "number of criteria in prose and of refused commands, which a person must judge",
        "vacuous": "yes when the verification passed before the agent had started, else no",
        "undeclared": "paths that were changed without being declared",
        "base_branch": "the run's base branch, which pull requests are merged into",
        "parent_commit": "commit of the base branch that the task started from",
        "merge_base": "commit of the base branch that it was merged onto",
        "transcript": "what the agent printed, as a path relative to the rootdir",
        "transcript_truncated": "yes when the transcript holds less than that",
        "agent_committed": "yes when the agent made commits of its own, which are squashed into ours, else no",
        "agent_survivors": "number of processes that the agent had left behind; they were killed",
        "refused_as": "kind of the failure that Expect: failure asked for",
        "refusal": "its first line",
        "chaos": "faults that were injected, each with what had to become of it: absorbed, or the kind of the failure",
        "merges": "number of merges of the plan on the base branch, in a final state",
    }
)
"""Facts about an attempt by their names in the store."""

TESTCASE_PROPERTIES: Mapping[str, str] = MappingProxyType(
    {
        "session": "id of the session",
        "run": "number of the run",
        "plan": "path of the plan",
        "batch": "the batch in the plan",
        "task": "the task in the batch, or final-state",
        "attempt": "number of the attempt that decided",
        "draws": "attempts in which an agent had begun, where there are several: more than one is a second chance",
        "cost_usd_all_attempts": "what all attempts so far cost together, where there are several",
        "outcome": "passed, failed, skipped, completed, interrupted or running",
        "failure_kind": "whose fault the failure is",
        **ATTEMPT_FACTS,
    }
)
"""Properties of a test case without their prefix, in order, and what they mean."""

SESSION_FACTS: Mapping[str, str] = MappingProxyType(
    {
        "agent": "who did the tasks",
        "agent_version": "its version",
        "model": "the model that was asked for",
        "rehearsal": "what stood in for a model, scripted or cassette; `in part` where not all agents rehearsed",
        "max_cost": "most US dollars that the session was allowed to cost",
        "execution": "id of the execution, where a server has started the session",
        "forge": "where pull requests live",
        "repository": "the target repository",
        "base_commit": "commit that every run started from",
        "plans": "the plans, each with a digest of its text",
        SELECTED: "all, or how many of the items of the plans in all runs were selected",
        "unreadable": "plans that cannot be read, because of which no run is a success",
        "versions": "versions of pytest-pipeline, pytest, Python and git",
        "chaos": "seed and rate of the faults that were injected; such a session never meets a criterion",
        "history": "with --count-history: ids of the sessions whose runs count, the oldest first",
        "resumed": "when the session was taken up again after it had been interrupted",
    }
)
"""Facts about a session by their names in the store."""

IN_PART = ", in part"
"""How the fact ``rehearsal`` ends where an agent that does not rehearse took part too."""

REPORT = "report"
"""Name of the fact about an attempt that holds what pytest reported of it; no property, for JUnit has it anyway."""

NO_PROPERTIES = frozenset({REPORT, ITEMS, "options", "selection", "tasks", "conditions", "forge_id"})
"""What is kept for records made again, and to resume and compare sessions."""

_SHARED = ("agent", "base_commit")  # what a session says holds for a task that did not get to say it

SUITE_PROPERTIES: Mapping[str, str] = MappingProxyType(
    {
        "session": "id of the session",
        **SESSION_FACTS,
        "criterion.required": "consecutive successful runs that are required",
        "criterion.streak": "consecutive successful runs at the end of the admitted ones",
        "criterion.met": "yes or no",
        "runs.admitted": "runs that were admitted; each of them counts",
        "runs.successful": "runs that succeeded",
        "runs.redrawn": "those of them with a task on which an agent had begun more than once: they prove nothing",
        "runs.order": "numbers of its runs in the order of admission: with --count-history, or not by number",
        "lower_bound": "95 % lower bound of the success rate of whole runs that holds for this session",
        "lower_bound_rule": "what it rests on: runs fixed in advance, or looking whenever one likes",
        "lower_bound_anytime": "the bound for looking whenever one likes",
    }
)
"""Properties of the suite without their prefix, in order, and what they mean."""

LONGEST_VALUE = 2000
"""Characters of a property; a record is no place for files."""

_WHOLE = frozenset({"history"})  # ids of ours, one a night

# All that XML 1.0 forbids, and the control characters above ASCII, with which terminals can be steered.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\u007e\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    r"""The text with everything that XML 1.0 forbids, and further control characters, as ``\x1b`` or ``\ud800``."""
    return _FORBIDDEN.sub(lambda match: escaped(match[0]), text)


def escaped(character: str) -> str:
    r"""The character as ``\x1b``, ``\ud800`` or ``\U0001f600``."""
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def testcase_properties(session: SessionRecord, task_run: TaskRunRecord) -> tuple[tuple[str, str], ...]:
    """Properties of one task run's test case, see :data:`TESTCASE_PROPERTIES`.

    Args:
        session: gives what the attempt itself does not say.
        task_run: its last attempt decides.
    """
    key = task_run.key
    known = {name: session.facts[name] for name in _SHARED if name in session.facts}
    if task_run.attempts:
        last = task_run.attempts[-1]
        known |= last.properties
        known["attempt"] = str(last.number)
        costs = [cost for attempt in task_run.attempts if (cost := cost_of(attempt.properties)) is not None]
        if len(task_run.attempts) > 1:
            known["draws"] = str(draws(task_run.attempts))
            if costs:
                known["cost_usd_all_attempts"] = str(sum(costs))
        if last.failure_kind is not None:
            known["failure_kind"] = str(last.failure_kind)
    known |= {
        "session": key.session,
        "run": str(key.run),
        "plan": key.plan,
        "batch": key.batch,
        "task": key.task,
        "outcome": str(task_run.outcome),
    }
    return _properties(known, TESTCASE_PROPERTIES)


def suite_properties(session: SessionRecord, verdict: Verdict) -> tuple[tuple[str, str], ...]:
    """Properties of the suite, see :data:`SUITE_PROPERTIES`.

    Args:
        session: its facts become properties, also those that are not listed.
        verdict: what :func:`~pytest_pipeline.record.criterion.judge` says about its runs.
    """
    anytime = anytime_lower_bound(verdict.proving, verdict.admitted)
    fixed = verdict.fixed_in_advance
    bound = lower_bound(verdict.proving, verdict.admitted) if fixed else anytime
    known = {
        **session.facts,
        "session": session.id,
        "criterion.required": str(verdict.required),
        "criterion.streak": str(verdict.streak),
        "criterion.met": "yes" if verdict.met else "no",
        "runs.admitted": str(verdict.admitted),
        "runs.successful": str(verdict.successful),
        **({"runs.redrawn": str(verdict.redrawn)} if verdict.redrawn else {}),
        **({"runs.order": " ".join(map(str, verdict.order))} if _must_tell_order(session, verdict) else {}),
        "lower_bound": f"{bound:.4f}",
        "lower_bound_rule": "runs fixed in advance" if fixed else "looking whenever one likes",
        "lower_bound_anytime": f"{anytime:.4f}",
    }
    return _properties(known, SUITE_PROPERTIES)


def _must_tell_order(session: SessionRecord, verdict: Verdict) -> bool:
    """With a history ``runs.admitted`` does not tell which of the session's own runs were admitted."""
    return "history" in session.facts or verdict.order != tuple(sorted(verdict.order))


def _properties(known: Mapping[str, str], listed: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    names = [name for name in listed if name in known] + sorted(known.keys() - listed.keys() - NO_PROPERTIES)
    return tuple((PREFIX + clean(name), property_value(name, str(known[name]))) for name in names)


def property_value(name: str, text: str) -> str:
    """A fact as the property of that name says it."""
    text = clean(text)
    if len(text) <= LONGEST_VALUE or name in _WHOLE:
        return text
    more = f" ... ({len(text)} characters)"
    return text[: LONGEST_VALUE - len(more)] + more
