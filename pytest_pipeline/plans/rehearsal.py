"""The block ``yaml rehearsal`` of a task: how the scripted model of a rehearsal misbehaves there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from pytest_pipeline.plans.problems import Problems
from pytest_pipeline.plans.yaml_block import YamlBlock, read_block
from pytest_pipeline.trouble import Trouble, TroubleKind
from pytest_pipeline.values import Parse, choice, number

WORDS = tuple(kind.value for kind in TroubleKind if kind is not TroubleKind.STATUS)
ENDS = ("ok", "failed", "timeout", "budget", "turns", "unavailable")
"""How an agent can end; the agents' own room has the same list."""
ON_THE_WAY = (TroubleKind.STATUS, TroubleKind.DROP, TroubleKind.STALL, TroubleKind.SILENCE, TroubleKind.MALFORMED)
"""Trouble that befalls single answers, so that it can end; all the rest is how the model goes about its task."""
_ONLY_WITH = {
    "retry_after": ((TroubleKind.STATUS,), "an HTTP status"),
    "times": (ON_THE_WAY, "an HTTP status, drop, stall, silence and malformed"),
    "tokens": ((TroubleKind.EXPENSIVE,), "expensive"),
}


def _trouble(raw: object) -> object:
    """A word, or an HTTP status as a number."""
    if isinstance(raw, str) and raw in WORDS:
        return raw
    try:
        status = number(int, 400)(raw)
        if isinstance(status, int) and status <= 599:
            return status
    except ValueError:
        pass
    raise ValueError(f"must be an HTTP status from 400 to 599, or one of {', '.join(WORDS)}")


_PARSE: Mapping[str, Parse] = {
    "trouble": _trouble,
    "retry_after": number(float, 0),
    "times": number(int, 1),
    "tokens": number(int, 1),
    "ends": choice(*ENDS),
}
KEYS = tuple(_PARSE)


def read_trouble(text: str, line: int, problems: Problems) -> Trouble | None:
    """Read one block.

    Args:
        text: its content.
        line: number of the line that opens it.
        problems: where every error goes, each with its own line.

    Returns:
        What the block asks for, or None where it is wrong.
    """
    block = read_block(text, line + 1, problems, where="the 'yaml rehearsal' block")
    if block is None:
        return None
    before = len(problems.errors)
    values, nodes = _read_values(block)
    if len(problems.errors) > before:
        return None
    if "trouble" not in values:
        problems.error(line, "this block does not say what goes wrong. Write for example 'trouble: 429'.")
        return None
    told = values.pop("trouble")
    kind, status = (TroubleKind.STATUS, told) if isinstance(told, int) else (TroubleKind(told), 0)
    for key, (kinds, shown) in _ONLY_WITH.items():
        if key in values and kind not in kinds:
            block.error(nodes[key], f"'{key}' goes with {shown} only, not with '{told}'. Remove it.")
    return Trouble(kind, line, status=status, **values)


def _read_values(block: YamlBlock) -> tuple[dict[str, Any], dict[str, yaml.Node]]:
    """The checked values by key, and where each key stands."""
    values: dict[str, Any] = {}
    nodes: dict[str, yaml.Node] = {}
    for key, key_node, node in block.pairs():
        if key in _PARSE:
            nodes[key] = key_node
            with block.reading(key, node):
                values[key] = _PARSE[key](block.plain(node))
        else:
            block.unknown(key, key_node, KEYS)
    return values, nodes
