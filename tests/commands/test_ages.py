from __future__ import annotations

from datetime import timedelta

import pytest

from pytest_pipeline.commands.ages import read_age, show_age


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("0", timedelta(0)),
        ("0d", timedelta(0)),
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        (" 7d ", timedelta(days=7)),
        ("2w", timedelta(days=14)),
        ("999999999999999999999w", timedelta(days=999_999_999)),
    ],
)
def test_an_age_is_a_number_with_its_unit(text: str, age: timedelta) -> None:
    assert read_age(text) == age


@pytest.mark.parametrize("text", ["", "7", "-1d", "1.5d", "d", "7 days", "7D", "1d2h", "00", "soon"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="must be 0 or an age such as 12h, 7d or 2w, not"):
        read_age(text)


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (timedelta(seconds=-5), "0s"),
        (timedelta(0), "0s"),
        (timedelta(seconds=59.9), "59s"),
        (timedelta(seconds=60), "1m"),
        (timedelta(minutes=59, seconds=59), "59m"),
        (timedelta(hours=1), "1h"),
        (timedelta(hours=23, minutes=59), "23h"),
        (timedelta(days=1), "1d"),
        (timedelta(days=400), "400d"),
    ],
)
def test_an_age_is_shown_in_its_largest_unit(age: timedelta, shown: str) -> None:
    assert show_age(age) == shown
