"""Jinja2 templates: ours lie beside this module, a project's own may extend them under ``house/``."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
)

from pytest_pipeline.errors import SettingsError

_RUNTIME = (TemplateError, OSError, TypeError, ValueError, ArithmeticError, LookupError)
_ZERO_WIDTH_SPACE = "\u200b"
_CALLS = re.compile(r"@(?=\w)|(?<![\w&])#(?=\d)")


def render_file(house: str, template: Path | None, variables: Mapping[str, object], *, ini_key: str) -> str:
    """What a template makes of some values, stripped.

    Args:
        house: name of our own template.
        template: the project's own; None: ours.
        variables: what it may name.
        ini_key: names the project's template, for messages.

    Raises:
        SettingsError: the template is not there or wrong; names file and line.
    """
    name = f"house/{house}" if template is None else template.name
    try:
        return _environment(template).get_template(name).render(variables).strip()
    except TemplateSyntaxError as error:
        raise _wrong(f"{error.filename or name}:{error.lineno}", error, ini_key) from None
    except _RUNTIME as error:
        raise _wrong(_line_of(error, template) or name, error, ini_key) from None


def render_text(text: str, variables: Mapping[str, object], *, ini_key: str) -> str:
    """What a short template makes of some values, stripped.

    Args:
        text: the template itself.
        variables: what it may name.
        ini_key: where it comes from, for messages.

    Raises:
        SettingsError: it is wrong.
    """
    try:
        return _environment(None).from_string(text).render(variables).strip()
    except _RUNTIME as error:
        raise _wrong(ini_key, error, ini_key) from None


@lru_cache(maxsize=8)
def _environment(template: Path | None) -> Environment:
    """Kept, because it keeps compiled templates; it compiles those anew that were changed meanwhile."""
    environment = Environment(
        loader=_loader(template),
        undefined=StrictUndefined,
        autoescape=False,  # Markdown, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(quiet=quiet, fenced=fenced)
    return environment


def _loader(template: Path | None) -> BaseLoader:
    house = PrefixLoader({"house": FileSystemLoader(Path(__file__).parent)})
    return house if template is None else ChoiceLoader([house, FileSystemLoader(template.parent)])


def quiet(text: str) -> str:
    """The text, so that names and numbers in it neither call people nor link to issues: ten runs would, ten times."""
    return _CALLS.sub(lambda found: found[0] + _ZERO_WIDTH_SPACE, " ".join(text.split()))


def fenced(text: str, language: str = "") -> str:
    """The text as a fenced block that nothing in it can end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _line_of(error: Exception, template: Path | None) -> str:
    """Jinja2 makes template lines look like lines of Python in a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"{frame.filename}:{frame.lineno}" for frame in frames if frame.filename.endswith(".j2")]
    if template is not None:
        lines = [f"{frame.filename}:{frame.lineno}" for frame in frames if Path(frame.filename) == template] or lines
    return lines[-1] if lines else str(template or "")


def _wrong(where: str, error: Exception, ini_key: str) -> SettingsError:
    return SettingsError(
        f"{where}: the template cannot be used: {type(error).__name__}: {error}. Correct it, or remove "
        f"the ini key {ini_key}."
    )
