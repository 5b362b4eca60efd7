"""``junit``: make the JUnit record of a session again, from the store: also of one that was killed."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from pytest_pipeline.commands import COMMANDS
from pytest_pipeline.commands.arguments import Parser
from pytest_pipeline.commands.project import Project, in_project
from pytest_pipeline.commands.recorded import LATEST, opened_store, rebuilt, words_first
from pytest_pipeline.errors import SettingsError
from pytest_pipeline.host.whole_file import write_whole
from pytest_pipeline.record.junit import clean
from pytest_pipeline.record.rebuilding import INTERRUPTED, Case, Rebuilt
from pytest_pipeline.record.reported import Ended, Reported, When

_STDOUT = "-"
_INI = re.compile(r"\w+=")  # -o NAME=VALUE is pytest's


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit code.

    Raises:
        PipelineError: an option cannot be used, there is no such session, or the file cannot be written.
    """
    words, flags = words_first(arguments)
    parser = Parser("junit", COMMANDS["junit"], words="[SESSION]")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        action="append",
        default=[],
        help="Where it is written, all at once; - or nothing: to the terminal.",
    )
    options, rest = parser.parse_known_args(flags)
    if len(words) > 1:
        parser.error(f"junit takes one session, not {words[1]!r} too")
    files = [each for each in options.output if not _INI.match(each)]
    ini = [part for each in options.output if _INI.match(each) for part in ("-o", each)]
    session, target = (words or [LATEST])[0], (files or [_STDOUT])[-1]
    return in_project("junit", [*rest, *ini], lambda project: _junit(project, session, target), takes_words=True)


def _junit(project: Project, session: str, target: str) -> int:
    with opened_store(project) as store:
        record = rebuilt(project, store, session)
    text = as_xml(project.config, record)
    if target == _STDOUT:
        sys.stdout.write(text + "\n")
        return 0
    write_whole(project.directory / target, f"{text}\n")
    print(f"{len(record.cases)} test cases of session {record.session.id} are in {target}.")
    return 0


def as_xml(config: pytest.Config, record: Rebuilt) -> str:
    """The record as pytest itself writes it with ``--junitxml`` under this configuration.

    Args:
        config: pytest's configuration, not configured.
        record: what to write.

    Raises:
        SettingsError: pytest's own writer is switched off.
    """
    plugin = config.pluginmanager.get_plugin("junitxml")
    if plugin is None:
        raise SettingsError("pytest's own plugin junitxml is switched off here (-p no:junitxml). Switch it on.")
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "record.xml")
        config.option.xmlpath = str(file)
        plugin.pytest_configure(config)
        try:
            writer = next(each for each in config.pluginmanager.get_plugins() if hasattr(each, "add_global_property"))
            writer.pytest_sessionstart()
            for case in record.cases:
                for report in _reports(case, config.rootpath):
                    writer.pytest_runtest_logreport(report)
            for name, value in record.properties:
                writer.add_global_property(name, value)
            writer.pytest_sessionfinish()
        finally:
            plugin.pytest_unconfigure(config)
        tree = ElementTree.parse(file).getroot()
    _amend(tree, record)
    return '<?xml version="1.0" encoding="utf-8"?>' + ElementTree.tostring(tree, encoding="unicode")


def _amend(tree: ElementTree.Element, record: Rebuilt) -> None:
    """What the writer takes from the clock, and the one thing that pytest has no report for: an interruption."""
    session = record.session
    for suite in tree.iter("testsuite"):
        suite.set("timestamp", session.started.isoformat())
        ended = session.finished or session.started
        suite.set("time", f"{(ended - session.started).total_seconds():.3f}")
    for error in tree.iter("error"):
        if (error.text or "").startswith(INTERRUPTED):
            error.set("message", (error.text or "").splitlines()[0])


@dataclass
class _Traceback:
    """Stands for pytest's own form of an exception: the whole text, and the line that says what was raised."""

    text: str
    reprcrash: SimpleNamespace

    def __str__(self) -> str:
        return self.text


def _reports(case: Case, rootdir: Path) -> Iterator[pytest.TestReport]:
    """What pytest reported of a test case, phase by phase."""
    reported = case.reported
    phases: tuple[When, ...] = ("setup", "call", "teardown")
    if reported is not None and reported.when == "setup":
        phases = ("setup", "teardown")
    for phase in phases:
        told = reported if reported is not None and reported.when == phase else None
        if phase == "call" and told is None and not case.passed:
            continue  # repeated: pytest's record says nothing of how it ended
        outcome: Ended = told.outcome if told is not None else "passed"
        report = pytest.TestReport(
            nodeid=case.node,
            location=(case.item.plan, case.item.line - 1, clean(case.item.title)),
            keywords={},
            outcome=outcome,
            longrepr=None if told is None else _shown(told, case, rootdir),  # type: ignore[arg-type] # see _Traceback
            when=phase,
            duration=case.seconds if phase == phases[-2] else 0.0,
            user_properties=case.properties,
        )
        if told is not None and told.expected is not None:
            report.wasxfail = told.expected
        yield report


def _shown(told: Reported, case: Case, rootdir: Path) -> tuple[str, int, str] | str | _Traceback:
    if told.outcome == "skipped" and told.expected is None:
        return str(rootdir / case.item.plan), case.item.line, told.text
    return told.text if told.crash is None else _Traceback(told.text, SimpleNamespace(message=told.crash))
