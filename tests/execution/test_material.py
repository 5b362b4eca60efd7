"""What a page shows beside the record is read from places of ours alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_pipeline.execution.material import Shelf
from pytest_pipeline.host.git import Repository
from pytest_pipeline.record.model import AttemptRecord
from tests.record.conftest import at


def attempt(**facts: str) -> AttemptRecord:
    return AttemptRecord(1, at(0), properties=facts)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    state = tmp_path / ".pipeline"
    for place in ("S/transcripts", "S/gw0/transcripts", "T/transcripts"):
        (state / "sessions" / place).mkdir(parents=True)
        (state / "sessions" / place / "told.log").write_text("0123456789")
    (tmp_path / "secret.txt").write_text("secret")
    (state / "sessions/S/run-1.db").write_text("a store")
    (state / "sessions/S/transcripts/link.log").symlink_to(tmp_path / "secret.txt")
    (state / "sessions/S/transcripts/other.log").symlink_to(state / "sessions/T/transcripts/told.log")
    (state / "sessions/S/transcripts/round.log").symlink_to("round.log")
    return Shelf(tmp_path, state, "S", (state / "gone.git", state / "forge.git"), most=10)


@pytest.mark.parametrize("path", ["S/transcripts/told.log", "S/gw0/transcripts/told.log"])
def test_a_transcript_is_found_by_its_path(shelf: Shelf, path: str) -> None:
    assert shelf.transcript(attempt(transcript=f".pipeline/sessions/{path}")) == "0123456789"


def test_of_a_long_one_the_end_is_shown(shelf: Shelf) -> None:
    told = ".pipeline/sessions/S/transcripts/told.log"
    (shelf.rootdir / told).write_text("abc0123456789")
    assert shelf.transcript(attempt(transcript=told)) == "[3 bytes before this are left out]\n0123456789"


@pytest.mark.parametrize(
    "path",
    [
        "secret.txt",
        ".pipeline/../secret.txt",
        *(
            f".pipeline/sessions/S/transcripts/{each}"
            for each in ("link.log", "other.log", "round.log", "no.log", "", "\0")
        ),
        ".pipeline/sessions/S/run-1.db",
        ".pipeline/sessions/T/transcripts/told.log",
        ".pipeline",
        "",
    ],
)
def test_nothing_but_the_transcripts_of_the_session_is_read(shelf: Shelf, path: str) -> None:
    assert shelf.transcript(attempt(transcript=path)) == ""


def test_a_diff_is_that_of_the_merge(shelf: Shelf) -> None:
    git = Repository.create(shelf.state / "forge.git")
    blob = said(git, "hello\n", "hash-object", "-w", "--stdin")
    trees = [said(git, "", "mktree"), said(git, f"100644 blob {blob}\ta.txt\n", "mktree")]
    first = git.commit_tree(trees[0], [], "one", author="a <a@b>")
    second = git.commit_tree(trees[1], [first], "two", author="a <a@b>")
    facts = {"merge_base": first, "merge_commit": second}

    assert (
        Shelf(shelf.rootdir, shelf.state, "S", shelf.repositories)
        .diff(attempt(**facts))
        .endswith("@@ -0,0 +1 @@\n+hello")
    )
    assert shelf.diff(attempt(**facts)) == "diff --git\n[the rest is left out]"
    assert shelf.diff(attempt(merge_commit=second)) == ""
    assert shelf.diff(attempt(merge_base="0" * 40, merge_commit=second)) == ""


def said(git: Repository, told: str, *arguments: str) -> str:
    """What git answers to what it is told."""
    command = ["git", "--git-dir", str(git.git_dir), *arguments]
    return subprocess.run(command, input=told, capture_output=True, text=True, check=True).stdout.strip()
