"""A task's fields: what the agent is told, and what is for the pipeline only."""

from __future__ import annotations

import pytest

from pytest_pipeline.plans.model import Expectation, Status, Verb
from tests.plans.parsing import plan_of, task_of, tasks_of

NATIVE = """\
# Any title
**Execution Mode:** parallel

## Batch 1: Make the parts
**Dependencies:** None
**Execution Mode:** local

### Task 1.1: Write the hammer
**Status:** open
**Files:**
- Create: tools/hammer.py
**Implementation:**
Write `tools/hammer.py`:

```python
**Commit:** not a field
```

1. **Note** keep it {{small}}
**Verification:**
- python tools/hammer.py
- Test file exists
**Commit:** feat: add the hammer

### Task 1.1.2: Polish the hammer
**Description:** What to do, in prose.
**File to create:** `tools/grip.py`
**Files to create/modify:**
- Create: `tools/box.py`
- Modify: `tools/index.py` - register the box
**Functions needed:**
- `grip(handle): bool`
**Acceptance Criteria:**
- [ ] Build passes
- [x] It is **polished**
"""


def test_the_native_dialect_is_read_in_both_forms() -> None:
    plan = plan_of(NATIVE)
    (batch,) = plan.batches
    first, second = batch.tasks
    assert (batch.parallel, batch.needs) == (False, ())
    assert first.prompt == (
        "Write `tools/hammer.py`:\n\n```python\n**Commit:** not a field\n```\n\n1. **Note** keep it {{small}}"
    )
    assert [(file.verb, file.path, file.line) for file in first.files] == [(Verb.CREATE, "tools/hammer.py", 11)]
    assert first.commit_subject == "feat: add the hammer"
    assert [check.line for check in first.verification] == [21, 22]
    assert second.prompt == "What to do, in prose.\n\n**Functions needed:**\n- `grip(handle): bool`"
    assert [(file.verb, file.path) for file in second.files] == [
        (Verb.CREATE, "tools/grip.py"),
        (Verb.CREATE, "tools/box.py"),
        (Verb.MODIFY, "tools/index.py"),
    ]
    assert [check.text for check in second.acceptance] == ["Build passes", "It is **polished**"]
    assert second.verification == ()


def test_a_task_with_nothing_is_told_its_title() -> None:
    assert task_of("").prompt == "Do it"


@pytest.mark.parametrize(
    "field",
    ["**Commit:** x", "**Commit**: x", "**Commit：** x", "- **Commit:** x", "* **Commit**: `x`", "  **commit:** x"],
)
def test_a_field_is_found_however_it_is_written(field: str) -> None:
    assert task_of(field).commit_subject == "x"


def test_unknown_fields_stay_and_end_the_list_before_them() -> None:
    task = task_of("**Files:**\n- a.py\n**Tests:**\n- test_a\n- b.py")
    assert [file.path for file in task.files] == ["a.py"]
    assert task.prompt == "**Tests:**\n- test_a\n- b.py"


def test_steps_after_the_files_are_for_the_agent() -> None:
    task = task_of("**Files:**\n- Modify: `a.py`\n\n- [ ] **Step 1: Write the test**\n\nRun: `pytest`\n")
    assert [file.path for file in task.files] == ["a.py"]
    assert task.prompt == "- [ ] **Step 1: Write the test**\n\nRun: `pytest`"


def test_bold_items_of_an_implementation_are_its_text() -> None:
    task = task_of("**Implementation:**\n- **Status:** add the column\n- **Files:** list them\n**Commit:** x")
    assert task.prompt == "- **Status:** add the column\n- **Files:** list them"
    assert (task.status, task.files) == (Status.OPEN, ())


def test_bulleted_fields_are_fields_beside_each_other() -> None:
    task = task_of("- **Description:** Do it well.\n- **Files:** `a.py`\n- **Acceptance:** it works")
    assert (task.prompt, [f.path for f in task.files]) == ("Do it well.", ["a.py"])
    assert [check.text for check in task.acceptance] == ["it works"]


def test_bold_labels_of_criteria_are_criteria() -> None:
    task = task_of("**Acceptance Criteria:**\n- **Speed:** under 1 s\n- **Size:** small\n  and neat\n**Commit:** x")
    assert [check.text for check in task.acceptance] == ["**Speed:** under 1 s", "**Size:** small and neat"]


def test_a_rule_ends_a_field_and_is_not_told() -> None:
    task = task_of("**Commit:** x\n\n---\n\nTail.\n\n---\n")
    assert (task.commit_subject, task.prompt) == ("x", "Tail.")


def test_text_below_a_one_line_field_is_for_the_agent() -> None:
    assert task_of("**Status:** open\n\nRead this.").prompt == "Read this."


@pytest.mark.parametrize(
    ("heading", "body", "status"),
    [
        ("Task 1: A ✅", "**Status:** open", Status.COMPLETED),
        ("Task 1: A", "**Status:** completed", Status.COMPLETED),
        ("Task 1: A", "**Status:** ✅ Done (2024)", Status.COMPLETED),
        ("Task 1: A", "**Status:** not completed", Status.OPEN),
        ("Task 1: A", "**Status:** pending\n- [x] Step", Status.OPEN),
        ("Task 1: A", "- [x] Step one\n- [X] Step two", Status.COMPLETED),
        ("Task 1: A", "- [x] Step one\n- [ ] Step two", Status.OPEN),
        ("Task 1: A", "**Acceptance Criteria:**\n- [x] ticked in advance", Status.OPEN),
        ("Task 1: A", "```\n- [x] in a fence\n```", Status.OPEN),
        ("Task 1: A", "", Status.OPEN),
    ],
)
def test_status_by_heading_then_field_then_steps(heading: str, body: str, status: Status) -> None:
    (task,) = tasks_of(f"### {heading}\n{body}\n")
    assert task.status is status


@pytest.mark.parametrize("group", ["## Batch 1: B (COMPLETE)", "## Batch 1: B ✅", "## Batch 1: B\n**Status:** done"])
def test_status_is_inherited_from_the_group(group: str) -> None:
    done, explicit = tasks_of(f"{group}\n### Task 1: A\n### Task 2: B\n**Status:** open\n")
    assert (done.status, explicit.status) == (Status.COMPLETED, Status.OPEN)


@pytest.mark.parametrize(
    ("field", "subject"),
    [
        ("**Commit:** feat: add", "feat: add"),
        ("**Commit:** `feat: add`", "feat: add"),
        ("**Commit:**", None),
        ("**Commit:** 1a2b3c4d", "1a2b3c4d"),
        ("**Status:** done\n**Commit:** 1a2b3c4d", None),
        ("**Status:** done\n**Commit:** feat: add", "feat: add"),
    ],
)
def test_the_commit_subject(field: str, subject: str | None) -> None:
    assert task_of(field).commit_subject == subject


@pytest.mark.parametrize(
    ("files", "expect"),
    [
        ("- Read: a.py", Expectation.NO_CHANGES),
        ("- Read: a.py\n- Read: b.py", Expectation.NO_CHANGES),
        ("- Read: a.py\n- Modify: b.py", Expectation.CHANGES),
        ("- Create: a.py", Expectation.CHANGES),
        ("- Read: a.py\n- Create: /etc/x", Expectation.CHANGES),
        ("- none", Expectation.CHANGES),
    ],
)
def test_reading_only_means_that_nothing_changes(files: str, expect: Expectation) -> None:
    assert task_of(f"**Files:**\n{files}").expect is expect


@pytest.mark.parametrize(
    ("mode", "parallel"),
    [
        ("local", False),
        ("parallel", True),
        ("`PARALLEL` (4 agents)", True),
        ("Parallel", True),
        ("dagger", False),
        ("not parallel", False),
    ],
)
def test_the_execution_mode_of_a_batch(mode: str, parallel: bool) -> None:
    (batch,) = plan_of(
        f"**Execution Mode:** parallel\n## Batch 1: B\n**Execution Mode:** {mode}\n### Task 1: A\n"
    ).batches
    assert batch.parallel is parallel
