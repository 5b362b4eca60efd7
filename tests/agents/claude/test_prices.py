from __future__ import annotations

from decimal import Decimal

import pytest

from pytest_pipeline.agents.claude.events import Usage
from pytest_pipeline.agents.claude.prices import estimate

# What the real CLI said that 1,000,000 tokens of each kind cost: input, output, cache read, cache write.
MEASURED = {
    "claude-sonnet-5-5": ("2", "10", "0.1", "2.5"),
    "claude-opus-5-5": ("4", "20", "0.2", "5"),
    "claude-fable-5-2": ("8", "40", "0.2", "10"),
    "claude-haiku-4-5-20251001": ("1", "5", "0.1", "1.25"),
    "claude-sonnet-4-5-20250929": ("3", "15", "0.3", "3.75"),
    "claude-sonnet-4-6": ("3", "15", "0.3", "3.75"),
    "claude-opus-4-5-20251101": ("5", "25", "0.5", "6.25"),
    "claude-opus-4-6": ("5", "25", "0.5", "6.25"),
    "claude-opus-4-7": ("5", "25", "0.5", "6.25"),
    "us.anthropic.claude-opus-5-5-v1:0": ("4", "20", "0.2", "5"),
    "claude-sonnet-4-5@20250929": ("3", "15", "0.3", "3.75"),
    "unknown-model-x": ("4", "20", "0.2", "5"),
    "claude-haiku-9": ("4", "20", "0.2", "5"),
}
MILLION = (Usage(input=10**6), Usage(output=10**6), Usage(cache_read=10**6), Usage(cache_write=10**6))


@pytest.mark.parametrize("model", MEASURED)
def test_a_million_tokens_of_each_kind_cost_what_the_cli_says(model: str) -> None:
    assert [estimate(model, usage) for usage in MILLION] == [Decimal(cost) for cost in MEASURED[model]]


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(input=1_000), "0.0001"),
        (Usage(output=1_000), "0.0005"),
        (Usage(cache_read=1_000), "0.00001"),
        (Usage(cache_write=1_000), "0.000125"),
        (Usage(output=2_000_000), "1"),
        (Usage(input=100_000), "0.01"),
        (Usage(input=100_001), "0.0500005"),
        (Usage(input=90_000, output=50_000), "0.034"),
        (Usage(input=40_000, cache_read=40_000, cache_write=40_000), "0.047"),
        (Usage(cache_write=1_000_000, cache_write_hour=1_000_000), "1"),
        (Usage(input=500_000, output=1_000), "0.2525"),
    ],
)
def test_the_small_model_costs_five_times_as_much_above_100_000_tokens_of_prompt(usage: Usage, cost: str) -> None:
    assert estimate("claude-haiku-5-5-20261001", usage) == Decimal(cost)


def test_a_cache_that_is_kept_for_an_hour_costs_twice_the_input() -> None:
    assert estimate("claude-opus-5-5", Usage(cache_write=1_000_000, cache_write_hour=1_000_000)) == Decimal(8)
    assert estimate("claude-opus-5-5", Usage(cache_write=10, cache_write_hour=1_000_000)) == Decimal("0.00008")


@pytest.mark.parametrize("model", ["", "claude-haiku-4-55", "haiku"])
def test_an_id_that_only_looks_like_a_known_one_is_unknown(model: str) -> None:
    assert estimate(model, Usage(input=10**6)) == Decimal(4)


def test_costs_add_up_exactly() -> None:
    cent = estimate("claude-opus-5-5", Usage(input=2_500))

    assert sum([cent] * 1_000, Decimal(0)) == Decimal(10)
