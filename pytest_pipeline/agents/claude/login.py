"""The login that the Claude CLI keeps in a file, lent to the CLI of one task run."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline.errors import PipelineError
from pytest_pipeline.host.removal import remove

NAME = ".credentials.json"
"""The file in the CLI's configuration directory."""

_OAUTH = "claudeAiOauth"
_WAYS_ON = "run `claude` and there `/login`, or set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN"


class LoginError(PipelineError):
    """A login file that is of no use; its text says what to do."""


@dataclass(frozen=True)
class Login:
    """What a login file holds.

    Args:
        oauth: the entry that the CLI takes its token from.
    """

    oauth: Mapping[str, object]

    @property
    def seconds_left(self) -> float | None:
        """Seconds until it expires, negative afterwards; None where it does not say."""
        expires = self.oauth.get("expiresAt")
        return expires / 1000 - time.time() if isinstance(expires, (int, float)) else None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Its tokens."""
        return tuple(value for name, value in self.oauth.items() if name.endswith("Token") and isinstance(value, str))

    @contextlib.contextmanager
    def lent_to(self, config: Path) -> Iterator[None]:
        """Put a copy into a configuration directory for as long as the context lasts.

        The copy cannot be renewed: without the refresh token no task can end the login of its owner.
        """
        copy = config / NAME
        lent = {name: value for name, value in self.oauth.items() if name != "refreshToken"}
        descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump({_OAUTH: lent}, file)
            yield
        finally:
            remove(str(copy))


def read_login(file: Path) -> Login:
    """Read a login file.

    Raises:
        LoginError: it cannot be read, holds no token, or the token has expired.
    """
    try:
        held = json.loads(file.read_bytes())
        oauth = held[_OAUTH]
        token = oauth["accessToken"]
    except OSError as error:
        raise LoginError(f"The login in {file} cannot be read: {error.strerror}. Mend that, or {_WAYS_ON}.") from None
    except (ValueError, TypeError, KeyError):
        raise LoginError(f"There is no login of the Claude CLI in {file}. To get one, {_WAYS_ON}.") from None
    if not isinstance(token, str) or not token:
        raise LoginError(f"There is no token in the login in {file}. To get one, {_WAYS_ON}.")
    login = Login(oauth)
    if login.seconds_left is not None and login.seconds_left <= 0:
        raise LoginError(
            f"The login in {file} has expired, and a task must not renew it: {_WAYS_ON}; `claude setup-token` makes a "
            "token that lasts."
        )
    return login
