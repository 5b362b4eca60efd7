"""Real repositories for tests, made with git's porcelain in an environment of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pytest_pipeline.host.git import Repository

AUTHOR = "Ada Example <ada@example.org>"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent/home",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada Example",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada Example",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "LC_ALL": "C",
}


def git(directory: Path, *arguments: str, check: bool = True, stdin: bytes = b"") -> str:
    """The stripped output of the porcelain, as a user would run it in that directory."""
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *arguments],
        cwd=directory,
        env=ENVIRONMENT,
        input=stdin,
        capture_output=True,
    )
    if check:
        assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def write(directory: Path, files: Mapping[str, str | bytes | None]) -> None:
    """Write files below a directory; None removes one."""
    for name, content in files.items():
        path = directory / name
        if content is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def commit_all(directory: Path, files: Mapping[str, str | bytes | None], message: str = "Change") -> str:
    """Write files, commit everything with the porcelain, return the commit's id."""
    write(directory, files)
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(directory, "rev-parse", "HEAD")


def source_repository(path: Path, files: Mapping[str, str | bytes | None]) -> str:
    """A user's repository with one commit on main; returns the commit's id."""
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--initial-branch=main")
    return commit_all(path, files, "First")


def workspace(tmp_path: Path, source: Path, commit: str) -> Repository:
    """A store that has the commit, with a work tree that is not restored yet."""
    store = Repository.create(tmp_path / "store.git")
    store.fetch(str(source), [commit])
    return Repository(store.git_dir, tmp_path / "workspace", tmp_path / "workspace.index")


def commit_files(repository: Repository, parent: str, files: Mapping[str, str | bytes | None]) -> str:
    """A commit on top of another with some files changed, made through the work tree."""
    assert repository.work_tree is not None
    repository.restore_work_tree(parent)
    write(repository.work_tree, files)
    tree = repository.write_tree_of_work_tree(parent)
    return repository.commit_tree(tree, [parent], f"Change {', '.join(files)}", author=AUTHOR)
