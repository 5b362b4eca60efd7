"""The files field: verbs, paths, and notes that are none."""

from __future__ import annotations

import pytest

from pytest_pipeline.plans.model import CommandCheck, Verb
from tests.plans.parsing import errors_of, plan_of, task_of

C, M, X, D, R, T = Verb.CREATE, Verb.MODIFY, Verb.CHANGE, Verb.DELETE, Verb.READ, Verb.TEST


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("Create: tools/hammer.py", [(C, "tools/hammer.py")]),
        ("Create: `tools/hammer.py`", [(C, "tools/hammer.py")]),
        ("**Create:** `a.py`", [(C, "a.py")]),
        ("**Create**: `a.py`", [(C, "a.py")]),
        ("Create `a.py`", [(C, "a.py")]),
        ("create: a.py", [(C, "a.py")]),
        ("Modify: `src/cache.py:10-20`", [(M, "src/cache.py")]),
        ("Modify: src/cache.py:12", [(M, "src/cache.py")]),
        ("Modify: `a.py:1-2, 5-9`", [(M, "a.py")]),
        ("Update: a.py", [(M, "a.py")]),
        ("Delete: old.py", [(D, "old.py")]),
        ("Read: docs/a.md", [(R, "docs/a.md")]),
        ("Test: `tests/test_a.py`", [(T, "tests/test_a.py")]),
        ("Test: tests/test_a.py::test_one", [(T, "tests/test_a.py")]),
        ("Create/Modify: a.py", [(X, "a.py")]),
        ("a.py", [(X, "a.py")]),
        ("`a.py` - register the box", [(X, "a.py")]),
        ("`a.py` - use `Foo` and `bar()`", [(X, "a.py")]),
        ("a.py - register `it`", [(X, "a.py")]),
        ("src/a.py (new file)", [(X, "src/a.py")]),
        ("`src/a.py` (was `src/b.py`)", [(X, "src/a.py")]),
        ("`a.py`, `b.py` and `c.py`", [(X, "a.py"), (X, "b.py"), (X, "c.py")]),
        ("src/a.py → dist/a.js", [(X, "src/a.py")]),
        ("`src/a.py` -> `dist/a.js`", [(X, "src/a.py")]),
        ("Create: file with spaces & (special).txt", [(C, "file with spaces & (special).txt")]),
        ("Create: `file with spaces & (special).txt`", [(C, "file with spaces & (special).txt")]),
        ("src/**/*.py", [(X, "src/**/*.py")]),
        ("Create: docs/", [(C, "docs/")]),
        ("Create: ./a.py", [(C, "a.py")]),
        ("LICENSE", [(X, "LICENSE")]),
        ("[ ] Create: `a.py`", [(C, "a.py")]),
        ("None (testing only)", []),
        ("No new files expected", []),
        ("None", []),
        ("N/A", []),
        ("All services", []),
    ],
)
def test_an_item_gives_verb_and_path(item: str, expected: list[tuple[Verb, str]]) -> None:
    assert [(file.verb, file.path) for file in task_of(f"**Files:**\n- {item}").files] == expected


@pytest.mark.parametrize(
    ("name", "verb"),
    [
        ("Files", X),
        ("File", X),
        ("File(s)", X),
        ("File to create", C),
        ("Files to create", C),
        ("File to modify", M),
        ("Files to modify", M),
        ("Files to delete", D),
        ("Files to create/modify", X),
        ("Files to modify/create", X),
        ("Files changed", X),
        ("Files modified", M),
        ("Files created", C),
        ("New files", C),
        ("Modified files", M),
        ("修改文件", M),
        ("文件", X),
        ("ファイル", X),
        ("📁 Files", X),
    ],
)
def test_the_verb_may_come_from_the_name_of_the_field(name: str, verb: Verb) -> None:
    (file,) = task_of(f"**{name}:**\n- `a.py`").files
    assert file.verb is verb
    (own,) = task_of(f"**{name}:**\n- Read: `a.py`").files
    assert own.verb is R


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("`a.py`", [(X, "a.py")]),
        ("Create `a.py` + tests", [(C, "a.py")]),
        ("Modify `a.py`, create `b.py`", [(M, "a.py"), (C, "b.py")]),
        ("a/b.txt, c.txt", [(X, "a/b.txt"), (X, "c.txt")]),
        ("none", []),
    ],
)
def test_files_on_the_line_of_the_field(value: str, expected: list[tuple[Verb, str]]) -> None:
    assert [(file.verb, file.path) for file in task_of(f"**Files:** {value}").files] == expected


@pytest.mark.parametrize(
    "item", ["Rename: `a.py` -> `b.py`", "Rename: `a.py` → `b.py`", "Rename: a.py -> b.py", "Rename: `a.py -> b.py`"]
)
def test_a_rename_has_a_target(item: str) -> None:
    (file,) = task_of(f"**Files:**\n- {item}").files
    assert (file.verb, file.path, file.target) == (Verb.RENAME, "a.py", "b.py")


def test_a_rename_without_target_is_an_error() -> None:
    (message,) = errors_of("### Task 1: A\n**Files:**\n- Rename: a.py\n")
    assert message.startswith("plan.md:3: a rename needs both names.")


def test_paths_below_a_verb() -> None:
    task = task_of("**Files:**\n- Create:\n  - `a.py`\n  - `b.py`\n- Modify: `c.py`\n  - in `main()`\n")
    assert [(file.verb, file.path) for file in task.files] == [(C, "a.py"), (C, "b.py"), (M, "c.py")]


@pytest.mark.parametrize(
    "path",
    ["/root/forbidden/test.txt", "../x.txt", "a/../../x", "~/x", "C:\\x", ".git/hooks/pre-commit", "https://a.b/c"],
)
def test_a_path_outside_the_repository_is_a_fault_of_the_task(path: str) -> None:
    first, second = (
        plan_of(f"## Batch 1: B\n### Task 1: A\n**Files:**\n- Create: `{path}`\n### Task 2: C\n").batches[0].tasks
    )
    assert [(fault.path, fault.line) for fault in first.faults] == [("plan.md", 4)]
    assert path in first.faults[0].message
    assert (first.files, second.faults) == ((), ())


def test_a_path_that_only_takes_a_detour_is_fine() -> None:
    (file,) = task_of("**Files:**\n- Create: a/../b.txt").files
    assert file.path == "b.txt"


def test_a_command_under_test_is_verification() -> None:
    task = task_of("**Files:**\n- Create: x.sh\n- Test: `bash x.sh`")
    assert [file.path for file in task.files] == ["x.sh"]
    assert task.verification == (CommandCheck("bash x.sh", 4),)


def test_what_is_not_understood_is_noted() -> None:
    plan = plan_of("### Task 1: A\n**Files:**\n- All services\n")
    assert [(note.line, "All services" in note.message) for note in plan.notes] == [(3, True)]


def test_a_paragraph_after_the_list_is_for_the_agent() -> None:
    assert task_of("**Files:**\n- a.py\n\nMind the gap.").prompt == "Mind the gap."
