"""How the Claude CLI is called: its arguments and its environment, and nothing that is done with them.

Every flag and variable was measured on the CLI itself; where a line seems odd, the CLI does what one would not expect.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline.agents.base import AgentRequest, Limits
from pytest_pipeline.agents.claude.gateway import Access
from pytest_pipeline.errors import SettingsError

INSTRUCTIONS_LIMIT = 256 * 1024
"""Most bytes of a repository's CLAUDE.md that the agent is told."""

_SWITCHES = {
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",  # else a command goes on after the result, and the model with it
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "CLAUDE_CODE_DISABLE_FILE_MENTIONS": "1",  # else @/etc/passwd in a task is read and attached
}
_PATIENCE = {
    "CLAUDE_CODE_MAX_RETRIES": "4",
    "API_TIMEOUT_MS": "120000",  # until the first byte of each attempt
    "CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS": "60000",
}
_PATIENCE_WITH_A_SCRIPT = {
    "CLAUDE_CODE_MAX_RETRIES": "2",
    "API_TIMEOUT_MS": "10000",
    "CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS": "10000",  # the CLI takes less for this
    "BASH_MAX_TIMEOUT_MS": "2147483647",  # a reference may take as long as its task; the wall clock bounds it
    "DISABLE_AUTO_COMPACT": "1",  # a script cannot sum up a conversation
}
_NOT_HANDED_ON = re.compile(
    r"""ANTHROPIC_.* | CLAUDE.* | BUN_.* | DISABLE_.* | AI_AGENT | GIT_EDITOR | IS_SANDBOX
    | (https?|all|no)_proxy | NODE_(OPTIONS|EXTRA_CA_CERTS|TLS_REJECT_UNAUTHORIZED|USE_.*) | SSL_CERT_(FILE|DIR)
    | LD_(PRELOAD|AUDIT) | DYLD_.*""",
    re.VERBOSE | re.IGNORECASE,
)
"""What would steer the CLI, or lead it and its key elsewhere: only the gateway decides that, no plan."""
_OF_PROVIDERS = {
    "CLAUDE_CODE_USE_BEDROCK": re.compile(r"AWS_.*"),
    "CLAUDE_CODE_USE_VERTEX": re.compile(r"(GOOGLE|GCLOUD|CLOUDSDK|CLOUD_ML|VERTEX)_.*"),
}
_KEPT_INSIDE = ("Edit", "Write", "Read", "Glob", "Grep", "NotebookEdit")
"""Tools whose bare name in --allowedTools would let them out of the workspace."""


@dataclass(frozen=True)
class Places:
    """Directories of one task run, all private.

    Args:
        config: the CLI's configuration directory.
        temporary: where its sockets and the outputs of its tools lie; short, because the path of a socket must be.
        system_prompt: file for the text that is added to the system prompt.
    """

    config: Path
    temporary: Path
    system_prompt: Path


def arguments(program: Path, request: AgentRequest, session: str, system_prompt: Path | None) -> tuple[str, ...]:
    """The command line.

    Args:
        program: the CLI.
        request: the task run.
        session: the id that the session is to have, a UUID.
        system_prompt: file with text for the system prompt, or None.
    """
    conduct = request.conduct
    return (
        str(program),
        "-p",
        *("--output-format", "stream-json", "--verbose"),
        *("--session-id", session),
        f"--permission-mode={conduct.permission_mode}",
        *_tools(conduct.tools),
        *("--setting-sources", "", "--strict-mcp-config"),  # else the repository's files run commands and move the key
        *("--settings", '{"attribution":{"commit":"","pr":""}}'),
        *_limits(request.limits),
        *([f"--model={request.model}"] if request.model else []),
        *([f"--effort={conduct.effort}"] if conduct.effort else []),
        *(["--append-system-prompt-file", str(system_prompt)] if system_prompt else []),
    )


def environment(request: AgentRequest, access: Access, places: Places, *, scripted: bool) -> dict[str, str]:
    """The whole environment of the CLI, and with it of everything that it starts.

    Args:
        request: its environment is the ground, without what would steer the CLI.
        access: what the gateway adds; it has the last word.
        places: the private directories.
        scripted: whether no live model answers; then nobody waits long.
    """
    refused = [_NOT_HANDED_ON, *(pattern for switch, pattern in _OF_PROVIDERS.items() if switch in access.environment)]
    ground = {
        name: value
        for name, value in request.environment.items()
        if not any(pattern.fullmatch(name) for pattern in refused)
    }
    return {
        "HOME": str(places.config),  # without one the CLI takes the user's from the password file
        "TMPDIR": str(places.temporary),
        **ground,
        "CLAUDE_CONFIG_DIR": str(places.config),
        "CLAUDE_CODE_TMPDIR": str(places.temporary),
        **_SWITCHES,
        **(_PATIENCE_WITH_A_SCRIPT if scripted else _PATIENCE),
        **({"IS_SANDBOX": "1"} if _bypasses(request.conduct.permission_mode) and _sandboxed(os.environ) else {}),
        **access.environment,
    }


def prompt(text: str) -> bytes:
    """The prompt for stdin; a first ``/`` would make a command of the CLI of it."""
    return ("\n" if text.startswith("/") else "").encode() + text.encode("utf-8", "replace")


def system_prompt(request: AgentRequest) -> str:
    """What is added to the system prompt: the setting, and the repository's CLAUDE.md where that is wanted."""
    parts = [request.conduct.system_prompt.strip()]
    if request.conduct.project_instructions:
        parts.append(_instructions(request.workspace / "CLAUDE.md"))
    return "\n\n".join(filter(None, parts))


def check_permission_mode(mode: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell before the first task what the CLI would refuse in each.

    Raises:
        SettingsError: the mode bypasses permissions, and we are root outside of a sandbox.
    """
    if _bypasses(mode) and os.geteuid() == 0 and not _sandboxed(environ):
        raise SettingsError(
            "The Claude CLI refuses the permission mode bypassPermissions to root, because nothing would hold it back. "
            "Run pytest as another user, or set IS_SANDBOX=1 where this machine is a throw-away sandbox, or use "
            "--agent-permission-mode acceptEdits with the tools that the tasks need."
        )


def _bypasses(mode: str) -> bool:
    return mode == "bypassPermissions"


def _sandboxed(environ: Mapping[str, str]) -> bool:
    return environ.get("IS_SANDBOX") == "1"  # the CLI takes no other word for it


def _tools(rules: Sequence[str]) -> list[str]:
    """``--tools`` says what there is, ``--allowedTools`` what is not asked about; edits are up to the mode."""
    names = dict.fromkeys(rule.partition("(")[0] for rule in rules)
    allowed = [rule for rule in rules if rule not in _KEPT_INSIDE]
    return ["--tools", ",".join(names), *(["--allowedTools", *allowed] if allowed else [])]


def _limits(limits: Limits) -> list[str]:
    turns = ["--max-turns", str(limits.turns)] if limits.turns is not None else []
    budget = ["--max-budget-usd", str(limits.budget_usd)] if limits.budget_usd is not None else []
    return turns + budget


def _instructions(file: Path) -> str:
    """A CLAUDE.md, if it is a plain file: a symlink may lead anywhere, a pipe may never end."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        with open(descriptor, "rb", closefd=False) as opened:
            held = opened.read(INSTRUCTIONS_LIMIT + 1)
    finally:
        os.close(descriptor)
    text = held[:INSTRUCTIONS_LIMIT].decode("utf-8", "replace").strip()
    cut = "\n[The rest is left out: it is too long.]" if len(held) > INSTRUCTIONS_LIMIT else ""
    return f"The repository's CLAUDE.md says:\n\n{text}{cut}" if text else ""
