"""The sessions that this project's store holds, for commands that read the record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from pytest_pipeline.commands.project import Project
from pytest_pipeline.errors import SettingsError, StoreError
from pytest_pipeline.execution.alive import is_alive
from pytest_pipeline.execution.layout import store_url
from pytest_pipeline.execution.opening import state_place
from pytest_pipeline.record.database import Database, sqlite_file
from pytest_pipeline.record.history import verdict_of
from pytest_pipeline.record.model import SessionRecord
from pytest_pipeline.record.rebuilding import Rebuilt, rebuild
from pytest_pipeline.record.store import Store

LATEST = "latest"
"""What stands for the session that began last."""


def words_first(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """A command's words, and its options: who knows only some options cannot tell a word from another one's value."""
    words = list(takewhile(lambda each: not each.startswith("-") or each == "-", arguments))
    return words, list(arguments[len(words) :])


def state_of(project: Project) -> Path:
    """The project's state directory."""
    return state_place(project.directory, project.rootdir) / project.settings.state_dir


def has_store(project: Project) -> bool:
    """Whether there is a store; none is made.

    Raises:
        StoreError: what is there is none.
    """
    url = _url(project)
    file = sqlite_file(url)
    return (file is None or file.exists()) and Database.is_made(url)


@contextmanager
def opened_store(project: Project) -> Iterator[Store]:
    """The project's store for as long as the context lasts.

    Raises:
        StoreError: there is none, or it cannot be used.
    """
    if not has_store(project):
        raise StoreError(
            "There is no record here yet. Run a plan first, or name the store with --pipeline-store URL; run commands "
            "in the directory of the project."
        )
    with Store.open(_url(project)) as store:
        yield store


def _url(project: Project) -> str:
    return project.settings.store or store_url(state_of(project))


def find_session(store: Store, wanted: str) -> SessionRecord:
    """The session of that id, of the only id that begins so, or the latest one.

    Args:
        store: the store.
        wanted: an id, its beginning, or ``latest``.

    Raises:
        SettingsError: there is none, or there are several.
    """
    sessions = store.sessions()
    if wanted == LATEST and sessions:
        return sessions[-1]
    found = [each for each in sessions if wanted and each.id.startswith(wanted)]
    found = [each for each in found if each.id == wanted] or found
    if not found:
        raise SettingsError(f"The store holds no session {wanted!r}. `sessions` lists them all.")
    if len(found) > 1:
        ids = ", ".join(each.id for each in found[:5])
        more = ", ..." if len(found) > 5 else ""
        raise SettingsError(f"{wanted!r} is the beginning of {len(found)} sessions: {ids}{more}. Write more of the id.")
    return found[0]


def runs_now(project: Project, session: SessionRecord) -> bool:
    """Whether a process carries the session on."""
    return session.finished is None and is_alive(state_of(project), session.id, sqlite_file(_url(project)))


def rebuilt(project: Project, store: Store, wanted: str) -> Rebuilt:
    """The record of a session, made again from the store.

    Raises:
        SettingsError: there is no such session, or it still runs.
        StoreError: the store does not hold enough of it.
    """
    session = find_session(store, wanted)
    if runs_now(project, session):
        raise SettingsError(f"Session {session.id} still runs. Wait until it has ended.")
    return rebuild(session, verdict_of(store, session), store.task_runs(session.id), store.cost(session.id))
