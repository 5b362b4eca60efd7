"""What a plan or a task sets: YAML, checked key by key, so that a typing error is told with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import yaml

from pytest_pipeline.options import BY_PLAN_KEY
from pytest_pipeline.plans.model import Mark, Options
from pytest_pipeline.plans.problems import Problems
from pytest_pipeline.plans.yaml_block import Unusable, YamlBlock, read_block, shown

_OWN_KEYS = ("environment", "marks", "context")
_MAPPINGS = tuple(dict.fromkeys(key.split(".", 1)[0] for key in BY_PLAN_KEY if "." in key))
KNOWN_KEYS = (*BY_PLAN_KEY, *_OWN_KEYS)
# They describe the document to its readers and set nothing; real plans carry them.
_DESCRIPTIVE = frozenset(
    [
        "title",
        "name",
        "description",
        "type",
        "status",
        "created",
        "updated",
        "date",
        "author",
        "owner",
        "priority",
        "version",
        "tags",
    ]
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")


def front_matter_end(lines: Sequence[str]) -> int:
    """Index of the first line after the front matter; 0 when there is none."""
    if not lines or lines[0].rstrip() != "---":
        return 0
    for index in range(1, len(lines)):
        if lines[index].rstrip() in ("---", "..."):
            return index + 1
    return 0


def read_options(
    text: str, first_line: int, problems: Problems, *, where: str, whole_run: Sequence[str] = ()
) -> Options:
    """Read one YAML block.

    Args:
        text: the YAML.
        first_line: number of its first line in the file.
        problems: where every error goes, each with its own line.
        where: what the block is called in messages, for example "the front matter".
        whole_run: keys that must not be here, because they hold for a whole run.
    """
    block = read_block(text, first_line, problems, where=where)
    return Options() if block is None else _Reader(block, whole_run).read()


class _Reader:
    def __init__(self, block: YamlBlock, whole_run: Sequence[str]) -> None:
        self._block = block
        self._whole_run = whole_run
        self._values: dict[str, object] = {}
        self._environment: dict[str, str] = {}
        self._marks: tuple[Mark, ...] = ()
        self._context = ""

    def read(self) -> Options:
        for key, key_node, value in self._block.pairs():
            if key in _MAPPINGS:
                self._read_mapping(key, value)
            else:
                self._read_key(key, key_node, value)
        return Options(MappingProxyType(self._values), MappingProxyType(self._environment), self._marks, self._context)

    def _read_mapping(self, key: str, node: yaml.Node) -> None:
        if not isinstance(node, yaml.MappingNode):
            example = next(each for each in BY_PLAN_KEY if each.startswith(f"{key}."))
            self._block.error(
                node, f"'{key}' must be a mapping, for example with {example.split('.', 1)[1]}. Correct it."
            )
            return
        for inner, key_node, value in self._block.pairs(node, f"{key}."):
            self._read_key(inner, key_node, value)

    def _read_key(self, key: str, key_node: yaml.Node, node: yaml.Node) -> None:
        if key in self._whole_run:
            self._block.error(key_node, f"'{key}' holds for a whole run. Move it to the front matter.")
        elif key in KNOWN_KEYS:
            with self._block.reading(key, node):
                self._take(key, node)
        elif key not in _DESCRIPTIVE:
            self._block.unknown(key, key_node, KNOWN_KEYS)

    def _take(self, key: str, node: yaml.Node) -> None:
        if key == "environment":
            self._environment = _environment(node)
        elif key == "marks":
            self._marks = tuple(_marks(self._block.plain(node)))
        elif key == "context":
            self._context = _context(self._block.plain(node))
        else:
            option = BY_PLAN_KEY[key]
            self._values[option.name] = option.parse(self._block.plain(node))


def _environment(node: yaml.Node) -> dict[str, str]:
    """Names and texts, exactly as written: ``1.10`` and ``yes`` stay what they are."""
    if not isinstance(node, yaml.MappingNode):
        raise Unusable("must be a mapping of names to texts")
    found: dict[str, str] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or not _NAME.match(key.value):
            raise Unusable(f"has {shown(key)}, which is no name of a variable")
        if not isinstance(value, yaml.ScalarNode) or value.tag.endswith(":null") or "\0" in value.value:
            raise Unusable(f"must give '{key.value}' a text")
        if key.value in found:
            raise Unusable(f"names '{key.value}' twice")
        found[key.value] = value.value
    return found


def _marks(value: object) -> Iterator[Mark]:
    if not isinstance(value, list):
        raise Unusable("must be a list of names, for example [slow, {usefixtures: [database]}]")
    for each in value:
        name, arguments = next(iter(each.items())) if isinstance(each, Mapping) and len(each) == 1 else (each, [])
        if not isinstance(name, str) or not _NAME.match(name):
            raise Unusable(f"has {each!r}, which is neither a name nor a mapping of one name to a list of arguments")
        if isinstance(arguments, Mapping):
            raise Unusable(f"must give '{name}' a list of arguments")
        if arguments is None:
            arguments = []
        yield Mark(name, tuple(arguments) if isinstance(arguments, list) else (arguments,))


def _context(value: object) -> str:
    if not isinstance(value, str):
        raise Unusable("must be a text")
    return value.strip()
