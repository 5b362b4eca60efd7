"""What pytest's users know works with several workers too."""

from __future__ import annotations

import pytest

from tests.e2e.world import Project, Ran, plan, task

CACHE = ("-p", "cacheprovider", "-p", "stepwise")
MARKS = """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        if item.name.startswith(("1.1", "1.3")):
            item.add_marker(pytest.mark.odd)
"""


def makes(number: int, does: str) -> str:
    return task(f"1.{number}", files=[f"Create: `{number}.txt`"], does=does)


def begun(ran: Ran) -> list[str]:
    """The items in the order in which they began."""
    attempts = [(each.attempts[0].started, each.key.task) for each in ran.task_runs if each.attempts]
    return [name for _, name in sorted(attempts)]


@pytest.fixture
def broken(project: Project) -> Project:
    """Three independent tasks, of which the second fails."""
    tasks = [makes(1, "echo > 1.txt"), makes(2, "echo > other.txt"), makes(3, "echo > 3.txt")]
    text = plan(*tasks).replace("All of it\n", "All of it\n\n**Execution Mode:** parallel\n")
    marks = "[pytest]\nmarkers = odd: what is chosen\nfilterwarnings = default\n"
    project.write({"plans/p.md": text, "conftest.py": MARKS, "tox.ini": marks})
    return project


def test_what_failed_last_time_runs_alone_or_first(broken: Project) -> None:
    assert broken.run_apart("plans", "-n", "2", *CACHE).exit_code == 1

    assert begun(broken.run_apart("plans", "-n", "2", "--lf", *CACHE)) == ["1.2"]
    assert begun(broken.run_apart("plans", "-n", "1", "--ff", *CACHE)) == ["1.2", "1.1", "1.3", "final-state"]


def test_stepwise_stops_at_the_failure_and_goes_on_there(broken: Project) -> None:
    stopped = broken.run_apart("plans", "-n", "1", "--sw", *CACHE)
    assert begun(stopped) == ["1.1", "1.2"], stopped.text
    assert stopped.exit_code == pytest.ExitCode.INTERRUPTED

    assert begun(broken.run_apart("plans", "-n", "1", "--sw-skip", *CACHE)) == ["1.2", "1.3", "final-state"]


def test_marks_and_deselected_items_are_those_of_one_process(broken: Project) -> None:
    deselected = "plans/p.md::batch-1::1.3-do-1.3"

    ran = broken.run_apart("plans", "-n", "2", "-m", "odd", "--deselect", deselected).passed()

    assert begun(ran) == ["1.1"]


def test_to_look_opens_no_session(broken: Project) -> None:
    ran = broken.run_apart("plans", "-n", "2", "--collect-only", "-q").passed()

    assert [line for line in ran.text.splitlines() if "::" in line] == [
        *(f"plans/p.md::batch-1::1.{number}-do-1.{number}" for number in (1, 2, 3)),
        "plans/p.md::final-state",
    ]
    assert not broken.state.exists()


@pytest.mark.parametrize("look", ["--setup-plan", "--setup-only"])
def test_to_look_at_fixtures_opens_none_either(broken: Project, look: str) -> None:
    ran = broken.run_apart("plans", "-n", "2", look)

    assert ran.exit_code in (0, pytest.ExitCode.NO_TESTS_COLLECTED), ran.text
    assert "error" not in ran.text
    assert not broken.state.exists()
    assert broken.left() == []
