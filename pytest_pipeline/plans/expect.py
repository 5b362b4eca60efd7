"""``**Expect:**``: what must be true besides the declared files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_pipeline.plans.fields import Body, Field
from pytest_pipeline.plans.files import normal_path, path_problem
from pytest_pipeline.plans.listing import read_entries
from pytest_pipeline.plans.model import Condition, Expectation, Relation

FORMS = "changes | no changes | failure | file PATH contains TEXT | file PATH matches REGEX | PATH absent"

_WHOLE = {
    "changes": Expectation.CHANGES,
    "no changes": Expectation.NO_CHANGES,
    "failure": Expectation.FAILURE,
}
_PATH = r"(?:`(?P<span>[^`]+)`|(?P<bare>\S(?:.*?\S)?))"
_TEXT = re.compile(rf"file\s+{_PATH}\s+(?P<relation>contains|matches):?\s+(?P<argument>.+)$", re.I | re.S)
_ABSENT = re.compile(rf"(?:file\s+)?{_PATH}\s+(?:is\s+)?absent$", re.I | re.S)
_PIECE = re.compile(r"(?:`[^`]*`|\"[^\"]*\"|[^;`\"]|[`\"])+")
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”"}


@dataclass
class Expected:
    """What the expect fields of one task say; ``whole`` is None where they leave it to the default."""

    whole: Expectation | None = None
    conditions: list[Condition] = field(default_factory=list)
    errors: list[tuple[int, str]] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    rest_from: int | None = None


def read_expect(body: Body, source: Field, expected: Expected) -> None:
    """Read one expect field into ``expected``."""
    found = False
    for text, line, index in _values(body, source):
        if index is not None:
            expected.rest_from = index
            break
        found = True
        _read_value(text, line, expected)
    if not found:
        expected.errors.append((source.line, f"**Expect:** says nothing. Write one of: {FORMS}."))


def _values(body: Body, source: Field) -> Iterator[tuple[str, int, int | None]]:
    """Each value with its line; a last one with an index where ordinary text goes on."""
    for number, entry in enumerate(read_entries(body, source)):
        is_list = entry.indent >= 0 and not (entry.follows_blank and source.value)
        if entry.fence is not None or not (number == 0 or is_list):
            yield "", entry.line, entry.index
            return
        if entry.indent >= 0:
            yield entry.sentence, entry.line, None
        else:
            for offset, text in enumerate(entry.text.split("\n")):
                yield from (
                    (piece.strip(), entry.line + offset, None) for piece in _PIECE.findall(text) if piece.strip()
                )


def _read_value(text: str, line: int, expected: Expected) -> None:
    text = (
        _unquoted(text.rstrip(";").strip())
        if text.count("`") <= 2 and text.startswith("`") and text.endswith("`")
        else text
    )
    plain = text.rstrip(".;").strip()
    whole = _WHOLE.get(" ".join(plain.lower().split()).strip("*_"))
    if whole is not None:
        _set_whole(whole, line, expected)
    elif match := _TEXT.match(text):
        _add_condition(match, Relation(match["relation"].lower()), _unquoted(match["argument"].strip()), line, expected)
    elif match := _ABSENT.match(plain):
        _add_condition(match, Relation.ABSENT, "", line, expected)
    else:
        expected.errors.append((line, f"the expectation '{text}' is not known. Write one of: {FORMS}."))


def _set_whole(whole: Expectation, line: int, expected: Expected) -> None:
    if expected.whole not in (None, whole):
        expected.errors.append((line, f"a task cannot expect both '{expected.whole}' and '{whole}'. Keep one of them."))
    expected.whole = whole


def _unquoted(text: str) -> str:
    if len(text) >= 2 and _QUOTES.get(text[0]) == text[-1]:
        return text[1:-1]
    return text


def _add_condition(match: re.Match[str], relation: Relation, argument: str, line: int, expected: Expected) -> None:
    path = _unquoted((match["span"] or match["bare"]).strip())
    if problem := path_problem(path):
        expected.faults.append((line, problem))
        return
    if relation is Relation.MATCHES and (problem := _regex_problem(argument)):
        expected.errors.append((line, problem))
        return
    expected.conditions.append(Condition(relation, normal_path(path), line, argument))


def _regex_problem(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"'{pattern}' is not a regular expression: {error}. Correct it, or use 'contains' for plain text."
    return ""
