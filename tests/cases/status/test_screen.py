"""Lines below the cursor never change what pytest has written: the emulator shows the same as without them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TextIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_pipeline.cases.status.screen import Screen

from .emulator import Terminal, opened, terminal

COLUMNS, LINES = 20, 8
OURS = "~ ours ~"
PIECES = (
    "plan.md ",
    ".",
    "F",
    "\n",
    "a line\n",
    "\x1b[32m.\x1b[0m",
    "\rcollected 4",
    "x" * 20,
    "y" * 33,
    "ü漢",
    "漢" * 11,
)


@pytest.fixture
def made() -> Iterator[Terminal]:
    with terminal(COLUMNS, LINES) as one:
        yield one


@pytest.fixture
def file(made: Terminal) -> Iterator[TextIO]:
    with opened(made) as one:
        yield one


@pytest.fixture
def screen(file: TextIO) -> Iterator[Screen]:
    one = Screen(file, threading.Event())
    yield one
    one.close()


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.integers(1, 4)), max_size=25))
@settings(max_examples=60, deadline=None)
def test_whatever_is_written_comes_out_as_without_them(steps: list[str | int]) -> None:
    with terminal(COLUMNS, LINES) as with_ours, terminal(COLUMNS, LINES) as without:
        with opened(with_ours) as file, opened(without) as plain:
            screen = Screen(file, threading.Event())
            for step in steps:
                if isinstance(step, int):
                    screen.draw([f"{OURS}{number}" for number in range(step)])
                else:
                    screen.write(step)
                    plain.write(step)
                    plain.flush()
                with_ours.read()
            screen.close()
        assert with_ours.text == without.text
        assert with_ours.cursor == without.cursor


@pytest.mark.parametrize(
    "before",
    [
        "",
        "plan.md ..",
        "\x1b[1mplan.md\x1b[0m ",
        "\x1b]9;4;1;50\x1b\\",
        "first\nsecond ",
        "collecting\rcollected ",
        "z" * 25,
    ],
)
def test_they_stand_below_and_the_cursor_stays(made: Terminal, screen: Screen, before: str) -> None:
    screen.write(before)
    text, cursor = made.text, made.cursor

    assert screen.draw([OURS, "second"])
    assert made.text == [*(text or [""]), OURS, "second"]
    assert made.cursor == cursor


def test_what_stands_behind_the_cursor_stays(made: Terminal, screen: Screen) -> None:
    screen.write("collecting all\rcollected")
    screen.draw([OURS])
    screen.close()
    assert made.text == ["collectedg all"]


def test_the_next_ones_take_their_place(made: Terminal, screen: Screen) -> None:
    screen.draw(["long long long", "second", "third"])
    screen.draw(["short", "2"])
    assert made.text == ["", "short", "2"]


@pytest.mark.parametrize("before", ["x" * 20, "\x1b[3Aabove", "漢" * 11, "a\tb"])
def test_where_the_cursor_cannot_be_known_nothing_is_drawn(made: Terminal, screen: Screen, before: str) -> None:
    screen.write(before)
    text = made.text

    assert not screen.draw([OURS])
    assert made.text == text
    screen.write("\n")
    assert screen.draw([OURS])


def test_whoever_draws_is_told_that_they_are_gone(file: TextIO) -> None:
    touched = threading.Event()
    screen = Screen(file, touched)
    assert not touched.is_set()
    screen.write(".")
    assert touched.is_set()
    screen.close()


def test_what_is_captured_is_none_of_its_business(made: Terminal, tmp_path_factory: pytest.TempPathFactory) -> None:
    class Switched:
        encoding, captured, taken = "utf-8", False, ""

        def fileno(self) -> int:
            return made.theirs

        def isatty(self) -> bool:
            return not self.captured

        def write(self, text: str) -> int:
            self.taken += text
            return len(text)

        def flush(self) -> None:
            pass

    file = Switched()
    screen = Screen(file, threading.Event())  # type: ignore[arg-type] # what it uses of a file
    screen.draw([OURS])
    file.captured = True
    screen.write("captured")
    assert file.taken == "captured"
    assert made.text == ["", OURS]
    screen.close()
    assert made.text == []


def test_it_takes_half_of_a_terminal_of_any_size(made: Terminal, screen: Screen) -> None:
    assert screen.size == (COLUMNS - 1, LINES // 2)
    made.resize(12, 6)
    assert screen.size == (11, 3)


def test_when_it_is_closed_nothing_is_drawn_and_all_passes_through(made: Terminal, screen: Screen) -> None:
    screen.draw([OURS])
    screen.close()
    assert not screen.draw([OURS])
    screen.write("after")
    assert made.text == ["after"]
    assert screen.size == (0, 0)


def test_it_is_the_file_in_all_other_respects(file: TextIO, screen: Screen) -> None:
    assert screen.isatty()
    assert screen.encoding == "utf-8"
    assert screen.fileno() == file.fileno()
