"""What a killed git has left locked is free again after a while; what a living one holds is waited for."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pytest_pipeline.forges import local_locks
from pytest_pipeline.forges.local import LocalForge
from pytest_pipeline.forges.local_locks import past_dead_locks
from pytest_pipeline.host.git import GitError, RefUpdate, Repository
from tests.host.git_world import source_repository


@pytest.fixture
def made(tmp_path: Path) -> tuple[LocalForge, Repository, str]:
    """A forge with a base branch, the user's repository, and its commit."""
    head = source_repository(tmp_path / "source", {"a.txt": "a"})
    source, forge = Repository(tmp_path / "source" / ".git"), LocalForge(tmp_path / "forge.git")
    forge.ensure_base("base", head, source)
    return forge, source, head


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_locks.past_dead_locks, "__kwdefaults__", {"patience": 0.2})


def lock(forge: LocalForge, name: str) -> Path:
    place = Path(forge.push_url, f"{name}.lock")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()
    return place


def test_a_branch_that_a_killed_git_has_locked_can_be_pushed_and_deleted(
    made: tuple[LocalForge, Repository, str],
) -> None:
    forge, source, head = made

    left = lock(forge, "refs/heads/task")
    forge.push("task", head, source)
    assert not left.exists()
    assert forge.branch_head("task") == head

    left = lock(forge, "refs/heads/task")
    forge.delete_branch("task", head)
    assert not left.exists()
    assert forge.branch_head("task") is None


def test_a_base_that_a_killed_git_has_locked_can_be_made(made: tuple[LocalForge, Repository, str]) -> None:
    forge, source, head = made
    lock(forge, "refs/heads/other")

    forge.ensure_base("other", head, source)

    assert forge.branch_head("other") == head


def test_a_lock_that_somebody_holds_is_waited_for(made: tuple[LocalForge, Repository, str], tmp_path: Path) -> None:
    forge, _, head = made
    held = lock(forge, "refs/heads/task")
    git = Repository(Path(forge.push_url))
    threading.Timer(0.3, held.unlink).start()

    assert past_dead_locks(
        git.git_dir, lambda: git.update_refs([RefUpdate("refs/heads/task", head, None)]), patience=600
    )


def test_locks_elsewhere_and_other_errors_are_left_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.lock"
    elsewhere.touch()

    def fails(text: str) -> None:
        raise GitError(text)

    for text in (f"fatal: Unable to create '{elsewhere}': File exists.", "fatal: something else"):
        with pytest.raises(GitError, match=text.partition(":")[2][:12]):
            past_dead_locks(tmp_path / "forge.git", lambda text=text: fails(text))  # type: ignore[misc]
    assert elsewhere.exists()
