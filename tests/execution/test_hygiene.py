from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_pipeline.execution.hygiene import problems
from tests.execution.fake_tree import FakeTree, changes

CONFLICT = "one\n<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n"


def found(new: FakeTree, base: FakeTree | None = None, *, max_file_size: int = 10**8) -> tuple[str, ...]:
    base = base or FakeTree()
    return problems(changes(base, new), base, new, max_file_size=max_file_size)


def test_an_ordinary_change_has_no_problem() -> None:
    assert found(FakeTree({"a.txt": "a", ".gitignore": "x", "d/.github/w.yml": ""}, links={"d/link": "../a.txt"})) == ()


@pytest.mark.parametrize(
    "text", [CONFLICT, CONFLICT.replace("\n", "\r\n"), CONFLICT.replace("=", "||||||| base\n=", 1)]
)
def test_conflict_markers_are_found(text: str) -> None:
    assert found(FakeTree({"a.txt": text})) == ("a.txt holds conflict markers (<<<<<<<, =======, >>>>>>>).",)


@pytest.mark.parametrize(
    "text",
    [
        "Title\n=======\ntext\n",
        ">>>>>>> a\n=======\n<<<<<<< b\n",
        "x <<<<<<< a\n=======\n>>>>>>> b\n",
        "<<<<<<< a\n========\n>>>>>>> b\n",
        "\0" + CONFLICT,
        CONFLICT + "x" * 5 * 1000**2,
    ],
)
def test_what_only_looks_like_a_conflict_is_none(text: str) -> None:
    assert found(FakeTree({"a.txt": text})) == ()


def test_markers_that_were_there_before_are_not_the_agents() -> None:
    assert found(FakeTree({"a.txt": CONFLICT + "more"}), FakeTree({"a.txt": CONFLICT})) == ()


def test_a_file_over_the_limit_is_told_with_its_size() -> None:
    new = FakeTree({"a.bin": "x" * 1001, "b.bin": "x" * 1000})

    assert found(new, max_file_size=1000) == ("a.bin has 1,001 bytes; max_file_size allows 1,000.",)


def test_nested_repositories_and_submodules_are_found() -> None:
    (nested,) = found(FakeTree({"a": ""}, modules=("vendor/lib",)))
    (declared,) = found(FakeTree({".gitmodules": ""}))
    (removed,) = found(FakeTree(), FakeTree({".gitmodules": ""}))

    assert nested.startswith("vendor/lib is a nested repository or submodule.")
    assert declared.startswith(".gitmodules was changed.")
    assert removed.startswith(".gitmodules was changed.")
    assert found(FakeTree(modules=("old",)), FakeTree(modules=("old",))) == ()


@pytest.mark.parametrize(
    "path",
    [
        ".GIT/config",
        "a/.Git/x",
        "git~1/x",
        "a/GIT~2",
        ".git./x",
        ".git /x",
        ".git::$INDEX_ALLOCATION/x",
        ".g\u200cit/x",
    ],
)
def test_paths_that_are_gits_directory_elsewhere_are_found(path: str) -> None:
    (problem,) = found(FakeTree({path: ""}))

    assert "is git's own directory on some system" in problem


@pytest.mark.parametrize(
    "path", [".gitignore", ".gitattributes", "git", "digit~1", ".git-blame-ignore-revs", "a.git/x"]
)
def test_paths_that_only_resemble_it_are_fine(path: str) -> None:
    assert found(FakeTree({path: ""})) == ()


@pytest.mark.parametrize("target", ["/etc/passwd", "C:/Windows", "\\\\server\\share"])
def test_an_absolute_symlink_is_found(target: str) -> None:
    (problem,) = found(FakeTree(links={"link": target}))

    assert f"link is a symlink to the absolute path {target}" in problem


@pytest.mark.parametrize("target", ["..", "../x", "up/../../x", "nest/deep/../../../x", "away/x", "circle/x"])
def test_a_symlink_that_leads_out_is_found_also_through_others(target: str) -> None:
    base = FakeTree(links={"up": ".", "nest/deep": "..", "away": "/tmp", "circle": "circle"})
    new = FakeTree(links={"up": ".", "nest/deep": "..", "away": "/tmp", "circle": "circle", "link": target})

    (problem,) = found(new, base)

    assert "leads out of the repository or round in a circle" in problem


def test_what_was_there_before_is_not_looked_at() -> None:
    base = FakeTree({"big": "x" * 50}, links={"link": "/etc"})

    assert found(FakeTree({"big": "x" * 50, "new": ""}, links={"link": "/etc"}), base, max_file_size=10) == ()


SEGMENTS = st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=5).map("/".join)


@given(target=SEGMENTS, where=st.sampled_from(["l", "a/l", "a/b/l"]))
def test_without_other_links_a_symlink_stays_inside_when_its_path_never_rises_above_the_root(
    target: str, where: str
) -> None:
    joined = (os.path.dirname(where) + "/" + target).split("/")
    depths = [sum({"..": -1, ".": 0, "": 0}.get(part, 1) for part in joined[: n + 1]) for n in range(len(joined))]

    assert (found(FakeTree(links={where: target})) == ()) is (min(depths) >= 0)
