"""``clean``: list what sessions left on the forge and, when told so, remove it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pytest_pipeline.commands import COMMANDS, FAILED
from pytest_pipeline.commands.ages import read_age, show_age
from pytest_pipeline.commands.arguments import Parser
from pytest_pipeline.commands.forge import sweepable_forge
from pytest_pipeline.commands.project import Project, in_project
from pytest_pipeline.errors import PipelineError, SettingsError
from pytest_pipeline.forges.leftovers import BranchKind, Leftover, Sweepable, session_start
from pytest_pipeline.record.columns import fit, plain, width

_YOUNGEST = timedelta(days=1)
_HEADINGS = ("age", "session", "branch", "head", "pull request")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Selection:
    """Which sessions are cleaned up after.

    Args:
        older_than: the least age of a session.
        session: id of the only one; None: all.
    """

    older_than: timedelta
    session: str | None = None

    def admits(self, leftover: Leftover, now: datetime) -> bool:
        """Whether it is a leftover of one of these sessions."""
        age = max(now - leftover.branch.started, timedelta(0))  # clocks differ
        return self.session in (None, leftover.branch.session) and age >= self.older_than

    def __str__(self) -> str:
        which = f"session {self.session}" if self.session else "sessions"
        return (
            f"{which} that started at least {show_age(self.older_than)} ago"
            if self.older_than
            else f"{which} of any age"
        )


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit code.

    Raises:
        PipelineError: an option cannot be used, or the forge does not answer.
    """
    parser = Parser("clean", COMMANDS["clean"])
    parser.add_argument("--session", metavar="ID", help="Only this session, whatever its age.")
    parser.add_argument(
        "--older-than",
        metavar="AGE",
        help="Only sessions that started so long ago, for example 12h, 7d or 2w. Default: 1d, because nothing tells a "
        "session that still runs from one that has ended; 0 takes all.",
    )
    parser.add_argument("--yes", action="store_true", help="Remove what is listed without this.")
    options, rest = parser.parse_known_args(arguments)
    selection = _selection(options)
    return in_project("clean", rest, lambda project: _clean(project, selection, remove=options.yes))


def _selection(options: argparse.Namespace) -> Selection:
    if options.session is not None and session_start(options.session) is None:
        raise SettingsError(
            f"--session must be the id of a session, such as 20260131-235959-a1b2c3, not {options.session!r}. "
            "`clean` lists them in its second column."
        )
    if options.older_than is None:
        return Selection(timedelta(0) if options.session else _YOUNGEST, options.session)
    try:
        return Selection(read_age(options.older_than), options.session)
    except ValueError as error:
        raise SettingsError(f"--older-than {error}. Correct it and run again.") from None


def _clean(project: Project, selection: Selection, *, remove: bool) -> int:
    with sweepable_forge(project) as forge:
        everything, now = forge.leftovers(), datetime.now(timezone.utc)
        chosen = [each for each in everything if selection.admits(each, now)]
        where = plain(f"{forge.name} ({forge.repository})")
        others = _others(len(everything) - len(chosen), selection)
        if not chosen:
            print(f"Nothing is left on the forge {where} by {selection}{others}.")
            return 0
        if remove:
            return sweep(forge, chosen, _say)
        print(f"Left on the forge {where} by {selection}{others}:\n")
        for line in (*table(chosen, now), "", *_advice(chosen)):
            print(line)
        return 0


def _say(line: str) -> None:
    print(line, flush=True)


def _others(count: int, selection: Selection) -> str:
    if not count:
        return ""
    how = "" if selection.session else " (they may still run; --older-than 0 takes all, --session ID one)"
    return f"; {_branches(count)} of other sessions not counted{how}"


def table(leftovers: Iterable[Leftover], now: datetime) -> Iterator[str]:
    """The lines of a table with a line for each branch."""
    rows = [_HEADINGS, *(_row(each, now) for each in leftovers)]
    widths = [max(width(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    for row in rows:
        yield "  ".join(fit(cell, room) for cell, room in zip(row, widths, strict=True)).rstrip()


def _row(leftover: Leftover, now: datetime) -> tuple[str, ...]:
    branch = leftover.branch
    pulls = ", ".join(f"#{each.number} {each.url}" for each in leftover.pull_requests)
    kept = f"stays: {leftover.kept}" if leftover.kept else ""
    last = plain("; ".join(filter(None, (pulls, kept))) or "none")
    return show_age(now - branch.started), branch.session, branch.name, leftover.head[:12], last


def _advice(leftovers: Sequence[Leftover]) -> Iterator[str]:
    """The total, and what --yes would do."""
    free = [each for each in leftovers if not each.kept]
    pulls = sum(len(each.pull_requests) for each in free)
    sessions = len({each.branch.session for each in leftovers})
    stay = f"; {len(leftovers) - len(free)} of them cannot be removed" if len(free) < len(leftovers) else ""
    yield f"{_branches(len(leftovers))} of {_counted(sessions, 'session')}{stay}."
    if any(each.branch.kind is BranchKind.BASE for each in free):
        yield "A branch that ends in /base holds what its run has merged; it is lost with it."
    if free:
        closes = f"close {_counted(pulls, 'pull request')} and " if pulls else ""
        yield f"Nothing was removed. Add --yes to {closes}delete {_branches(len(free))}."


def sweep(forge: Sweepable, leftovers: Iterable[Leftover], say: Say) -> int:
    """Remove what may be removed, and say so line by line.

    Args:
        forge: where they are.
        leftovers: in the order in which the forge gave them.
        say: takes a line.

    Returns:
        The exit code: 1 when something is still there.
    """
    done = [_remove(forge, each, say) for each in leftovers]
    say(f"{_branches(done.count(True))} deleted, {done.count(False)} still there.")
    return 0 if all(done) else FAILED


def _remove(forge: Sweepable, leftover: Leftover, say: Say) -> bool:
    name = leftover.branch.name
    if leftover.kept:
        say(plain(f"stays: {name}: {leftover.kept}"))
        return False
    try:
        closed = forge.remove(leftover)
    except PipelineError as error:
        say(plain(f"not deleted: {name}: {error}"))
        return False
    for each in closed:
        say(plain(f"closed: pull request #{each.number} {each.url}"))
    say(f"deleted: {name}")
    return True


def _counted(count: int, noun: str, end: str = "s") -> str:
    return f"{count} {noun}{'' if count == 1 else end}"


def _branches(count: int) -> str:
    return _counted(count, "branch", "es")
