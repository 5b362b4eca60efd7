"""What a run costs as long as the Claude CLI has not said it: its own list prices times the usage that was seen.

Source: the sums (`total_cost_usd`) that CLI 2.1.330 printed for answers of known usage, measured with 1,000 and with
1,000,000 tokens of each kind. Not in it: web searches (0.01 USD each) and the fast mode, which a task has no part in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from pytest_pipeline.agents.claude.events import Usage

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens.

    Args:
        input: tokens of the prompt that no cache held.
        output: tokens of the answer.
        cache_read: tokens of the prompt that were read from the cache.
        cache_write: tokens of the prompt that were put there for five minutes; for an hour they cost twice ``input``.
        long_prompt: tokens of a prompt above which the whole request costs ``long_factor`` times as much; 0: never.
        long_factor: by how much.
    """

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal
    long_prompt: int = 0
    long_factor: int = 1


def estimate(model: str, usage: Usage) -> Decimal:
    """What one answer costs, in US dollars: the sum over the kinds of tokens of number times list price.

    Args:
        model: the id of the model, with or without date, provider and region; an unknown one is priced as the CLI does.
        usage: tokens of this one request: some prices depend on the length of its prompt.
    """
    price = price_of(model)
    prompt = usage.input + usage.cache_read + usage.cache_write
    hour = min(usage.cache_write_hour, usage.cache_write)
    cost = (
        usage.input * price.input
        + usage.output * price.output
        + usage.cache_read * price.cache_read
        + (usage.cache_write - hour) * price.cache_write
        + hour * 2 * price.input
    )
    factor = price.long_factor if price.long_prompt and prompt > price.long_prompt else 1
    return cost * factor / _MILLION


def price_of(model: str) -> Price:
    """The list price of a model, given by its id."""
    match = _FAMILY.search(model)
    return _PRICES[match[0]] if match else _UNKNOWN


def _price(
    price_in: str, price_out: str, cache_read: str, cache_write: str, long_prompt: int = 0, long_factor: int = 1
) -> Price:
    return Price(
        Decimal(price_in), Decimal(price_out), Decimal(cache_read), Decimal(cache_write), long_prompt, long_factor
    )


_UNKNOWN = _price("4", "20", "0.2", "5")
_OPUS_4 = _price("5", "25", "0.5", "6.25")
_SONNET_4 = _price("3", "15", "0.3", "3.75")
_PRICES = {
    "haiku-5-5": _price("0.1", "0.5", "0.01", "0.125", long_prompt=100_000, long_factor=5),
    "sonnet-5-5": _price("2", "10", "0.1", "2.5"),
    "opus-5-5": _price("4", "20", "0.2", "5"),
    "fable-5-2": _price("8", "40", "0.2", "10"),
    "haiku-4-5": _price("1", "5", "0.1", "1.25"),
    "sonnet-4-5": _SONNET_4,
    "sonnet-4-6": _SONNET_4,
    "opus-4-5": _OPUS_4,
    "opus-4-6": _OPUS_4,
    "opus-4-7": _OPUS_4,
}
_FAMILY = re.compile(rf"(?:{'|'.join(_PRICES)})(?!\d)")
