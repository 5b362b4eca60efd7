"""The one way to run git: a fixed environment, no configuration but ours, no hook, no credential but the one handed in.

Commands go through :mod:`pytest_pipeline.host.process`; commits, trees and blobs are read and written in-process with
GitPython's object database, which spares a process per look-up and reads no configuration.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from pytest_pipeline.host import git_carry, git_work_tree
from pytest_pipeline.host.git_command import GitError, failed, git
from pytest_pipeline.host.git_objects import Change, Commit, Entry, Objects, Tree
from pytest_pipeline.host.git_work_tree import NestedRepositoryError, WorkTreeError
from pytest_pipeline.host.process import Captured

__all__ = [
    "Change",
    "Commit",
    "Entry",
    "GitError",
    "NestedRepositoryError",
    "RefUpdate",
    "Repository",
    "Tree",
    "WorkTreeError",
    "failed",
]

_ABSENT = "0" * 40
_ID = re.compile(r"[0-9a-f]{40}")
_FULL_REF = re.compile(r"refs/heads/[^:*]+")
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class RefUpdate:
    """One compare and swap of a ref. ``new`` None deletes; ``old`` None: must not exist; both equal: only compared."""

    name: str
    new: str | None
    old: str | None

    def line(self) -> str:
        """The instruction for ``git update-ref --stdin -z``."""
        old = self.old or _ABSENT
        if self.new == self.old:
            return f"verify {self.name}\0{old}\0"
        if self.new is None:
            return f"delete {self.name}\0{old}\0"
        return f"update {self.name}\0{self.new}\0{old}\0"


_NOT_AT_OLD = re.compile(r"but expected|reference already exists|unable to resolve reference")


@dataclass(frozen=True)
class Repository:
    """A git directory of ours, perhaps with a work tree that is not trusted and an index of our own.

    For one thread. Several processes may work on one git directory, but only one at a time on a work tree.

    Args:
        git_dir: the git directory.
        work_tree: directory whose files are looked at; its own ``.git`` is never read.
        index: index file, kept outside the work tree.
    """

    git_dir: Path
    work_tree: Path | None = None
    index: Path | None = None

    @classmethod
    def create(cls, git_dir: Path, *, alternates: Sequence[Path] = ()) -> Repository:
        """A new bare repository that borrows the objects of others (their ``objects`` directories).

        One that is there already is kept, also when another process makes it at the same time.
        """
        repository = cls(git_dir)
        if not git_dir.exists():
            git_dir.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{git_dir.name}.", dir=git_dir.parent) as draft:
                new = Path(draft, "new")
                git(("init", "--quiet", "--bare", "--template=", str(new)), cwd=git_dir.parent)
                _borrow(new, alternates)
                try:
                    new.rename(git_dir)
                except OSError:
                    if not (git_dir / "HEAD").is_file():
                        raise
        return repository

    @classmethod
    def of_checkout(cls, path: Path) -> Repository | None:
        """The user's own repository that holds a directory, only to be looked at; None where there is none.

        Raises:
            GitError: it uses SHA-256 object names.
        """
        question = ("rev-parse", "--show-object-format", "--absolute-git-dir", "--show-toplevel")
        answer = git(question, cwd=path, check=False)
        object_format, git_dir, work_tree = (*os.fsdecode(answer.stdout).split("\n"), "", "", "")[:3]
        if not git_dir:
            return None
        if object_format != "sha1":
            raise GitError(f"{git_dir} uses {object_format} object names. Use a repository with SHA-1 object names.")
        return cls(Path(git_dir), Path(work_tree) if work_tree else None)

    @cached_property
    def objects(self) -> Path:
        """The directory of its objects, for others to borrow from."""
        return self._common / "objects"

    @cached_property
    def _common(self) -> Path:
        """Where objects and branches lie: elsewhere for a linked work tree."""
        try:
            return self.git_dir / (self.git_dir / "commondir").read_text("utf-8").strip()
        except FileNotFoundError:
            return self.git_dir

    @cached_property
    def _objects(self) -> Objects:
        return Objects(self.objects)

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        environment: Mapping[str, str] = _NOTHING,
        check: bool = True,
        timeout: float = 600.0,
    ) -> Captured:
        """Run ``git <arguments>`` here.

        Raises:
            GitError: it failed and ``check`` is true.
        """
        git_dir = self.git_dir.absolute()
        places = [f"--git-dir={git_dir}"]
        extra = dict(environment)
        if self.work_tree is not None:
            places.append(f"--work-tree={self.work_tree.absolute()}")
        if self.index is not None:
            extra.setdefault("GIT_INDEX_FILE", str(self.index.absolute()))
        return git((*places, *arguments), cwd=git_dir, stdin=stdin, extra=extra, check=check, timeout=timeout)

    def text(self, *arguments: str) -> str:
        """The stripped output of :meth:`run`."""
        return self.run(*arguments).stdout.decode("utf-8", "surrogateescape").strip()

    def read_ref(self, name: str) -> str | None:
        """What a full ref name such as ``refs/heads/main`` or ``HEAD`` points to, or None; in-process."""
        for _ in range(2):  # a ref may be packed between the two looks
            try:
                loose = (self.git_dir if name == "HEAD" else self._common).joinpath(name).read_text("utf-8").strip()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                found = self._packed_ref(name)
                if found is not None:
                    return found
            else:
                return self.read_ref(loose[5:]) if loose.startswith("ref: ") else loose
        return None

    def _packed_ref(self, name: str) -> str | None:
        try:
            packed = (self._common / "packed-refs").read_text("utf-8", "surrogateescape")
        except FileNotFoundError:
            return None
        line = re.search(rf"^([0-9a-f]{{40}}) {re.escape(name)}$", packed, re.MULTILINE)
        return line[1] if line else None

    def resolve(self, revision: str) -> str | None:
        """The commit id that a revision names, or None; in-process for ids and full ref names."""
        known = self.read_ref(revision) if revision == "HEAD" or revision.startswith("refs/") else revision
        if known is not None and _ID.fullmatch(known):
            found = self._objects.find(known)
            if found is not None and found[0] == "commit":
                return known
        answer = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", check=False)
        return answer.stdout.decode("ascii").strip() or None if answer.exit_code == 0 else None

    def commit(self, sha: str) -> Commit:
        """A commit by its id, in-process."""
        return self._objects.commit(sha)

    def tree(self, commit_or_tree: str) -> Tree:
        """The tree of a commit, in-process."""
        return Tree(self._objects, self._objects.tree_of(commit_or_tree))

    def changes(self, old: str, new: str) -> tuple[Change, ...]:
        """What differs between two commits or trees, without rename detection, sorted by path."""
        return self._objects.changes(self._objects.tree_of(old), self._objects.tree_of(new))

    def commit_tree(
        self, tree: str, parents: Sequence[str], message: str, *, author: str, committer: str | None = None
    ) -> str:
        """Make a commit and return its id, in-process.

        Args:
            tree: id of its tree.
            parents: ids of its parents.
            message: subject, body and trailers.
            author: ``NAME <MAIL>``, perhaps followed by the time as git writes it (``1700000000 +0000``).
            committer: the same; None: the author.
        """
        return self._objects.write_commit(tree, parents, message, author=author, committer=committer or author)

    def update_refs(self, updates: Sequence[RefUpdate]) -> bool:
        """All of the updates in one transaction, or none; False when a ref is not at its old value."""
        arguments = ("update-ref", "--no-deref", "-z", "--stdin")
        lines = "".join(update.line() for update in updates)
        done = self.run(*arguments, stdin=lines.encode("utf-8", "surrogateescape"), check=False)
        if done.exit_code != 0 and not _NOT_AT_OLD.search(done.stderr):
            raise failed(arguments, done)
        return done.exit_code == 0

    def fetch(self, source: str, refspecs: Sequence[str], *, environment: Mapping[str, str] = _NOTHING) -> None:
        """Fetch objects and refs from an absolute path or a URL, without tags; a shallow source is fine.

        A refspec that names nothing to write to fetches only objects.
        """
        if self._carry_from(source, refspecs):
            return
        self.run(
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--no-recurse-submodules",
            "--update-shallow",
            "--",
            source,
            *refspecs,
            environment=environment,
        )

    def push(
        self,
        target: str,
        commit: str,
        branch: str,
        *,
        expected: str | None,
        environment: Mapping[str, str] = _NOTHING,
    ) -> None:
        """Push ``commit`` to ``refs/heads/<branch>``.

        The branch must be at ``expected`` (None: must not exist), or at ``commit`` already.

        Raises:
            GitError: refused.
        """
        ref = f"refs/heads/{branch}"
        self.run(
            "push",
            "--quiet",
            "--no-verify",
            "--recurse-submodules=no",
            f"--force-with-lease={ref}:{expected or ''}",
            "--",
            target,
            f"{commit}:{ref}",
            environment=environment,
        )

    def _carry_from(self, source: str, refspecs: Sequence[str]) -> bool:
        """Fetch without git's transport, between two directories; False where git is to do it, or to refuse it."""
        objects = git_carry.objects_of_bare(source)
        if objects is None or not all(_FULL_REF.fullmatch(each) for each in refspecs):
            return False
        tips = [Repository(Path(source)).read_ref(each) for each in refspecs]
        return all(tip is not None and git_carry.carry(tip, objects, self._objects) for tip in tips)

    def first_parents(self, tip: str, *, until: str | None) -> Iterator[str]:
        """Commits from ``tip`` back along first parents, ``until`` excluded; in-process."""
        return (commit.sha for commit in self._objects.first_parents(tip, until=until))

    def is_dirty(self, *, untracked: bool = False) -> bool:
        """Whether the user's checkout has changes that are not committed; its index is not touched."""
        files = "normal" if untracked else "no"
        arguments = ("status", "--porcelain", "-z", f"--untracked-files={files}", "--ignore-submodules=dirty")
        return self.work_tree is not None and bool(self.run(*arguments).stdout)

    def restore_work_tree(self, commit: str) -> None:
        """Bring the work tree to exactly that commit, whatever lies there; only ``.git`` at its root is left alone.

        Cheap when it was at a similar commit before: the index says which files need not be written again.
        """
        tree = self._objects.tree_of(commit)
        git_work_tree.sweep(self._work_tree, self._objects, tree)
        self._index.parent.mkdir(parents=True, exist_ok=True)
        self._index_tree.unlink(missing_ok=True)
        self._index.with_name(f"{self._index.name}.lock").unlink(missing_ok=True)  # of a process that was killed
        arguments = ("read-tree", "--reset", "-u", tree)
        if self.run(*arguments, check=False).exit_code != 0:
            self._index.unlink(missing_ok=True)
            self.run(*arguments)
        self._index_tree.write_text(tree, "ascii")

    def write_tree_of_work_tree(self, base: str) -> str:
        """Write what lies in the work tree as a tree and return its id; submodules stay as they are in ``base``.

        Ignored files are left out unless ``base`` has them. Nothing in the work tree can run anything.

        Args:
            base: the commit or tree that the work tree started from.

        Raises:
            NestedRepositoryError: a repository without a commit lies in it.
            WorkTreeError: something else in it cannot be committed.
        """
        tree = self._objects.tree_of(base)
        self._index.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{self._index.name}.", dir=self._index.parent) as scratch:
            copy = Repository(self.git_dir, self._work_tree, Path(scratch, "index"))
            if self._index_tree.is_file() and self._index_tree.read_text("ascii") == tree:
                # Only a copy: an index that has seen the agent's files must not vouch for them in the next restore.
                # With its time: by that git knows which files may have changed in the instant it was written.
                shutil.copy2(self._index, copy._index)
            else:
                copy.run("read-tree", tree)
            copy._add_all(tree)
            return copy.text("write-tree")

    def _add_all(self, tree: str) -> None:
        options, stdin = git_work_tree.excluded(self._objects.submodules(tree))
        done = self.run("add", "--all", *options, stdin=stdin, check=False)
        if done.exit_code != 0:
            raise git_work_tree.refused(done) or failed(("add", "--all", *options), done)

    def plant_clone(self, commit: str, branch: str) -> None:
        """Give the restored work tree a fresh ``.git`` of its own, on ``branch`` at ``commit``, borrowing our objects.

        It is for the agent; whatever ``.git`` lay there before is removed, and this one is never read by us.
        """
        target = self._work_tree / ".git"
        git_work_tree.remove(str(target))
        ref = target / "refs" / "heads" / branch
        ref.parent.mkdir(parents=True)
        ref.write_text(f"{commit}\n", "ascii")
        (target / "HEAD").write_text(f"ref: refs/heads/{branch}\n", "utf-8")
        config = (self.git_dir / "config").read_text("utf-8").replace("bare = true", "bare = false")
        (target / "config").write_text(config, "utf-8")
        _borrow(target, (self.objects,))
        shutil.copy2(self._index, target / "index")

    @property
    def _work_tree(self) -> Path:
        if self.work_tree is None:
            raise GitError(f"{self.git_dir} is used without a work tree. Name one in Repository(work_tree=...).")
        return self.work_tree

    @property
    def _index(self) -> Path:
        if self.index is None:
            raise GitError(f"{self.git_dir} is used without an index. Name one in Repository(index=...).")
        return self.index

    @property
    def _index_tree(self) -> Path:
        """Names the tree that the index was last restored to."""
        return self._index.with_name(f"{self._index.name}.tree")


def _borrow(git_dir: Path, alternates: Sequence[Path]) -> None:
    """Let a git directory use the objects of others; where these are shallow, it is too."""
    info = git_dir / "objects" / "info"
    info.mkdir(parents=True, exist_ok=True)
    if alternates:
        (info / "alternates").write_bytes(b"".join(os.fsencode(each.absolute()) + b"\n" for each in alternates))
    shallow = [each.parent / "shallow" for each in alternates if (each.parent / "shallow").is_file()]
    if shallow:
        (git_dir / "shallow").write_text("".join(each.read_text("ascii") for each in shallow), "ascii")
