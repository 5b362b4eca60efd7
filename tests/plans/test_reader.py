"""The door: files, encodings, and all errors at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_pipeline.errors import PlanError
from pytest_pipeline.plans import parse_plan, read_plan
from tests.plans.parsing import errors_of
from tests.plans.test_tasks import NATIVE


@pytest.mark.parametrize("text", [NATIVE, "﻿" + NATIVE, NATIVE.replace("\n", "\r\n"), NATIVE.replace("\n", "\r")])
def test_line_ends_and_byte_order_mark_do_not_matter(text: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.md"
    file.write_bytes(text.encode())
    assert read_plan(file, "plan.md") == parse_plan(NATIVE, "plan.md")


def test_a_byte_order_mark_before_front_matter() -> None:
    plan = parse_plan("﻿---\r\nmodel: x\r\n---\r\n### Task 1: A\r\n", "p.md")
    assert plan is not None
    assert plan.options.values["model"] == "x"


def test_a_plan_without_title_is_called_like_its_file() -> None:
    plan = parse_plan("### Task 1: A\n", "plans/hello.md")
    assert plan is not None
    assert (plan.title, plan.path) == ("hello", "plans/hello.md")


def test_a_file_that_is_not_utf8_is_an_error_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "plan.md"
    file.write_bytes(b"# T\n\n### Task 1: \xe4\n")
    with pytest.raises(PlanError, match=r"^plans/plan\.md:3: the file is not UTF-8\. Save it as UTF-8\.$"):
        read_plan(file, "plans/plan.md")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"^gone\.md:0: the file cannot be read: "):
        read_plan(tmp_path / "gone.md", "gone.md")


def test_an_ordinary_file_is_no_plan(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text("# Readme\n\n## Phase 1: idea\n", encoding="utf-8")
    assert read_plan(file, "README.md") is None


def test_a_nul_character_is_an_error() -> None:
    assert errors_of("### Task 1: A\n**Verification:**\n- cat a\0b.txt\n") == [
        "plan.md:3: the plan holds a NUL character. Remove it."
    ]


def test_all_errors_of_a_file_come_at_once_in_the_order_of_its_lines() -> None:
    text = (
        "---\nmodle: x\n---\n## Batch 1: A\n### Task 1: a\n**Expect:** wonders\n**Depends on:** Task 9\n"
        "### Task 1: b\n**Reference:**\n```python\n```\n## Batch 2: empty\n"
    )
    assert [message.split(" ")[0] for message in errors_of(text)] == [f"plan.md:{n}:" for n in (2, 6, 7, 8, 10, 12)]


def test_a_plan_whose_batches_are_all_completed_and_hold_no_task_is_an_error() -> None:
    assert errors_of("# P\n\n## Batch 1: A\n**Status:** done\n") == [
        "plan.md:3: the plan holds no task. Write one below it, for example '### Task 1.1: Say hello'."
    ]
