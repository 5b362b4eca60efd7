"""One frozen :class:`Settings` from command line, front matter, ini and defaults, in that order of precedence."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.options import BY_NAME


@dataclass(frozen=True)
class Settings:
    """Everything a session is told. Times are seconds, sizes bytes.

    See :data:`pytest_pipeline.options.OPTIONS` for each field's meaning.
    """

    count: int = 1
    repeat_scope: str = "session"
    until_consecutive: int | None = None
    history: bool = False
    count_history: int | None = None
    batches: str | None = None
    resume: str | None = None
    fresh_failures: bool = False
    chaos: int | None = None
    chaos_rate: float = 0.2
    chaos_anywhere: bool = False
    agent: str = "claude"
    agent_command: str | None = None
    claude_path: str | None = None
    rehearse: bool = False
    cassette: str | None = None
    record_cassette: str | None = None
    model: str | None = None
    forge: str = "local"
    repo: str | None = None
    github_api: str | None = None
    token_file: str | None = None
    forge_pace: str = "careful"
    forge_time: float = 43200.0
    base: str | None = None
    merge_method: str = "squash"
    auto_merge: bool = True
    checks: str = "required"
    checks_time: float = 1800.0
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
    max_cost: float | None = None
    agent_retries: int = 0
    allowed_tools: tuple[str, ...] = ("Bash", "Edit", "Read", "Write", "Glob", "Grep")
    permission_mode: str = "acceptEdits"
    effort: str | None = None
    append_system_prompt: str | None = None
    project_instructions: bool = False
    protected_paths: tuple[str, ...] = (
        ".claude/",
        ".mcp.json",
        "CLAUDE.md",
        "CLAUDE.local.md",
        "AGENTS.md",
        "/.github/workflows/",
    )
    verification_time: float = 300.0
    pass_environment: tuple[str, ...] = ()
    prompt_template: str | None = None
    pull_request_title: str = "{{ subject }}"
    pull_request_template: str | None = None
    record_url: str | None = None
    author: str = "pytest-pipeline <pytest-pipeline@localhost>"
    state_dir: str = ".pipeline"
    execution: str | None = None
    store: str | None = None
    report: str | None = None
    live: str = "auto"
    explicit: frozenset[str] = frozenset()  # named on the command line: a plan cannot change these

    @property
    def required(self) -> int:
        """How many consecutive successful runs the criterion asks for."""
        return self.count_history or self.until_consecutive or self.count

    @property
    def repo_is_path(self) -> bool:
        """Whether ``repo`` is a path of this machine; for the forge github that has to begin like one."""
        if self.repo is None or self.forge != "github":
            return self.repo is not None
        return self.repo in (".", "..") or self.repo.startswith(("/", "./", "../", "~"))

    def typed_in(self, directory: Path) -> Settings:
        """These settings with whole paths where the command line names some.

        What is typed counts from where it is typed; pytest's rootdir may even be another one because of it.

        Args:
            directory: where pytest was started.
        """
        typed = [name for name in ("repo", "token_file") if name in self.explicit]
        paths = {
            name: str(directory / os.path.expanduser(getattr(self, name)))
            for name in typed
            if name != "repo" or self.repo_is_path
        }
        return dataclasses.replace(self, **paths) if paths else self  # type: ignore[arg-type]

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
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in wire.items()
        }
        values["explicit"] = frozenset(values["explicit"])
        return cls(**values)


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
    if settings.until_consecutive is not None and settings.count_history is not None:
        raise SettingsError(
            "--until-consecutive looks at the runs of one session and --count-history at those of several. Give one of "
            "the two."
        )
    if settings.chaos is None and settings.resume is None and {"chaos_rate", "chaos_anywhere"} & settings.explicit:
        raise SettingsError("--chaos-rate and --chaos-anywhere are for chaos. Add --chaos SEED, or leave them out.")
    if settings.fresh_failures and settings.resume is None:
        raise SettingsError("--fresh-failures is for a session that is taken up again. Add --resume, or leave it out.")
    return settings
