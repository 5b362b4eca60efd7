from __future__ import annotations

import difflib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_pipeline.agents import diff

LINES = st.text(alphabet="ab-+ @\\\r\x0c\u2028\xe4", max_size=5)
TEXTS = st.lists(LINES, max_size=8).map("\n".join)


def unified(old: str, new: str) -> str:
    lines = difflib.unified_diff(diff.split_lines(old), diff.split_lines(new), "a/f.txt", "b/f.txt")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def patched(text: str, patch: str) -> str:
    (only,) = diff.parse(patch)
    return diff.apply(only, text)


@given(TEXTS, TEXTS)
def test_a_diff_of_two_texts_turns_one_into_the_other_to_the_last_byte(old: str, new: str) -> None:
    if old != new:
        assert patched(old, unified(old, new)) == new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\n", "a"),
        ("a", "a\n"),
        ("a", "b"),
        ("", "a"),
        ("a\n", ""),
        ("a\r\nb\r\n", "a\r\nc\r\n"),
        ("-- note  here\nx\n", "x\n"),
        ("++ note\n", "-- note\n"),
    ],
)
def test_line_ends_empty_files_and_lines_that_look_like_headers(old: str, new: str) -> None:
    assert patched(old, unified(old, new)) == new


@given(TEXTS, TEXTS, st.lists(LINES, min_size=1, max_size=4))
def test_a_diff_never_applies_to_a_text_without_its_context(old: str, new: str, other: list[str]) -> None:
    (patch,) = diff.parse(unified(old + "\nz", new))
    if all(hunk.old for hunk in patch.hunks):
        with pytest.raises(diff.DiffError, match=r"Hunk \d"):
            diff.apply(patch, "\n".join(line + "!" for line in other))


def numbered(*changes: tuple[int, str]) -> str:
    lines = [f"line {number}\n" for number in range(30)]
    for number, line in changes:
        lines[number] = line
    return "".join(lines)


def test_lines_that_came_before_the_hunk_do_not_matter() -> None:
    patch = unified(numbered(), numbered((20, "twenty\n")))

    assert patched("new\n" * 5 + numbered(), patch) == "new\n" * 5 + numbered((20, "twenty\n"))


def test_a_hunk_that_moved_and_fits_in_two_places_is_refused() -> None:
    patch = unified("a\nb\n", "a\nc\n")

    with pytest.raises(diff.DiffError, match=r"Hunk 1 \(@@ -1,2 \+1,2 @@\) of the diff does not apply to f\.txt"):
        patched("x\na\nb\na\nb\n", patch)


def test_the_second_hunk_is_named_with_the_line_that_differs() -> None:
    patch = unified(numbered(), numbered((2, "two\n"), (25, "twenty-five\n")))

    with pytest.raises(diff.DiffError, match=r"Hunk 2 .* line 24 should be 'line 23\\n' and is 'other\\n'"):
        patched(numbered((23, "other\n")), patch)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing of the kind\n", "names no file"),
        ("--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n a\n", "cannot be read"),
        ("--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n+c\n", r"Line 6 of the diff \('\+c'\) belongs to no hunk"),
        ("--- a/f\n+++ b/g\n@@ -1 +1 @@\n-a\n+b\n", "names two files, f and g"),
        ("diff --git a/f b/f\nBinary files a/f and b/f differ\n", "is binary"),
    ],
)
def test_a_diff_that_cannot_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(diff.DiffError, match=message):
        diff.parse(text)


def test_paths_without_prefixes_are_taken_as_they_are() -> None:
    (patch,) = diff.parse("--- a/f\n+++ a/f\n@@ -1 +1 @@\n-a\n+b\n")

    assert (patch.source, patch.target) == ("a/f", "a/f")


def git(directory: Path, *arguments: str) -> str:
    environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(directory), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *arguments], cwd=directory, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


def test_what_git_says_of_new_deleted_renamed_copied_and_executable_files_is_understood(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    for name in ("old name.txt", "gone.txt", "tool.sh", "s\xe4t.txt", "kept.txt"):
        (tmp_path / name).write_text(f"{name}\n" * 9, encoding="utf-8")
    git(tmp_path, "add", "-A")
    before = git(tmp_path, "write-tree").strip()
    (tmp_path / "old name.txt").rename(tmp_path / "new name.txt")
    (tmp_path / "gone.txt").unlink()
    (tmp_path / "tool.sh").chmod(0o755)
    (tmp_path / "s\xe4t.txt").write_text("changed\n", encoding="utf-8")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "copy.txt").write_text("kept.txt\n" * 9 + "more\n", encoding="utf-8")
    git(tmp_path, "add", "-A")

    patches = diff.parse(git(tmp_path, "diff", "--cached", before, "-M", "-C", "--find-copies-harder"))

    assert {(each.source, each.target, len(each.hunks), each.keeps_source) for each in patches} == {
        ("old name.txt", "new name.txt", 0, False),
        ("gone.txt", None, 1, False),
        ("tool.sh", "tool.sh", 0, False),
        ("s\xe4t.txt", "s\xe4t.txt", 1, False),
        (None, "empty.txt", 0, False),
        ("kept.txt", "copy.txt", 1, True),
    }
    assert next(each.mode for each in patches if each.path == "tool.sh") == "100755"
