"""Make the commits that a merge, squash or rebase results in, with plumbing alone; no ref moves here."""

from __future__ import annotations

from itertools import islice

from pytest_pipeline.errors import ConflictError, ForgeError
from pytest_pipeline.forges.base import MergeRequest
from pytest_pipeline.host.git import Commit, Repository, failed

COMMITTER = "pytest-pipeline <pytest-pipeline@localhost>"
"""Who makes the commits on the forge, as GitHub does on GitHub."""

_NEAR = 64
"""So many first parents are looked through in-process before git is asked."""


def commits_on_top(repository: Repository, base: str, head: str) -> list[Commit] | None:
    """The commits that follow each other from ``base`` to ``head``, oldest first; None when that is not the shape."""
    found: list[Commit] = []
    for sha in islice(repository.first_parents(head, until=base), _NEAR):
        found.append(repository.commit(sha))
    on_top = not found or found[-1].parents[:1] == (base,)
    return found[::-1] if on_top else None


def has_commits_between(repository: Repository, base: str, head: str) -> bool:
    """Whether ``head`` holds a commit that ``base`` does not."""
    near = commits_on_top(repository, base, head)
    if near is not None:
        return bool(near)
    return bool(repository.text("rev-list", "--max-count=1", head, f"^{base}"))


def make(repository: Repository, request: MergeRequest) -> str:
    """Make the commit that the base is to be moved to, and return its id.

    Raises:
        ConflictError: base and head changed the same lines.
        ForgeError: the method is not known, or the histories have nothing in common.
    """
    if request.method == "rebase":
        return rebase(repository, request.base, request.head)
    if request.method not in ("merge", "squash"):
        raise ForgeError(f"The merge method {request.method!r} is not known. Use merge, squash or rebase.")
    on_top = commits_on_top(repository, request.base, request.head)
    head = repository.commit(request.head)
    tree = head.tree if on_top else merge_trees(repository, request.base, request.head)
    squash = request.method == "squash"
    parents = (request.base,) if squash else (request.base, request.head)
    author = head.author if squash else COMMITTER
    return repository.commit_tree(tree, parents, request.message, author=author, committer=COMMITTER)


def rebase(repository: Repository, base: str, head: str, *, committer: str | None = COMMITTER) -> str:
    """Make the commits of ``head`` again on ``base``, but for merges, and return the id of the last one.

    Args:
        repository: holds both.
        base: the commit to stand on; also what is returned where it holds all of ``head`` already.
        head: the last commit to be made again.
        committer: who makes them, now; None: each keeps its committer and that time, so that every try makes the same.

    Raises:
        ConflictError: base and head changed the same lines.
        ForgeError: the histories have nothing in common.
    """
    tip = repository.commit(base)
    for commit in _to_rebase(repository, base, head):
        tree = _pick(repository, commit, tip)
        author = f"{commit.author} {commit.authored}"
        maker = committer or f"{commit.committer} {commit.committed}"
        sha = repository.commit_tree(tree, (tip.sha,), commit.message, author=author, committer=maker)
        tip = repository.commit(sha)
    return tip.sha


def _to_rebase(repository: Repository, base: str, head: str) -> list[Commit]:
    near = commits_on_top(repository, base, head)
    if near is not None and all(len(commit.parents) == 1 for commit in near):
        return near
    listing = repository.text("rev-list", "--reverse", "--topo-order", "--no-merges", head, f"^{base}")
    commits = [repository.commit(sha) for sha in listing.split()]
    if not all(commit.parents for commit in commits):
        raise ForgeError("Base and head have no commit in common, so it cannot be rebased. Merge it, or squash it.")
    return commits


def _pick(repository: Repository, commit: Commit, onto: Commit) -> str:
    """The tree of a commit's change made again on another commit."""
    before = repository.commit(commit.parents[0])
    if before.tree == onto.tree:
        return commit.tree
    # git 2.39 has no --merge-base, so `ours` becomes a child of the commit's parent: that is the merge base then.
    ours = repository.commit_tree(onto.tree, commit.parents[:1], "for a merge", author=COMMITTER)
    return merge_trees(repository, ours, commit.sha)


def merge_trees(repository: Repository, ours: str, theirs: str) -> str:
    """The tree of two commits merged.

    Raises:
        ConflictError: both changed the same lines; names the files.
    """
    arguments = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs)
    done = repository.run(*arguments, check=False)
    if done.exit_code not in (0, 1):
        raise failed(arguments, done)
    tree, *paths = done.stdout.decode("utf-8", "surrogateescape").rstrip("\0").split("\0")
    if done.exit_code == 1:
        names = ", ".join(paths)
        raise ConflictError(f"Base and head both changed {names}. Bring the branch up to date with its base.", paths)
    return tree.strip()
