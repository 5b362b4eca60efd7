"""Secrets are masked in what is told, before it becomes JSON, HTML or XML: escaped they would not be known again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import TypeVar, cast
from xml.etree import ElementTree

from pydantic import BaseModel

Mask = Callable[[str], str]
"""Takes secrets out of a text."""

Told = TypeVar("Told")


def masked(value: Told, mask: Mask) -> Told:
    """A value with every text in it masked: a text, or dataclasses, mappings, lists and tuples of them."""
    return cast(Told, _masked(value, mask))


def masked_json(model: BaseModel, mask: Mask) -> str:
    """An answer as JSON."""
    return json.dumps(masked(model.model_dump(mode="json"), mask), separators=(",", ":"))


def masked_xml(text: str, mask: Mask) -> str:
    """An XML document; it stays as it is where nothing in it is a secret."""
    try:
        tree = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return mask(text)
    changed = False
    for each in tree.iter():
        told = (each.text, each.tail, dict(each.attrib))
        each.text, each.tail, attributes = masked(told, mask)
        each.attrib.update(attributes)
        changed |= told != (each.text, each.tail, attributes)
    return ElementTree.tostring(tree, encoding="unicode") if changed else text


def _masked(value: object, mask: Mask) -> object:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {name: _masked(each, mask) for name, each in value.items()}
    if isinstance(value, list):
        return [_masked(each, mask) for each in value]
    if isinstance(value, tuple):
        return tuple(_masked(each, mask) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _masked(getattr(value, each.name), mask) for each in fields(value)})
    return value
