"""A block of YAML in a plan, read key by key, so that each mistake is told with its own line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import yaml

from pytest_pipeline.plans.problems import Problems

_DEEPEST = 8


class Unusable(ValueError):
    """A value of the wrong kind; says what it must be, with "must be ..."."""


@dataclass(frozen=True)
class YamlBlock:
    """A mapping, not yet read.

    Args:
        root: its node.
        first_line: number of the block's first line in the file.
        problems: where every error goes.
        where: what the block is called in messages, for example "the front matter".
    """

    root: yaml.MappingNode
    loader: yaml.SafeLoader
    first_line: int
    problems: Problems
    where: str

    def pairs(
        self, node: yaml.MappingNode | None = None, prefix: str = ""
    ) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """Each key as a word behind ``prefix``, its node, and the node of its value; without ``node``, of the root."""
        seen: set[str] = set()
        for key_node, value in (node or self.root).value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.error(key_node, f"a key of {self.where} is not a word. Write 'key: value'.")
                continue
            key = f"{prefix}{key_node.value}"
            if key in seen:
                self.error(key_node, f"'{key}' stands twice in {self.where}. Keep one of them.")
            else:
                seen.add(key)
                yield key, key_node, value

    @contextmanager
    def reading(self, key: str, node: yaml.Node) -> Iterator[None]:
        """Make errors of the plan of what is raised while the value of a key is read."""
        try:
            yield
        except Unusable as error:
            self.error(node, f"'{key}' {error}. Correct it.")
        except ValueError as error:
            self.error(node, f"'{key}' {error}, not {shown(node)}. Correct it.")
        except (yaml.YAMLError, RecursionError, OverflowError) as error:
            self.error(node, f"'{key}' cannot be read: {_reason(error)}. Correct it.")

    def plain(self, node: yaml.Node) -> object:
        """The value of a node: texts, numbers, lists and mappings.

        Raises:
            Unusable: it is made of something else.
        """
        value: object = self.loader.construct_object(node, deep=True)
        if not _is_plain(value, _DEEPEST):
            raise Unusable("must be made of texts, numbers, lists and mappings, and not be nested in itself")
        return value

    def unknown(self, key: str, node: yaml.Node, known: Sequence[str]) -> None:
        """Tell a key that is not one of those known, with the nearest of them."""
        self.error(node, f"'{key}' is not a key of {self.where}. {_suggestion(key, known)}")

    def error(self, node: yaml.Node, message: str) -> None:
        """Tell an error on the line of a node."""
        self.problems.error(self.first_line + node.start_mark.line, message)


def read_block(text: str, first_line: int, problems: Problems, *, where: str) -> YamlBlock | None:
    """Look at the YAML as a whole; an empty text is an empty mapping.

    Args:
        text: the YAML.
        first_line: number of its first line in the file.
        problems: where every error goes, each with its own line.
        where: what the block is called in messages.

    Returns:
        The block, or None where there is nothing to read in it, which ``problems`` knows by then.
    """
    try:
        loader = yaml.SafeLoader(text)  # looks at every character already
        node = loader.get_single_node()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problems.error(first_line + _line_of(error, text), f"{where} is not YAML: {_reason(error)}. Correct it.")
        return None
    if node is None or (isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")):
        node = yaml.MappingNode("tag:yaml.org,2002:map", [])
    if not isinstance(node, yaml.MappingNode):
        problems.error(
            first_line + node.start_mark.line, f"{where} is not a mapping. Write one 'key: value' on each line."
        )
        return None
    return YamlBlock(node, loader, first_line, problems, where)


def shown(node: yaml.Node) -> str:
    """A value as a message shows it."""
    return repr(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"


def _line_of(error: Exception, text: str) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return int(mark.line)
    return text.count("\n", 0, getattr(error, "position", 0) or 0)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return " ".join(str(reason).split()).rstrip(".")


def _is_plain(value: object, depth: int) -> bool:
    if value is None or isinstance(value, (str, int, float)):
        return True
    if depth == 0:
        return False
    if isinstance(value, list):
        return all(_is_plain(each, depth - 1) for each in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(each, depth - 1) for key, each in value.items())
    return False


def _suggestion(key: str, known: Sequence[str]) -> str:
    """Name the nearest known key: a dotted one by its last part too."""
    lowered = key.lower().replace("-", "_").replace(" ", "_")
    near = difflib.get_close_matches(lowered, known, n=1, cutoff=0.6)
    if not near:
        tails = {each.rsplit(".", 1)[-1]: each for each in known}
        near = [
            tails[each] for each in difflib.get_close_matches(lowered.rsplit(".", 1)[-1], list(tails), n=1, cutoff=0.6)
        ]
    if near:
        return f"Did you mean '{near[0]}'?"
    nearest = max(known, key=lambda each: difflib.SequenceMatcher(None, lowered, each).ratio())
    return f"The nearest is '{nearest}'; known are {', '.join(known)}. Remove or rename it."
