"""Headings: which are groups, which are tasks, and which only look like one."""

from __future__ import annotations

import pytest

from pytest_pipeline.plans.grammar import read_group, read_task


@pytest.mark.parametrize(
    ("text", "number", "title"),
    [
        ("Batch 1: Make the parts", "1", "Make the parts"),
        ("batch 2: lower case", "2", "lower case"),
        ("**Batch 3: Bold**", "3", "Bold"),
        ("🚀 Phase 4: With emoji", "4", "With emoji"),
        ("Phase 5 (Foundational)", "5", "Foundational"),
        ("Phase 6", "6", "Phase 6"),
        ("Wave 2.1 - Dash", "2.1", "Dash"),
        ("Milestone 7 — Long dash", "7", "Long dash"),
        ("Stage 8. Dot", "8", "Dot"),
        ("Sprint 9：全角", "9", "全角"),
        ("Part II: Roman", "II", "Roman"),
        ("Track A: Letter", "A", "Letter"),
        ("Phase 2a: Letter behind", "2a", "Letter behind"),
        ("Phase 1 (COMPLETE): Done", "1", "Done"),
    ],
)
def test_a_group_heading_gives_number_and_title(text: str, number: str, title: str) -> None:
    heading = read_group(text)
    assert heading is not None
    assert (heading.number, heading.title) == (number, title)


@pytest.mark.parametrize(
    "text",
    [
        "Phase 2 Validation Summary",
        "Phase 1 tests (indicators):",
        "Batch processing",
        "Partial results: 1",
        "Weekly 2: x",
        "Batch Operations",
        "Part of it: all",
        "The Batch 1: x",
    ],
)
def test_a_section_that_begins_like_a_group_is_none(text: str) -> None:
    assert read_group(text) is None


@pytest.mark.parametrize(
    ("text", "identifier", "title"),
    [
        ("Task 1: One", "1", "One"),
        ("Task 1.1: Write the hammer", "1.1", "Write the hammer"),
        ("Task 3.1.4: Three levels", "3.1.4", "Three levels"),
        ("Task 1.1a: Letter", "1.1a", "Letter"),
        ("Task 0-W.1: Odd", "0-W.1", "Odd"),
        ("Task T001: Spec", "T001", "Spec"),
        ("Task #7: Hash", "7", "Hash"),
        ("TASK 8: Shouted", "8", "Shouted"),
        ("任务 9：中文", "9", "中文"),
        ("タスク1：日本語", "1", "日本語"),
        ("**Task 10: Bold**", "10", "Bold"),
        ("**Task 11:** Bold label", "11", "Bold label"),
        ("Task 12 - Dash", "12", "Dash"),
        ("Task 13 – En dash", "13", "En dash"),
        ("Task 14. Dot", "14", "Dot"),
        ("Task 15", "15", "Task 15"),
        ("Task 16 (optional)", "16", "optional"),
        ("Task 17: Use `**kwargs`", "17", "Use `**kwargs`"),
        ("⏸ Task 18: Paused", "18", "Paused"),
    ],
)
def test_a_task_heading_gives_id_and_title(text: str, identifier: str, title: str) -> None:
    heading = read_task(text)
    assert heading is not None
    assert (heading.id, heading.title) == (identifier, title)


@pytest.mark.parametrize("text", ["Task 38.3 Implementation Details", "Tasks", "Task list: 1", "Subtask 1: x", "Task"])
def test_a_section_that_begins_like_a_task_is_none(text: str) -> None:
    assert read_task(text) is None


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("Task 1: A ✅", True),
        ("✅ Task 1: A", True),
        ("Task 1: A (COMPLETE)", True),
        ("Task 1: A (completed) ✅", True),
        ("Task 1 ✅", True),
        ("[x] Task 1: A", True),
        ("[ ] Task 1: A", False),
        ("Task 1: A", None),
        ("Task 1: Print ✅ on success", None),
        ("Task 1: A 🎯 MVP", None),
    ],
)
def test_a_heading_may_say_that_the_task_is_done(text: str, done: bool | None) -> None:
    heading = read_task(text)
    assert heading is not None
    assert heading.done is done
    assert "✅" not in heading.title or "success" in heading.title
