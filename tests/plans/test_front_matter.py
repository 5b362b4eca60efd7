"""Front matter and per-task overrides: what may be set, and how mistakes are told."""

from __future__ import annotations

import pytest

from pytest_pipeline.options import BY_PLAN_KEY
from pytest_pipeline.plans.model import Mark
from tests.plans.parsing import errors_of, plan_of, task_of

TASK = "### Task 1: A\n"


def test_everything_that_a_plan_may_set() -> None:
    plan = plan_of(
        "---\nagent: command\nmodel: m-1\nauto_merge: no\nscope: strict\nmax_file_size: 5 MiB\n"
        "limits:\n  wall_time: 15m\n  turns: 30\nlimits.budget_usd: 2.5\n"
        "environment:\n  PORT: 8080\n  VERSION: 1.10\n  FLAG: yes\n"
        "marks: [slow, {usefixtures: [db, net]}, {timeout: 60}]\ncontext: |\n  Be brief.\n---\n" + TASK
    )
    assert dict(plan.options.values) == {
        "agent": "command",
        "model": "m-1",
        "auto_merge": False,
        "scope": "strict",
        "max_file_size": 5 * 1024**2,
        "wall_time": 900.0,
        "turns": 30,
        "budget_usd": 2.5,
    }
    assert dict(plan.options.environment) == {"PORT": "8080", "VERSION": "1.10", "FLAG": "yes"}
    assert plan.options.marks == (Mark("slow"), Mark("usefixtures", ("db", "net")), Mark("timeout", (60,)))
    assert plan.options.context == "Be brief."
    assert plan.batches[0].tasks[0].line == 19


@pytest.mark.parametrize(
    "text", ["---\n---\n", "---\n# only a comment\n---\n", "---\ntitle: T\ncreated: 2026-01-30\n---\n"]
)
def test_front_matter_that_sets_nothing(text: str) -> None:
    assert dict(plan_of(text + TASK).options.values) == {}


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("modle", "model"),
        ("Agent", "agent"),
        ("merge-method", "merge_method"),
        ("wall_time", "limits.wall_time"),
        ("mark", "marks"),
        ("enviroment", "environment"),
        ("zzz", ""),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(key: str, nearest: str) -> None:
    (message,) = errors_of(f"---\nscope: warn\n{key}: x\n---\n{TASK}")
    assert message.startswith(f"plan.md:3: '{key}' is not a key of the front matter.")
    assert f"'{nearest}'" in message or not nearest


def test_an_unknown_limit_names_the_nearest() -> None:
    (message,) = errors_of(f"---\nlimits:\n  walltime: 3\n---\n{TASK}")
    assert message == "plan.md:3: 'limits.walltime' is not a key of the front matter. Did you mean 'limits.wall_time'?"


@pytest.mark.parametrize(
    ("yaml", "line", "part"),
    [
        ("- a", 2, "is not a mapping"),
        ("just text", 2, "is not a mapping"),
        ("a: [", 2, "is not YAML"),
        ("scope: nobody", 2, "'scope' must be one of"),
        ("limits: 3", 2, "'limits' must be a mapping"),
        ("limits:\n  turns: many", 3, "'limits.turns' must be a whole number"),
        ("agent: command\nagent: command", 3, "'agent' stands twice"),
        ("environment: x", 2, "must be a mapping of names to texts"),
        ("environment:\n  A: [1]", 3, "must give 'A' a text"),
        ("environment:\n  A-B: x", 3, "no name of a variable"),
        ("marks: slow", 2, "must be a list of names"),
        ("marks: [a b]", 2, "neither a name"),
        ("marks: [{a: [1], b: [2]}]", 2, "neither a name"),
        ("context: [1]", 2, "must be a text"),
        ("marks: [{a: &x [*x]}]", 2, "cannot be read: found unconstructable recursive node"),
        ("? [a]\n: b", 2, "is not a word"),
        ("model: !!python/object:os.system x", 2, "cannot be read"),
    ],
)
def test_mistakes_are_told_with_their_line(yaml: str, line: int, part: str) -> None:
    messages = errors_of(f"---\n{yaml}\n---\n{TASK}")
    assert len(messages) == 1
    assert part in messages[0]
    assert messages[0].startswith(f"plan.md:{line}: ")


def test_a_task_overrides_what_the_plan_sets_and_is_not_told_so() -> None:
    task = task_of("Do.\n\n```yaml pipeline\nmodel: big\nlimits: {turns: 3}\nmarks: [slow]\n```\n\nMore.")
    assert dict(task.options.values) == {"model": "big", "turns": 3}
    assert task.options.marks == (Mark("slow"),)
    assert task.prompt == "Do.\n\nMore."


def test_overrides_after_a_list_are_found_and_their_lines_are_right() -> None:
    (message,) = errors_of("### Task 1: A\n**Files:**\n- a.py\n\n```yaml pipeline\nscope: warn\nmodle: x\n```\n")
    assert message.startswith("plan.md:7: 'modle' is not a key of the 'yaml pipeline' block.")


def test_overrides_twice_or_outside_a_task_are_errors() -> None:
    block = "```yaml pipeline\nmodel: x\n```\n"
    assert errors_of(f"{TASK}{block}{block}")[0].startswith("plan.md:5: a task has more than one")
    assert errors_of(f"{block}## Batch 1: B\n{block}{TASK}") == [
        f"plan.md:{line}: this 'yaml pipeline' block belongs to no task. "
        "Put it below a task's heading, or use the front matter."
        for line in (1, 5)
    ]


def test_ordinary_yaml_blocks_stay_in_the_prompt() -> None:
    assert task_of("```yaml\nmodel: x\n```").prompt == "```yaml\nmodel: x\n```"


@pytest.mark.parametrize("key", sorted(BY_PLAN_KEY))
def test_every_settable_key_is_known(key: str) -> None:
    messages = errors_of(f"---\n{key}: {{}}\n---\n{TASK}")
    assert all("is not a key" not in message for message in messages)


def test_a_task_cannot_set_what_holds_for_a_whole_run() -> None:
    assert errors_of("### Task 1: A\n```yaml pipeline\nbase: main\n```\n") == [
        "plan.md:3: 'base' holds for a whole run. Move it to the front matter."
    ]


def test_a_control_character_is_told_with_its_line() -> None:
    for text, line in (("---\nscope: warn\ncontext: a\x1fb\n---\n" + TASK, 3), (f"{TASK}\n```yaml pipeline\n\x1f", 4)):
        (message,) = errors_of(text)
        assert message.startswith(f"plan.md:{line}: ")
        assert "is not YAML: special characters are not allowed. Correct it." in message
