from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from pytest_pipeline.agents import make_agent
from pytest_pipeline.agents.base import AgentRequest, AgentResult, AgentStatus, Limits, SolutionForm, SolutionPart
from pytest_pipeline.settings import Settings


def file(path: str, content: str) -> SolutionPart:
    return SolutionPart(SolutionForm.FILE, content, path)


def patch(content: str) -> SolutionPart:
    return SolutionPart(SolutionForm.DIFF, content)


def shell(content: str) -> SolutionPart:
    return SolutionPart(SolutionForm.SHELL, content)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    directory = tmp_path / "workspace"
    directory.mkdir()
    return directory


def replay(workspace: Path, *parts: SolutionPart, wall_time: float = 60.0, limit: int = 10_000) -> AgentResult:
    request = AgentRequest(
        prompt="",
        workspace=workspace,
        limits=Limits(wall_time),
        environment={"PATH": os.environ["PATH"], "FLAVOUR": "plum"},
        transcript=workspace.parent / "logs" / "transcript.txt",
        transcript_limit=limit,
        reference=parts,
    )
    return make_agent("reference", Settings()).run(request, print)


def test_without_a_reference_the_agent_is_unavailable_so_that_no_refusal_can_be_read_into_it(workspace: Path) -> None:
    result = replay(workspace)

    assert result.status is AgentStatus.UNAVAILABLE
    assert "**Reference:**" in result.message
    assert "another agent" in result.message


def test_files_are_written_exactly_with_their_directories(workspace: Path) -> None:
    result = replay(workspace, file("a/b/c.txt", "one\r\ntwo\u2028 no end"), file("empty", ""))

    assert (result.status, result.cost_usd) == (AgentStatus.OK, Decimal(0))
    assert (workspace / "a/b/c.txt").read_bytes() == "one\r\ntwo\u2028 no end".encode()
    assert (workspace / "empty").read_bytes() == b""


def test_parts_are_applied_in_their_order(workspace: Path) -> None:
    result = replay(
        workspace,
        file("a.txt", "one\n"),
        patch("--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n"),
        shell('cat a.txt > b.txt\necho "$FLAVOUR" >> b.txt'),
    )

    assert result.status is AgentStatus.OK, result
    assert (workspace / "b.txt").read_text() == "two\nplum\n"


def test_one_diff_creates_changes_renames_and_deletes(workspace: Path) -> None:
    (workspace / "old").mkdir()
    for name in ("changed.txt", "gone.txt", "old/name.txt"):
        (workspace / name).write_bytes(b"latin \xe4\n")
    result = replay(
        workspace,
        patch(
            "diff --git a/new.sh b/new.sh\nnew file mode 100755\n--- /dev/null\n+++ b/new.sh\n@@ -0,0 +1 @@\n+true\n"
            "--- a/changed.txt\n+++ b/changed.txt\n@@ -1,0 +2 @@\n+more\n"
            "diff --git a/old/name.txt b/new/name.txt\nsimilarity index 100%\n"
            "rename from old/name.txt\nrename to new/name.txt\n"
        ),
        shell("printf 'x\\n' > gone.txt"),
        patch("--- a/gone.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"),
    )

    assert result.status is AgentStatus.OK, result
    assert os.access(workspace / "new.sh", os.X_OK)
    assert (workspace / "changed.txt").read_bytes() == b"latin \xe4\nmore\n"
    assert (workspace / "new/name.txt").read_bytes() == b"latin \xe4\n"
    assert not (workspace / "old").exists()
    assert not (workspace / "gone.txt").exists()


def test_a_file_that_is_moved_or_copied_stays_executable(workspace: Path) -> None:
    for name in ("moved.sh", "copied.sh"):
        (workspace / name).write_text("true\n")
        (workspace / name).chmod(0o755)

    result = replay(
        workspace,
        patch("diff --git a/moved.sh b/new.sh\nrename from moved.sh\nrename to new.sh\n"),
        patch("diff --git a/copied.sh b/copy.sh\ncopy from copied.sh\ncopy to copy.sh\n"),
    )

    assert result.status is AgentStatus.OK, result
    assert sorted(os.listdir(workspace)) == ["copied.sh", "copy.sh", "new.sh"]
    assert all(os.access(workspace / name, os.X_OK) for name in ("copied.sh", "copy.sh", "new.sh"))


def test_a_pipe_is_not_read(workspace: Path) -> None:
    os.mkfifo(workspace / "pipe")

    result = replay(workspace, patch("--- a/pipe\n+++ b/pipe\n@@ -1 +1 @@\n-a\n+b\n"))

    assert result.status is AgentStatus.FAILED
    assert "pipe is no plain file" in result.message


def test_a_hunk_that_does_not_apply_fails_with_file_and_hunk(workspace: Path) -> None:
    (workspace / "a.txt").write_text("other\n")

    result = replay(workspace, patch("--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n"), file("late.txt", ""))

    assert result.status is AgentStatus.FAILED
    assert "Hunk 1 (@@ -1,1 +1,1 @@) of the diff does not apply to a.txt" in result.message
    assert (workspace / "a.txt").read_text() == "other\n"
    assert not (workspace / "late.txt").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--- a/absent.txt\n+++ b/absent.txt\n@@ -1 +1 @@\n-a\n+b\n", "absent.txt cannot be used: No such file"),
        ("--- /dev/null\n+++ b/there.txt\n@@ -0,0 +1 @@\n+b\n", "creates there.txt, which is there already"),
        ("--- a/there.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n", "deletes there.txt, but not all of its lines"),
        ("diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+x\n", "git mode 120000"),
    ],
)
def test_a_diff_that_does_not_fit_the_workspace_fails(workspace: Path, text: str, message: str) -> None:
    (workspace / "there.txt").write_text("a\nb\n")

    result = replay(workspace, patch(text))

    assert result.status is AgentStatus.FAILED
    assert message in result.message


@pytest.mark.parametrize("path", ["../out.txt", "/out.txt", "link/out.txt", "file-link", "a/../../out.txt", "circle/x"])
def test_nothing_is_written_out_of_the_workspace(workspace: Path, path: str) -> None:
    outside = workspace.parent / "outside"
    outside.mkdir()
    (outside / "victim.txt").write_text("whole")
    (workspace / "link").symlink_to(outside)
    (workspace / "file-link").symlink_to(outside / "victim.txt")
    (workspace / "circle").symlink_to("circle")

    result = replay(workspace, file(path, "broken"))

    assert result.status is AgentStatus.FAILED
    assert "out of the workspace" in result.message or "cannot be used as a path" in result.message
    assert [each.name for each in outside.iterdir()] == ["victim.txt"]
    assert (outside / "victim.txt").read_text() == "whole"
    assert not (workspace.parent / "out.txt").exists()


@pytest.mark.parametrize("path", [".git/config", ".GIT/hooks/x", "sub/.git/config"])
def test_nothing_is_written_into_a_git_directory(workspace: Path, path: str) -> None:
    result = replay(workspace, file(path, "x"))

    assert result.status is AgentStatus.FAILED
    assert "git's own directory" in result.message
    assert not (workspace / path).exists()


def test_a_link_is_deleted_and_not_what_it_points_to(workspace: Path) -> None:
    (workspace / "target.txt").write_text("a\n")
    (workspace / "link.txt").symlink_to("target.txt")

    result = replay(workspace, patch("--- a/link.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"))

    assert result.status is AgentStatus.OK, result
    assert [each.name for each in workspace.iterdir()] == ["target.txt"]


def test_a_file_in_the_place_of_a_directory_fails_with_a_sentence(workspace: Path) -> None:
    result = replay(workspace, file("a", ""), file("a/b", ""))

    assert result.status is AgentStatus.FAILED
    assert "a/b cannot be used" in result.message


def test_a_shell_block_stops_at_its_first_failing_command(workspace: Path) -> None:
    result = replay(workspace, shell("echo the reason\n(exit 3)\ntouch late.txt"))

    assert result.status is AgentStatus.FAILED
    assert "exit status 3" in result.message
    assert "the reason" in result.output
    assert not (workspace / "late.txt").exists()


def test_a_shell_block_that_hangs_is_a_timeout(workspace: Path) -> None:
    result = replay(workspace, shell("echo waiting; sleep 300"), wall_time=1.0)

    assert result.status is AgentStatus.TIMEOUT
    assert "within 1 s" in result.message


def test_the_wall_time_is_for_all_parts_together(workspace: Path) -> None:
    result = replay(workspace, shell("sleep 1"), shell("touch late.txt"), wall_time=1e-9)

    assert result.status is AgentStatus.TIMEOUT
    assert not (workspace / "late.txt").exists()


def test_the_transcript_tells_what_was_done_and_keeps_its_limit(workspace: Path) -> None:
    replay(workspace, file("a.txt", ""), shell("echo said"))
    transcript = workspace.parent / "logs" / "transcript.txt"

    assert "wrote a.txt" in transcript.read_text()
    assert "said" in transcript.read_text()

    size = transcript.stat().st_size
    replay(workspace, file("b.txt", ""), limit=5)
    assert transcript.stat().st_size == size
