"""What a plan or a task sets: YAML, checked key by key, so that a typing error is told with its line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import yaml

from pytest_pipeline.options import BY_PLAN_KEY
from pytest_pipeline.plans.model import Mark, Options
from pytest_pipeline.plans.problems import Problems

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
_DEEPEST = 8


class _Unusable(ValueError):
    """A value of the wrong kind; says what it must be."""


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
    try:
        loader = yaml.SafeLoader(text)  # looks at every character already
        node = loader.get_single_node()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problems.error(first_line + _line_of(error, text), f"{where} is not YAML: {_reason(error)}. Correct it.")
        return Options()
    if node is None or (isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")):
        return Options()
    if not isinstance(node, yaml.MappingNode):
        problems.error(
            first_line + node.start_mark.line, f"{where} is not a mapping. Write one 'key: value' on each line."
        )
        return Options()
    return _Reader(loader, first_line, problems, where, whole_run).read(node)


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


class _Reader:
    def __init__(
        self, loader: yaml.SafeLoader, first_line: int, problems: Problems, where: str, whole_run: Sequence[str]
    ) -> None:
        self._whole_run = whole_run
        self._loader = loader
        self._first_line = first_line
        self._problems = problems
        self._where = where
        self._values: dict[str, object] = {}
        self._environment: dict[str, str] = {}
        self._marks: tuple[Mark, ...] = ()
        self._context = ""

    def read(self, root: yaml.MappingNode) -> Options:
        for key, key_node, value in self._pairs(root, ""):
            if key in _MAPPINGS:
                self._read_mapping(key, value)
            else:
                self._read_key(key, key_node, value)
        return Options(MappingProxyType(self._values), MappingProxyType(self._environment), self._marks, self._context)

    def _pairs(self, node: yaml.MappingNode, prefix: str) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        seen: set[str] = set()
        for key_node, value in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._error(key_node, f"a key of {self._where} is not a word. Write 'key: value'.")
                continue
            key = f"{prefix}{key_node.value}"
            if key in seen:
                self._error(key_node, f"'{key}' stands twice in {self._where}. Keep one of them.")
            else:
                seen.add(key)
                yield key, key_node, value

    def _read_mapping(self, key: str, node: yaml.Node) -> None:
        if not isinstance(node, yaml.MappingNode):
            example = next(each for each in BY_PLAN_KEY if each.startswith(f"{key}."))
            self._error(node, f"'{key}' must be a mapping, for example with {example.split('.', 1)[1]}. Correct it.")
            return
        for inner, key_node, value in self._pairs(node, f"{key}."):
            self._read_key(inner, key_node, value)

    def _read_key(self, key: str, key_node: yaml.Node, node: yaml.Node) -> None:
        try:
            if key in self._whole_run:
                self._error(key_node, f"'{key}' holds for a whole run. Move it to the front matter.")
            elif key in BY_PLAN_KEY:
                option = BY_PLAN_KEY[key]
                self._values[option.name] = option.parse(self._plain(node))
            elif key == "environment":
                self._environment = _environment(node)
            elif key == "marks":
                self._marks = tuple(_marks(self._plain(node)))
            elif key == "context":
                self._context = _context(self._plain(node))
            elif key not in _DESCRIPTIVE:
                self._error(key_node, f"'{key}' is not a key of {self._where}. {_suggestion(key)}")
        except _Unusable as error:
            self._error(node, f"'{key}' {error}. Correct it.")
        except ValueError as error:
            self._error(node, f"'{key}' {error}, not {_shown(node)}. Correct it.")
        except (yaml.YAMLError, RecursionError, OverflowError) as error:
            self._error(node, f"'{key}' cannot be read: {_reason(error)}. Correct it.")

    def _plain(self, node: yaml.Node) -> object:
        value: object = self._loader.construct_object(node, deep=True)
        if not _is_plain(value, _DEEPEST):
            raise _Unusable("must be made of texts, numbers, lists and mappings, and not be nested in itself")
        return value

    def _error(self, node: yaml.Node, message: str) -> None:
        self._problems.error(self._first_line + node.start_mark.line, message)


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


def _shown(node: yaml.Node) -> str:
    return repr(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"


def _suggestion(key: str) -> str:
    """Name the nearest known key: among ``limits.*`` by its last part too."""
    lowered = key.lower().replace("-", "_").replace(" ", "_")
    near = difflib.get_close_matches(lowered, KNOWN_KEYS, n=1, cutoff=0.6)
    if not near:
        tails = {known.rsplit(".", 1)[-1]: known for known in KNOWN_KEYS}
        near = [
            tails[each] for each in difflib.get_close_matches(lowered.rsplit(".", 1)[-1], list(tails), n=1, cutoff=0.6)
        ]
    if near:
        return f"Did you mean '{near[0]}'?"
    nearest = max(KNOWN_KEYS, key=lambda known: difflib.SequenceMatcher(None, lowered, known).ratio())
    return f"The nearest is '{nearest}'; known are {', '.join(KNOWN_KEYS)}. Remove or rename it."


def _environment(node: yaml.Node) -> dict[str, str]:
    """Names and texts, exactly as written: ``1.10`` and ``yes`` stay what they are."""
    if not isinstance(node, yaml.MappingNode):
        raise _Unusable("must be a mapping of names to texts")
    found: dict[str, str] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or not _NAME.match(key.value):
            raise _Unusable(f"has {_shown(key)}, which is no name of a variable")
        if not isinstance(value, yaml.ScalarNode) or value.tag.endswith(":null") or "\0" in value.value:
            raise _Unusable(f"must give '{key.value}' a text")
        if key.value in found:
            raise _Unusable(f"names '{key.value}' twice")
        found[key.value] = value.value
    return found


def _marks(value: object) -> Iterator[Mark]:
    if not isinstance(value, list):
        raise _Unusable("must be a list of names, for example [slow, {usefixtures: [database]}]")
    for each in value:
        name, arguments = next(iter(each.items())) if isinstance(each, Mapping) and len(each) == 1 else (each, [])
        if not isinstance(name, str) or not _NAME.match(name):
            raise _Unusable(f"has {each!r}, which is neither a name nor a mapping of one name to a list of arguments")
        if isinstance(arguments, Mapping):
            raise _Unusable(f"must give '{name}' a list of arguments")
        if arguments is None:
            arguments = []
        yield Mark(name, tuple(arguments) if isinstance(arguments, list) else (arguments,))


def _context(value: object) -> str:
    if not isinstance(value, str):
        raise _Unusable("must be a text")
    return value.strip()
