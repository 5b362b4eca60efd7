"""What was asked for, as a restart finds it."""

from __future__ import annotations

import pytest

from pytest_pipeline.errors import HostError
from pytest_pipeline.server.books import errors_of, new_execution_id
from pytest_pipeline.values import execution as checked_id
from tests.server.serving import Project


def test_an_execution_is_found_again_as_it_was_written(project: Project) -> None:
    execution = project.execution(count=3)
    assert project.book.get(execution.id) == execution


@pytest.mark.parametrize("name", ["", "..", "../executions", "plans", "exec_", "exec_20260131-235959-a1b2c3d4e5f6"])
def test_what_is_no_execution_is_none(project: Project, name: str) -> None:
    written = project.state / "executions" / project.execution().id / "execution.json"
    project.book.lock_of("x").parent.mkdir(parents=True)
    (project.state / "execution.json").write_bytes(written.read_bytes())
    assert project.book.get(name) is None


def test_one_that_was_not_written_to_its_end_is_none(project: Project) -> None:
    name = new_execution_id()
    directory = project.state / "executions" / name
    directory.mkdir(parents=True)
    (directory / "execution.draft").write_text("{")
    assert list(project.book.after(None)) == []


def test_the_newest_come_first_and_pages_begin_behind_one(project: Project) -> None:
    names = sorted((project.execution().id for _ in range(3)), reverse=True)
    assert [each.id for each in project.book.after(None)] == names
    assert [each.id for each in project.book.after(names[0])] == names[1:]


def test_before_anything_was_asked_for_there_is_nothing(project: Project) -> None:
    assert project.book.ids() == []


def test_launches_are_numbered_and_each_has_a_log_of_its_own(project: Project) -> None:
    execution, book = project.execution(), project.book
    assert book.last_launch(execution.id) is None
    first, second = book.begin_launch(execution), book.begin_launch(execution)
    assert (first.number, second.number) == (1, 2)
    assert first.log != second.log
    assert project.book.last_launch(execution.id) == second


def test_errors_are_what_pytest_says_behind_that_word(project: Project) -> None:
    launch = project.book.begin_launch(project.execution())
    assert errors_of(launch) == ""
    launch.log.write_text("ERROR: There is no login.\nsome ERROR: else\nERROR plans/a.md\nERROR: Nor a key.\n")
    assert errors_of(launch) == "There is no login.\nNor a key."


def test_of_a_long_log_the_end_is_looked_through(project: Project) -> None:
    launch = project.book.begin_launch(project.execution())
    launch.log.write_text("ERROR: early\n" + "x" * 70_000 + "\nERROR: late\n")
    assert errors_of(launch) == "late"


def test_what_cannot_be_written_is_told(project: Project) -> None:
    (project.path / ".pipeline").write_text("a file")
    with pytest.raises(HostError, match="cannot be written"):
        project.execution()


def test_ids_pass_the_check_of_the_option_that_carries_them() -> None:
    assert checked_id(new_execution_id())
    assert new_execution_id() != new_execution_id()
