"""The embedded forge: a bare repository with pull requests beside it. Real branches, real merges, no network."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from pytest_pipeline.errors import BaseMovedError, ForgeError, HostError
from pytest_pipeline.forges import local_merging
from pytest_pipeline.forges.base import ChecksRule, Draft, MergeRequest, PullRequest, PullRequestState
from pytest_pipeline.forges.leftovers import PREFIX, Leftover, OpenPullRequest, gather, refuse_kept
from pytest_pipeline.forges.local_ledger import Intent, Ledger, Row
from pytest_pipeline.forges.local_locks import past_dead_locks
from pytest_pipeline.host.git import RefUpdate, Repository


@contextlib.contextmanager
def _told_as_forge_error() -> Iterator[None]:
    try:
        yield
    except HostError as error:
        raise ForgeError(f"The local forge could not do its work: {error}") from error
    except sqlite3.Error as error:
        raise ForgeError(
            f"The local forge cannot read or write its pull requests: {error}. Look at the .db file beside it, "
            "or remove the local forge to start anew."
        ) from error


class LocalForge:
    """A forge for this machine, or for all processes that see its directory.

    Args:
        root: its bare repository, made when it is first needed, for example ``.pipeline/forge.git``.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._ledger = Ledger(self._root.with_suffix(".db"))

    @property
    def name(self) -> str:
        """The forge as the record shows it."""
        return "local"

    @property
    def repository(self) -> str:
        """The repository as the record shows it: its name, without the machine's path."""
        return self._root.stem

    @property
    def push_url(self) -> str:
        """Where git pushes to and fetches from."""
        return str(self._root)

    @cached_property
    def _git(self) -> Repository:
        return Repository(self._root)

    def _update(self, updates: Sequence[RefUpdate]) -> bool:
        return past_dead_locks(self._root, lambda: self._git.update_refs(updates))

    def _push(self, commit: str, branch: str, source: Repository) -> None:
        past_dead_locks(self._root, lambda: source.push(self.push_url, commit, branch, expected=None))

    @_told_as_forge_error()
    def identity(self) -> str:
        """What tells this forge from others, also after it was moved to another place.

        Raises:
            ForgeError: what it remembers is damaged, cannot be written, or is of a newer program.
        """
        return self._ledger.identity()

    @_told_as_forge_error()
    def ensure_base(self, branch: str, commit: str, source: Repository) -> None:
        """Make sure that ``branch`` exists; a new one starts at ``commit``, whose objects lie in ``source``."""
        Repository.create(self._root)
        if self.branch_head(branch) is not None:
            return
        if self._git.resolve(commit) == commit:
            self._update([RefUpdate(_ref(branch), commit, None)])
            return
        try:
            self._push(commit, branch, source)
        except HostError:
            if self.branch_head(branch) is None:  # otherwise another process was faster
                raise

    @_told_as_forge_error()
    def branch_head(self, branch: str) -> str | None:
        """The commit that the branch is at, or None."""
        return self._git.read_ref(_ref(branch))

    @_told_as_forge_error()
    def push(self, branch: str, commit: str, source: Repository) -> None:
        """Push ``commit``, whose objects lie in ``source``, to a new branch; that it is there already is fine.

        Raises:
            ForgeError: the branch is at another commit, or the push is refused.
        """
        self._push(commit, branch, source)

    @_told_as_forge_error()
    def fetch(self, branch: str, target: Repository) -> None:
        """Bring the objects of a branch, and all that they stand on, to ``target``; no ref is written there."""
        target.fetch(self.push_url, [_ref(branch)])

    @_told_as_forge_error()
    def find_pull_request(self, branch: str) -> PullRequest | None:
        """The newest pull request from that branch, in whatever state, or None."""
        row = self._ledger.newest(branch)
        return None if row is None else self._pull_request(self._settled(row))

    @_told_as_forge_error()
    def pull_requests(self, base: str) -> list[PullRequest]:
        """Every pull request into that base branch, by number."""
        return [self._pull_request(self._settled(row)) for row in self._ledger.of_base(base)]

    @_told_as_forge_error()
    def ensure_pull_request(self, draft: Draft) -> PullRequest:
        """The open or merged pull request of that branch, made if there is none.

        Raises:
            ForgeError: a branch is missing, or the branch holds nothing that the base does not.
        """
        known = self._ledger.newest(draft.branch)
        if known is not None and known.base == draft.base and known.state is not PullRequestState.CLOSED:
            return self._pull_request(self._settled(known))
        base, head = self.branch_head(draft.base), self.branch_head(draft.branch)
        for branch, found in ((draft.base, base), (draft.branch, head)):
            if found is None:
                raise ForgeError(
                    f"There is no branch {branch} on the local forge. Push it, then open the pull request."
                )
        assert base is not None
        assert head is not None
        self._refuse_empty(draft.base, base, draft.branch, head)
        return self._pull_request(self._ledger.open(draft, head))

    def wait_until_ready(self, pull_request: PullRequest, rule: ChecksRule, timeout: float) -> PullRequest:
        """There are no checks here: it is ready."""
        return self.find_pull_request(pull_request.branch) or pull_request

    def update(self, pull_request: PullRequest, request: MergeRequest) -> PullRequest:
        """No rule here wants a head that is up to date with its base: it stays as it is.

        Raises:
            BaseMovedError: the head is another commit, which nobody of us has made.
        """
        found = self.find_pull_request(pull_request.branch) or pull_request
        if found.state is PullRequestState.OPEN and found.head != request.head:
            raise BaseMovedError(
                f"The branch {found.branch} is at {found.head}, expected was {request.head}. Look who moved it, and "
                "start again."
            )
        return found

    @_told_as_forge_error()
    def merge(self, pull_request: PullRequest, request: MergeRequest) -> PullRequest:
        """Merge, or find that it is merged.

        Raises:
            BaseMovedError: head or base is not the expected commit; nothing was merged.
            ConflictError: it cannot be merged; names the files.
            ForgeError: it is closed, not known, or holds nothing to merge.
        """
        row = self._ledger.get(pull_request.number)
        if row is None:
            raise ForgeError(f"There is no pull request {pull_request.url} on the local forge. Open it again.")
        row = self._settled(row)
        if row.state is PullRequestState.OPEN:
            row = self._merge(row, request)
        elif row.state is PullRequestState.CLOSED:
            raise ForgeError(f"The pull request {self._url(row)} is closed. Open a new one from its branch.")
        return self._pull_request(row)

    def _merge(self, row: Row, request: MergeRequest) -> Row:
        self._expect(row, request)
        self._refuse_empty(row.base, request.base, row.branch, request.head)
        merge_commit = local_merging.make(self._git, request)
        intent = Intent(request.head, request.base, merge_commit)
        self._ledger.intend(row.number, intent)
        moved = self._update(
            [
                RefUpdate(_ref(row.branch), request.head, request.head),
                RefUpdate(_ref(row.base), merge_commit, request.base),
            ]
        )
        if not moved:
            self._expect(row, request)
            raise BaseMovedError(f"{row.branch} or {row.base} moved during the merge; nothing was merged. Try again.")
        return self._merged(row, intent)

    def _merged(self, row: Row, intent: Intent) -> Row:
        self._ledger.merged(row.number, intent)
        return self._ledger.get(row.number) or row

    def _expect(self, row: Row, request: MergeRequest) -> None:
        for branch, expected in ((row.branch, request.head), (row.base, request.base)):
            found = self.branch_head(branch)
            if found != expected:
                raise BaseMovedError(
                    f"The branch {branch} is at {found or 'no commit'}, expected was {expected}; nothing was merged. "
                    "Look what moved it, and merge again from where it is."
                )

    def _refuse_empty(self, base_branch: str, base: str, branch: str, head: str) -> None:
        if not local_merging.has_commits_between(self._git, base, head):
            raise ForgeError(f"No commits between {base_branch} and {branch}. Commit a change to the branch first.")

    def _settled(self, row: Row) -> Row:
        """A process may have been killed after it moved the base and before it wrote so: git knows."""
        if row.state is not PullRequestState.OPEN:
            return row
        tip = self.branch_head(row.base)
        for intent in self._ledger.intents(row.number):
            if tip is not None and intent.merge_commit in self._git.first_parents(tip, until=intent.base):
                return self._merged(row, intent)
        return row

    @_told_as_forge_error()
    def delete_branch(self, branch: str, head: str) -> None:
        """Delete the branch if it is still at ``head``; that it is gone already is fine.

        A pull request that is still open from it is closed, as GitHub does.

        Raises:
            ForgeError: it is at another commit.
        """
        row = self._ledger.newest(branch)
        still_open = row is not None and self._settled(row).state is PullRequestState.OPEN
        if self.branch_head(branch) is not None and not self._update([RefUpdate(_ref(branch), None, head)]):
            found = self.branch_head(branch)
            if found is not None:
                raise ForgeError(f"{branch} is at {found}, not at {head}, so it was not deleted. Look what moved it.")
        if still_open:
            self._ledger.close(branch)

    @_told_as_forge_error()
    def leftovers(self) -> tuple[Leftover, ...]:
        """Everything that sessions left, in the order in which it can be removed."""
        if not self._root.is_dir():
            return ()
        listed = self._git.text("for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", _ref(PREFIX))
        heads = {name: sha for sha, _, name in (line.partition(" ") for line in listed.splitlines())}
        return gather(heads, self._open_pull_requests())

    @_told_as_forge_error()
    def remove(self, leftover: Leftover) -> tuple[OpenPullRequest, ...]:
        """Close the pull requests from the branch and delete it; that it is gone already is fine.

        Returns:
            The pull requests that were closed.

        Raises:
            ForgeError: it is at another commit, or a pull request of another run or branch needs it.
        """
        name = leftover.branch.name
        near = self._open_pull_requests(name)
        staying = [each.branch for each in near if each.branch and self.branch_head(each.branch) is not None]
        refuse_kept(leftover.branch, near, staying)
        self.delete_branch(name, leftover.head)
        return tuple(each for each in near if each.branch == name)

    def _open_pull_requests(self, end: str | None = None) -> list[OpenPullRequest]:
        """Those from or into a branch, or all; every one is marked, for nobody but the pipeline opens one here."""
        rows = [self._settled(row) for row in self._ledger.opened() if end in (None, row.branch, row.base)]
        return [
            OpenPullRequest(row.number, self._url(row), row.branch, row.base, marked=True)
            for row in rows
            if row.state is PullRequestState.OPEN
        ]

    def _url(self, row: Row) -> str:
        return f"local://{self.repository}/pull/{row.number}"

    def _pull_request(self, row: Row) -> PullRequest:
        head = (self.branch_head(row.branch) if row.state is PullRequestState.OPEN else None) or row.head
        return PullRequest(
            number=row.number,
            url=self._url(row),
            branch=row.branch,
            base=row.base,
            head=head,
            title=row.title,
            state=row.state,
            merge_commit=row.merge_commit,
        )


def _ref(branch: str) -> str:
    return f"refs/heads/{branch}"
