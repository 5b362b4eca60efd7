"""``--chaos`` on a GitHub: whatever comes back in place of an answer, the task is merged, once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import pytest_pipeline.execution.chaos.transport
import pytest_pipeline.execution.chaos.unleashing  # noqa: F401 - else pytester would forget what is patched here
from pytest_pipeline.execution.chaos.dice import Dice
from pytest_pipeline.execution.chaos.faults import CATALOGUE, Fault, Seam
from tests.e2e.github_project import GitHubProject
from tests.e2e.world import task

ABSORBED = [fault for fault in CATALOGUE if fault.seam is Seam.FORGE or fault.name == "answer-lost"]


@pytest.mark.parametrize("fault", ABSORBED, ids=lambda fault: fault.name)
def test_a_task_is_merged_once_through_every_fault_of_the_way_to_github(
    github: GitHubProject, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    def faults(self: Dice, run: int, case: str, possible: Sequence[Fault]) -> tuple[Fault, ...]:
        assert fault in possible
        return (fault,)

    monkeypatch.setattr(Dice, "faults", faults)
    github.write(task("1.1", files=["Create: `a.txt`"], does="echo a > a.txt"))

    ran = github.run("plans", "--chaos", "1")

    assert ran.exit_code == 0, ran.text
    assert ran.last().properties["chaos"] == f"{fault.name} (absorbed)"
    assert len(github.merged()) == 1
    assert list(github.branches()) == [ran.last().properties["base_branch"]]
