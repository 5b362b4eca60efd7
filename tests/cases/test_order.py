from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from pytest_pipeline.cases.order import SCOPES, Order, Place, needs_first, needs_of
from pytest_pipeline.plans.model import Batch, Options, Plan, Task, TaskNeed

Graph = Mapping[int, frozenset[int]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[int], Graph]:
    """Items in some order, and what each needs: no circles, some needs that are not among the items."""
    size = draw(st.integers(0, 12))
    needs = {
        item: draw(st.frozensets(st.integers(-2, item - 1), max_size=4)) if item else frozenset[int]()
        for item in range(size)
    }
    return draw(st.permutations(range(size))), needs


def arranged(items: list[int], needs: Graph) -> list[int]:
    return needs_first(items, needs.__getitem__, lambda item: item)


def all_needs(item: int, needs: Graph) -> set[int]:
    found: set[int] = set()
    waiting = [item]
    while waiting:
        new = {need for need in needs[waiting.pop()] if need in needs} - found
        found |= new
        waiting += new
    return found


class TestNeedsFirst:
    @given(graphs())
    def test_nothing_is_lost_or_doubled(self, given_: tuple[list[int], Graph]) -> None:
        items, needs = given_

        assert sorted(arranged(items, needs)) == sorted(items)

    @given(graphs())
    def test_every_need_stands_before_what_needs_it(self, given_: tuple[list[int], Graph]) -> None:
        items, needs = given_

        order = arranged(items, needs)

        for item in items:
            assert all(order.index(need) < order.index(item) for need in needs[item] if need in needs)

    @given(graphs())
    def test_an_order_that_holds_already_is_kept(self, given_: tuple[list[int], Graph]) -> None:
        items, needs = given_
        order = arranged(items, needs)

        assert arranged(order, needs) == order
        assert arranged(sorted(items), needs) == sorted(items)

    @given(graphs())
    def test_nobody_overtakes_without_being_needed_before(self, given_: tuple[list[int], Graph]) -> None:
        items, needs = given_

        order = arranged(items, needs)

        for place, behind in enumerate(items):
            for ahead in items[:place]:
                if order.index(behind) < order.index(ahead):  # ``behind`` has overtaken ``ahead``
                    waiting = items[: items.index(ahead) + 1]
                    assert any(behind in all_needs(item, needs) for item in waiting)

    @given(st.permutations(range(5)))
    def test_a_circle_is_broken_somewhere_and_nothing_lost(self, items: list[int]) -> None:
        order = arranged(items, {item: frozenset({(item + 1) % 5}) for item in range(5)})

        assert sorted(order) == sorted(items)

    def test_what_needs_itself_does_not_wait_for_ever(self) -> None:
        assert arranged([0], {0: frozenset({0})}) == [0]

    def test_a_long_chain_does_not_exhaust_the_stack(self) -> None:
        items = list(range(20_000))

        assert needs_first(items, lambda item: [item + 1], lambda item: item) == items[::-1]


places = st.builds(Place, *[st.integers(0, 3)] * 4)


class TestScopes:
    def test_they_are_those_of_pytest_repeat(self) -> None:
        assert set(SCOPES) == {"function", "class", "module", "session"}

    @given(st.lists(places, unique=True), st.sampled_from(sorted(SCOPES)))
    def test_every_key_tells_places_of_tasks_apart(self, given_: list[Place], scope: str) -> None:
        tasks = {(place.plan, place.run, place.task): place for place in given_}

        assert len({SCOPES[scope](place) for place in tasks.values()}) == len(tasks)

    @given(st.lists(places, unique=True))
    def test_a_session_is_whole_runs_one_after_the_other(self, given_: list[Place]) -> None:
        runs = [place.run for place in sorted(given_, key=SCOPES["session"])]

        assert runs == sorted(runs)

    @given(st.lists(places, unique=True))
    def test_a_module_is_all_runs_of_a_plan_one_after_the_other(self, given_: list[Place]) -> None:
        blocks = [(place.plan, place.run) for place in sorted(given_, key=SCOPES["module"])]

        assert blocks == sorted(blocks)

    @given(st.lists(places, unique=True))
    def test_a_class_is_all_runs_of_a_batch(self, given_: list[Place]) -> None:
        blocks = [(place.plan, place.batch, place.run) for place in sorted(given_, key=SCOPES["class"])]

        assert blocks == sorted(blocks)

    @given(st.lists(places, unique=True))
    def test_a_function_is_all_runs_of_a_task(self, given_: list[Place]) -> None:
        blocks = [(place.plan, place.task, place.run) for place in sorted(given_, key=SCOPES["function"])]

        assert blocks == sorted(blocks)


def a_task(number: str, *needs: TaskNeed) -> Task:
    return Task(number, number, "", 1, needs=needs)


def a_plan(*batches: Batch) -> Plan:
    return Plan("plan.md", "", Options(), batches)


class TestNeedsOf:
    def test_all_tasks_of_the_needed_batches_and_the_named_tasks_each_once(self) -> None:
        last = a_task("3.1", TaskNeed("1.1", 1), TaskNeed("2.1", 1, batch="2"))
        plan = a_plan(
            Batch("1", "", 1, tasks=(a_task("1.1"), a_task("1.2"))),
            Batch("2", "", 1, tasks=(a_task("2.1"),)),
            Batch("3", "", 1, needs=("1",), tasks=(last,)),
        )

        assert needs_of(plan, plan.batches[2], last) == (("1", "1.1"), ("1", "1.2"), ("2", "2.1"))

    def test_an_id_that_several_batches_have_means_the_one_of_the_own_batch(self) -> None:
        second = a_task("2", TaskNeed("1", 1))
        plan = a_plan(
            Batch("A", "", 1, tasks=(a_task("1"),)),
            Batch("B", "", 1, tasks=(a_task("1"), second)),
        )

        assert needs_of(plan, plan.batches[1], second) == (("B", "1"),)

    def test_ranks_put_needed_batches_first_and_keep_the_file_otherwise(self) -> None:
        plan = a_plan(
            Batch("3", "", 1, needs=("1",), tasks=(a_task("3.1"), a_task("3.2"))),
            Batch("2", "", 1, tasks=(a_task("2.1"),)),
            Batch("1", "", 1, tasks=(a_task("1.1"),)),
        )

        ranks = Order.of(plan).ranks

        assert sorted(ranks, key=ranks.__getitem__) == [("1", "1.1"), ("3", "3.1"), ("3", "3.2"), ("2", "2.1")]
