"""``**Expect:**``: the whole, and conditions on single files."""

from __future__ import annotations

import pytest

from pytest_pipeline.plans.model import Condition, Expectation, Relation
from tests.plans.parsing import errors_of, task_of


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        ("changes", Expectation.CHANGES),
        ("no changes", Expectation.NO_CHANGES),
        ("failure", Expectation.FAILURE),
        ("`Failure`", Expectation.FAILURE),
        ("No changes.", Expectation.NO_CHANGES),
    ],
)
def test_what_the_task_brings_about(value: str, whole: Expectation) -> None:
    assert task_of(f"**Expect:** {value}").expect is whole


@pytest.mark.parametrize(
    ("value", "condition"),
    [
        ("file a.txt contains hello", Condition(Relation.CONTAINS, "a.txt", 2, "hello")),
        ('file a.txt contains "hello; world"', Condition(Relation.CONTAINS, "a.txt", 2, "hello; world")),
        ("file `a b.txt` contains `hello`", Condition(Relation.CONTAINS, "a b.txt", 2, "hello")),
        ("`file a.txt contains hello`", Condition(Relation.CONTAINS, "a.txt", 2, "hello")),
        (r"file a.txt matches ^x\d+$", Condition(Relation.MATCHES, "a.txt", 2, r"^x\d+$")),
        ("a.txt absent", Condition(Relation.ABSENT, "a.txt", 2)),
        ("file a.txt absent", Condition(Relation.ABSENT, "a.txt", 2)),
        ("`a.txt` absent", Condition(Relation.ABSENT, "a.txt", 2)),
    ],
)
def test_conditions(value: str, condition: Condition) -> None:
    assert task_of(f"**Expect:** {value}").conditions == (condition,)


def test_several_values_on_a_line_and_as_a_list() -> None:
    on_a_line = task_of("**Expect:** failure; a.txt absent; file b.txt contains x")
    as_a_list = task_of("**Expect:**\n- failure\n- a.txt absent\n- file b.txt contains x\n")
    assert on_a_line.expect is as_a_list.expect is Expectation.FAILURE
    assert [c.path for c in on_a_line.conditions] == [c.path for c in as_a_list.conditions] == ["a.txt", "b.txt"]
    assert [c.line for c in as_a_list.conditions] == [4, 5]


def test_text_below_is_for_the_agent() -> None:
    task = task_of("**Expect:** changes\n\nMind the gap.")
    assert (task.prompt, task.expect) == ("Mind the gap.", Expectation.CHANGES)


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("success", "the expectation 'success' is not known. Write one of: changes | no changes | failure | file PATH"),
        ("file a matches [", "'[' is not a regular expression"),
        ("changes; failure", "a task cannot expect both 'changes' and 'failure'"),
        ("", "says nothing"),
    ],
)
def test_what_is_not_known_is_an_error(value: str, part: str) -> None:
    (message,) = errors_of(f"### Task 1: A\n**Expect:** {value}\n")
    assert message.startswith("plan.md:2: ")
    assert part in message


def test_a_condition_outside_the_repository_is_a_fault_of_the_task() -> None:
    task = task_of("**Expect:** failure; ../x absent")
    assert (task.expect, task.conditions, len(task.faults)) == (Expectation.FAILURE, (), 1)
