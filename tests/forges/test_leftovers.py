from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_pipeline.execution.layout import run_prefix, slug, task_slug
from pytest_pipeline.execution.opening import new_session_id
from pytest_pipeline.forges.leftovers import BranchKind, OpenPullRequest, OwnBranch, gather, session_start

SESSION = "20261126-120523-a1b2c3"
RUN = f"pipeline/{SESSION}/run-01"
BASE = f"{RUN}/base"
TASK = f"{RUN}/plans.hello/batch-1-task-1-1"

OTHERS = [
    "main",
    "pipeline",
    f"pipeline/{SESSION}",
    RUN,
    f"{RUN}/",
    f"{BASE}/more",
    f"{BASE}\n",
    f"x{BASE}",
    f"feature/{BASE}",
    f"{RUN}/Base",
    f"{RUN}/base2",
    f"{RUN}/plans.hello",
    f"{RUN}/plans.hello/final-state",
    f"{RUN}/plans.hello/batch-1",
    f"{RUN}/plans.hello/task-1",
    f"{RUN}//batch-1-task-1-1",
    f"{RUN}/plans/hello/batch-1-task-1-1",
    f"{RUN}/plans hello/batch-1-task-1-1",
    f"{TASK}/x",
    f"{TASK}-",
    f"{TASK}-Fix",
    f"{TASK}.fix",
    f"pipeline/{SESSION}/run-1/base",
    f"pipeline/{SESSION}/run-01x/base",
    f"pipeline/{SESSION}x/run-01/base",
    f"pipeline/x{SESSION}/run-01/base",
    "pipeline/s/run-01/base",
    "pipeline/20261126-120523/run-01/base",
    "pipeline/20261126-120523-A1B2C3/run-01/base",
    "pipeline/20261126-120523-a1b2c/run-01/base",
    "pipeline/20261326-120523-a1b2c3/run-01/base",
    "pipeline/20261126-250523-a1b2c3/run-01/base",
    "pipeline/２0261126-120523-a1b2c3/run-01/base",
]


def pull(number: int, branch: str | None = TASK, base: str = BASE, *, marked: bool = True) -> OpenPullRequest:
    return OpenPullRequest(number, f"https://example.org/pull/{number}", branch, base, marked)


@pytest.mark.parametrize("name", OTHERS)
def test_a_name_of_another_form_is_not_ours(name: str) -> None:
    assert OwnBranch.read(name) is None
    assert gather({name: "1" * 40}, []) == ()


def test_a_name_tells_session_age_and_kind() -> None:
    started = datetime(2026, 11, 26, 12, 5, 23, tzinfo=timezone.utc)
    assert OwnBranch.read(BASE) == OwnBranch(BASE, RUN, SESSION, started, BranchKind.BASE)
    assert OwnBranch.read(TASK) == OwnBranch(TASK, RUN, SESSION, started, BranchKind.TASK)
    assert session_start("s") is None
    assert session_start(f"{SESSION}\n") is None


PATHS = st.lists(st.text("aB.-_ äß*~^:", min_size=1, max_size=6), min_size=1, max_size=3).map(
    lambda parts: "/".join(part.strip() or "x" for part in parts) + ".md"
)
IDS = st.from_regex(r"[A-Z]{0,4}-?\d\w{0,4}([.-]\w+){0,2}", fullmatch=True)


@example("plans/a.md", "I", "٣", "", 1)
@given(PATHS, IDS, IDS, st.sampled_from(["", "-attempt-2", "-attempt-11"]), st.integers(1, 2000))
def test_every_name_that_a_session_makes_is_ours(path: str, batch: str, task: str, again: str, run: int) -> None:
    session = new_session_id()
    prefix = run_prefix(session, run)
    base = OwnBranch.read(f"{prefix}/base")
    assert base is not None
    assert (base.session, base.run, base.kind) == (session, prefix, BranchKind.BASE)
    made = OwnBranch.read(f"{prefix}/{slug(path)}/{task_slug(batch, task)}{again}")
    assert made is not None
    assert (made.session, made.run, made.kind) == (session, prefix, BranchKind.TASK)


def test_a_base_comes_after_the_tasks_of_its_session_and_an_old_session_first() -> None:
    older = BASE.replace("2026", "2025")
    names = [BASE, older, TASK, f"pipeline/{SESSION}/run-00/base", "main"]
    found = gather({name: name[-3:] for name in names}, [])
    assert [each.branch.name for each in found] == [older, TASK, f"pipeline/{SESSION}/run-00/base", BASE]
    assert [each.head for each in found] == ["ase", "1-1", "ase", "ase"]
    assert not any(each.kept or each.pull_requests for each in found)


def test_our_own_pull_request_keeps_nothing_and_belongs_to_its_branch() -> None:
    task, base = gather({BASE: "b", TASK: "t"}, [pull(7)])
    assert (task.pull_requests, task.kept) == ((pull(7),), "")
    assert (base.pull_requests, base.kept) == ((), "")


@pytest.mark.parametrize(
    ("foreign", "task_stays", "base_stays"),
    [
        (pull(8, marked=False), True, True),  # it would be closed with the branch, and with the base
        (pull(8, base="main", marked=False), True, False),
        (pull(8, "feature", TASK, marked=False), True, False),
        (pull(8, "feature", TASK), True, False),
        (pull(8, "feature", BASE, marked=False), False, True),
        (pull(8, "feature", BASE), False, True),  # marked, and yet no branch of ours
        (pull(8, None, BASE), False, True),
        (pull(8, None, BASE, marked=False), False, True),
        (pull(8, TASK.replace("run-01", "run-02")), False, True),
        (pull(8, TASK.replace("2026", "2025")), False, True),
        (pull(8, BASE, "main", marked=False), False, True),
        (pull(8, BASE.replace("01", "02"), BASE), False, True),
        (pull(8, TASK.replace("1-1", "1-2"), TASK), True, False),  # ours goes into a base
        (pull(8, None, "main", marked=False), False, False),
        (pull(8, "feature", "main", marked=False), False, False),
        (pull(8, TASK, "main"), False, False),
    ],
)
def test_what_somebody_else_needs_stays(foreign: OpenPullRequest, task_stays: bool, base_stays: bool) -> None:
    task, base = gather({BASE: "b", TASK: "t"}, [foreign])
    assert (bool(task.kept), bool(base.kept)) == (task_stays, base_stays)
    for each in (task, base):
        from_it = " from" if foreign.branch == each.branch.name else ""
        assert not each.kept or each.kept.startswith("pull request #8 (https://example.org/pull/8), which the pipeline")
        assert not each.kept or each.kept.endswith(f"is open{from_it or ' into'} it")
        assert all(mine.marked for mine in each.pull_requests)


def test_a_branch_that_stays_keeps_the_base_of_its_pull_request() -> None:
    task, base = gather({BASE: "b", TASK: "t"}, [pull(7), pull(8, "feature", TASK, marked=False)])
    assert "#8" in task.kept
    assert base.kept == "pull request #7 (https://example.org/pull/7) is open into it, from a branch that stays"
