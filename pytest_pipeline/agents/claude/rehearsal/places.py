"""Paths that differ from task run to task run, and the words that stand for them in a cassette."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path, PurePath

from pytest_pipeline.agents.base import AgentRequest

_PLACEHOLDER = re.compile(r"\{\{(literal:)?((?:literal:)*)(workspace|home|tmpdir)\}\}")
_NOT_A_LONGER_NAME = r"(?![\w-]|\.\w)"


class Places:
    """Workspace, HOME and TMPDIR of one task run.

    Args:
        workspace: where the agent works.
        environment: its environment, which names the other two.
    """

    def __init__(self, workspace: Path, environment: Mapping[str, str]) -> None:
        named = {"workspace": str(workspace), "home": environment.get("HOME", ""), "tmpdir": environment.get("TMPDIR")}
        # The real path is what the CLI tells the model, and what is compared with its current directory.
        self._real = {name: os.path.realpath(path) for name, path in named.items() if path and _is_own(path)}
        forms = {path: name for name in self._real for path in (str(named[name]).rstrip("/"), self._real[name])}
        self._names = forms
        longest_first = sorted(forms, key=lambda path: (-len(path), path))
        paths = "|".join(map(re.escape, longest_first)) or r"(?!)"
        self._pattern = re.compile(f"(?P<path>{paths}){_NOT_A_LONGER_NAME}|{_PLACEHOLDER.pattern}")

    @classmethod
    def of(cls, request: AgentRequest) -> Places:
        """Those of that task run."""
        return cls(request.workspace, request.environment)

    def hide(self, text: str) -> str:
        """Put placeholders such as ``{{workspace}}`` for the paths; what looks like one already is kept apart."""
        return self._pattern.sub(self._hidden, text)

    def restore(self, text: str) -> str:
        """Put the paths of this task run for the placeholders."""
        return _PLACEHOLDER.sub(self._restored, text)

    def prompt_hash(self, prompt: str) -> str:
        """SHA-256 of a prompt; neither the places nor blanks at the ends of lines and text count."""
        lines = self.hide(prompt).strip().splitlines()
        return sha256("\n".join(map(str.rstrip, lines)).encode("utf-8", "surrogatepass")).hexdigest()

    def _hidden(self, found: re.Match[str]) -> str:
        path = found["path"]
        return f"{{{{{self._names[path]}}}}}" if path else found[0].replace("{{", "{{literal:", 1)

    def _restored(self, found: re.Match[str]) -> str:
        escaped, deeper, name = found.groups()
        if escaped:
            return f"{{{{{deeper}{name}}}}}"
        return self._real.get(name, found[0])


def through(value: object, change: Callable[[str], str]) -> object:
    """The same JSON value with every text in it changed, names of fields too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [through(each, change) for each in value]
    if isinstance(value, dict):
        return {change(name): through(each, change) for name, each in value.items()}
    return value


def through_content(content: object, change: Callable[[str], str]) -> Iterator[dict[str, object]]:
    """The blocks of an answer with every text changed but the one that says what kind of block it is.

    Args:
        content: blocks as the Messages API has them; what is no block is left out.
        change: what is done to a text.
    """
    for block in content if isinstance(content, (list, tuple)) else ():
        if isinstance(block, dict):
            kind = {"type": block["type"]} if "type" in block else {}
            yield {**kind, **{k: v for k, v in _fields(block, change) if k != "type"}}


def _fields(block: dict[str, object], change: Callable[[str], str]) -> Iterator[tuple[str, object]]:
    changed = through(block, change)
    if isinstance(changed, dict):
        yield from changed.items()


def _is_own(path: str) -> bool:
    """Whether a path is one's own: ``/tmp`` and ``/root`` are everybody's words, and are often meant as such."""
    return os.path.isabs(path) and len(PurePath(path).parts) > 2
