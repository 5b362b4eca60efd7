from __future__ import annotations

import pytest

from pytest_pipeline.record.model import SessionRecord, TaskRunKey
from pytest_pipeline.record.selection import ITEMS, SELECTED, Selection
from tests.record.conftest import at

TITLES = {("p.md", "1", "1.1"): ("Make it", 7), ("p.md", "", "final-state"): ("final state", 1)}


def keys(runs: list[int], count: int) -> dict[str, TaskRunKey]:
    width = max(2, len(str(count)))
    return {
        node: TaskRunKey("S", run, "p.md", batch, task)
        for run in runs
        for node, batch, task in (
            (
                f"p.md::run-{run:0{width}d}::batch-1::1.1-make-it" if count > 1 else "p.md::batch-1::1.1-make-it",
                "1",
                "1.1",
            ),
            (f"p.md::run-{run:0{width}d}::final-state" if count > 1 else "p.md::final-state", "", "final-state"),
        )
    }


@pytest.mark.parametrize(("runs", "count"), [([1], 1), ([1, 2, 3, 5, 9, 10], 10), ([3, 100], 100)])
def test_what_was_selected_comes_back_with_its_node_ids(runs: list[int], count: int) -> None:
    selected = keys(runs, count)

    facts = Selection.of(selected, TITLES, count=count).facts(len(TITLES) * count)
    found = Selection.read(SessionRecord("S", at(0), count, count, facts))

    assert found is not None
    assert {node: key for key, _, node in found.nodes("S")} == selected
    assert [key.run for key, _, _ in found.nodes("S")] == sorted(2 * runs)
    assert {(item.title, item.line) for item in found.items} == set(TITLES.values())


def test_it_is_told_whether_that_is_all() -> None:
    assert Selection.of(keys([1, 2], 2), TITLES, count=2).facts(4)[SELECTED] == "all"
    assert Selection.of(keys([2], 2), TITLES, count=2).facts(4)[SELECTED] == "2 of 4"


def test_a_thousand_runs_take_no_more_room_than_ten() -> None:
    few, many = (
        Selection.of(keys(list(range(1, count + 1)), count), TITLES, count=count).facts(0)[ITEMS]
        for count in (10, 1000)
    )
    assert len(many) < len(few) + 10


def test_an_older_session_says_nothing_of_it() -> None:
    assert Selection.read(SessionRecord("S", at(0), 1, 1, {})) is None


def test_they_come_run_by_run_also_where_a_run_has_only_some() -> None:
    some = {node: key for node, key in keys([1, 2], 2).items() if (key.run, key.task) != (1, "1.1")}
    found = Selection.read(SessionRecord("S", at(0), 2, 2, Selection.of(some, TITLES, count=2).facts(4)))
    assert found is not None
    assert [key.run for key, _, _ in Selection(found.items[::-1]).nodes("S")] == [1, 2, 2]
    assert [key.run for key, _, _ in found.nodes("S")] == [1, 2, 2]
