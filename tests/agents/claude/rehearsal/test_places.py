from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_pipeline.agents.claude.rehearsal.places import Places, through, through_content

THERE = Places(Path("/scratch/one/workspace"), {"HOME": "/scratch/one/home", "TMPDIR": "/scratch/one/tmp"})
HERE = Places(Path("/else/two/w"), {"HOME": "/else/two/h", "TMPDIR": "/else/two/t"})


@pytest.mark.parametrize(
    ("text", "hidden", "elsewhere"),
    [
        ("cat /scratch/one/workspace/a.txt", "cat {{workspace}}/a.txt", "cat /else/two/w/a.txt"),
        ("in /scratch/one/workspace.", "in {{workspace}}.", "in /else/two/w."),
        ("'/scratch/one/home'", "'{{home}}'", "'/else/two/h'"),
        ("/scratch/one/tmp/x", "{{tmpdir}}/x", "/else/two/t/x"),
        ("/scratch/one/workspace-2", "/scratch/one/workspace-2", "/scratch/one/workspace-2"),
        ("/scratch/one/workspace.txt", "/scratch/one/workspace.txt", "/scratch/one/workspace.txt"),
        ("{{workspace}}", "{{literal:workspace}}", "{{workspace}}"),
        ("{{literal:home}}", "{{literal:literal:home}}", "{{literal:home}}"),
        ("{{other}}", "{{other}}", "{{other}}"),
    ],
)
def test_paths_of_one_task_run_become_those_of_another(text: str, hidden: str, elsewhere: str) -> None:
    assert THERE.hide(text) == hidden
    assert HERE.restore(hidden) == elsewhere


@given(st.lists(st.sampled_from(["{{", "}}", "literal:", "workspace", "home", "/scratch/one/", "/", "tmp", "x", "-"])))
def test_no_text_is_changed_by_hiding_and_restoring(pieces: list[str]) -> None:
    text = "".join(pieces)

    assert THERE.restore(THERE.hide(text)) == text


def test_the_longer_of_two_places_counts() -> None:
    places = Places(Path("/scratch/one"), {"TMPDIR": "/scratch/one/tmp"})

    assert places.hide("/scratch/one/tmp/a /scratch/one/b") == "{{tmpdir}}/a {{workspace}}/b"


def test_both_names_of_a_workspace_behind_a_link_are_hidden_and_the_real_one_comes_back(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    places = Places(tmp_path / "link", {})

    assert places.hide(f"{tmp_path}/link/a {tmp_path}/real/a") == "{{workspace}}/a {{workspace}}/a"
    assert places.restore("{{workspace}}/a") == f"{tmp_path.resolve()}/real/a"


def test_paths_that_are_everybodys_words_are_left_alone() -> None:
    places = Places(Path("/scratch/one"), {"HOME": "/root", "TMPDIR": "/tmp"})

    assert places.hide("echo > /tmp/x; ls /root") == "echo > /tmp/x; ls /root"


def test_a_place_that_is_not_known_here_stays_a_placeholder() -> None:
    assert Places(Path("/scratch/one"), {}).restore("{{home}}/x") == "{{home}}/x"


def test_a_prompt_is_the_same_whatever_its_workspace_and_trailing_blanks() -> None:
    one = THERE.prompt_hash("Do it in /scratch/one/workspace.  \nNow.\n\n")

    assert one == HERE.prompt_hash("Do it in /else/two/w.\nNow.")
    assert one != HERE.prompt_hash("Do it in /else/two/w.\nNow!")
    assert one != HERE.prompt_hash("Do it in /else/two/w.\n  Now.")


def test_all_texts_of_a_value_are_changed_and_nothing_else() -> None:
    value = {"a": ["b", {"c": 1, "d": None}], "e": True}

    assert through(value, str.upper) == {"A": ["B", {"C": 1, "D": None}], "E": True}


def test_the_kind_of_a_block_is_never_changed() -> None:
    blocks = [{"type": "text", "text": "text", "input": {"type": "text"}}, "no block"]

    assert list(through_content(blocks, lambda text: text.replace("text", "***"))) == [
        {"type": "text", "***": "***", "input": {"type": "***"}}
    ]
