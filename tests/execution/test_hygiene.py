from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_pipeline.execution.hygiene import problems, protected_changes
from pytest_pipeline.host.git import Change
from pytest_pipeline.plans.model import FileChange, Verb
from pytest_pipeline.settings import Settings
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


# Protected paths

DEFAULT = Settings().protected_paths


def held(
    *paths: str,
    patterns: tuple[str, ...] = DEFAULT,
    declared: tuple[FileChange, ...] = (),
    links: dict[str, str] | None = None,
) -> bool:
    """Whether it is told when one of these files is added, changed or deleted; the same each time."""
    fixed = {"README.md": "x"}
    old, new = FakeTree(dict.fromkeys(paths, "1") | fixed, links=links), FakeTree(fixed, links=links)
    changed = FakeTree(dict.fromkeys(paths, "2") | fixed, links=links)
    pairs = ((new, old), (old, changed), (old, new))
    told = {bool(protected_changes(changes(*pair), pair[1], patterns, declared)) for pair in pairs}
    assert len(told) == 1, "added, changed and deleted are the same"
    return told.pop()


@pytest.mark.parametrize(
    "path",
    [
        ".claude/settings.json",
        ".claude/skills/a/SKILL.md",
        "packages/a/.claude/settings.local.json",
        ".mcp.json",
        "a/.mcp.json",
        "CLAUDE.md",
        "a/b/CLAUDE.md",
        "CLAUDE.local.md",
        "AGENTS.md",
        ".github/workflows/ci.yml",
        ".github/workflows/deep/ci.yml",
        # what only some file system takes for the same
        ".CLAUDE/settings.json",
        "claude.md",
        ".github/Workflows/ci.yml",
        ".github/wor\u212aflows/ci.yml",
        ".cl\u200caude/settings.json",
        "CLAUDE.md\ufeff",
        ".claude./settings.json",
        ".mcp.json ",
        "CLAUDE.md::$DATA",
    ],
)
def test_what_steers_later_agents_or_ci_is_found(path: str) -> None:
    assert held(path)


@pytest.mark.parametrize(
    "path",
    [
        "claude/settings.json",
        ".claude.json",
        ".claude",
        "a.claude/x",
        "mcp.json",
        "x.mcp.json",
        "MY-CLAUDE.md",
        "CLAUDE.md.txt",
        "workflows/ci.yml",
        ".github/CODEOWNERS",
        "a/.github/workflows/ci.yml",
    ],
)
def test_what_only_resembles_it_is_not(path: str) -> None:
    assert not held(path)


@pytest.mark.parametrize(
    ("pattern", "path", "holds"),
    [
        ("ci/", "ci/x", True),
        ("ci/", "a/ci/b/x", True),
        ("ci/", "ci", False),
        ("/ci/", "a/ci/x", False),
        ("./ci/", "a/ci/x", False),
        ("./ci/", "ci/x", True),
        ("ci", "ci", True),
        ("ci", "a/ci", True),
        ("ci", "ci/x", True),
        ("/ci", "a/ci", False),
        ("a/ci/", "a/ci/x", True),
        ("a/ci/", "b/a/ci/x", True),
        ("a/ci/", "a/b/ci/x", False),
        ("*.yml", "a/b.yml", True),
        ("/.github/*.yml", ".github/b.yml", True),
        ("/.github/*.yml", ".github/a/b.yml", False),
        ("[id].ts", "[id].ts", True),
        ("[id].ts", "i.ts", False),
        ("Stra\u00dfe.md", "STRASSE.md", True),
        ("caf\u00e9.md", "cafe\u0301.md", True),
        ("/", "a/b", True),
    ],
)
def test_how_a_pattern_is_read(pattern: str, path: str, holds: bool) -> None:
    assert held(path, patterns=(pattern,)) is holds


def test_an_empty_setting_protects_nothing() -> None:
    assert not held(".claude/settings.json", patterns=())


@pytest.mark.parametrize(
    ("verb", "path", "target", "allowed"),
    [
        *((verb, ".claude/settings.json", None, verb is not Verb.READ) for verb in Verb),
        (Verb.CHANGE, ".claude/", None, True),
        (Verb.CHANGE, ".claude", None, True),
        (Verb.CHANGE, "**/*.json", None, True),
        (Verb.CHANGE, ".claude/*", None, True),
        (Verb.RENAME, "old.json", ".claude/settings.json", True),
        (Verb.CHANGE, ".claude/settings.local.json", None, False),
        (Verb.CHANGE, ".CLAUDE/settings.json", None, False),
    ],
)
def test_a_task_may_change_what_it_declares(verb: Verb, path: str, target: str | None, allowed: bool) -> None:
    assert held(".claude/settings.json", declared=(FileChange(verb, path, 1, target),)) is not allowed


def test_the_sentence_names_the_path_and_what_to_do() -> None:
    (one,) = protected_changes(*added(".claude/settings.json"), DEFAULT, ())
    (two,) = protected_changes(*added("AGENTS.md", "CLAUDE.m\u200cd"), DEFAULT, ())
    (many,) = protected_changes(*added(*(f".claude/{number}" for number in range(7))), DEFAULT, ())

    assert one == (
        "`.claude/settings.json` steers later agents or CI (protected_paths). "
        "Declare it under **Files:** if the task is to change it, or change the setting."
    )
    assert two == (
        "`AGENTS.md`, 'CLAUDE.m\\u200cd' steer later agents or CI (protected_paths). "
        "Declare them under **Files:** if the task is to change them, or change the setting."
    )
    assert many.startswith("`.claude/0`, `.claude/1`, `.claude/2`, `.claude/3`, `.claude/4` and 2 more steer ")


def added(*paths: str) -> tuple[tuple[Change, ...], FakeTree]:
    new = FakeTree(dict.fromkeys(paths, "x"))
    return changes(FakeTree(), new), new


@pytest.mark.parametrize(
    ("links", "path"),
    [
        ({"CLAUDE.md": "docs/agents.txt"}, "docs/agents.txt"),
        ({".claude": "tools/claude"}, "tools/claude/settings.json"),
        ({".claude/skills": "../skills"}, "skills/a/SKILL.md"),
        ({".github": "ci"}, "ci/workflows/a.yml"),
        ({".claude": "first", "first": "second"}, "second/settings.json"),
    ],
)
def test_what_a_protected_symlink_leads_to_is_protected(links: dict[str, str], path: str) -> None:
    assert held(path, links=links)
    assert not held(path)
    assert not held("other.txt", links=links)


@pytest.mark.parametrize("link", [".claude", "CLAUDE.md", ".github", ".github/workflows", "first"])
@pytest.mark.parametrize("before", [{}, {"x": "elsewhere"}])
def test_a_symlink_in_the_place_of_what_is_protected_is_found(link: str, before: dict[str, str]) -> None:
    chain = {".claude": "first"} if link == "first" else {}
    old = FakeTree(links={**chain, **({link: "before"} if before else {})})
    new = FakeTree(links={**chain, link: "after"})

    assert protected_changes(changes(old, new), new, DEFAULT, ())
    assert protected_changes(changes(new, FakeTree()), FakeTree(), DEFAULT, ()) or link == "first"
    assert not protected_changes(changes(FakeTree(), FakeTree(links={"other": "after"})), new, DEFAULT, ())


def test_a_protected_symlink_that_leads_nowhere_breaks_nothing() -> None:
    assert not held("a.txt", links={"CLAUDE.md": "CLAUDE.md", "AGENTS.md": "/etc/x", ".claude": "../.."})
    assert not held("a.txt", links={".claude": "."})
