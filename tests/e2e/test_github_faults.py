"""Every fault of GitHub at every call of a task, and what must come of it.

A third of them each day, in turns; all of them with ``PIPELINE_GITHUB_FAULTS=1``, for the night, and where
``python -m tests.e2e.github_fault_table`` prints them. Nobody waits: forge, gate and GitHub live by
one clock, which only sleeping moves.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime, timezone

import pytest

from tests.e2e.github_calls import MUTATIONS
from tests.e2e.github_cells import GROUPS
from tests.e2e.github_injecting import Cell, Found, run_cells
from tests.e2e.github_project import GitHubProject

Recorder = Callable[[str, object], None]
_TURNS = 3
_USUALLY = {"push": 2, "open": 1, "merge": 1, "delete": 1}


@pytest.mark.parametrize("group", GROUPS)
def test_a_fault_ends_as_it_must_and_nothing_is_done_twice(
    group: str, github: GitHubProject, monkeypatch: pytest.MonkeyPatch, record_property: Recorder
) -> None:
    cells = due(GROUPS[group])
    wrong = []
    for cell, found in zip(cells, run_cells(github, cells, monkeypatch), strict=True):
        problems = judged(cell, found)
        record_property("row", [cell.call.name, cell.trouble.name, *shown(found), *problems])
        if problems:
            said = found.message
            wrong.append(f"{cell.call.name} / {cell.trouble.name}: {'; '.join(problems)}\n  {said}")
    assert not wrong, "\n" + "\n".join(wrong)


def due(cells: Sequence[Cell]) -> Sequence[Cell]:
    """Those whose turn it is."""
    if os.environ.get("PIPELINE_GITHUB_FAULTS"):
        return cells
    return cells[datetime.now(timezone.utc).toordinal() % _TURNS :: _TURNS]


@pytest.mark.parametrize("group", GROUPS)
def test_every_fault_has_its_turn(group: str) -> None:
    turns = [GROUPS[group][turn::_TURNS] for turn in range(_TURNS)]
    assert all(turns)
    assert sum(map(len, turns)) == len(GROUPS[group])


def judged(cell: Cell, found: Found) -> list[str]:
    """What is not as it must be."""
    problems = []
    if found.left:
        problems.append(f"{found.left} faults did not come up")
    if found.kind != cell.kind or cell.says not in found.message:
        problems.append(f"ended as {found.kind or 'passed'}, not as {cell.kind or 'passed'}: {cell.says}")
    if not cell.waits[0] <= found.waited <= cell.waits[1]:
        problems.append(f"waited {found.waited} s, not {cell.waits}")
    return problems + (_judged_failure(cell, found) if cell.kind else _judged_success(cell, found))


def _judged_success(cell: Cell, found: Found) -> list[str]:
    problems = []
    if [(pull.now.merged, pull.now.state) for pull in found.pulls] != [(True, "closed")] or found.merges != 1:
        problems.append(f"{len(found.pulls)} pull requests, merged {found.merges} times")
    if list(found.branches) != ["base"]:
        problems.append(f"branches left: {sorted(found.branches)}")
    if found.on_top != cell.on_top:
        problems.append(f"{found.on_top} commits in the base")
    for name, route in MUTATIONS.items():
        here = cell.trouble.undone if cell.call.route == route else 0
        allowed = cell.asked.get(name, (_USUALLY[name] + here,))
        if found.asked[name] not in allowed:
            problems.append(f"{name} was asked {found.asked[name]} times, not {allowed}")
    return problems


def _judged_failure(cell: Cell, found: Found) -> list[str]:
    problems = []
    expected = cell.ends or (int(cell.call.opened), int(cell.call.merged))
    if (len(found.pulls), found.merges) != expected:
        problems.append(f"{len(found.pulls)} pull requests, merged {found.merges} times, not {expected}")
    for name, usually in _USUALLY.items():
        if found.asked[name] > max(cell.asked.get(name, (usually,))):
            problems.append(f"{name} was asked {found.asked[name]} times")
    return problems


def shown(found: Found) -> list[str]:
    """What came of it, for a reader."""
    asked = ", ".join(f"{name} {found.asked[name]}" for name in _USUALLY)
    end = f"failed ({found.kind})" if found.kind else "passed"
    return [end, str(len(found.pulls)), str(found.merges), asked, f"{found.waited:.0f}", found.message]
