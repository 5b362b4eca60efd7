"""The five sentences of native plans that are checked by us. Nothing else is ever guessed to be a check."""

from __future__ import annotations

import re
from collections.abc import Callable

from pytest_pipeline.plans.files import normal_path, path_problem
from pytest_pipeline.plans.model import Predicate, PredicateCheck

_PATH = r"(?:`(?P<span>[^`]+)`|(?P<bare>[\w.@+~/-]*[./][\w.@+~/-]*\w/?))"
_FILE = r"(?:the\s+)?(?:test\s+|json\s+|output\s+|created\s+)?(?:file|content)"
_TEXT = r"(?:\"(?P<double>.+)\"|“(?P<curly>.+)”|'(?P<single>.+)'|`(?P<code>[^`]+)`)"
_END = r"\s*\.?$"

_EXIST = re.compile(
    rf"(?:(?:the\s+)?(?:test\s+)?files?\s+exists?|(?:all|both)\s+(?:of\s+)?(?:the\s+)?(?:\w+\s+)?files\s+exist){_END}",
    re.I,
)
_EXISTS_AT = re.compile(rf"(?:the\s+)?(?:test\s+)?file\s+exists\s+at:?\s+{_PATH}{_END}", re.I)
_PATH_EXISTS = re.compile(rf"(?:(?:the\s+)?file\s+)?{_PATH}\s+exists{_END}", re.I)
_CONTAINS = re.compile(rf"(?:{_FILE}|(?:(?:the\s+)?file\s+)?{_PATH})\s+contains:?\s+{_TEXT}{_END}", re.I)
_JSON = re.compile(rf"(?:{_FILE}|(?:(?:the\s+)?file\s+)?{_PATH})\s+is\s+valid\s+json{_END}", re.I)
_LINES = re.compile(
    rf"(?:{_FILE}|(?:(?:the\s+)?file\s+)?{_PATH})\s+has\s+at\s+least\s+(?P<count>\d{{1,9}})\s+lines{_END}", re.I
)
_FAILS = re.compile(rf"this\s+will\s+fail{_END}", re.I)


def _text(match: re.Match[str]) -> str:
    groups = match.groupdict()
    return next(groups[name] for name in ("double", "curly", "single", "code") if groups[name] is not None)


def _nothing(_: re.Match[str]) -> str:
    return ""


_FORMS: tuple[tuple[re.Pattern[str], Predicate, Callable[[re.Match[str]], str]], ...] = (
    (_EXIST, Predicate.FILES_EXIST, _nothing),
    (_EXISTS_AT, Predicate.FILES_EXIST, _nothing),
    (_PATH_EXISTS, Predicate.FILES_EXIST, _nothing),
    (_CONTAINS, Predicate.CONTENT_CONTAINS, _text),
    (_JSON, Predicate.VALID_JSON, _nothing),
    (_LINES, Predicate.LINES_AT_LEAST, lambda match: match["count"]),
    (_FAILS, Predicate.WILL_FAIL, _nothing),
)
_LONGEST = 500  # characters of a sentence
_KEYWORDS = re.compile(r"\b(?:exists?|contains|valid|least|will)\b", re.I)


def read_predicate(text: str, line: int) -> PredicateCheck | None:
    """The built-in check that a sentence states, or None; a path outside the repository is nothing that we check."""
    if len(text) > _LONGEST or not _KEYWORDS.search(text):
        return None
    for pattern, predicate, argument in _FORMS:
        match = pattern.match(text)
        if match is not None:
            groups = match.groupdict()
            path = groups.get("span") or groups.get("bare") or ""
            if path and (path_problem(path) or " " in path):
                return None
            return PredicateCheck(predicate, text, line, (normal_path(path),) if path else (), argument(match))
    return None
