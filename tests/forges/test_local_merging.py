"""Merges of the local forge against those of git's own porcelain."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_pipeline.errors import ConflictError
from pytest_pipeline.forges import local_merging
from pytest_pipeline.forges.base import MergeRequest
from pytest_pipeline.host.git import Repository
from tests.host.git_world import ENVIRONMENT, git

Files = dict[str, str]
History = tuple[list[Files], list[Files]]
"""What the commits on the base are, then those on the branch; the first commit is always FIRST."""

LINES = [f"line {number}\n" for number in range(9)]
FIRST: Files = {"a": "".join(LINES), "dir/b": "".join(LINES), "c": "c\n"}


def changed(line: int, text: str) -> str:
    """The first content with one line changed."""
    return "".join([*LINES[:line], f"{text}\n", *LINES[line + 1 :]])


_CONTENTS = st.builds(changed, st.integers(0, 8), st.sampled_from(["x", "y"])) | st.just("".join(LINES))
_FILES = st.dictionaries(st.sampled_from(["a", "dir/b", "c", "new", "dir/new", "moved"]), _CONTENTS, max_size=4)
_COMMITS = st.lists(_FILES, min_size=1, max_size=3)

EXAMPLES: dict[str, History] = {
    "nothing moved": ([], [{**FIRST, "a": changed(1, "x")}]),
    "different files": ([{**FIRST, "a": changed(1, "x")}], [{**FIRST, "dir/b": changed(1, "y")}]),
    "different places": ([{**FIRST, "a": changed(0, "x")}], [{**FIRST, "a": changed(8, "y")}]),
    "same change": ([{**FIRST, "a": changed(1, "x")}], [{**FIRST, "a": changed(1, "x"), "new": "n"}]),
    "same place": ([{**FIRST, "a": changed(1, "x")}], [{**FIRST, "a": changed(1, "y")}]),
    "changed and deleted": ([{**FIRST, "a": changed(1, "x")}], [{"dir/b": FIRST["dir/b"], "c": "c\n"}]),
    "both added": ([{**FIRST, "new": "1\n"}], [{**FIRST, "new": "2\n"}]),
    "file and directory": ([{**FIRST, "new": "1\n"}], [{**FIRST, "new/x": "2\n"}]),
    "renamed and changed": (
        [{"moved": FIRST["a"], "dir/b": FIRST["dir/b"], "c": "c\n"}],
        [{**FIRST, "a": changed(4, "y")}],
    ),
    "several commits": (
        [{**FIRST, "a": changed(0, "x")}, {**FIRST, "a": changed(1, "x")}],
        [{**FIRST, "a": changed(8, "y")}, {**FIRST, "a": changed(7, "y")}, {**FIRST, "new": "1\n"}],
    ),
}


def stream(history: History) -> bytes:
    """The history for git fast-import: one process, however many commits."""
    lines: list[str] = []

    def commit(branch: str, files: Files, text: str, start: str = "") -> None:
        lines.append(f"commit refs/heads/{branch}\ncommitter Ada <a@example.org> 1700000000 +0000\ndata {len(text)}")
        lines.append(f"{text}\n{start}deleteall")
        lines.extend(f"M 100644 inline {name}\ndata {len(content)}\n{content}" for name, content in files.items())

    commit("base", FIRST, "first")
    lines.append("reset refs/heads/work\nfrom refs/heads/base\n")
    for branch, commits in zip(("base", "work"), history, strict=True):
        for number, files in enumerate(commits):
            commit(branch, files, f"{branch} {number}")
    return "\n".join(lines).encode() + b"\n"


def by_porcelain(directory: Path, method: str) -> str | None:
    """The tree that git's porcelain makes of work into base; None: it stops at a conflict."""
    git(directory, "checkout", "--quiet", "--force", "-B", "trial", "work" if method == "rebase" else "base")
    command = {
        "merge": ["merge", "--quiet", "--no-ff", "--message=x", "work"],
        "squash": ["merge", "--quiet", "--squash", "work"],
        "rebase": ["rebase", "--quiet", "--empty=keep", "--reapply-cherry-picks", "base"],
    }[method]
    done = subprocess.run(["git", *command], cwd=directory, env=ENVIRONMENT, capture_output=True)
    if done.returncode != 0:
        git(directory, "rebase" if method == "rebase" else "reset", "--abort" if method == "rebase" else "--hard")
        return None
    return git(directory, "write-tree")


def by_forge(directory: Path, method: str) -> str | None:
    """The tree that the forge makes; None: it says that there is a conflict."""
    repository = Repository(directory / ".git")
    base, head = repository.resolve("refs/heads/base"), repository.resolve("refs/heads/work")
    assert base is not None
    assert head is not None
    try:
        commit = local_merging.make(repository, MergeRequest(method, head, base, "x\n"))
    except ConflictError:
        return None
    return repository.commit(commit).tree


def check(directory: Path, history: History) -> None:
    git(directory, "init", "--quiet")
    git(directory, "fast-import", "--quiet", stdin=stream(history))
    for method in ("merge", "squash", "rebase"):
        assert by_forge(directory, method) == by_porcelain(directory, method), method


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_merge_is_what_the_porcelain_makes_of_it(tmp_path: Path, name: str) -> None:
    check(tmp_path, EXAMPLES[name])


@settings(max_examples=20, deadline=None)
@given(base=_COMMITS, work=_COMMITS)
def test_any_merge_is_what_the_porcelain_makes_of_it(base: list[Files], work: list[Files]) -> None:
    with TemporaryDirectory() as directory:
        check(Path(directory), (base, work))


def test_a_branch_with_a_merge_in_it_is_squashed_and_merged_and_rebased(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "fast-import", "--quiet", stdin=stream(EXAMPLES["different places"]))
    git(tmp_path, "checkout", "--quiet", "work")
    git(tmp_path, "checkout", "--quiet", "-b", "side", "work~1")
    (tmp_path / "side").write_text("x\n")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "side")
    git(tmp_path, "checkout", "--quiet", "work")
    git(tmp_path, "merge", "--quiet", "--no-ff", "--message", "join", "side")
    trees = {by_forge(tmp_path, method) for method in ("merge", "squash", "rebase")}
    assert trees == {by_porcelain(tmp_path, "merge")}


def test_a_long_branch_is_merged_too(tmp_path: Path) -> None:
    commits = [{**FIRST, "new": f"{number}\n"} for number in range(100)]
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "fast-import", "--quiet", stdin=stream(([], commits)))
    for method in ("merge", "squash", "rebase"):
        assert by_forge(tmp_path, method) == git(tmp_path, "rev-parse", "work^{tree}")


@pytest.mark.parametrize(("base", "head", "expected"), [("base", "work", True), ("work", "base", False)])
def test_commits_between_are_counted_beyond_what_is_looked_at_in_process(
    tmp_path: Path, base: str, head: str, expected: bool
) -> None:
    commits = [{**FIRST, "new": f"{number}\n"} for number in range(100)]
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "fast-import", "--quiet", stdin=stream(([], commits)))
    repository = Repository(tmp_path / ".git")
    ids = [repository.resolve(f"refs/heads/{branch}") or "" for branch in (base, head)]
    assert local_merging.has_commits_between(repository, *ids) is expected
