"""One frozen :class:`Settings` from command line, front matter, ini and defaults, in that order of precedence.

:data:`OPTIONS` is the only list of what can be set: the command line, the ini file, the front matter and the README's
table are made from it or tested against it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_pipeline.errors import SettingsError

Parse = Callable[[object], object]
"""Turns a raw value (text, or what YAML made of it) into a checked one; raises ValueError with "must be ..."."""


def _number(kind: type[int | float], least: float) -> Parse:
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


def _choice(*words: str) -> Parse:
    def parse(raw: object) -> object:
        if raw not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return raw

    return parse


def _text(raw: object) -> object:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError("must be a text that is not empty")
    return raw.strip()


def _author(raw: object) -> object:
    if not isinstance(raw, str) or not re.fullmatch(r"[^<>\x00-\x1f]*[^<>\x00-\x20] <[^<>\x00-\x20]+>", raw.strip()):
        raise ValueError("must be NAME <MAIL>, for example Ada Example <ada@example.org>")
    return raw.strip()


def _switch(raw: object) -> object:
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0"):
        return False
    raise ValueError("must be true or false")


def _names(raw: object) -> object:
    words = re.split(r"[,\s]+", raw.strip()) if isinstance(raw, str) else raw
    if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
        raise ValueError("must be a list of names")
    return tuple(word for word in words if word)


def _duration(raw: object) -> object:
    """Seconds, or a number with s, m or h."""
    match = re.fullmatch(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>s|m|h)?", str(raw).strip())
    if isinstance(raw, bool) or match is None or not 0 < float(match["number"]) < float("inf"):
        raise ValueError("must be a duration above zero, for example 90, 90s, 15m or 1h")
    return float(match["number"]) * {"s": 1, "m": 60, "h": 3600}[match["unit"] or "s"]


_SIZES = {"": 1, "kib": 1024, "mib": 1024**2, "gib": 1024**3, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "b": 1}


def _size(raw: object) -> object:
    """Bytes, or a number with KB, MB, GB, KiB, MiB or GiB."""
    match = re.fullmatch(r"(\d+)\s*([a-zA-Z]*)", str(raw).strip())
    if isinstance(raw, bool) or match is None or match[2].lower() not in _SIZES or not int(match[1]):
        raise ValueError("must be a size above zero, for example 500000, 500 kB or 5 MiB")
    return int(match[1]) * _SIZES[match[2].lower()]


@dataclass(frozen=True)
class Option:
    """One thing that can be set.

    Args:
        name: the field of :class:`Settings`; the ini key is ``pipeline_`` and this name.
        parse: checks a raw value.
        help: one line for ``--help`` and the README.
        flag: the command line option, or None where there is none.
        plan_key: the front-matter key, dotted inside a mapping (``limits.wall_time``); None: a plan may not set it.
        metavar: how the value is shown in ``--help``; "" for a switch.
        ini: whether the ini file may set it.
    """

    name: str
    parse: Parse
    help: str
    flag: str | None = None
    plan_key: str | None = None
    metavar: str = ""
    ini: bool = True


@dataclass(frozen=True)
class Settings:
    """Everything a session is told. Times are seconds, sizes bytes. See :data:`OPTIONS` for each field's meaning."""

    count: int = 1
    repeat_scope: str = "session"
    until_consecutive: int | None = None
    agent: str = "claude"
    agent_command: str | None = None
    model: str | None = None
    forge: str = "local"
    repo: str | None = None
    base: str | None = None
    merge_method: str = "squash"
    auto_merge: bool = True
    scope: str = "warn"
    vacuous_checks: str = "warn"
    collect: str = "named"
    keep_workspaces: str = "failed"
    max_workspaces: int = 20
    max_file_size: int = 10 * 1024**2
    max_transcript: int = 20 * 1024**2
    wall_time: float = 1800.0
    turns: int | None = None
    budget_usd: float | None = None
    verification_time: float = 300.0
    pass_environment: tuple[str, ...] = ()
    prompt_template: str | None = None
    author: str = "pytest-pipeline <pytest-pipeline@localhost>"
    state_dir: str = ".pipeline"
    store: str | None = None
    explicit: frozenset[str] = frozenset()  # named on the command line: a plan cannot change these

    @property
    def required(self) -> int:
        """How many consecutive successful runs the criterion asks for."""
        return self.until_consecutive or self.count

    def with_plan(self, *layers: Mapping[str, object]) -> Settings:
        """These settings as a plan and then a task change them, except where the command line has spoken.

        Args:
            layers: checked values by field name, the weakest first.
        """
        changes = {name: value for layer in layers for name, value in layer.items() if name not in self.explicit}
        return dataclasses.replace(self, **changes) if changes else self  # type: ignore[arg-type]

    def to_wire(self) -> dict[str, Any]:
        """Plain values only, for xdist workers."""
        return {
            field.name: list(value) if isinstance(value := getattr(self, field.name), (tuple, frozenset)) else value
            for field in dataclasses.fields(self)
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Settings:
        """The inverse of :meth:`to_wire`."""
        values = dict(wire)
        values["pass_environment"] = tuple(values["pass_environment"])
        values["explicit"] = frozenset(values["explicit"])
        return cls(**values)


OPTIONS: tuple[Option, ...] = (
    Option(
        "count",
        _number(int, 1),
        "Run every plan N times; the criterion is N consecutive successful runs.",
        "--count",
        metavar="N",
        ini=False,
    ),
    Option(
        "repeat_scope",
        _choice("function", "class", "module", "session"),
        "What is repeated as a block: task (function), batch (class), plan (module) or everything (session).",
        "--repeat-scope",
        metavar="SCOPE",
        ini=False,
    ),
    Option(
        "until_consecutive",
        _number(int, 1),
        "Stop early, and green, once K runs in a row have succeeded.",
        "--until-consecutive",
        metavar="K",
    ),
    Option(
        "agent",
        _text,
        "Who does the tasks: claude, reference (replays the plan's own solutions), command, or a hook's.",
        "--agent",
        plan_key="agent",
        metavar="NAME",
    ),
    Option(
        "agent_command",
        _text,
        "Command line of the command agent; it reads the prompt from stdin.",
        "--agent-command",
        metavar="COMMAND",
    ),
    Option("model", _text, "Model that the agent is asked to use.", "--agent-model", plan_key="model", metavar="ID"),
    Option(
        "forge",
        _text,
        "Where pull requests live: local (embedded), or a hook's.",
        "--forge",
        metavar="NAME",
    ),
    Option(
        "repo",
        _text,
        "Target repository, relative to the current directory (in the ini file: to the rootdir); "
        "default: the one that holds the plans.",
        "--repo",
        metavar="PATH",
    ),
    Option(
        "base",
        _text,
        "Commit or branch of the target repository that every run starts from; default: HEAD.",
        "--base-commit",
        plan_key="base",
        metavar="REVISION",
    ),
    Option(
        "merge_method",
        _choice("merge", "squash", "rebase"),
        "How pull requests are merged: merge, squash or rebase.",
        "--merge-method",
        plan_key="merge_method",
        metavar="METHOD",
    ),
    Option(
        "auto_merge",
        _switch,
        "Whether pull requests are merged; without it they stay open and dependants skip.",
        "--no-auto-merge",
        plan_key="auto_merge",
    ),
    Option(
        "scope",
        _choice("warn", "strict"),
        "What a change to a file that the task did not declare is: a warning (warn) or a failure (strict).",
        "--change-scope",
        plan_key="scope",
        metavar="RULE",
    ),
    Option(
        "vacuous_checks",
        _choice("warn", "fail"),
        "What a verification is that passes before the agent has started: a warning (warn) or a failure (fail).",
        "--vacuous-checks",
        plan_key="vacuous_checks",
        metavar="RULE",
    ),
    Option(
        "collect",
        _choice("named", "always"),
        "Whether plans are collected only where the command line names "
        "them or their directory (named), or in every pytest run (always).",
    ),
    Option(
        "keep_workspaces",
        _choice("never", "failed", "always"),
        "Which workspaces stay after their task: never, failed or always.",
        "--keep-workspaces",
        metavar="WHICH",
    ),
    Option(
        "max_workspaces", _number(int, 0), "How many workspaces are kept at most in one session; the first ones stay."
    ),
    Option("max_file_size", _size, "Largest file that a task may commit.", plan_key="max_file_size"),
    Option("max_transcript", _size, "Most that is kept of the output of one agent or command."),
    Option(
        "wall_time",
        _duration,
        "Wall-clock limit of the agent in one task run.",
        "--agent-time",
        plan_key="limits.wall_time",
        metavar="DURATION",
    ),
    Option(
        "turns",
        _number(int, 1),
        "Most model turns in one task run, for agents that count them.",
        plan_key="limits.turns",
    ),
    Option(
        "budget_usd",
        _number(float, 0),
        "Most US dollars in one task run, for agents that count them.",
        plan_key="limits.budget_usd",
    ),
    Option(
        "verification_time",
        _duration,
        "Wall-clock limit of each verification command.",
        "--verification-time",
        plan_key="limits.verification_time",
        metavar="DURATION",
    ),
    Option("pass_environment", _names, "Names of further environment variables that agents and verification see."),
    Option("prompt_template", _text, "Jinja2 file that makes the prompt, relative to the rootdir."),
    Option("author", _author, "Author of the commits, as NAME <MAIL>."),
    Option("state_dir", _text, "Directory for store, embedded forge and transcripts, relative to the rootdir."),
    Option(
        "store",
        _text,
        "SQLAlchemy URL of the store; default: state.db in the state directory.",
        "--pipeline-store",
        metavar="URL",
    ),
)

BY_NAME: Mapping[str, Option] = {option.name: option for option in OPTIONS}
BY_PLAN_KEY: Mapping[str, Option] = {option.plan_key: option for option in OPTIONS if option.plan_key}


def build(command_line: Mapping[str, object], ini: Mapping[str, object]) -> Settings:
    """Check raw values and put them together.

    Args:
        command_line: values by field name, only those that the user gave.
        ini: values by field name, only those that the ini file holds.

    Raises:
        SettingsError: a value cannot be used; names the option and says what it must be.
    """
    values: dict[str, Any] = {}
    for source, raw_values in (("ini", ini), ("command line", command_line)):
        for name, raw in raw_values.items():
            option = BY_NAME[name]
            shown = option.flag if source == "command line" else f"pipeline_{name}"
            try:
                values[name] = option.parse(raw)
            except ValueError as error:
                raise SettingsError(f"{shown} {error}, not {raw!r}. Correct it and run again.") from None
    settings = Settings(**values, explicit=frozenset(command_line))
    if settings.until_consecutive is not None and settings.until_consecutive > settings.count:
        raise SettingsError(
            f"--until-consecutive {settings.until_consecutive} can never be met by --count {settings.count}. "
            "Raise --count to at least that number."
        )
    return settings
