"""``verify``: hold a record against git and the forge; every claim is confirmed, or named."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_pipeline.commands import COMMANDS, FAILED
from pytest_pipeline.commands.arguments import Parser
from pytest_pipeline.commands.forge import project_forge
from pytest_pipeline.commands.project import Project, in_project
from pytest_pipeline.commands.recorded import has_store, opened_store, rebuilt, state_of, words_first
from pytest_pipeline.errors import PlanError, SettingsError
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.execution.run_verifying import Findings
from pytest_pipeline.execution.target import find_mirror
from pytest_pipeline.execution.verifying import Selected, Verifier
from pytest_pipeline.forges.base import Forge
from pytest_pipeline.forges.leftovers import session_start
from pytest_pipeline.host.git import Repository
from pytest_pipeline.plans.model import Plan
from pytest_pipeline.plans.reader import parse_plan
from pytest_pipeline.record.claimed_criterion import Known
from pytest_pipeline.record.claims import Record, read_record, record_of
from pytest_pipeline.record.columns import plain
from pytest_pipeline.record.history import redrawn, sessions_named
from pytest_pipeline.record.model import SessionRecord
from pytest_pipeline.record.selection import ALL, SELECTED, Selection
from pytest_pipeline.record.store import Store

_PLAN = re.compile(r"(.+?) ([0-9a-f]{16})(?:, |$)")


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit code: 1 when a claim is false, or cannot be confirmed.

    Raises:
        PipelineError: an option cannot be used, there is no such record, or the forge does not answer.
    """
    words, flags = words_first(arguments)
    parser = Parser("verify", COMMANDS["verify"], words="RECORD.xml|SESSION")
    _, rest = parser.parse_known_args(flags)
    if len(words) != 1:
        parser.error("verify takes one record: a file of --junitxml, or a session of the store")
    return in_project("verify", rest, lambda project: _verify(project, words[0]), takes_words=True)


def _verify(project: Project, wanted: str) -> int:
    file = project.directory / wanted
    record = read_record(file.read_bytes()) if file.is_file() else _of_store(project, wanted)
    if session_start(record.session) is None:
        raise SettingsError(f"The record is of {record.session!r}, which is no id of a session. Name another record.")
    with project_forge(project) as forge, tempfile.TemporaryDirectory() as place:
        _refuse_another_forge(record, forge)
        git = _repository(project, record, Path(place, "verify.git"))
        found = _look(project, record, forge, git)
    for line in told(found, record):
        print(plain(line))
    return FAILED if found.lies or found.open else 0


def _of_store(project: Project, wanted: str) -> Record:
    if wanted.endswith(".xml"):
        raise SettingsError(f"There is no file {wanted}. Name a record that --junitxml has written, or a session.")
    with opened_store(project) as store:
        return record_of(rebuilt(project, store, wanted))


def _refuse_another_forge(record: Record, forge: Forge) -> None:
    said = record.facts.get("forge", "")
    if said != forge.name:
        raise SettingsError(f"The record is about the forge {said!r}, not {forge.name!r}. Choose it with --forge.")
    repository = record.facts.get("repository", "")
    if forge.name == "github" and not f"/{repository}".lower().endswith(f"/{forge.repository}".lower()):
        raise SettingsError(
            f"The record is about the repository {repository}, not {forge.repository}. Name it with --repo."
        )


def _repository(project: Project, record: Record, place: Path) -> Repository:
    """A repository for what is fetched; it borrows what this machine has of the start already."""
    start = record.facts.get("base_commit", "")
    known = re.fullmatch("[0-9a-f]{40}", start) and find_mirror(start, Layout(state_of(project), record.session, place))
    return Repository.create(place, alternates=[known.objects] if known else [])


def _look(project: Project, record: Record, forge: Forge, git: Repository) -> Findings:
    plans, missing = _plans(project, record, git)
    part = record.facts.get(SELECTED, "nothing")
    selected, known = _known_here(project, record)
    if selected is None and part != ALL:
        selected = Selected(())
        missing.append(
            f"The record says that {part} of the items of its plans were selected; that it leaves out no other cannot "
            "be confirmed without the store."
        )
    found = Verifier(record, forge, git, plans, selected, known).verify()
    found.open[:0] = missing
    return found


def _known_here(project: Project, record: Record) -> tuple[Selected | None, Known | None]:
    """What the store knows of the session: what was selected, and how it and the earlier ones that it counts ended."""
    if not has_store(project):
        return None, None
    with opened_store(project) as store:
        session = store.find_session(record.session)
        if session is None:
            return None, None
        earlier = sessions_named(session.facts.get("history", ""))[:-1]
        runs = {each: store.runs(each) for each in earlier if store.find_session(each)}
        drawn_anew = redrawn(store, runs)
        known = Known(session, runs if len(runs) == len(earlier) else None, drawn_anew)
        return _selected(store, record, session), known


def _selected(store: Store, record: Record, session: SessionRecord) -> Selected | None:
    """The items; the store may excuse that one is missing, and supports no claim about one."""
    selection = Selection.read(session)
    if selection is None:
        return None
    runs = {each.key.run for each in record.claims}
    begun = {each.key for each in store.task_runs(record.session)}
    items = [key for key, _, _ in selection.nodes(record.session) if key.run <= max(runs, default=0)]
    return Selected(items, [key for key in items if key not in begun])


def _plans(project: Project, record: Record, git: Repository) -> tuple[dict[str, Plan], list[str]]:
    """The plans that the record names, by path, and a sentence for each whose text is not here: the digest tells."""
    named = dict(_PLAN.findall(record.facts.get("plans", "")))
    found: dict[str, Plan] = {}
    for path, digest in named.items():
        for text in _texts(project, record, git, path):
            plan = _parsed(text, path)
            if plan is not None and plan.digest == digest:
                found[path] = plan
                break
    claimed = {each.key.plan for each in record.claims}
    return found, [
        f"The text of {path} that the record names is not here, so its tasks and their files cannot be confirmed. "
        "Check out the commit that holds it."
        for path in sorted({*named, *claimed} - found.keys())
    ]


def _texts(project: Project, record: Record, git: Repository, path: str) -> Iterator[str]:
    place = project.rootdir / path
    if place.is_file():
        yield place.read_text("utf-8", "replace")
    start = record.facts.get("base_commit", "")
    checkout = Repository.of_checkout(project.rootdir)
    for repository in (git, *([checkout] if checkout is not None else [])):
        if re.fullmatch("[0-9a-f]{40}", start) and repository.resolve(start):
            content = repository.tree(start).read(path)
            if content is not None:
                yield content.decode("utf-8", "replace")


def _parsed(text: str, path: str) -> Plan | None:
    try:
        return parse_plan(text, path)
    except PlanError:
        return None


def told(found: Findings, record: Record) -> Iterator[str]:
    """The lines of the answer; the last one has the figures."""
    yield from (f"LIE: {each}" for each in found.lies)
    yield from (f"CANNOT BE CONFIRMED: {each}" for each in found.open)
    figures = (
        f"Of session {record.session}, with {len(record.claims)} test cases, these are as the record says: base "
        f"branches {found.runs}, merges {found.merges}, pull requests {found.pull_requests}"
    )
    if not found.lies and not found.open:
        yield f"Everything is confirmed. {figures}."
        return
    yield f"False: {len(found.lies)}. Cannot be confirmed: {len(found.open)}. {figures}."
