"""Dependencies: how they are written, what they name, and circles."""

from __future__ import annotations

import pytest

from pytest_pipeline.plans.needs import NeedKind, read_references, says_none, within
from tests.plans.parsing import errors_of, plan_of

FOUR = "## Batch 1: A\n### Task 1: a\n### Task 2: b\n## Batch 2: B\n### Task 4: c\n### Task 5: d\n"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Batch 1", ["g1"]),
        ("Batch 1, Batch 2", ["g1", "g2"]),
        ("Batches 1, 2 and 3", ["g1", "g2", "g3"]),
        ("Phase 2", ["g2"]),
        ("Task 4, Task 5", ["t4", "t5"]),
        ("Tasks 1.1, 1.2", ["t1.1", "t1.2"]),
        ("Tasks 1.4, 2.1 (the parser)", ["t1.4", "t2.1"]),
        ("`Task 1.1`", ["t1.1"]),
        ("1.1", ["e1.1"]),
        ("1, 2", ["e1", "e2"]),
        ("1.1 and 1.2a", ["e1.1", "e1.2a"]),
        ("T001", ["eT001"]),
        ("Batch 1 must be merged, then Task 4.", ["g1", "t4"]),
        ("All prior tasks", []),
        ("Node 18 installed", []),
        ("the parser", []),
    ],
)
def test_how_dependencies_are_written(text: str, ids: list[str]) -> None:
    letters = {NeedKind.GROUP: "g", NeedKind.TASK: "t", NeedKind.EITHER: "e"}
    assert [letters[each.kind] + each.id for each in read_references(text)] == ids


@pytest.mark.parametrize("text", ["None", "none", "N/A", "-", "—", "None (first batch)", "无", ""])
def test_no_dependency(text: str) -> None:
    assert says_none(text)


@pytest.mark.parametrize("value", ["Batch 1", "1", "`Batch 1`", "\n- Batch 1"])
def test_a_batch_depends_on_a_batch(value: str) -> None:
    plan = plan_of(FOUR.replace("## Batch 2: B\n", f"## Batch 2: B\n**Dependencies:** {value}\n"))
    assert plan.batches[1].needs == ("1",)


def test_a_batch_that_depends_on_tasks_makes_each_of_its_tasks_wait() -> None:
    plan = plan_of("## Batch 3: C\n**Dependencies:** Task 4, Task 5\n### Task 6: e\n### Task 7: f\n" + FOUR)
    assert plan.batches[0].needs == ()
    for task in plan.batches[0].tasks:
        assert [(need.batch, need.task, need.line) for need in task.needs] == [("2", "4", 2), ("2", "5", 2)]


@pytest.mark.parametrize("name", ["Depends on", "Dependencies", "Deps", "Blocked by", "depends on"])
def test_a_task_depends_on_a_task_of_its_own_batch_first(name: str) -> None:
    plan = plan_of(f"## Batch 1: A\n### Task 1: a\n## Batch 2: B\n### Task 1: b\n### Task 2: c\n**{name}:** 1\n")
    assert [(need.batch, need.task) for need in plan.batches[1].tasks[1].needs] == [("2", "1")]


def test_a_task_that_depends_on_a_batch_waits_for_all_its_tasks() -> None:
    plan = plan_of(FOUR + "## Batch 3: C\n### Task 6: e\n**Depends on:** Batch 1, Task 5\n")
    needs = plan.batches[2].tasks[0].needs
    assert [(need.batch, need.task) for need in needs] == [("1", "1"), ("1", "2"), ("2", "5")]


def test_a_range_means_the_tasks_that_exist() -> None:
    plan = plan_of(FOUR + "## Batch 3: C\n### Task 6: e\n**Depends on:** Tasks 1-5\n")
    assert [need.task for need in plan.batches[2].tasks[0].needs] == ["1", "2", "4", "5"]


def test_a_group_of_groups_stands_for_its_batches_and_hands_its_needs_down() -> None:
    plan = plan_of(
        "## Phase 1: P\n### Batch 1: A\n#### Task 1: a\n### Batch 2: B\n#### Task 2: b\n"
        "## Phase 2: Q\n**Dependencies:** Phase 1\n### Batch 3: C\n#### Task 3: c\n"
    )
    assert [batch.needs for batch in plan.batches] == [(), (), ("1", "2")]


def test_prose_is_left_to_the_agent_with_a_note() -> None:
    plan = plan_of("### Task 1: a\nDo.\n**Prerequisites:** Node 18\n")
    assert plan.batches[0].tasks[0].prompt == "Do.\n**Prerequisites:** Node 18"
    assert [note.line for note in plan.notes] == [3]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("**Depends on:** Task 9", "task 5 depends on task 9, which is not in this plan."),
        ("**Depends on:** Batch 7", "task 5 depends on batch 7, which is not in this plan."),
        ("**Depends on:** 1.1", "task 5 depends on 1.1, which is not in this plan."),
    ],
)
def test_an_unknown_dependency_is_an_error(field: str, message: str) -> None:
    (found,) = errors_of(f"{FOUR}{field}\n")
    assert found.startswith(f"plan.md:7: {message}")


def test_an_unknown_dependency_names_the_nearest() -> None:
    (found,) = errors_of("## Batch 1: A\n### Task 1.1: a\n### Task 1.2: b\n**Depends on:** 1.11\n")
    assert found.endswith("Did you mean '1.1'?")


def test_an_id_that_two_other_batches_have_is_an_error() -> None:
    (found,) = errors_of(
        "## Batch 1: A\n### Task 1: a\n## Batch 2: B\n### Task 1: b\n## Batch 3: C\n### Task 2: c\n**Deps:** 1\n"
    )
    assert found == "plan.md:7: task 2 depends on task 1, which is in the batches 1, 2. Give these tasks different ids."


@pytest.mark.parametrize(
    ("text", "line", "names"),
    [
        (
            "## Batch 1: A\n**Dependencies:** 2\n### Task 1: a\n## Batch 2: B\n**Dependencies:** 1\n### Task 2: b\n",
            2,
            "batch 1",
        ),
        ("## Batch 1: A\n**Dependencies:** Batch 1\n### Task 1: a\n", 2, "batch 1 -> task 1 -> batch 1"),
        ("### Task 1: a\n**Depends on:** Task 1\n", 2, "task 1 -> task 1"),
        ("### Task 1: a\n**Depends on:** Task 2\n### Task 2: b\n", 2, "in the order of the file"),
        (
            "## Batch 1: A\n**Execution Mode:** parallel\n### Task 1: a\n**Deps:** 2\n### Task 2: b\n**Deps:** 1\n",
            4,
            "task 2",
        ),
        (
            "## Batch 1: A\n### Task 1: a\n**Deps:** Task 2\n## Batch 2: B\n**Dependencies:** Batch 1\n### Task 2: b\n",
            3,
            "batch 2",
        ),
    ],
)
def test_a_circle_is_an_error_that_names_it(text: str, line: int, names: str) -> None:
    (found,) = errors_of(text)
    assert found.startswith(f"plan.md:{line}: circular dependency: ")
    assert names in found
    assert found.endswith("Remove one of these dependencies.")


def test_a_parallel_batch_may_name_a_later_task() -> None:
    plan = plan_of("## Batch 1: A\n**Execution Mode:** parallel\n### Task 1: a\n**Deps:** 2\n### Task 2: b\n")
    assert plan.batches[0].tasks[0].needs[0].task == "2"


def test_batches_may_depend_on_later_ones() -> None:
    assert plan_of("## Batch 1: A\n**Dependencies:** 2\n### Task 1: a\n## Batch 2: B\n### Task 2: b\n").batches[
        0
    ].needs == ("2",)


def test_duplicates_are_errors_and_all_are_told() -> None:
    found = errors_of("## Batch 1: A\n### Task 1: a\n### Task 1: b\n## Batch 1: C\n### Task 1: c\n")
    assert [message.split(" ", 1)[0] for message in found] == ["plan.md:3:", "plan.md:4:"]
    assert "Give one of them another id." in found[0]
    assert "Renumber one." in found[1]


def test_a_long_chain_is_no_problem() -> None:
    text = "".join(f"## Batch {n}: B\n**Dependencies:** {n + 1}\n### Task {n}: t\n" for n in range(1, 2000))
    assert len(plan_of(text + "## Batch 2000: B\n### Task 2000: t\n").batches) == 2000


@pytest.mark.parametrize("number", ["2", "3", "4", "2.1", "4b", "03"])
def test_numbers_within_a_range(number: str) -> None:
    assert within("2-4", number)


@pytest.mark.parametrize("number", ["1", "5", "24", "A", "IV", "", "x2"])
def test_numbers_outside_of_a_range(number: str) -> None:
    assert not within("2-4", number)


def test_one_number_is_a_range() -> None:
    assert [each for each in ("1", "2", "3") if within("2", each)] == ["2"]
