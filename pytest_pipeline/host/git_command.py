"""What every git of ours is started with: an environment built from nothing, and no configuration but ours."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pytest_pipeline.errors import HostError
from pytest_pipeline.host.process import Captured, capture


class GitError(HostError):
    """A git command failed; the text holds the command and what it printed."""


OLDEST = (2, 38)
"""The first git whose ``merge-tree`` merges without a work tree."""

_NOWHERE = "/nonexistent/pytest-pipeline"
"""A home without configuration, credentials or keys."""

_COMMAND_LEVEL = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.trustCtime": "true",
    "core.checkStat": "default",
    "core.askPass": "",
    "credential.helper": "",
    "protocol.ext.allow": "never",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
}
"""What a repository's own configuration must not be able to change; it also reaches git's children in submodules."""


def configured(more: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """Environment variables that configure a git: what every git of ours is told, and then ``more``.

    Args:
        more: keys and values. They win over every file; a key may come several times, an empty value empties a list.
    """
    settings = (*_COMMAND_LEVEL.items(), *more)
    pairs = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        pairs[f"GIT_CONFIG_KEY_{number}"] = key
        pairs[f"GIT_CONFIG_VALUE_{number}"] = value
    return pairs


_FIXED: Mapping[str, str] = MappingProxyType(
    {
        "HOME": _NOWHERE,
        "XDG_CONFIG_HOME": _NOWHERE,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(Path(__file__).with_name("gitconfig").resolve()),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        **configured(),
    }
)


def environment(extra: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """The whole environment of one git: nothing is inherited but PATH, so pytest may itself run in a git hook."""
    return {"PATH": os.environ.get("PATH", os.defpath), **_FIXED, **extra}


def git(
    arguments: Sequence[str],
    *,
    cwd: Path,
    stdin: bytes = b"",
    extra: Mapping[str, str] = MappingProxyType({}),
    check: bool = True,
    timeout: float = 600.0,
) -> Captured:
    """Run one git.

    Args:
        arguments: what follows ``git`` on the command line.
        cwd: its working directory.
        stdin: what it reads.
        extra: environment variables besides the fixed ones.
        check: whether an exit status other than 0 is an error.
        timeout: wall-clock limit in seconds.

    Raises:
        GitError: it failed and ``check`` is true.
        HostError: git is not installed, or did not end in time.
    """
    done = capture(("git", *arguments), environment=environment(extra), cwd=cwd, stdin=stdin, timeout=timeout)
    if check and done.exit_code != 0:
        raise failed(arguments, done)
    return done


def failed(arguments: Sequence[str], done: Captured) -> GitError:
    """The error that tells about a git that failed."""
    said = done.stderr.strip() or done.stdout.decode("utf-8", "replace").strip() or "nothing"
    if "mismatched algorithms" in said:
        return GitError("This repository uses SHA-256 object names. Use a repository with SHA-1 object names.")
    command = " ".join(("git", *arguments))
    return GitError(f"`{command}` ended with exit status {done.exit_code} and printed: {said}")


def require_git() -> str:
    """The version of git, for example ``2.39.5``.

    Raises:
        HostError: git is not installed, or older than :data:`OLDEST`.
    """
    said = git(("version",), cwd=Path("/")).stdout.decode("utf-8", "replace").strip()
    version = said.removeprefix("git version ").partition(" ")[0]
    numbers = tuple(int(each) for each in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST:
        raise HostError(f"This git is {version}, which is too old. Install git {'.'.join(map(str, OLDEST))} or newer.")
    return version
