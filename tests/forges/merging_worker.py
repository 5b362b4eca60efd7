"""A process that merges pull requests, for tests with several: ``python -m tests.forges.merging_worker``.

Arguments: the forge's root, the source's git directory, the name of this worker, how many pull requests, and perhaps
the word ``killed``: then it dies by SIGKILL in the moment after the base moved.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from pytest_pipeline.errors import BaseMovedError
from pytest_pipeline.forges.base import Draft, MergeRequest, PullRequest
from pytest_pipeline.forges.local import LocalForge
from pytest_pipeline.forges.local_ledger import Intent, Ledger
from pytest_pipeline.host.git import Repository
from tests.host.git_world import commit_files


def merge(forge: LocalForge, pull_request: PullRequest) -> None:
    """Merge, again and again until nobody else was faster."""
    while True:
        base = forge.branch_head(pull_request.base)
        assert base is not None
        try:
            forge.merge(pull_request, MergeRequest("squash", pull_request.head, base, f"Merge {pull_request.branch}"))
        except BaseMovedError:
            continue
        return


def _die(ledger: Ledger, number: int, intent: Intent) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(root: Path, source: Path, name: str, count: int, *, killed: bool) -> None:
    """Make the base, then for each pull request a branch, the pull request, the merge and the branch's end."""
    forge = LocalForge(root)
    scratch = root.parent / f"worker-{name}"
    work = Repository(source, scratch, root.parent / f"worker-{name}.index")
    start = work.resolve("refs/heads/main")
    assert start is not None
    forge.ensure_base("base", start, work)
    if killed:
        setattr(Ledger, "merged", _die)  # noqa: B010 - mypy refuses the plain assignment
    for number in range(count):
        branch = f"{name}/{number}"
        head = commit_files(work, start, {f"{name}-{number}.txt": "x\n"})
        work.push(forge.push_url, head, branch, expected=None)
        pull_request = forge.ensure_pull_request(Draft(branch, "base", f"Add {branch}", ""))
        merge(forge, pull_request)
        forge.delete_branch(branch, head)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), killed="killed" in sys.argv)
