"""What may be asked for from outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_pipeline.server.requests import Desk, OutsideError, RefusedError, roots_of
from pytest_pipeline.server.shapes import StartRequest
from tests.server.serving import Project


@pytest.fixture
def desk(project: Project) -> Desk:
    project.plan()
    return Desk(project.path, roots_of([project.path / "plans"]))


def asked(**values: object) -> StartRequest:
    return StartRequest.model_validate({"plan_path": "plans/two.md", **values})


def test_only_batches_that_exist_are_scheduled(desk: Desk) -> None:
    execution = desk.take(asked(start_batch=2, end_batch=6))
    assert [each.number for each in execution.batches] == ["2"]
    assert "--batches=2-6" in execution.arguments


def test_without_a_range_all_batches_are_scheduled_and_pytest_is_told_of_none(project: Project, desk: Desk) -> None:
    project.plan("letters.md", "## Batch A: Letters\n\n### Task 1: Do\n")
    execution = desk.take(asked(plan_path="plans/letters.md"))
    assert [each.number for each in execution.batches] == ["A"]
    assert execution.arguments == (f"--pipeline-execution={execution.id}",)


def test_a_range_without_an_end_goes_to_the_last_batch(desk: Desk) -> None:
    assert [each.number for each in desk.take(asked(start_batch=2)).batches] == ["2"]


@pytest.mark.parametrize(("first", "last"), [(3, 6), (2, 1)])
def test_a_range_without_any_batch_is_refused_and_says_which_there_are(desk: Desk, first: int, last: int) -> None:
    with pytest.raises(RefusedError, match=rf"no batch from {first} to {last}; it has 1, 2\."):
        desk.take(asked(start_batch=first, end_batch=last))


def test_options_become_words_of_which_none_can_be_taken_for_another(desk: Desk) -> None:
    execution = desk.take(
        asked(count=3, until_consecutive=2, agent="claude", forge="github", workers=2, rehearse=True, auto_merge=False)
    )
    assert execution.arguments == (
        "--count=3",
        "--until-consecutive=2",
        "--agent=claude",
        "--forge=github",
        "--no-auto-merge",
        "--rehearse",
        "--numprocesses=2",
        f"--pipeline-execution={execution.id}",
    )
    assert execution.resumed == ("--numprocesses=2",)


@pytest.mark.parametrize("name", ["--help", "a b", "a=b", "../a", "a;b", "a\nb", "", "a" * 65])
def test_an_agent_is_a_name_and_nothing_else(name: str) -> None:
    with pytest.raises(ValueError, match="agent"):
        asked(agent=name)


@pytest.mark.parametrize("field", ["agent_command", "store", "token_file", "environment", "base", "repo", "argv"])
def test_what_is_not_listed_cannot_be_set(field: str) -> None:
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        asked(**{field: "x"})


@pytest.mark.parametrize(
    "path", ["plans/../plans/two.md", "../x.md", "/etc/passwd", "other/two.md", "two.md", ".", "~/x.md"]
)
def test_a_path_that_leaves_the_roots_is_refused_whether_it_exists_or_not(
    project: Project, desk: Desk, path: str
) -> None:
    (project.path / "two.md").write_text("### Task 1: Outside\n")
    with pytest.raises(OutsideError, match="does not lie below a root of plans"):
        desk.take(asked(plan_path=path))


def test_a_link_out_of_the_roots_is_refused(
    project: Project, desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.md").write_text("### Task 1: Outside\n")
    (project.path / "plans" / "link.md").symlink_to(outside / "secret.md")
    (project.path / "plans" / "directory").symlink_to(outside)
    for path in ("plans/link.md", "plans/directory/secret.md"):
        with pytest.raises(OutsideError):
            desk.take(asked(plan_path=path))


def test_a_circle_of_links_is_refused(project: Project, desk: Desk) -> None:
    (project.path / "plans" / "round.md").symlink_to("round.md")
    with pytest.raises((OutsideError, RefusedError)):
        desk.take(asked(plan_path="plans/round.md"))


def test_a_root_that_is_a_link_is_followed_once(tmp_path: Path, project: Project) -> None:
    project.plan()
    (tmp_path / "linked").symlink_to(project.path / "plans")
    desk = Desk(project.path, roots_of([tmp_path / "linked"]))
    assert desk.take(asked(plan_path="linked/two.md")).plan == str(project.path / "plans" / "two.md")


def test_a_root_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="is no directory"):
        roots_of([tmp_path / "nothing"])


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("plans/nothing.md", "There is no plan"),
        ("plans", "There is no plan"),
        ("plans/notes.txt", "There is no plan"),
        ("plans/a\0b.md", "NUL"),
        ("plans/" + "x" * 300 + ".md", "There is no plan"),
        ("plans/prose.md", "holds no task"),
        ("plans/a[1].md", r"reads \[ and :: as its own"),
        ("plans/a::b.md", r"reads \[ and :: as its own"),
    ],
)
def test_a_plan_that_is_none_is_refused_with_the_reason(project: Project, desk: Desk, path: str, why: str) -> None:
    for name in ("notes.txt", "prose.md", "a[1].md", "a::b.md"):
        project.plan(name, "nothing to do\n")
    with pytest.raises(RefusedError, match=why):
        desk.take(asked(plan_path=path))


def test_a_plan_with_errors_is_refused_with_all_of_them(project: Project, desk: Desk) -> None:
    project.plan("wrong.md", "---\nagnet: x\nscoop: y\n---\n### Task 1: Do\n")
    with pytest.raises(RefusedError) as refused:
        desk.take(asked(plan_path="plans/wrong.md"))
    assert [each.partition(": ")[0] for each in refused.value.messages] == ["plans/wrong.md:2", "plans/wrong.md:3"]


def test_a_pipe_is_not_waited_for(project: Project, desk: Desk) -> None:
    os.mkfifo(project.path / "plans" / "pipe.md")
    with pytest.raises(RefusedError, match="There is no plan"):
        desk.take(asked(plan_path="plans/pipe.md"))


def test_all_reasons_are_told_at_once(desk: Desk) -> None:
    with pytest.raises(RefusedError) as refused:
        desk.take(asked(start_batch=7, count=2, until_consecutive=3))
    assert len(refused.value.messages) == 2


@pytest.mark.parametrize("path", ["plans/nothing.md", "plans/a\0b.md", "plans/a[1].md"])
def test_a_plan_that_is_none_hides_no_other_reason(desk: Desk, path: str) -> None:
    with pytest.raises(RefusedError) as refused:
        desk.take(asked(plan_path=path, count=2, until_consecutive=3))
    assert len(refused.value.messages) == 2
    assert "can never be met" in refused.value.messages[1]


def test_where_a_plan_lies_is_looked_at_again(project: Project, desk: Desk, tmp_path: Path) -> None:
    execution = desk.take(asked())
    desk.check(execution)
    with pytest.raises(OutsideError, match="does not lie below a root of plans"):
        Desk(project.path, (tmp_path / "others",)).check(execution)
    (project.path / "plans" / "two.md").replace(tmp_path / "two.md")
    (project.path / "plans" / "two.md").symlink_to(tmp_path / "two.md")
    with pytest.raises(OutsideError):
        desk.check(execution)


def test_workers_need_xdist(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_pipeline.server.requests.find_spec", lambda name: None)
    with pytest.raises(RefusedError, match="workers need pytest-xdist"):
        desk.take(asked(workers=2))
