"""Taking up a session again that did not come to its end: which one, with what options, and whether it is free.

What the session was told is written down when it is opened. Whoever takes it up is told the same by that; what is said
anew on the command line may change how it is worked on, and never what is proved.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.options import BY_NAME
from pytest_pipeline.record.costs import limit
from pytest_pipeline.record.database import Database, sqlite_file
from pytest_pipeline.record.model import Outcome, SessionRecord
from pytest_pipeline.record.store import Store
from pytest_pipeline.settings import Settings

LATEST = BY_NAME["resume"].bare
"""What stands for the id of the latest session that can be taken up."""

HARMLESS = frozenset(
    {
        "token_file",
        "forge_pace",
        "forge_time",
        "claude_path",
        "keep_workspaces",
        "max_cost",
        "history",
        "live",
        "report",
        "agent_retries",
    }
)
"""Options that change how a session is worked on, and not what its runs are."""

_HOW_MANY = frozenset({"count", "repeat_scope", "until_consecutive", "history", "count_history", "base", "repo"})
"""Settings that do not change what one run is; the repository is told apart by its name, and may move on."""

_NEVER_KEPT = frozenset({"store", "state_dir", "execution", "resume", "fresh_failures", "explicit"})
"""Where the record is, who wants to find it and what is done with it; a store's URL may hold a password."""


_NOTHING_HERE = "There is no session to resume: nothing was recorded here. Start one without --resume."


@dataclass(frozen=True)
class Recalled:
    """A session as it was told to be.

    Args:
        settings: the session's own, but for what the command line says anew; ``resume`` is the id.
        notes: what is different this time.
    """

    settings: Settings
    notes: tuple[str, ...]


def options_fact(settings: Settings) -> str:
    """What a session was told, as far as it differs from the defaults, for its record."""
    plain, default = settings.to_wire(), Settings().to_wire()
    told = {name: value for name, value in plain.items() if name not in _NEVER_KEPT and value != default[name]}
    return json.dumps({**told, "explicit": sorted(settings.explicit - _NEVER_KEPT)}, sort_keys=True)


def chaos_fact(settings: Settings) -> dict[str, str]:
    """That a session suffers chaos, for its record; nothing where it does not."""
    return {} if settings.chaos is None else {"chaos": f"seed {settings.chaos}, rate {settings.chaos_rate:g}"}


def conditions_fact(settings: Settings) -> str:
    """What tells sessions apart that were told to do their runs in another way, however many."""
    plain = settings.to_wire()
    told = {name: value for name, value in plain.items() if name not in _NEVER_KEPT | HARMLESS | _HOW_MANY}
    return digest(json.dumps(told, sort_keys=True))


def tasks_fact(tasks: Iterable[tuple[str, str, str]]) -> str:
    """What tells the tasks of a run from others: plan, batch and task of each."""
    return digest(json.dumps(sorted(set(tasks))))


def digest(text: str) -> str:
    """Sixteen hexadecimal digits that stand for a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def selection_fact(items: Iterable[str]) -> str:
    """What tells a selection of items from others: how many, and a digest of their node ids."""
    ids = sorted(items)
    return f"{len(ids)} {digest(json.dumps(ids))}"


def recall(settings: Settings, default_store: str) -> Recalled:
    """Find the session that is to be taken up, and what it was told.

    Args:
        settings: what the command line says; ``resume`` names the session.
        default_store: URL of the store where none is named.

    Raises:
        SettingsError: there is no such session, it cannot be taken up, or something that matters is said differently.
        StoreError: the store cannot be read.
    """
    url = settings.store or default_store
    file = sqlite_file(url)
    if (file is not None and not file.exists()) or not Database.is_made(url):
        raise SettingsError(_NOTHING_HERE)
    with Store.open(url) as store:
        record = _chosen(store, settings)
    try:
        known = {name: value for name, value in json.loads(record.facts["options"]).items() if name in BY_NAME}
        explicit = frozenset(json.loads(record.facts["options"])["explicit"])
    except (KeyError, ValueError):
        raise SettingsError(
            f"Session {record.id} was recorded by a version that did not write what it was told. Start a new one."
        ) from None
    recorded = Settings.from_wire({**known, "explicit": list(explicit)})
    notes = _differences(recorded, settings, record.id)
    anew = {name: getattr(settings, name) for name in settings.explicit | _NEVER_KEPT if name != "explicit"}
    anew.update(resume=record.id, explicit=explicit | settings.explicit)
    return Recalled(dataclasses.replace(recorded, **anew), notes)


def _chosen(store: Store, settings: Settings) -> SessionRecord:
    known = store.sessions()
    if not known:
        raise SettingsError(_NOTHING_HERE)
    if settings.resume == LATEST:
        for record in reversed(known):
            if _has_work(store, record, settings):
                return record
        raise SettingsError("Every session came to its end: there is none to resume. Start one without --resume.")
    found = [record for record in known if record.id == settings.resume]
    found = found or [record for record in known if record.id.startswith(str(settings.resume))]
    if len(found) != 1:
        which = "more than one" if found else "no"
        raise SettingsError(
            f"The store {store.where} knows {which} session {settings.resume}. See `python -m pytest_pipeline "
            "sessions`, and write --resume=SESSION, or --resume alone after the plans for the latest one."
        )
    if not _has_work(store, found[0], settings):
        again = "" if settings.fresh_failures else "; --fresh-failures would try failed tasks again"
        raise SettingsError(f"Session {found[0].id} came to its end: nothing is left to do{again}.")
    return found[0]


def _has_work(store: Store, record: SessionRecord, settings: Settings) -> bool:
    if is_unfinished(store, record):
        return True
    outcomes = {each.outcome for each in store.task_runs(record.id)}
    if settings.fresh_failures and Outcome.FAILED in outcomes:
        return True
    return Outcome.SKIPPED in outcomes and _pays_more(store, record, settings)


def _pays_more(store: Store, record: SessionRecord, settings: Settings) -> bool:
    """Whether a session that had cost too much may cost more now."""
    allowed = record.facts.get("max_cost", "").split("; ")[-1]
    if not allowed or "max_cost" not in settings.explicit:
        return False
    spent, now = store.cost(record.id), settings.max_cost
    return spent >= Decimal(allowed) and (now is None or limit(now) > spent)


def is_unfinished(store: Store, record: SessionRecord) -> bool:
    """Whether something that was selected for a session has not come to its end."""
    if record.finished is None:
        return True
    if record.met:
        return False
    ended = [each for each in store.task_runs(record.id) if each.outcome not in (Outcome.RUNNING, Outcome.INTERRUPTED)]
    selected = record.facts.get("selection", "0").partition(" ")[0]
    return len(ended) < int(selected)


def _differences(recorded: Settings, anew: Settings, session: str) -> tuple[str, ...]:
    """Notes on harmless differences, and on what ini files say differently, which does not count.

    Raises:
        SettingsError: another one.
    """
    notes = []
    for name in sorted(anew.explicit - _NEVER_KEPT):
        before, now = getattr(recorded, name), getattr(anew, name)
        if before == now:
            continue
        flag = BY_NAME[name].flag or name
        if name not in HARMLESS:
            raise SettingsError(
                f"Session {session} was told {flag} {_shown(before)}, not {_shown(now)}: its runs would not be the "
                f"same any more. Leave {flag} out, or start a new session."
            )
        notes.append(f"{flag} is {_shown(now)} from now on, it was {_shown(before)}")
    for name in sorted(BY_NAME.keys() - _NEVER_KEPT - anew.explicit - recorded.explicit):
        before, now = getattr(recorded, name), getattr(anew, name)
        if before != now:
            notes.append(f"pipeline_{name} is {_shown(now)} now; this session goes on with {_shown(before)}")
    return tuple(notes)


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def refuse_other_work(record: SessionRecord, facts: Mapping[str, str]) -> None:
    """Make sure that what would be done is what the session was opened for.

    Args:
        record: the session.
        facts: what would be written of a new one.

    Raises:
        SettingsError: plans, selection, repository or starting commit differ; names what.
    """
    differences = (
        ("plans", "its plans were others, or had another text", "Restore them"),
        ("selection", "other items were selected", "Name the same plans, without -k, -m or --lf"),
        ("forge", "its pull requests live on another forge", "Name that one"),
        ("forge_id", "its pull requests live on another embedded forge", "Name its state directory"),
        ("repository", "its repository was another one", "Name that one with --repo"),
        ("base_commit", "its runs started from another commit", "Bring that commit back"),
        ("agent", "its agent was another one", "Name that one with --agent"),
    )
    for name, what, mend in differences:
        before, now = record.facts.get(name), facts.get(name, "")
        if before is not None and before != now:  # what an older version did not write is not compared
            raise SettingsError(
                f"Session {record.id} cannot be resumed like this: {what} ({before}; now {now}). {mend}, or start a "
                "new session."
            )
