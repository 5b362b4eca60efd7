"""Structure: fences, comments, tables, nesting, and where a task ends."""

from __future__ import annotations

import pytest

from pytest_pipeline.plans import looks_like_plan, parse_plan
from tests.plans.parsing import errors_of, plan_of, task_of, tasks_of


def test_tasks_stand_in_their_batches_in_document_order() -> None:
    plan = plan_of("# T\n## Batch 7: B\n### Task 7.1: x\n## Batch 1: A\n### Task 1.2: y\n### Task 1.1: z\n")
    assert plan.title == "T"
    assert [(b.number, b.line, [t.id for t in b.tasks]) for b in plan.batches] == [
        ("7", 2, ["7.1"]),
        ("1", 4, ["1.2", "1.1"]),
    ]


@pytest.mark.parametrize(("batch", "task"), [("##", "###"), ("###", "####"), ("##", "######"), ("#####", "######")])
def test_levels_do_not_matter(batch: str, task: str) -> None:
    (only,) = plan_of(f"{batch} Batch 1: B\n{task} Task 1.1: x\n").batches
    assert (only.number, len(only.tasks)) == ("1", 1)


def test_tasks_without_a_group_make_batch_0() -> None:
    (batch,) = plan_of("# T\n\n### Task 1: x\n\n### Task 2: y\n").batches
    assert (batch.number, batch.line, [task.id for task in batch.tasks]) == ("0", 3, ["1", "2"])


def test_a_group_that_only_holds_groups_is_no_batch() -> None:
    plan = plan_of("## Phase 1: P\n### Batch 1: B\n#### Task 1.1: x\n### Batch 2: C\n#### Task 2.1: y\n")
    assert [batch.number for batch in plan.batches] == ["1", "2"]


def test_a_numbered_first_heading_of_level_1_is_the_title() -> None:
    plan = plan_of("# Sprint 4: Ship\n## Task 1: x\n")
    assert (plan.title, [batch.number for batch in plan.batches]) == ("Sprint 4: Ship", ["0"])


def test_batches_at_level_1_are_batches_when_there_are_several() -> None:
    plan = plan_of("# Batch 1: A\n## Task 1: x\n# Batch 2: B\n## Task 2: y\n")
    assert [batch.number for batch in plan.batches] == ["1", "2"]


def test_text_after_the_last_task_does_not_join_it() -> None:
    (task,) = tasks_of(
        "## Batch 1: B\n### Task 1.1: x\nDo it.\n## Verification Checklist\n- [ ] all good\n## Notes\nn\n"
    )
    assert task.prompt == "Do it."


def test_a_deeper_heading_stays_in_the_task() -> None:
    assert task_of("#### Step 1: First\nDo it.").prompt == "#### Step 1: First\nDo it."


def test_a_group_word_below_a_task_is_a_section_of_it() -> None:
    (task,) = tasks_of("## Task 1: x\n### Part 1: first\nA.\n### Part 2: second\nB.\n")
    assert task.prompt == "### Part 1: first\nA.\n### Part 2: second\nB."


@pytest.mark.parametrize("fence", ["```", "````", "~~~", "```markdown", "  ```"])
def test_headings_fields_and_boxes_in_fences_are_content(fence: str) -> None:
    mark = fence.removesuffix("markdown")
    inner = "### Task 9.9: phantom\n## Batch 9: phantom\n**Commit:** phantom\n- [ ] **Task 8: phantom**"
    (task,) = tasks_of(f"## Batch 1: B\n### Task 1.1: x\n{fence}\n{inner}\n{mark}\n**Commit:** feat: x\n")
    assert (task.id, task.commit_subject) == ("1.1", "feat: x")
    assert inner in task.prompt


def test_same_length_nested_fences_hide_no_task() -> None:
    text = "### Task 1: a\n```markdown\nx\n```bash\nls\n```\nmore\n```\n**Commit:** one\n### Task 2: b\n"
    assert [(task.id, task.commit_subject) for task in tasks_of(text)] == [("1", "one"), ("2", None)]


def test_a_fence_in_a_list_item_is_content() -> None:
    task = task_of("1. ```text\n   ### Task 9: phantom\n   **Commit:** phantom\n   ```\n**Commit:** kept")
    assert task.commit_subject == "kept"


def test_a_nested_block_that_is_never_closed_hides_no_task() -> None:
    text = "### Task 1: a\n```text\n```python opens inside, by the stack\n```\n**Commit:** one\n### Task 2: b\n"
    assert [(task.id, task.commit_subject) for task in tasks_of(text)] == [("1", "one"), ("2", None)]


def test_an_ordinary_heading_in_a_nested_fence_does_not_cut_the_task() -> None:
    body = "```markdown\n# Doc\n```bash\nls\n```\n# More\n```\n**Commit:** kept"
    task = task_of(body)
    assert task.commit_subject == "kept"
    assert "# More" in task.prompt


def test_a_longer_fence_holds_shorter_ones() -> None:
    task = task_of("````text\n```\n### Task 9: phantom\n```\n````\n**Commit:** kept")
    assert task.commit_subject == "kept"


def test_comments_hide_tasks_and_fields() -> None:
    text = "## Batch 1: B\n### Task 1.1: x\n<!-- note\n### Task 1.2: hidden\n**Commit:** hidden\n-->\nDo it.\n"
    (task,) = tasks_of(text)
    assert (task.prompt, task.commit_subject) == ("Do it.", None)


def test_a_comment_that_is_never_closed_is_told_if_it_hides_tasks() -> None:
    assert errors_of("### Task 1: x\n<!-- note\n### Task 2: y\n") == [
        "plan.md:2: this comment is never closed and hides tasks. End it with '-->'."
    ]


def test_indented_code_and_quotes_and_tables_hold_no_tasks() -> None:
    text = "### Task 1: x\n\n    ### Task 2: code\n\n> ### Task 3: quoted\n\n| ### Task 4: cell |\n|---|\n"
    assert [task.id for task in tasks_of(text)] == ["1"]


def test_checkbox_items_are_tasks_in_a_group_without_headings() -> None:
    text = (
        "## Tasks\n### Batch 1: F\n- [ ] **Task 1: First**\n  - Create `a`\n    - deeply\n"
        "  - **Acceptance criteria:**\n    - it works\n  - **Files:** a/b.txt, c.txt\n\n"
        "- [x] **Task 2: Second**\n  Text.\n\n---\n### Batch 2: G\n**Depends on:** Batch 1\n- [ ] Task 3: Third\n"
    )
    plan = plan_of(text)
    first, second = plan.batches[0].tasks
    assert first.title == "First"
    assert first.prompt == "- Create `a`\n  - deeply"
    assert [file.path for file in first.files] == ["a/b.txt", "c.txt"]
    assert [check.text for check in first.acceptance] == ["it works"]
    assert (str(first.status.value), second.status.value, second.prompt) == ("open", "completed", "Text.")
    assert plan.batches[1].needs == ("1",)


def test_checkbox_items_beside_heading_tasks_are_steps() -> None:
    text = "## Progress\n- [ ] Task 1: x\n## Batch 1: B\n### Task 1: x\n- [ ] Task 2: a step\n"
    assert [task.id for task in tasks_of(text)] == ["1"]


@pytest.mark.parametrize("items", ["| Task | What |\n|---|---|\n| 1.1 | x |", "1. Write the thing", "Just prose."])
def test_a_batch_whose_tasks_are_not_recognised_is_an_error(items: str) -> None:
    (message,) = errors_of(f"# T\n\n## Batch 1: B\n\n{items}\n")
    assert message.startswith("plan.md:3: batch without tasks: tasks could not be recognised in 'Batch 1'.")


def test_an_empty_phase_is_an_error_only_where_tasks_stand_elsewhere() -> None:
    assert len(errors_of("## Phase 1: idea\n## Phase 2: b\n### Task 1: x\n")) == 1
    assert parse_plan("## Phase 1: idea\n## Phase 2: b\n", "design.md") is None


@pytest.mark.parametrize(
    "text", ["", "# Readme\n\nText.\n", "- [ ] task list\n", "```\n### Task 1: x\n```\n", "Task 1: no heading\n"]
)
def test_ordinary_markdown_is_no_plan(text: str) -> None:
    assert parse_plan(text, "README.md") is None


def test_a_text_without_task_or_batch_is_passed_over_quickly() -> None:
    assert not looks_like_plan("# Readme\n" * 10_000)
    assert looks_like_plan("- [ ] **Task 1: x**")
    assert looks_like_plan("intro\r### Task 1: old line ends\r")
