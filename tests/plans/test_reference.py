"""``**Reference:**``: whole files, diffs and scripts; never told to an agent."""

from __future__ import annotations

import pytest

from pytest_pipeline.plans.model import ReferenceForm, ReferencePart
from tests.plans.parsing import errors_of, task_of


@pytest.mark.parametrize(
    "label",
    [
        "```python path=src/a.py",
        '```python path="src/a.py"',
        "```src/a.py",
        "```python src/a.py",
        "`src/a.py`:\n```python",
        "`src/a.py`:\n\n```",
        "**`src/a.py`**:\n```bash",
        "~~~python path=src/a.py",
    ],
)
def test_a_block_with_a_path_is_a_file(label: str) -> None:
    close = "~~~" if label.startswith("~~~") else "```"
    task = task_of(f"Do.\n**Reference:**\n{label}\nx = 1\n\n  y\n{close}\n")
    line = 4 + label.count("\n")
    assert task.reference == (ReferencePart(ReferenceForm.FILE, "x = 1\n\n  y\n", line, "src/a.py"),)
    assert task.prompt == "Do."


@pytest.mark.parametrize(
    ("info", "form"),
    [
        ("diff", ReferenceForm.DIFF),
        ("patch", ReferenceForm.DIFF),
        ("sh", ReferenceForm.SHELL),
        ("bash", ReferenceForm.SHELL),
        ("shell", ReferenceForm.SHELL),
    ],
)
def test_diffs_and_scripts(info: str, form: ReferenceForm) -> None:
    assert task_of(f"**Reference:**\n```{info}\nx\n```").reference == (ReferencePart(form, "x\n", 3),)


def test_several_parts_in_order() -> None:
    task = task_of("**Reference:**\n```a.py\n1\n```\n\n```b.py\n```\n```sh\nrm c\n```\n**Commit:** x")
    assert [(part.path, part.content) for part in task.reference] == [("a.py", "1\n"), ("b.py", ""), ("", "rm c\n")]
    assert task.commit_subject == "x"


@pytest.mark.parametrize("mark", ["````", "~~~"])
def test_a_file_may_hold_fences_headings_and_fields(mark: str) -> None:
    content = "# Title\n\n```sh\nls\n```\n\n---\n**Commit:** inner\n### Task 9: inner\n"
    task = task_of(f"**Reference:**\n{mark}markdown path=README.md\n{content}{mark}\n**Commit:** outer")
    assert task.reference[0].content == content
    assert task.commit_subject == "outer"


def test_fences_of_the_same_length_nest() -> None:
    task = task_of("**Reference:**\n```README.md\n# T\n```sh\nls\n```\nend\n```\n")
    assert task.reference[0].content == "# T\n```sh\nls\n```\nend\n"


def test_an_indented_block_loses_its_indentation() -> None:
    task = task_of("**Reference:**\n  ```a.py\n  if x:\n      y\n  ```\n")
    assert task.reference[0].content == "if x:\n    y\n"


@pytest.mark.parametrize("info", ["python", "", "json", "Makefile"])
def test_a_block_without_path_is_an_error_that_shows_the_forms(info: str) -> None:
    (message,) = errors_of(f"### Task 1: A\n**Reference:**\n```{info}\nx\n```\n")
    assert message.startswith("plan.md:3: this block of the reference is labelled with")
    for form in ("path=src/a.py", "```src/a.py", "`src/a.py`:", "diff", "sh"):
        assert form in message


def test_an_empty_reference_and_an_open_block_are_errors() -> None:
    assert "holds no fenced block" in errors_of("### Task 1: A\n**Reference:**\n")[0]
    assert "never closed" in errors_of("### Task 1: A\n**Reference:**\n```a.py\nx\n")[0]


def test_nothing_of_a_reference_reaches_the_prompt() -> None:
    first = "First the secret file:\n```a.py\nSECRET\n```\n---\n#### secret heading\n**Secret:** field\n"
    body = f"Do.\n**Reference:**\n{first}```sh\nSECRET\n```\n**Commit:** x\n\nEnd."
    task = task_of(body)
    assert task.prompt == "Do.\n\nEnd."
    assert len(task.reference) == 2


def test_a_reference_without_block_is_a_hint_for_the_agent() -> None:
    task = task_of("**Reference:** docs/design.md")
    assert (task.prompt, task.reference) == ("**Reference:** docs/design.md", ())


def test_a_path_outside_the_repository_is_a_fault_of_the_task() -> None:
    task = task_of("**Reference:**\n```sh path=../x\nx\n```")
    assert (task.reference, len(task.faults)) == ((), 1)
