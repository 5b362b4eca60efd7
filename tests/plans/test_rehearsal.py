"""The block ``yaml rehearsal``: what it may say, how mistakes are told, and that no agent hears of it."""

from __future__ import annotations

import pytest

from pytest_pipeline.agents.base import AgentStatus
from pytest_pipeline.plans.rehearsal import ENDS, KEYS, ON_THE_WAY, WORDS
from pytest_pipeline.trouble import Trouble, TroubleKind
from tests.plans.parsing import errors_of, task_of, tasks_of

HEAD = "### Task 1: A\n"


def block(*lines: str, label: str = "yaml rehearsal") -> str:
    return "\n".join((f"```{label}", *lines, "```", ""))


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_a_kind_of_trouble(word: str) -> None:
    assert task_of(block(f"trouble: {word}")).trouble == Trouble(TroubleKind(word), 2)


@pytest.mark.parametrize("kind", ON_THE_WAY)
def test_trouble_on_the_way_can_end(kind: TroubleKind) -> None:
    word = "503" if kind is TroubleKind.STATUS else kind.value
    trouble = task_of(block(f"trouble: {word}", "times: 3")).trouble
    assert trouble is not None
    assert (trouble.kind, trouble.times) == (kind, 3)


@pytest.mark.parametrize("status", ["400", "429", "'529'", "599"])
def test_a_number_is_an_http_status(status: str) -> None:
    trouble = task_of(block(f"trouble: {status}")).trouble
    assert trouble == Trouble(TroubleKind.STATUS, 2, status=int(status.strip("'")))


def test_everything_that_the_block_may_say() -> None:
    assert task_of(block("trouble: 429", "retry_after: 1.5", "times: 2", "ends: unavailable")).trouble == Trouble(
        TroubleKind.STATUS, 2, status=429, retry_after=1.5, times=2, ends="unavailable"
    )
    assert task_of(block("{trouble: expensive, tokens: 900000, ends: budget}")).trouble == Trouble(
        TroubleKind.EXPENSIVE, 2, tokens=900_000, ends="budget"
    )
    assert KEYS == ("trouble", "retry_after", "times", "tokens", "ends")


def test_the_ends_are_those_of_agents() -> None:
    assert tuple(str(status) for status in AgentStatus) == ENDS


def test_a_task_without_a_block_has_no_trouble() -> None:
    assert task_of("Do.").trouble is None
    assert task_of(f"Do.\n<!--\n{block('trouble: drop')}-->\n").trouble is None
    assert task_of(block("trouble: drop", label="yaml")).trouble is None


@pytest.mark.parametrize(
    ("yaml", "line", "part"),
    [
        ("", 2, "this block does not say what goes wrong. Write for example 'trouble: 429'."),
        ("ends: ok", 2, "does not say what goes wrong"),
        ("- drop", 3, "the 'yaml rehearsal' block is not a mapping"),
        ("trouble: @", 3, "the 'yaml rehearsal' block is not YAML"),
        ("trouble: dorp", 3, "'trouble' must be an HTTP status from 400 to 599, or one of drop, stall, silence, "),
        ("trouble: status", 3, "'trouble' must be an HTTP status"),
        ("trouble: 399", 3, "not '399'"),
        ("trouble: 600", 3, "not '600'"),
        ("trouble: 429.5", 3, "not '429.5'"),
        ("trouble: true", 3, "not 'true'"),
        ("trouble:", 3, "'trouble' must be an HTTP status"),
        ("trouble: [drop]", 3, "not a list or mapping"),
        ("trouble: drop\ntrouble: drop", 4, "'trouble' stands twice in the 'yaml rehearsal' block"),
        ("trouble: 429\nretry_after: soon", 4, "'retry_after' must be a number, not 'soon'"),
        ("trouble: 429\nretry_after: -1", 4, "'retry_after' must be a number of at least 0"),
        (
            "trouble: drop\nretry_after: 1",
            4,
            "'retry_after' goes with an HTTP status only, not with 'drop'. Remove it.",
        ),
        ("trouble: drop\ntimes: 0", 4, "'times' must be a whole number of at least 1"),
        ("trouble: 429\ntokens: 7", 4, "'tokens' goes with expensive only, not with '429'. Remove it."),
        (
            "times: 1\ntrouble: flood",
            3,
            "'times' goes with an HTTP status, drop, stall, silence and malformed only, not ",
        ),
        ("trouble: drop\nends: crash", 4, "'ends' must be one of ok, failed, timeout, budget, turns, unavailable"),
        ("trouble: drop\n\nend: ok", 5, "'end' is not a key of the 'yaml rehearsal' block. Did you mean 'ends'?"),
        ("trouble: drop\nretry-after: 1", 4, "Did you mean 'retry_after'?"),
        ("trouble: drop\nmodel: x", 4, "known are trouble, retry_after, times, tokens, ends. Remove or rename it."),
    ],
)
def test_mistakes_are_told_with_their_line(yaml: str, line: int, part: str) -> None:
    (message,) = errors_of(HEAD + block(*yaml.split("\n")))
    assert message.startswith(f"plan.md:{line}: ")
    assert part in message


def test_all_mistakes_are_told_at_once() -> None:
    messages = errors_of(HEAD + block("trouble: dorp", "times: none", "x: y"))
    assert [message[:10] for message in messages] == ["plan.md:3:", "plan.md:4:", "plan.md:5:"]


def test_more_than_one_block_or_one_outside_a_task_is_an_error() -> None:
    one = block("trouble: drop")
    assert errors_of(HEAD + one + one) == [
        "plan.md:5: a task has more than one 'yaml rehearsal' block. Keep one of them."
    ]
    assert errors_of(f"{one}## Batch 1: B\n{one}{HEAD}") == [
        f"plan.md:{line}: this 'yaml rehearsal' block belongs to no task. Put it below a task's heading."
        for line in (1, 5)
    ]


# Where it stands

LABELS = pytest.mark.parametrize(
    ("label", "line"), [("yaml rehearsal", "trouble: drop"), ("yaml pipeline", "model: m-1")]
)
SOLUTION = "**Reference:**\n```text path=a.txt\na\n```\n"


def holds(body: str, label: str) -> bool:
    """Whether the block was read, and nothing of it is in the prompt."""
    task = task_of(body)
    assert "yaml" not in task.prompt
    assert "drop" not in task.prompt
    assert "m-1" not in task.prompt
    return bool(task.trouble if label == "yaml rehearsal" else task.options.values)


@LABELS
@pytest.mark.parametrize("field", ["", "**Files:**\n- a.py\n\n", "**Verification:**\n", "**Expect:** failure\n\n"])
def test_in_any_field_it_is_read_and_no_part_of_the_prompt(label: str, line: str, field: str) -> None:
    body = f"Do.\n\n{field}{block(line, label=label)}\nMore.\n"
    assert holds(body, label)
    assert task_of(body).prompt == "Do.\n\nMore."


@LABELS
def test_below_a_reference_it_is_read_and_the_reference_goes_on(label: str, line: str) -> None:
    body = f"Do.\n{SOLUTION}\n{block(line, label=label)}```sh\nrm b\n```\n**Commit:** x"
    assert holds(body, label)
    task = task_of(body)
    assert [part.content for part in task.reference] == ["a\n", "rm b\n"]
    assert (task.prompt, task.commit_subject) == ("Do.", "x")


@LABELS
def test_before_the_solution_it_is_read_too(label: str, line: str) -> None:
    assert holds(f"**Reference:**\n{block(line, label=label)}{SOLUTION.partition(chr(10))[2]}", label)


@LABELS
def test_below_a_reference_that_is_only_a_hint_it_is_read_and_not_told(label: str, line: str) -> None:
    body = f"**Reference:** docs/design.md\n\n{block(line, label=label)}"
    assert holds(body, label)
    assert task_of(body).prompt == "**Reference:** docs/design.md"


@LABELS
def test_a_reference_with_nothing_but_it_holds_no_solution(label: str, line: str) -> None:
    (message,) = errors_of(f"{HEAD}**Reference:**\n{block(line, label=label)}")
    assert message.startswith("plan.md:2: **Reference:** holds no fenced block.")


def test_a_mistake_below_a_reference_has_its_line() -> None:
    (message,) = errors_of(f"{HEAD}{SOLUTION}{block('modle: x', label='yaml pipeline')}")
    assert message == "plan.md:7: 'modle' is not a key of the 'yaml pipeline' block. Did you mean 'model'?"


def test_a_checkbox_task_can_have_it() -> None:
    (task,) = tasks_of(
        "- [ ] **Task 2: B**\n  - **Files:** a.py\n\n  ```yaml rehearsal\n  trouble: drop\n  ends: ok\n  ```\n"
    )
    assert task.trouble == Trouble(TroubleKind.DROP, 4, ends="ok")
