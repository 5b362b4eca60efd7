"""Whether what a record says of its criterion follows from its test cases, and from what a store holds beside it.

Runs of earlier sessions (``--count-history``) have test cases in records of their own. Without a store that knows them,
a record is held to what its own runs leave possible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_pipeline.record.claims import Record
from pytest_pipeline.record.criterion import Verdict, judge
from pytest_pipeline.record.evidence import anytime_lower_bound, lower_bound
from pytest_pipeline.record.history import in_a_row, sessions_named
from pytest_pipeline.record.junit import property_value
from pytest_pipeline.record.model import RunRecord, SessionRecord

_FIXED = "runs fixed in advance"


@dataclass(frozen=True)
class Known:
    """What a store beside a record holds of its session.

    Args:
        session: the session.
        earlier: the runs of the earlier sessions that it counts, by session; None: the store has not all of these.
        redrawn: how many of these runs succeeded with a new draw.
    """

    session: SessionRecord
    earlier: Mapping[str, Sequence[RunRecord]] | None = None
    redrawn: int = 0


def is_number(text: str) -> bool:
    """Whether a text of a record is a number that can be: no more than five digits."""
    return text.isascii() and text.isdecimal() and len(text) < 6


def lies_about_criterion(record: Record, runs: Sequence[RunRecord], known: Known | None) -> Iterator[str]:
    """A sentence for everything about the criterion that is not so.

    Args:
        record: the record.
        runs: its runs as its test cases tell of them, in the order of admission.
        known: what a store holds of its session; None: nothing.
    """
    required = record.facts.get("criterion.required", "")
    if not is_number(required) or not int(required):
        yield f"The record requires {required or 'no number of'} consecutive runs, which is no criterion."
        return
    yield from _about_chaos(record)
    if known is not None:
        yield from _against_store(record.facts, known.session)
    if "history" in record.facts:
        yield from _over_sessions(record, runs, int(required), known)
        return
    fixed = record.facts.get("lower_bound_rule") == _FIXED
    verdict = judge(runs, int(required), len(runs), redrawn=_redrawn(record))
    yield from _differing(record, _follows(record, verdict, fixed=fixed))
    if fixed and int(required) != verdict.admitted:
        yield f"The record requires {required} runs and admitted {verdict.admitted}: they were not fixed in advance."


def unconfirmed_history(record: Record, known: Known | None) -> Iterator[str]:
    """A sentence about the runs of earlier sessions, unless it is known how they ended."""
    earlier = sessions_named(record.facts.get("history", ""))[:-1]
    if earlier and _earlier(record, known) is None:
        which = f"session {earlier[0]}" if len(earlier) == 1 else f"{len(earlier)} sessions from {earlier[0]} on"
        yield (
            f"The record counts the runs of {which} too, of which it has no test cases. They cannot be confirmed "
            "without the store that holds them."
        )


def _redrawn(record: Record) -> set[int]:
    """The runs in which an agent had begun more than once on a task, by the test cases."""
    draws = {key: claim.facts.get("draws", "0") for key, claim in record.decided.items()}
    return {key.run for key, told in draws.items() if not is_number(told) or int(told) > 1}


# Chaos


def _chaos(record: Record) -> bool:
    return "chaos" in record.facts or any("chaos" in each.facts for each in record.claims)


def _about_chaos(record: Record) -> Iterator[str]:
    if not _chaos(record):
        return
    if "chaos" not in record.facts:
        yield "Test cases of the record tell of injected faults, and it does not say that its session was under chaos."
    if record.facts.get("criterion.met") == "yes":
        yield "The record is of a session under chaos, which never meets a criterion, and claims that it is met."


# The store


def _against_store(facts: Mapping[str, str], session: SessionRecord) -> Iterator[str]:
    known = {"criterion.required": str(session.required)}
    known |= {name: property_value(name, session.facts[name]) for name in ("chaos", "history") if name in session.facts}
    for name in ("criterion.required", "chaos", "history"):
        told, kept = facts.get(name, ""), known.get(name, "")
        is_longer_by_now = kept.startswith(f"{told}; ")  # the session was taken up again since
        if told != kept and not is_longer_by_now:
            yield f"The record says {name} {told or 'nothing'}; the store says {kept or 'nothing'}."


def _earlier(record: Record, known: Known | None) -> list[Sequence[RunRecord]] | None:
    """The runs of the earlier sessions that count; None: they are not known."""
    named = sessions_named(record.facts.get("history", ""))[:-1]
    if not named:
        return []
    if known is None or known.earlier is None or named != sessions_named(known.session.facts.get("history", ""))[:-1]:
        return None
    return [known.earlier[each] for each in named]


# What follows


def _over_sessions(record: Record, runs: Sequence[RunRecord], required: int, known: Known | None) -> Iterator[str]:
    named = sessions_named(record.facts["history"])
    if not named or named[-1] != record.session or len({*named}) < len(named):
        yield f"The history of the record does not end in its own session {record.session}, or names one twice."
        return
    if record.facts.get("lower_bound_rule") == _FIXED:
        yield "The record counts the runs of several sessions: their number was not fixed in advance."
    own = judge(runs, required, None, redrawn=_redrawn(record))
    earlier = _earlier(record, known)
    if earlier is not None:
        redrawn = own.redrawn + (known.redrawn if known is not None else 0)
        verdict = judge(in_a_row([*earlier, runs]), required, None)
        yield from _differing(record, _follows(record, replace(verdict, redrawn=redrawn)))
        return
    told = [record.facts.get(name, "") for name in ("criterion.streak", "runs.admitted", "runs.successful")]
    told.append(record.facts.get("runs.redrawn", "0"))
    if not all(map(is_number, told)):
        yield "The record does not say its streak and how many runs were admitted and successful in numbers."
        return
    streak, admitted, successful, redrawn = map(int, told)
    said = replace(own, streak=streak, admitted=admitted, successful=successful, redrawn=redrawn)
    impossible = [*_impossible(own, said)]
    yield from impossible
    if not impossible:
        yield from _differing(record, _follows(record, said))


def _impossible(own: Verdict, said: Verdict) -> Iterator[str]:
    """What cannot be, whatever the runs of earlier sessions were."""
    failed, streak, admitted, successful = own.admitted - own.successful, said.streak, said.admitted, said.successful
    if successful < own.successful or admitted - successful < failed:
        yield (
            f"The record says that {successful} of {admitted} runs succeeded; {own.successful} of {own.admitted} did "
            "by its own test cases alone."
        )
    elif not own.redrawn <= said.redrawn <= own.redrawn + successful - own.successful:
        yield f"The record says runs.redrawn {said.redrawn}, which cannot be; {own.redrawn} are by its own test cases."
    elif failed and streak != own.streak:
        yield f"The record says criterion.streak {streak}; from its test cases follows {own.streak}."
    elif not own.streak <= streak <= successful or (successful == admitted and streak != admitted):
        yield f"The record says criterion.streak {streak}, which {successful} successful of {admitted} runs cannot be."


def _follows(record: Record, verdict: Verdict, *, fixed: bool = False) -> dict[str, str]:
    anytime = anytime_lower_bound(verdict.proving, verdict.admitted)
    bound = lower_bound(verdict.proving, verdict.admitted) if fixed else anytime
    return {
        "runs.admitted": str(verdict.admitted),
        "runs.successful": str(verdict.successful),
        "runs.redrawn": str(verdict.redrawn),
        "criterion.streak": str(verdict.streak),
        "criterion.met": "yes" if verdict.streak >= verdict.required and not _chaos(record) else "no",
        "lower_bound": f"{bound:.4f}",
        "lower_bound_anytime": f"{anytime:.4f}",
    }


def _differing(record: Record, follows: Mapping[str, str]) -> Iterator[str]:
    for name, value in follows.items():
        told = record.facts.get(name, "0" if name == "runs.redrawn" else "nothing")
        is_said_already = name == "criterion.met" and told == "yes" and _chaos(record)
        if told != value and not is_said_already:
            yield f"The record says {name} {told}; from its test cases follows {value}."
