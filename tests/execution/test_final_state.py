"""The end of a run, asked of git alone: what was merged is there, holds, and nothing else is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_pipeline.agents.base import AgentRequest
from pytest_pipeline.errors import FailureKind
from pytest_pipeline.execution.final_state import FinalState
from pytest_pipeline.execution.pipeline import Pipeline
from pytest_pipeline.host.git import RefUpdate, Repository
from tests.e2e.world import plan, task
from tests.execution.stage import Stage
from tests.execution.test_landing import base_branch, forge_of, move_base

TWO = plan(
    task("1.1", files=["Create: `a.txt`"], verification=["grep -q made a.txt"]),
    task("1.2", files=["Create: `b.txt`"], verification=["test -e b.txt"]),
)


def writes(files: dict[str, str | None]) -> Callable[[AgentRequest], None]:
    def act(request: AgentRequest) -> None:
        for name, text in files.items():
            place = request.workspace / name
            place.unlink() if text is None else place.write_text(text)

    return act


def done(stage: Stage, pipeline: Pipeline, **files: dict[str, str | None]) -> None:
    """Tasks 1.1 and 1.2 of run 1, which leave these files."""
    for number, left in (("1.1", files["first"]), ("1.2", files["second"])):
        attempt = stage.attempt(pipeline, number, writes(left))
        assert attempt.failure is None, attempt.failure


def found(attempt: FinalState) -> str:
    assert attempt.failure is not None
    assert attempt.failure.kind is FailureKind.OUTCOME
    return attempt.failure.found


def set_base(pipeline: Pipeline, commit: str) -> None:
    repository = Repository(Path(pipeline.forge.push_url))
    ref = f"refs/heads/{base_branch(pipeline)}"
    assert repository.update_refs([RefUpdate(ref, commit, repository.read_ref(ref))])


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_a_run_whose_merges_are_all_there_passes(stage: Stage, method: str) -> None:
    pipeline = stage.open(TWO, {"merge_method": method})
    done(stage, pipeline, first={"a.txt": "made\n"}, second={"b.txt": "b\n"})

    attempt = stage.final_state(pipeline)

    assert attempt.failure is None, attempt.failure
    assert attempt.facts["merges"] == "2"
    assert attempt.facts["commit"] == pipeline.forge.branch_head(base_branch(pipeline))


def test_a_task_that_reverts_what_another_did_is_told_by_the_name_of_the_other(stage: Stage) -> None:
    pipeline = stage.open(TWO)
    done(stage, pipeline, first={"a.txt": "made\n"}, second={"b.txt": "b\n", "a.txt": None})

    text = found(stage.final_state(pipeline))

    assert text == (
        "task 1.1 of plans/p.md: Expected a.txt to stay as the task left it; it was reverted to what it was before."
    )


def test_an_undeclared_change_that_overwrites_what_another_did_is_told(stage: Stage) -> None:
    pipeline = stage.open(TWO)
    done(stage, pipeline, first={"a.txt": "made\n"}, second={"b.txt": "b\n", "a.txt": "made anew\n"})

    assert "task 1.1 of plans/p.md: Expected a.txt to stay as the task left it; it was overwritten." in found(
        stage.final_state(pipeline)
    )


def test_a_later_task_that_declares_the_file_answers_for_it(stage: Stage) -> None:
    text = plan(task("1.1", files=["Create: `a.txt`"]), task("1.2", files=["Modify: `a.txt`"]))
    pipeline = stage.open(text)
    done(stage, pipeline, first={"a.txt": "made\n"}, second={"a.txt": "changed\n"})

    assert stage.final_state(pipeline).failure is None


def test_a_verification_that_no_longer_passes_fails_by_the_name_of_its_task(stage: Stage) -> None:
    text = plan(
        task("1.1", files=["Create: `a.txt`"], verification=["grep -q made a.txt"]),
        task("1.2", files=["Modify: `a.txt`"]),
    )
    pipeline = stage.open(text)
    done(stage, pipeline, first={"a.txt": "made\n"}, second={"a.txt": "changed\n"})

    attempt = stage.final_state(pipeline)

    assert attempt.failure is not None
    assert attempt.failure.kind is FailureKind.VERIFICATION
    assert attempt.failure.expected == "that the verification of task 1.1 still passes at the end of the run"
    assert attempt.failure.found == "`grep -q made a.txt` ended with exit status 1; expected 0."


def test_verification_at_the_end_has_the_limits_and_the_environment_of_its_task(stage: Stage) -> None:
    own = "```yaml pipeline\nlimits: {verification_time: 1s}\nenvironment: {WORD: made}\n```\n"
    check = "sh -c 'grep -q \"$WORD\" a.txt; test ! -e b.txt || sleep 60'"
    first = task("1.1", files=["Create: `a.txt`"], verification=[check])
    text = plan(first + own, task("1.2", files=["Create: `b.txt`"]))
    pipeline = stage.open(text)
    done(stage, pipeline, first={"a.txt": "made\n"}, second={"b.txt": "b\n"})

    attempt = stage.final_state(pipeline)

    assert attempt.failure is not None
    assert "did not end within 1 s" in attempt.failure.found


def test_one_verification_does_not_see_what_another_left(stage: Stage) -> None:
    text = plan(
        task("1.1", files=["Create: `a.txt`"], verification=["sh -c 'test -e a.txt && touch left && rm kept.txt'"]),
        task("1.2", files=["Create: `b.txt`"], verification=["sh -c 'cat b.txt kept.txt && test ! -e left'"]),
    )
    pipeline = stage.open(text)
    done(stage, pipeline, first={"a.txt": "made\n"}, second={"b.txt": "b\n"})

    assert stage.final_state(pipeline).failure is None


def test_a_commit_that_no_task_made_is_told(stage: Stage) -> None:
    pipeline = stage.open(TWO)
    done(stage, pipeline, first={"a.txt": "made\n"}, second={"b.txt": "b\n"})
    extra = move_base(pipeline, {"extra.txt": ""})

    attempt = stage.final_state(pipeline)

    assert found(attempt) == f"{extra} is no merge of this session"
    assert attempt.failure is not None
    assert attempt.failure.look_at == f"git log --first-parent {base_branch(pipeline)}"


def test_a_merge_that_is_gone_is_told_by_name(stage: Stage) -> None:
    pipeline = stage.open(TWO)
    done(stage, pipeline, first={"a.txt": "made\n"}, second={"b.txt": "b\n"})
    set_base(pipeline, forge_of(pipeline).commit(pipeline.forge.branch_head(base_branch(pipeline)) or "").parents[0])

    assert found(stage.final_state(pipeline)) == "the merge of task 1.2 of plans/p.md is gone"


def test_another_history_with_the_same_files_is_told(stage: Stage) -> None:
    pipeline = stage.open(TWO)
    done(stage, pipeline, first={"a.txt": "made\n"}, second={"b.txt": "b\n"})
    forge = forge_of(pipeline)
    head = pipeline.forge.branch_head(base_branch(pipeline)) or ""
    set_base(pipeline, forge.commit_tree(forge.commit(head).tree, [pipeline.base], "rewritten", author="E <e@x>"))

    text = found(stage.final_state(pipeline))

    assert "is no merge of this session" in text
    assert "the merge of task 1.1 of plans/p.md is gone, the merge of task 1.2 of plans/p.md is gone" in text


def test_a_base_without_history_in_common_is_told(stage: Stage) -> None:
    pipeline = stage.open(TWO)
    done(stage, pipeline, first={"a.txt": "made\n"}, second={"b.txt": "b\n"})
    forge = forge_of(pipeline)
    head = pipeline.forge.branch_head(base_branch(pipeline)) or ""
    set_base(pipeline, forge.commit_tree(forge.commit(head).tree, [], "from nothing", author="E <e@x>"))

    assert "is gone" in found(stage.final_state(pipeline))


def test_other_runs_do_not_count(stage: Stage) -> None:
    pipeline = stage.open(TWO)
    for run in (1, 2):
        stage.attempt(pipeline, "1.1", writes({"a.txt": f"made {run}\n"}), run=run)

    assert [stage.final_state(pipeline, run=run).facts["merges"] for run in (1, 2)] == ["1", "1"]


def test_pull_requests_that_were_left_open_are_no_merges(stage: Stage) -> None:
    pipeline = stage.open(TWO, {"auto_merge": "false"})
    stage.attempt(pipeline, "1.1", writes({"a.txt": "made\n"}))

    attempt = stage.final_state(pipeline)

    assert attempt.failure is None, attempt.failure
    assert attempt.facts["merges"] == "0"


def test_what_was_refused_as_expected_asks_for_nothing_at_the_end(stage: Stage) -> None:
    text = plan(
        task("1.1", files=["Create: `a.txt`"], verification=["test -e a.txt"]),
        task("1.2", files=["Create: `b.txt`"], verification=["test -e b.txt"], expect="failure"),
    )
    pipeline = stage.open(text)
    done(stage, pipeline, first={"a.txt": "made\n"}, second={})

    assert stage.final_state(pipeline).failure is None


def test_a_condition_that_no_longer_holds_is_told(stage: Stage) -> None:
    text = plan(
        task("1.1", files=["Create: `a.txt`"], expect="changes; `kept.txt` absent"),
        task("1.2", files=["Create: `b.txt`"]),
    )
    pipeline = stage.open(text)
    done(stage, pipeline, first={"a.txt": "a", "kept.txt": None}, second={"b.txt": "b", "kept.txt": "again"})

    assert "Expected kept.txt to be absent" in found(stage.final_state(pipeline))
