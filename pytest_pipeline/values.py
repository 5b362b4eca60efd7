"""Checks of raw values: text from the command line and ini files, or what YAML made of it.

Each returns the checked value, or raises ValueError with "must be ...".
"""

from __future__ import annotations

import re
from collections.abc import Callable

Parse = Callable[[object], object]
"""Turns a raw value (text, or what YAML made of it) into a checked one; raises ValueError with "must be ..."."""


def number(kind: type[int | float], least: float) -> Parse:
    """A check for finite numbers of that kind, from ``least`` on."""
    noun = "a whole number" if kind is int else "a number"

    def parse(raw: object) -> object:
        try:
            if isinstance(raw, bool) or not isinstance(raw, (str, int, float)) or float(raw) != kind(raw):
                raise TypeError
            value = kind(raw)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"must be {noun}") from None
        if not least <= value < float("inf"):
            raise ValueError(f"must be {noun} of at least {least:g}")
        return value

    return parse


def fraction(raw: object) -> object:
    """A number from 0 to 1."""
    try:
        value = number(float, 0.0)(raw)
        assert isinstance(value, float)
    except ValueError:
        value = 2.0
    if value > 1:
        raise ValueError("must be a number from 0 to 1")
    return value


def choice(*words: str) -> Parse:
    """A check for one of these words."""

    def parse(raw: object) -> object:
        if raw not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return raw

    return parse


def text(raw: object) -> object:
    """A text that is not empty, stripped."""
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError("must be a text that is not empty")
    return raw.strip()


def author(raw: object) -> object:
    """``NAME <MAIL>``, as git takes it."""
    if not isinstance(raw, str) or not re.fullmatch(r"[^<>\x00-\x1f]*[^<>\x00-\x20] <[^<>\x00-\x20]+>", raw.strip()):
        raise ValueError("must be NAME <MAIL>, for example Ada Example <ada@example.org>")
    return raw.strip()


def switch(raw: object) -> object:
    """True or false, in YAML's and ini files' words."""
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0"):
        return False
    raise ValueError("must be true or false")


def names(raw: object) -> object:
    """Names, separated by commas or blanks; a tuple."""
    words = re.split(r"[,\s]+", raw.strip()) if isinstance(raw, str) else raw
    if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
        raise ValueError("must be a list of names")
    return tuple(word for word in words if word)


def duration(raw: object) -> object:
    """Seconds, or a number with s, m or h."""
    match = re.fullmatch(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>s|m|h)?", str(raw).strip())
    if isinstance(raw, bool) or match is None or not 0 < float(match["number"]) < float("inf"):
        raise ValueError("must be a duration above zero, for example 90, 90s, 15m or 1h")
    return float(match["number"]) * {"s": 1, "m": 60, "h": 3600}[match["unit"] or "s"]


def rules(raw: object) -> object:
    """Names of tools, each with or without a rule in brackets, which may hold commas and blanks."""
    words = re.findall(r"[^\s,(]+(?:\([^)]*\))?|\(", raw) if isinstance(raw, str) else raw
    if not isinstance(words, (list, tuple)) or not words:
        raise ValueError("must be a list of tools, for example [Read, Edit, Bash(git *)]")
    if not all(isinstance(word, str) and re.fullmatch(r"\w+(\([^()]+\))?", word) for word in words):
        raise ValueError("must be a list of tools, for example [Read, Edit, Bash(git *)]")
    return tuple(words)


def span(raw: object) -> object:
    """Whole numbers from one to another, or one alone: ``2-4`` or ``2``, as text without blanks."""
    match = re.fullmatch(r"([0-9]{1,6})(?:\s*-\s*([0-9]{1,6}))?", str(raw).strip())
    if isinstance(raw, bool) or match is None or int(match[1]) > int(match[2] or match[1]):
        raise ValueError("must be a number or a range of numbers, for example 2 or 2-4")
    return f"{int(match[1])}-{int(match[2])}" if match[2] else str(int(match[1]))


def execution(raw: object) -> object:
    """The id that a server gives an execution."""
    if not isinstance(raw, str) or not re.fullmatch(r"exec_[0-9]{8}-[0-9]{6}-[0-9a-f]{12}", raw):
        raise ValueError("must be the id of an execution, such as exec_20260131-235959-a1b2c3d4e5f6")
    return raw


_SIZES = {"": 1, "kib": 1024, "mib": 1024**2, "gib": 1024**3, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "b": 1}


def size(raw: object) -> object:
    """Bytes, or a number with KB, MB, GB, KiB, MiB or GiB."""
    match = re.fullmatch(r"(\d+)\s*([a-zA-Z]*)", str(raw).strip())
    if isinstance(raw, bool) or match is None or match[2].lower() not in _SIZES or not int(match[1]):
        raise ValueError("must be a size above zero, for example 500000, 500 kB or 5 MiB")
    return int(match[1]) * _SIZES[match[2].lower()]
