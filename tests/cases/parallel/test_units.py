from __future__ import annotations

from hypothesis import given, settings

from pytest_pipeline.cases.order import CaseKey
from pytest_pipeline.cases.parallel.units import Scheduled, Unit, units_of
from tests.cases.parallel.plan_shapes import Items, final, predecessors, sessions, task


def names(units: tuple[Unit, ...]) -> dict[str, set[str]]:
    return {unit.name: {units[need].name for need in unit.needs} for unit in units}


def key(batch: str, name: str, run: int = 1, plan: str = "a.md") -> CaseKey:
    return CaseKey(run, plan, batch, name)


def test_a_batch_is_one_unit_with_its_tasks_in_the_order_of_the_collection() -> None:
    units = units_of([task(1, "a.md", "1", "1.1"), None, task(1, "a.md", "1", "1.2")])
    assert units == (Unit("a.md, run 1, batch 1", 1, (0, 2), frozenset(), 2),)


def test_the_same_batch_of_another_run_or_plan_is_another_unit() -> None:
    units = units_of([task(1, "a.md", "1", "1.1"), task(2, "a.md", "1", "1.1"), task(1, "b.md", "1", "1.1")])
    assert [unit.indices for unit in units] == [(0,), (1,), (2,)]
    assert [unit.run for unit in units] == [1, 2, 1]


def test_tasks_of_a_parallel_batch_are_units_of_their_own() -> None:
    units = units_of([task(1, "a.md", "1", f"1.{n}", parallel=True) for n in (1, 2)])
    assert names(units) == {"a.md, run 1, 1.1": set(), "a.md, run 1, 1.2": set()}


def test_a_unit_needs_the_units_of_whatever_its_tasks_need_and_nothing_else() -> None:
    units = units_of(
        [
            task(1, "a.md", "1", "1.1"),
            task(1, "a.md", "2", "2.1", parallel=True),
            task(1, "a.md", "2", "2.2", parallel=True),
            task(1, "a.md", "3", "3.1", key("2", "2.2")),
            task(1, "a.md", "3", "3.2", key("1", "1.1"), key("3", "3.1")),
        ]
    )
    assert names(units)["a.md, run 1, batch 3"] == {"a.md, run 1, 2.2", "a.md, run 1, batch 1"}


def test_what_is_not_selected_counts_as_met() -> None:
    assert names(units_of([task(1, "a.md", "2", "2.1", key("1", "1.1"))])) == {"a.md, run 1, batch 2": set()}


def test_final_states_need_the_tasks_of_their_run_in_all_plans() -> None:
    collection: list[Scheduled | None] = []
    for run in (1, 2):
        for plan in ("a.md", "b.md"):
            collection += [task(run, plan, "1", "1.1"), final(run, plan)]
    found = names(units_of(collection))
    assert found["a.md, run 1, final-state"] == found["b.md, run 1, final-state"] == {"all tasks of run 1"}
    assert found["all tasks of run 1"] == {"a.md, run 1, batch 1", "b.md, run 1, batch 1"}
    assert found["all tasks of run 2"] == {"a.md, run 2, batch 1", "b.md, run 2, batch 1"}


def test_there_is_no_milestone_in_a_run_without_final_states() -> None:
    found = names(units_of([task(1, "a.md", "1", "1.1"), task(2, "a.md", "1", "1.1"), final(2, "a.md")]))
    assert set(found) == {
        "a.md, run 1, batch 1",
        "a.md, run 2, batch 1",
        "a.md, run 2, final-state",
        "all tasks of run 2",
    }


def test_batches_that_need_one_another_in_a_circle_are_split_and_still_run_in_order() -> None:
    units = units_of(
        [
            task(1, "a.md", "1", "1.1"),
            task(1, "a.md", "2", "2.1"),
            task(1, "a.md", "1", "1.2", key("2", "2.1")),
            task(1, "a.md", "2", "2.2", key("1", "1.1")),
            task(1, "a.md", "3", "3.1", key("2", "2.2")),
            task(1, "a.md", "3", "3.2"),
        ]
    )
    assert names(units) == {
        "a.md, run 1, 1.1": set(),
        "a.md, run 1, 2.1": set(),
        "a.md, run 1, 1.2": {"a.md, run 1, 1.1", "a.md, run 1, 2.1"},
        "a.md, run 1, 2.2": {"a.md, run 1, 2.1", "a.md, run 1, 1.1"},
        "a.md, run 1, batch 3": {"a.md, run 1, 2.2"},
    }


def test_a_circle_of_tasks_that_somebody_has_reordered_is_broken_instead_of_waited_for() -> None:
    units = units_of(
        [
            task(1, "a.md", "1", "1.2", key("2", "2.1")),
            task(1, "a.md", "1", "1.1"),
            task(1, "a.md", "2", "2.2"),
            task(1, "a.md", "2", "2.1", key("1", "1.1")),
        ]
    )
    assert names(units)["a.md, run 1, 1.2"] == set()
    assert names(units)["a.md, run 1, 2.1"] == {"a.md, run 1, 2.2", "a.md, run 1, 1.1"}


def test_the_chain_of_a_unit_counts_its_items_and_the_longest_way_behind_it() -> None:
    units = units_of(
        [
            task(1, "a.md", "1", "1.1"),
            task(1, "a.md", "1", "1.2"),
            task(1, "a.md", "2", "2.1", key("1", "1.2")),
            task(1, "a.md", "3", "3.1", key("1", "1.2")),
            task(1, "a.md", "3", "3.2"),
            final(1, "a.md"),
        ]
    )
    assert {unit.name.rpartition(", ")[2]: unit.chain for unit in units} == {
        "batch 1": 5,
        "batch 2": 2,
        "batch 3": 3,
        "final-state": 1,
        "all tasks of run 1": 1,
    }


@settings(deadline=None, max_examples=60)
@given(sessions())
def test_every_item_of_a_plan_is_in_one_unit_and_what_it_needs_is_behind_an_edge(items: Items) -> None:
    units = units_of(items)
    ours = {item.case: index for index, item in enumerate(items) if item is not None}
    assert sorted(index for unit in units for index in unit.indices) == sorted(ours.values())
    home = {index: number for number, unit in enumerate(units) for index in unit.indices}
    before = _all_needs(units)
    for item in filter(None, items):
        index = ours[item.case]
        for need in predecessors(item, [each for each in items if each is not None]):
            same = home[index] == home[ours[need]]
            assert ours[need] < index if same else home[ours[need]] in before[home[index]]


def _all_needs(units: tuple[Unit, ...]) -> list[set[int]]:
    """Of every unit all that it waits for, over any number of others; endless in a circle."""
    found: dict[int, set[int]] = {}

    def of(number: int) -> set[int]:
        if number not in found:
            found[number] = set(units[number].needs).union(*(of(need) for need in units[number].needs))
        return found[number]

    return [of(number) for number in range(len(units))]
