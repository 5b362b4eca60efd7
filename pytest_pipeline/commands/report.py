"""``report``: a session as one HTML file that needs no server, also one that still runs or was killed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_pipeline.commands import COMMANDS
from pytest_pipeline.commands.arguments import Parser
from pytest_pipeline.commands.project import Project, in_project
from pytest_pipeline.commands.recorded import LATEST, find_session, opened_store, runs_now, state_of, words_first
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.execution.reporting import session_report
from pytest_pipeline.execution.steps import now
from pytest_pipeline.host.whole_file import write_whole


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit code.

    Raises:
        PipelineError: there is no such session, or the file cannot be written.
    """
    words, flags = words_first(arguments)
    parser = Parser("report", COMMANDS["report"], words="[SESSION]")
    parser.add_argument("-o", "--output", metavar="FILE", default="report.html", help="Default: %(default)s.")
    options, rest = parser.parse_known_args(flags)
    if len(words) > 1:
        parser.error(f"report takes one session, not {words[1]!r} too")
    wanted = (words or [LATEST])[0]
    return in_project("report", rest, lambda project: _report(project, wanted, options.output), takes_words=True)


def _report(project: Project, wanted: str, target: str) -> int:
    with opened_store(project) as store:
        session = find_session(store, wanted)
        layout = Layout(state_of(project), session.id, Path())
        text = session_report(store, layout, project.rootdir, alive=runs_now(project, session), now=now())
    write_whole(project.directory / target, text)
    print(f"Session {session.id} is in {target}. Open it in a browser.")
    return 0
