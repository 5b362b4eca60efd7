"""The token: found once, shown never, and taken out of where other processes can read it."""

from __future__ import annotations

import base64
import ctypes
import hashlib
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NoReturn

from pytest_pipeline.errors import HostError, SettingsError
from pytest_pipeline.host.process import Captured, capture
from pytest_pipeline.host.redaction import SHORTEST

_GITHUB_COM = ("GH_TOKEN", "GITHUB_TOKEN")
_ENTERPRISE = ("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")
TOKEN_VARIABLES = (*_GITHUB_COM, *_ENTERPRISE)
"""Variables that a token is taken from, as GitHub's own ``gh`` does and in its order."""

_LONGEST = 4096
_VALUE = re.compile(rf"[!-~]{{{SHORTEST},{_LONGEST}}}")
_GH_TIME = 30.0
_ENV_START, _ENV_END = 47, 48  # fields 50 and 51 of /proc/PID/stat (proc(5)), counted from the state behind the name

Gh = Callable[[str, Mapping[str, str]], "Captured | None"]


class Token:
    """A token that no text shows: neither ``repr``, ``str``, a format nor a pickle of it.

    Args:
        value: the token itself; white space around it is dropped.
        source: where it was found, for messages.

    Raises:
        SettingsError: no token looks like that.
    """

    __slots__ = ("_value", "source")

    def __init__(self, value: str, source: str) -> None:
        self.source = source
        self._value = value.strip()
        if not _VALUE.fullmatch(self._value):
            raise SettingsError(
                f"What was found in {source} is no token: it has fewer than {SHORTEST} or more than {_LONGEST} "
                "characters, white space in it, or letters that are not ASCII. Put the token there, and nothing else."
            )

    def reveal(self) -> str:
        """The token itself, for the one that sends it to GitHub."""
        return self._value

    @property
    def basic(self) -> str:
        """What stands behind ``Authorization: Basic`` when git uses it."""
        return base64.b64encode(f"x-access-token:{self._value}".encode("ascii")).decode("ascii")

    @property
    def secrets(self) -> tuple[str, str]:
        """What must be masked wherever it turns up."""
        return self._value, self.basic

    @property
    def id(self) -> str:
        """Short name of the token, equal in all processes, from which it cannot be told."""
        return hashlib.sha256(b"pytest-pipeline token\0" + self._value.encode("ascii")).hexdigest()[:12]

    def __repr__(self) -> str:
        return f"<token {self.id} from {self.source}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a token is not pickled or copied, so that it is written nowhere; hand on what reveal() tells")


def find_token(
    environ: Mapping[str, str], host: str = "github.com", *, file: Path | None = None, run_gh: Gh | None = None
) -> Token:
    """Find the token for a host: in the file if one is named, else in the environment, else in ``gh``.

    GH_TOKEN and GITHUB_TOKEN are for github.com (and ghe.com) alone, GH_ENTERPRISE_TOKEN and GITHUB_ENTERPRISE_TOKEN
    for every other host, as they are for ``gh``. GITHUB_TOKEN is also for the host that GITHUB_SERVER_URL names: on the
    runners of a GitHub Enterprise it is theirs.

    Args:
        environ: where the variables are looked up, and PATH for ``gh``.
        host: as :class:`~pytest_pipeline.forges.github.address.Address` has it.
        file: holds nothing but the token and is readable for its owner alone.
        run_gh: asks ``gh``; None: :func:`gh_auth_token`.

    Raises:
        SettingsError: there is none, or what there is cannot be used.
    """
    if file is not None:
        return _from_file(file)
    names = _variables_for(host, environ)
    for name in names:
        if environ.get(name, "").strip():
            return Token(environ[name], name)
    try:
        told = (run_gh or gh_auth_token)(host, environ)
    except HostError as error:
        raise SettingsError(f"No token for {host} in {' or '.join(names)}, and gh gave none: {error}") from error
    if told is not None and told.exit_code == 0 and told.stdout.strip():
        return Token(told.stdout.decode("utf-8", "replace"), "gh auth token")
    raise SettingsError(_nothing_found(host, names, environ, told))


def gh_auth_token(host: str, environ: Mapping[str, str]) -> Captured | None:
    """What ``gh auth token --hostname HOST`` answers from its own store; None where there is no ``gh``.

    Raises:
        HostError: it did not answer in time.
    """
    program = shutil.which("gh", path=environ.get("PATH", os.defpath))
    if program is None:
        return None
    unwanted = (*TOKEN_VARIABLES, "GH_DEBUG", "DEBUG")
    environment = {name: value for name, value in environ.items() if name not in unwanted}
    environment |= {"GH_PROMPT_DISABLED": "1", "GH_NO_UPDATE_NOTIFIER": "1"}
    return capture((program, "auth", "token", "--hostname", host), environment=environment, timeout=_GH_TIME)


def forget_variables(names: Iterable[str] = TOKEN_VARIABLES) -> tuple[str, ...]:
    """Take variables out of this process's environment, so that what it starts neither inherits nor reads them there.

    ``os.environ`` is only a copy: what other processes of the user read in ``/proc/PID/environ`` is the memory that
    the process was started with, so that is overwritten too (Linux). Two places are out of reach: the environments of
    the processes above this one (see :func:`shown_by`), and the memory of this process for a debugger.

    Returns:
        Names that could not be removed so thoroughly; empty on Linux.
    """
    wanted = tuple(names)
    gone = [name for name in wanted if os.environ.pop(name, None) is not None]
    if sys.platform != "linux":
        return tuple(gone)
    try:
        _overwrite(wanted)
        left = _names(Path("/proc/self/environ").read_bytes())
    except OSError:
        return tuple(gone)
    return tuple(name for name in wanted if name in left)


def shown_by(token: Token) -> tuple[str, ...]:
    """Processes in whose environment this user, and so an agent, can read the token now: names with their ids."""
    value = token.reveal().encode("ascii")
    found = []
    for place in sorted(Path("/proc").glob("[0-9]*"), key=lambda each: int(each.name)):
        try:
            if value in (place / "environ").read_bytes():
                found.append(f"{(place / 'comm').read_text('utf-8', 'replace').strip()} ({place.name})")
        except OSError:  # it is gone, or not ours to read
            continue
    return tuple(found)


def _variables_for(host: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    if host == "github.com" or host.endswith(".ghe.com"):
        return _GITHUB_COM
    runner = environ.get("GITHUB_SERVER_URL", "").lower().partition("://")[2].rstrip("/")
    return (*_ENTERPRISE, "GITHUB_TOKEN") if runner == host else _ENTERPRISE


def _from_file(file: Path) -> Token:
    try:
        with file.open("rb") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            if mode & 0o077:
                raise SettingsError(
                    f"The token file {file} may be read or written by others (mode {mode:o}). Run `chmod 600 {file}`, "
                    "and make a new token if others may have read this one."
                )
            content = opened.read(_LONGEST + 3)
    except OSError as error:
        raise SettingsError(
            f"The token file {file} cannot be read: {error.strerror}. Name a file that holds the token alone."
        ) from error
    return Token(content.decode("ascii", "replace"), str(file))


def _nothing_found(host: str, names: tuple[str, ...], environ: Mapping[str, str], told: Captured | None) -> str:
    empty = [name for name in names if name in environ]
    hollow = f" ({' and '.join(empty)} is set, but empty: CI hides secrets from forks.)" if empty else ""
    if told is None:
        gh = "gh is not installed"
    else:
        said = told.stderr.strip().partition("\n")[0].rstrip(".") or "nothing"
        gh = f"`gh auth token --hostname {host}` said: {said}"
    return (
        f"There is no token for {host}.{hollow} Set {names[0]}, name a file that holds it (mode 600), or run "
        f"`gh auth login --hostname {host}` ({gh}). It must be allowed to write contents and pull requests."
    )


def _overwrite(names: tuple[str, ...]) -> None:
    """Overwrite the values in the memory that the kernel shows as this process's environment."""
    fields = Path("/proc/self/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    start, end = int(fields[_ENV_START]), int(fields[_ENV_END])
    shown = Path("/proc/self/environ").read_bytes()
    if end - start != len(shown):
        return  # another view than ours of where it lies: nothing is written
    unwanted = {os.fsencode(name) for name in names}
    position = 0
    for entry in shown.split(b"\0"):
        if entry.partition(b"=")[0] in unwanted:
            ctypes.memset(start + position, 0, len(entry))
        position += len(entry) + 1


def _names(environment: bytes) -> set[str]:
    return {os.fsdecode(entry.partition(b"=")[0]) for entry in environment.split(b"\0")}
