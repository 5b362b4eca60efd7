"""From a verified tree to a merged pull request; what comes in between, and what must not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_pipeline.agents.base import AgentRequest
from pytest_pipeline.errors import FailureKind
from pytest_pipeline.execution.pipeline import Pipeline
from pytest_pipeline.execution.task_run import TaskRun
from pytest_pipeline.forges.base import Draft
from pytest_pipeline.host.git import RefUpdate, Repository
from tests.e2e.world import plan, task
from tests.execution.stage import Stage
from tests.host.git_world import git

METHODS = pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
MAKE_A = plan(task("1.1", "Make a", files=["Create: `a.txt`"], Commit="feat(a): make a"))
EDIT = plan(task("1.1", "Edit the first line", files=["Modify: `kept.txt`"]))


def writes(name: str, text: str) -> Callable[[AgentRequest], object]:
    return lambda request: (request.workspace / name).write_text(text)


def forge_of(pipeline: Pipeline) -> Repository:
    return Repository(Path(pipeline.forge.push_url))


def base_branch(pipeline: Pipeline, run: int = 1) -> str:
    return f"pipeline/{pipeline.session}/run-{run:02d}/base"


def move_base(pipeline: Pipeline, files: dict[str, str], *, run: int = 1) -> str:
    """What another merge into the run's base does: a commit with these files changed."""
    forge, branch = forge_of(pipeline), base_branch(pipeline, run)
    old = pipeline.forge.branch_head(branch)
    assert old is not None
    lines = [
        f"{entry.mode} blob {entry.sha}\t{path}"
        for path, entry in forge.tree(old).entries().items()
        if path not in files
    ]
    for path, text in files.items():
        sha = git(forge.git_dir, "hash-object", "-w", "--stdin", stdin=text.encode())
        lines.append(f"100644 blob {sha}\t{path}")
    tree = git(forge.git_dir, "mktree", stdin="\n".join(lines).encode())
    new = forge.commit_tree(tree, [old], "Somebody else", author="Else <e@example.org>")
    assert forge.update_refs([RefUpdate(f"refs/heads/{branch}", new, old)])
    return new


def failed(attempt: TaskRun) -> tuple[FailureKind, str]:
    assert attempt.failure is not None
    return attempt.failure.kind, attempt.failure.found


# The commit


def test_the_commit_tells_task_and_session_and_has_the_author_of_the_settings(stage: Stage) -> None:
    pipeline = stage.open(MAKE_A, {"author": "Grace Example <grace@example.org>"})

    facts = stage.attempt(pipeline, act=writes("a.txt", "a\n"), run=2).facts

    forge = Path(pipeline.forge.push_url)
    told = git(forge, "show", "--no-patch", "--format=%an <%ae>%n%B", facts["merge_commit"])
    assert told == (
        "Grace Example <grace@example.org>\nfeat(a): make a\n\nTask 1.1 of plans/p.md, batch 1: Make a\n\n"
        f"Pipeline-Session: {pipeline.session}\nPipeline-Run: 2\nPipeline-Task: plans/p.md::1::1.1"
    )
    trailers = git(forge, "show", "--no-patch", "--format=%(trailers:only,unfold)", facts["merge_commit"])
    assert [line.split(":")[0] for line in trailers.splitlines()] == [
        "Pipeline-Session",
        "Pipeline-Run",
        "Pipeline-Task",
    ]


def test_without_a_subject_of_its_own_the_title_is_the_subject_and_names_the_pull_request(stage: Stage) -> None:
    pipeline = stage.open(EDIT)

    facts = stage.attempt(pipeline, act=writes("kept.txt", "x\n")).facts

    found = pipeline.forge.find_pull_request(facts["branch"])
    assert found is not None
    assert found.title == "Edit the first line"
    assert git(Path(pipeline.forge.push_url), "log", "-1", "--format=%s", facts["merge_commit"]) == found.title


@METHODS
def test_merged_as_asked_with_trailers_on_what_is_on_the_base(stage: Stage, method: str) -> None:
    pipeline = stage.open(MAKE_A, {"merge_method": method})

    facts = stage.attempt(pipeline, act=writes("a.txt", "a\n")).facts

    forge = forge_of(pipeline)
    merged = forge.commit(facts["merge_commit"])
    parents = {"merge": (pipeline.base, facts["commit"]), "squash": (pipeline.base,), "rebase": (pipeline.base,)}
    assert merged.parents == parents[method]
    assert merged.tree == forge.commit(facts["commit"]).tree if method == "merge" else True
    assert f"Pipeline-Session: {pipeline.session}" in merged.message
    assert pipeline.forge.branch_head(facts["branch"]) is None
    assert pipeline.forge.branch_head(base_branch(pipeline)) == facts["merge_commit"]
    assert facts["pull_request_state"] == "merged"
    assert git(forge.git_dir, "fsck", "--strict", "--no-dangling") == ""


@pytest.mark.parametrize("author", ["nobody", "Nobody", "<x>", "A <a@b> <c@d>", "A\n<a@b>"])
def test_an_author_that_git_cannot_read_is_refused_before_anything_runs(stage: Stage, author: str) -> None:
    from pytest_pipeline.errors import SettingsError

    with pytest.raises(SettingsError, match="NAME <MAIL>"):
        stage.open(MAKE_A, {"author": author})


# The base moves


@METHODS
@pytest.mark.parametrize("step", ["agent", "push", "checks"])
def test_a_base_that_moved_elsewhere_is_merged_with_and_the_merged_tree_is_judged(
    stage: Stage, method: str, step: str
) -> None:
    pipeline = stage.open(EDIT, {"merge_method": method})
    stage.onlooker.after[step] = lambda: move_base(pipeline, {"else.txt": "else\n", "kept.txt": "one\ntwo\nthree\n4\n"})

    attempt = stage.attempt(pipeline, act=writes("kept.txt", "ONE\ntwo\nthree\n"))

    assert attempt.failure is None, attempt.failure
    forge = forge_of(pipeline)
    final = forge.tree(attempt.facts["merge_commit"])
    assert final.read("kept.txt") == b"ONE\ntwo\nthree\n4\n"
    assert final.read("else.txt") == b"else\n"
    assert attempt.facts["merge_base"] != attempt.facts["parent_commit"]
    assert attempt.facts["base_branch"] == base_branch(pipeline)
    assert git(forge.git_dir, "fsck", "--strict", "--no-dangling") == ""


@METHODS
def test_a_base_that_changed_the_same_lines_is_a_conflict_and_nothing_is_merged(stage: Stage, method: str) -> None:
    pipeline = stage.open(EDIT, {"merge_method": method})
    moved: list[str] = []
    stage.onlooker.after["push"] = lambda: moved.append(move_base(pipeline, {"kept.txt": "uno\ntwo\nthree\n"}))

    attempt = stage.attempt(pipeline, act=writes("kept.txt", "ONE\ntwo\nthree\n"))

    assert failed(attempt)[0] is FailureKind.CONFLICT
    assert "kept.txt" in failed(attempt)[1]
    assert pipeline.forge.branch_head(base_branch(pipeline)) == moved[0]
    found = pipeline.forge.find_pull_request(attempt.facts["branch"])
    assert found is not None
    assert str(found.state) == "open"


def test_a_base_that_moved_so_that_the_files_are_not_as_declared_fails_the_outcome(stage: Stage) -> None:
    """Both sides create the file with the same content: git merges that, but the task did not create it."""
    pipeline = stage.open(MAKE_A)
    stage.onlooker.after["push"] = lambda: move_base(pipeline, {"a.txt": "a\n", "other.txt": ""})

    attempt = stage.attempt(
        pipeline, act=lambda request: [writes("a.txt", "a\n")(request), writes("b.txt", "b")(request)]
    )

    assert failed(attempt)[0] is FailureKind.OUTCOME
    assert "Expected a.txt to be created; it was there before the task." in failed(attempt)[1]


def test_what_moved_the_base_between_our_look_and_our_merge_is_looked_at_again(stage: Stage) -> None:
    pipeline = stage.open(EDIT)
    forge, merge, tries = pipeline.forge, pipeline.forge.merge, []

    def late(*arguments: object) -> object:
        tries.append(arguments)
        if len(tries) < 4:
            move_base(pipeline, {"else.txt": f"{len(tries)}\n"})
        return merge(*arguments)  # type: ignore[arg-type]

    forge.merge = late  # type: ignore[method-assign, assignment]

    attempt = stage.attempt(pipeline, act=writes("kept.txt", "ONE\ntwo\nthree\n"))

    assert attempt.failure is None
    assert len(tries) == 4


# Somebody interferes


def test_a_branch_that_somebody_moved_is_not_merged(stage: Stage) -> None:
    pipeline = stage.open(MAKE_A)
    branch = f"refs/heads/pipeline/{pipeline.session}/run-01/plans.p/batch-1-task-1-1"

    def tamper() -> None:
        forge = forge_of(pipeline)
        head = forge.read_ref(branch)
        assert head is not None
        more = forge.commit_tree(forge.commit(head).tree, [head], "smuggled", author="E <e@example.org>")
        assert forge.update_refs([RefUpdate(branch, more, head)])

    stage.onlooker.after["checks"] = tamper

    attempt = stage.attempt(pipeline, act=writes("a.txt", "a\n"))

    assert failed(attempt)[0] is FailureKind.FORGE
    assert "expected was" in failed(attempt)[1]
    assert pipeline.forge.branch_head(base_branch(pipeline)) == pipeline.base


def test_a_pull_request_that_somebody_closed_is_not_merged(stage: Stage) -> None:
    pipeline = stage.open(MAKE_A)
    branch = f"pipeline/{pipeline.session}/run-01/plans.p/batch-1-task-1-1"
    stage.onlooker.after["checks"] = lambda: pipeline.forge.delete_branch(
        branch, pipeline.forge.branch_head(branch) or ""
    )

    attempt = stage.attempt(pipeline, act=writes("a.txt", "a\n"))

    assert failed(attempt)[0] is FailureKind.FORGE
    assert pipeline.forge.branch_head(base_branch(pipeline)) == pipeline.base


def test_a_merge_that_somebody_took_back_fails_the_outcome(stage: Stage) -> None:
    pipeline = stage.open(MAKE_A)

    def take_back() -> None:
        ref = f"refs/heads/{base_branch(pipeline)}"
        forge = forge_of(pipeline)
        assert forge.update_refs([RefUpdate(ref, pipeline.base, forge.read_ref(ref))])

    stage.onlooker.after["merge"] = take_back

    attempt = stage.attempt(pipeline, act=writes("a.txt", "a\n"))

    assert failed(attempt)[0] is FailureKind.OUTCOME
    assert "does not hold it" in failed(attempt)[1]


def test_a_branch_that_is_there_again_fails_the_outcome(stage: Stage) -> None:
    pipeline = stage.open(MAKE_A)
    branch = f"pipeline/{pipeline.session}/run-01/plans.p/batch-1-task-1-1"
    stage.onlooker.after["merge"] = lambda: pipeline.forge.ensure_base(branch, pipeline.base, pipeline.mirror)

    attempt = stage.attempt(pipeline, act=writes("a.txt", "a\n"))

    assert failed(attempt) == (FailureKind.OUTCOME, f"{branch} is still there.")


# Left open


def test_without_auto_merge_the_pull_request_stays_open_and_that_is_the_outcome(stage: Stage) -> None:
    pipeline = stage.open(MAKE_A, {"auto_merge": "false"})

    attempt = stage.attempt(pipeline, act=writes("a.txt", "a\n"))

    assert attempt.failure is None
    found = pipeline.forge.find_pull_request(attempt.facts["branch"])
    assert found is not None
    assert (str(found.state), found.head) == ("open", attempt.facts["commit"])
    assert attempt.facts["pull_request_state"] == "open"
    assert pipeline.forge.branch_head(base_branch(pipeline)) == pipeline.base
    assert stage.onlooker.steps[-2:] == ["outcome passed", "cleanup passed"]
    assert "merge passed" not in stage.onlooker.steps


def test_without_auto_merge_somebody_else_may_not_merge_either(stage: Stage) -> None:
    pipeline = stage.open(MAKE_A, {"auto_merge": "false"})
    branch = f"pipeline/{pipeline.session}/run-01/plans.p/batch-1-task-1-1"

    def merge_it() -> None:
        from pytest_pipeline.forges.base import MergeRequest

        head = pipeline.forge.branch_head(branch) or ""
        pull_request = pipeline.forge.ensure_pull_request(Draft(branch, base_branch(pipeline), "", ""))
        pipeline.forge.merge(pull_request, MergeRequest("squash", head, pipeline.base, "merged by hand"))

    stage.onlooker.after["checks"] = merge_it

    attempt = stage.attempt(pipeline, act=writes("a.txt", "a\n"))

    assert failed(attempt) == (FailureKind.OUTCOME, "The pull request is merged.")
