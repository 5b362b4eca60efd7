"""From a verified tree to a merged pull request, and the proof that it is merged.

Merging is compare and swap: with exactly our head, into exactly the base that we saw. Afterwards everything is asked of
git and the forge again, as if we had not done it ourselves.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from pytest_pipeline.errors import BaseMovedError, BehindError, FailureKind, ForgeError, TaskFailure
from pytest_pipeline.events import TaskReference
from pytest_pipeline.execution.outcome import judge
from pytest_pipeline.execution.pipeline import Run
from pytest_pipeline.execution.steps import StepLog
from pytest_pipeline.forges.base import ChecksRule, Draft, Forge, MergeRequest, PullRequest, PullRequestState
from pytest_pipeline.plans.model import Task
from pytest_pipeline.settings import Settings

MERGE_TRIES = 50  # each lost to another merge into the same base, so something was done in between
UPDATE_TRIES = 10  # each followed by all checks once more


@dataclass(frozen=True)
class Landing:
    """What landing one task needs to know; ``facts`` is filled for the record.

    ``note`` writes the facts down: of whoever dies after the merge, others must know that it was made.
    """

    task: Task
    reference: TaskReference
    run: Run
    settings: Settings
    steps: StepLog
    facts: dict[str, str]
    branch: str
    base: str
    title: str
    text: str
    note: Callable[[], None]

    def land(self, tree: str) -> None:
        """Commit, push, open, merge and assert.

        Args:
            tree: the tree that was verified.

        Raises:
            TaskFailure: the outcome is not what it must be.
            ForgeError: the forge refused.
        """
        with self.steps.step("commit"):
            commit = self.run.repository.commit_tree(tree, [self.base], self.message(), author=self.settings.author)
            self.facts["commit"] = commit
            self.note()  # before anybody else can see it: whoever takes the session up again goes on from here
        self._land_commit(commit, tree)

    def _land_commit(self, commit: str, tree: str) -> None:
        self._finish(self._published(commit), commit, tree)

    def _finish(self, pull_request: PullRequest, commit: str, tree: str) -> None:
        """Merge a pull request that waits for nothing else, or leave it open as asked, and prove it."""
        if not self.settings.auto_merge:
            with self.steps.step("outcome"):
                self._confirm_open(commit)
            return
        with self.steps.step("merge"):
            with self.run.merging():
                merged = self._merge(pull_request)
            self._clean_up(merged)
        with self.steps.step("outcome"):
            self._confirm_merged(tree)

    def go_on(self, commit: str, tree: str | None) -> None:
        """Land what an earlier process has verified, from the first step on whose effect is missing.

        What it has done is asked of the forge, whatever it wrote about that.

        Args:
            commit: the commit that it made.
            tree: its tree; None: the commit is gone, which only matters where it is not merged.

        Raises:
            TaskFailure: the outcome is not what it must be.
            ForgeError: the forge refused, or somebody has interfered meanwhile.
        """
        with self.steps.step("pull request"):
            found = self.run.forge.find_pull_request(self.branch)
            if found is not None and found.state is PullRequestState.CLOSED:
                raise ForgeError(
                    f"The pull request {found.url} was closed meanwhile. Look who did that, and start anew."
                )
            moved = found is not None and found.state is PullRequestState.OPEN and self._was_moved(commit)
        if found is None or (found.state is PullRequestState.OPEN and not moved):
            self._land_commit(commit, tree or "")
            return
        if moved:
            with self.steps.step("checks"):
                request = MergeRequest(self.settings.merge_method, commit, self.run.sync(), self.message())
                updated = self._updated(found, request)  # refuses what is neither ours nor ours brought up to date
            self._finish(updated, updated.head, tree or "")
            return
        with self.steps.step("merge"):
            self._clean_up(found)
        with self.steps.step("outcome"):
            self._confirm_merged(tree)

    def _was_moved(self, commit: str) -> bool:
        """Whether the branch is at another commit than ours, as where rules demand that it is up to date."""
        head = self.run.forge.branch_head(self.branch)
        return head is not None and head != commit

    def _published(self, commit: str) -> PullRequest:
        """The pull request of a commit, which waits for nothing but its merge."""
        forge = self.run.forge
        with self.steps.step("push"):
            forge.push(self.branch, commit, self.run.repository)
        with self.steps.step("pull request"):
            draft = Draft(self.branch, self.run.base_branch, self.title, self.text)
            pull_request = replace(forge.ensure_pull_request(draft), head=commit)  # REST may lag behind the push
            self._note(pull_request)
        with (
            self.steps.step("checks"),
            contextlib.suppress(BehindError),
        ):  # it is brought up to date when its turn comes
            pull_request = self._ready(pull_request)
        return pull_request

    def _clean_up(self, merged: PullRequest) -> None:
        self._note(merged)
        self.note()  # so that the run's final state knows the merge, whatever becomes of this attempt
        self.run.forge.delete_branch(self.branch, merged.head)

    def message(self) -> str:
        """The whole commit message, with the trailers by which git can be held against the record."""
        key = self.reference
        return (
            f"{subject(self.task)}\n\nTask {key.task} of {key.plan}, batch {key.batch}: {self.task.title}\n\n"
            f"Pipeline-Session: {key.session}\nPipeline-Run: {key.run}\n"
            f"Pipeline-Task: {key.plan}::{key.batch}::{key.task}\n"
        )

    def _note(self, pull_request: PullRequest) -> None:
        self.facts.update(
            pull_request=str(pull_request.number),
            pull_request_url=pull_request.url,
            pull_request_state=str(pull_request.state),
        )
        if pull_request.merge_commit:
            self.facts["merge_commit"] = pull_request.merge_commit
        self.note()

    def _ready(self, pull_request: PullRequest) -> PullRequest:
        return self.run.forge.wait_until_ready(
            pull_request, ChecksRule(self.settings.checks), self.settings.checks_time
        )

    def _merge(self, pull_request: PullRequest) -> PullRequest:
        """Merge into whatever the base is now; only merges of other machines can come in between."""
        forge, tries, updates, base = self.run.forge, MERGE_TRIES, UPDATE_TRIES, self.base
        while True:
            request = MergeRequest(self.settings.merge_method, pull_request.head, base, self.message())
            try:
                return forge.merge(pull_request, request)
            except BehindError:
                updates -= 1
                if not updates:
                    raise
                pull_request, base = self._updated(pull_request, request), self.run.sync()
            except BaseMovedError:
                tries -= 1
                found, base = base, self.run.sync()
                if not tries or forge.branch_head(self.branch) != pull_request.head or found == base:
                    raise

    def _updated(self, pull_request: PullRequest, request: MergeRequest) -> PullRequest:
        """The pull request with a head that stands on the base; its checks have run once more."""
        updated = self.run.forge.update(pull_request, request)
        self.facts["updated_commit"] = updated.head
        with contextlib.suppress(BehindError):  # the base has moved again; the merge will tell
            return self._ready(updated)
        return updated

    # Outcome

    def _confirm_open(self, commit: str) -> None:
        forge = self.run.forge
        found = forge.find_pull_request(self.branch)
        state = str(found.state) if found else "missing"
        self._demand(state == "open", "that the pull request stays open", f"The pull request is {state}.")
        head = forge.branch_head(self.branch)
        self._demand(head == commit, f"that {self.branch} is at {commit}", f"It is at {head}.")

    def _confirm_merged(self, tree: str | None) -> None:
        forge, repository = self.run.forge, self.run.repository
        found = forge.find_pull_request(self.branch)
        state = found.state if found else None
        self._demand(
            state is PullRequestState.MERGED, "that the pull request is merged", f"The pull request is {state}."
        )
        assert found is not None
        self._demand(
            found.base == self.run.base_branch,
            f"that it is merged into {self.run.base_branch}",
            f"It is merged into {found.base}.",
        )
        head, merged = self.run.sync(), found.merge_commit or "unknown"
        self._demand(
            merged in repository.first_parents(head, until=self.run.start),
            f"the merge commit {merged} in {self.run.base_branch}",
            f"The history of {self.run.base_branch}, from {head} back, does not hold it.",
        )
        self._demand(
            forge.branch_head(self.branch) is None, f"that {self.branch} is deleted", f"{self.branch} is still there."
        )
        self._confirm_tree(merged, tree)

    def _confirm_tree(self, merged: str, tree: str | None) -> None:
        repository = self.run.repository
        parent = repository.commit(merged).parents[0]
        self.facts["merge_base"] = parent
        if parent == self.base and tree is not None:
            found = repository.commit(merged).tree
            self._demand(
                found == tree, f"that the merged tree is the verified one, {tree}", f"The merged tree is {found}."
            )
            return
        findings = judge(
            self.task, repository.tree(parent), repository.tree(merged), repository.changes(parent, merged)
        )
        self._demand(not findings.failures, "files as declared on the merged tree", " ".join(findings.failures))

    def _demand(self, condition: bool, expected: str, found: str) -> None:
        if not condition:
            raise TaskFailure(
                FailureKind.OUTCOME,
                step=self.steps.current,
                expected=expected,
                found=found,
                look_at=self.facts.get("pull_request_url", ""),
            )


def subject(task: Task) -> str:
    """First line of the commit of a task."""
    return task.commit_subject or task.title


def confirm_nothing_landed(forge: Forge, branch: str) -> None:
    """That a task which must leave nothing has left nothing: no branch and no pull request of its own.

    Raises:
        TaskFailure: it has.
    """
    pull_request = forge.find_pull_request(branch)
    head = forge.branch_head(branch)
    if pull_request is not None or head is not None:
        found = f"pull request {pull_request.url}, {pull_request.state}" if pull_request else f"the branch at {head}"
        raise TaskFailure(
            FailureKind.OUTCOME, step="outcome", expected=f"nothing on the forge from {branch}", found=found
        )
