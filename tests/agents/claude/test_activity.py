from __future__ import annotations

from decimal import Decimal

import pytest

from pytest_pipeline.agents.claude.activity import LINE_CHARACTERS, Activity, clean
from pytest_pipeline.agents.claude.events import (
    Call,
    Denied,
    Ended,
    Event,
    Retrying,
    Said,
    Started,
    Text,
    Unreadable,
    Working,
)

from .runs import told


def words(*events: Event) -> list[str]:
    activity = Activity(lambda: 0.0)
    lines = [line for event in events for line in activity.lines(event, Decimal(0))]
    return [line.removeprefix("0 s  0.00 USD  ") for line in lines]


def calls(tool: str, subject: str, name: str = "1") -> Said:
    return Said(blocks=(Call(name, tool, subject),))


def test_a_run_of_the_real_cli_as_its_reader_sees_it() -> None:
    assert told("ok").events == [
        "0 s  0.00 USD  asks claude-haiku-5-5",
        "0 s  0.00 USD  I write.",
        "0 s  0.00 USD  Write a.txt",
        "0 s  0.00 USD  Bash ls -la # look",
        "0 s  0.00 USD  done",
        "0 s  0.00 USD  ended after 3 turns, 0.00 USD",
    ]


def test_denials_of_the_real_cli_name_what_was_denied() -> None:
    denied = [line.split("  ")[-1] for line in told("denied").events if "denied" in line]

    assert denied == ["denied: Write /etc/x", "denied: Bash curl x", "denied: Read /etc/passwd"]


def test_what_the_cli_says_for_its_makers_is_left_out() -> None:
    assert "turns, 0.00 USD: Auto mode can't check" in told("planmode").events[-1]


def test_each_line_has_the_time_and_the_cost_so_far() -> None:
    now = 5.0
    activity = Activity(lambda: now)
    now = 17.4

    assert activity.lines(calls("Write", "src/a.py"), Decimal("0.0312")) == ["12 s  0.03 USD  Write src/a.py"]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Started(model="claude-opus-5-5"), "asks claude-opus-5-5"),
        (Said(blocks=(Text("First\nI look around."),)), "First I look around."),
        (calls("Bash", "pytest -q"), "Bash pytest -q"),
        (calls("Glob", ""), "Glob"),
        (Retrying(1, 4, 2.1, 429, "rate_limit"), "the API answered 429, waits 2 s (retry 1 of 4)"),
        (Retrying(2, 4, 0.6, None, "unknown"), "the API did not answer properly, waits 1 s (retry 2 of 4)"),
        (Denied("unknown", "Read"), "denied: Read"),
        (Working("Bash", 30.2), "Bash runs for 30 s"),
        (Ended(is_error=False, turns=12, cost=Decimal("0.421")), "ended after 12 turns, 0.42 USD"),
        (Ended(is_error=False, turns=1), "ended after 1 turn"),
        (Ended(is_error=True, turns=2, text="It broke"), "ended after 2 turns: It broke"),
        (Ended(is_error=True, subtype="error_max_turns"), "ended after 0 turns: error_max_turns"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_event_is_one_line(event: Event, line: str) -> None:
    assert words(event) == [line]


@pytest.mark.parametrize("event", [Started(), Said(), Said(blocks=(Text(" \n "),)), Unreadable()], ids=repr)
def test_an_event_that_says_nothing_is_none(event: Event) -> None:
    assert words(event) == []


def test_a_file_of_the_workspace_is_named_from_there() -> None:
    begun = Started(directory="/work")

    assert words(begun, calls("Write", "/work/src/a.py")) == ["Write src/a.py"]
    assert words(begun, calls("Write", "/workshop/a.py")) == ["Write /workshop/a.py"]


def test_a_denial_names_the_call_that_was_made_before() -> None:
    assert (
        words(calls("Write", "/etc/x", "a"), calls("Read", "y", "b"), Denied("a", "Write"))[-1]
        == "denied: Write /etc/x"
    )


def test_calls_that_were_long_ago_are_forgotten() -> None:
    many = [calls("Write", str(number), str(number)) for number in range(100)]

    assert words(*many, Denied("0", "Write"))[-1] == "denied: Write"
    assert words(*many, Denied("99", "Write"))[-1] == "denied: Write 99"


def test_what_a_terminal_would_act_on_is_gone() -> None:
    assert clean("a\x1b[31mb\r\n\tc\u202ed\x00") == "a [31mb c d"


def test_a_long_line_is_cut() -> None:
    (line,) = Activity(lambda: 0.0).lines(calls("Bash", "x" * 500), Decimal(0))

    assert len(line) == LINE_CHARACTERS
    assert line.endswith("x…")
