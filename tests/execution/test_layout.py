"""Where things lie; names that are made of paths and ids."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_pipeline.errors import HostError
from pytest_pipeline.execution.layout import Layout, run_prefix, slug, task_slug

PATHS = st.lists(st.text("aB.-_ äß/*~^:", min_size=1, max_size=6), min_size=1, max_size=3).map(
    lambda parts: "/".join(part.replace("/", "").strip() or "x" for part in parts) + ".md"
)


def branch_is_valid(name: str) -> bool:
    """The rules of git-check-ref-format that a plan's name could break."""
    parts = name.split("/")
    return not any(
        [
            ".." in name or name.endswith((".", "/")),
            any(sign in name for sign in " ~^:?*[\\"),
            any(not part or part.startswith(".") or part.endswith(".lock") for part in parts),
        ]
    )


@given(PATHS)
def test_a_slug_is_part_of_a_valid_branch_and_file_name(path: str) -> None:
    assert branch_is_valid(f"pipeline/S/run-01/{slug(path)}/batch-1")
    assert "/" not in slug(path)
    assert slug(path) != "base", "that is the run's own branch"


@given(PATHS, PATHS)
def test_different_plans_have_different_slugs(one: str, other: str) -> None:
    if PurePosixPath(one) != PurePosixPath(other):
        assert slug(one) != slug(other)


def test_the_slug_of_an_ordinary_plan_is_its_path() -> None:
    assert slug("plans/hello.md") == "plans.hello"
    assert slug("a plan.md").startswith("a-plan-")


def test_base_is_no_slug_whatever_its_case() -> None:
    """A file system may take ``Base`` and ``base`` for one, and refs are files."""
    assert slug("Base.md").casefold() != "base"
    assert slug("plan.MD") != slug("plan.md")


def test_a_task_is_named_by_batch_and_id() -> None:
    assert task_slug("1", "1.2a") == "batch-1-task-1-2a"
    assert run_prefix("S", 3) == "pipeline/S/run-03"


def test_the_state_directory_ignores_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    layout = Layout.create(tmp_path / "deep/state", "S")

    assert (layout.state / ".gitignore").read_text() == "*\n"
    assert layout.scratch.is_dir()
    assert not layout.scratch.is_relative_to(layout.state), "no configuration of the project above a workspace"


def test_a_gitignore_that_the_user_changed_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "state").mkdir()
    (tmp_path / "state/.gitignore").write_text("*\n!kept\n")

    Layout.create(tmp_path / "state", "S")

    assert (tmp_path / "state/.gitignore").read_text() == "*\n!kept\n"


def test_a_state_directory_that_cannot_be_made_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(HostError, match=r"file.* cannot be made: .*pipeline_state_dir"):
        Layout.create(tmp_path / "file/state", "S")


def test_a_full_disk_is_told_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails while it writes does not say which file it was."""
    layout = Layout(tmp_path / "state", "S", tmp_path)

    def full(*_arguments: object, **_named: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)

    with pytest.raises(HostError, match=f"The directory {layout.state} cannot be made: No space left on device"):
        Layout.create(layout.state, "S")
    with pytest.raises(HostError, match=f"The directory {tmp_path}/gw0 cannot be made: No space left on device"):
        layout.of_worker("gw0")
