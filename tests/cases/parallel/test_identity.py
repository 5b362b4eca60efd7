from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_pipeline.cases.nodes import CaseItem, TaskItem
from pytest_pipeline.cases.parallel.identity import cases_of
from pytest_pipeline.cases.parallel.units import Scheduled
from pytest_pipeline.plans.reader import read_plan

PLANS = sorted((Path(__file__).parents[3] / "plans").glob("*.md"))
STRANGE = """\
# Strange

## Batch 1: Names ÄÖ [x]

### Task 1.a: What about a::b and [brackets]?

Do it.

## Batch 2.5: More
**Execution Mode:** parallel
**Dependencies:** Batch 1

### Task 2.1: One

Do it.

### Task 2.2: Two
**Dependencies:** Task 2.1

Do it.
"""


@dataclass(eq=False)
class Collected:
    """A plugin that keeps the items of an inner run."""

    items: list[CaseItem] = field(default_factory=list)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items = [item for item in session.items if isinstance(item, CaseItem)]


@pytest.mark.parametrize("count", [1, 12])
def test_the_controller_knows_every_item_by_the_id_that_workers_collect(pytester: pytest.Pytester, count: int) -> None:
    folder = pytester.mkdir("plans")
    for example in PLANS:
        shutil.copy(example, folder)
    folder.joinpath("strange.md").write_text(STRANGE)
    collected = Collected()
    arguments = ["--collect-only", "plans", f"--count={count}", "--agent", "claude", "--rehearse"]
    pytester.inline_run(*arguments, plugins=[collected])
    known = {
        nodeid: item
        for path in sorted(folder.glob("*.md"))
        if (plan := read_plan(path, f"plans/{path.name}")) is not None
        for nodeid, item in cases_of(plan, f"plans/{path.name}", count).items()
    }
    assert len(PLANS) > 5
    assert {item.plan.path for item in collected.items} == {f"plans/{path.name}" for path in folder.glob("*.md")}
    assert known == {item.nodeid: scheduled(item) for item in collected.items}
    assert any(item.batch_parallel for item in known.values())
    assert sum(item.is_final_state for item in known.values()) == count * (len(PLANS) + 1)


def scheduled(item: CaseItem) -> Scheduled:
    return Scheduled(item.case, item.needs, isinstance(item, TaskItem) and item.batch.parallel)
