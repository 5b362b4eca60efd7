"""The way to a live model: credentials out of pytest's own environment, or the login of whoever starts pytest."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pytest_pipeline.agents.base import AgentRequest
from pytest_pipeline.agents.claude.gateway import Access
from pytest_pipeline.agents.claude.login import NAME, Login, LoginError, read_login
from pytest_pipeline.errors import HostError, SettingsError
from pytest_pipeline.host.redaction import looks_secret

_NO_LOGIN = (
    "The Claude CLI has no login here: set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN (`claude setup-token` makes "
    "one), or log in with `claude` and then `/login`, or rehearse without an account: --rehearse."
)
_TRUE = ("1", "true", "yes", "on")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
_NETWORK = (*_PROXIES, *(name.lower() for name in _PROXIES), "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE")


@dataclass(frozen=True)
class Provider:
    """Somebody who answers, and the variables by which the CLI reaches it.

    Args:
        title: its name for the header.
        switch: variable that chooses it.
        names: variables that are handed on.
        prefixes: how the names of further ones begin.
        files: variables that name a file of credentials, and where that lies in HOME when they are not set: the CLI's
            HOME is another one.
    """

    title: str
    switch: str
    names: tuple[str, ...]
    prefixes: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()

    def chosen(self, environ: Mapping[str, str]) -> bool:
        """Whether the environment asks for it."""
        return environ.get(self.switch, "").strip().lower() in _TRUE

    def variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """What the CLI needs of the environment."""
        found = _set(environ, (self.switch, *self.names))
        found.update((name, value) for name, value in environ.items() if name.startswith(self.prefixes or ("\0",)))
        for name, place in self.files:
            file = Path(environ.get("HOME", "/nonexistent"), place)
            if name not in found and file.is_file():
                found[name] = str(file)
        return found


_DIRECT = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
_ADDRESS = ("ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS")
_PROVIDERS = (
    Provider(
        "Amazon Bedrock",
        "CLAUDE_CODE_USE_BEDROCK",
        (
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_BEARER_TOKEN_BEDROCK",
            "AWS_PROFILE",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_ROLE_ARN",
            "AWS_ROLE_SESSION_NAME",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            "AWS_CA_BUNDLE",
            "AWS_SHARED_CREDENTIALS_FILE",
            "AWS_CONFIG_FILE",
            "ANTHROPIC_BEDROCK_BASE_URL",
            "ANTHROPIC_SMALL_FAST_MODEL_AWS_REGION",
            "CLAUDE_CODE_SKIP_BEDROCK_AUTH",
            "ANTHROPIC_CUSTOM_HEADERS",
        ),
        files=(("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"), ("AWS_CONFIG_FILE", ".aws/config")),
    ),
    Provider(
        "Google Vertex AI",
        "CLAUDE_CODE_USE_VERTEX",
        (
            "ANTHROPIC_VERTEX_PROJECT_ID",
            "ANTHROPIC_VERTEX_BASE_URL",
            "CLOUD_ML_REGION",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_CLOUD_PROJECT",
            "GCLOUD_PROJECT",
            "CLAUDE_CODE_SKIP_VERTEX_AUTH",
            "ANTHROPIC_CUSTOM_HEADERS",
        ),
        prefixes=("VERTEX_REGION_",),
        files=(("GOOGLE_APPLICATION_CREDENTIALS", ".config/gcloud/application_default_credentials.json"),),
    ),
)


class Live:
    """Gateway to a live model. What it hands on is chosen by name; the rest of our environment stays ours.

    A provider that a variable chooses comes first, then keys in the environment, then the login file of the CLI.

    Args:
        environ: where credentials come from.

    Raises:
        SettingsError: there are none, or the login has expired.
    """

    rehearses = ""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._file: Path | None = None
        self._variables = _set(environ, _NETWORK)
        provider = next((each for each in _PROVIDERS if each.chosen(environ)), None)
        keys = _set(environ, _DIRECT)
        if provider is not None:
            self._variables |= provider.variables(environ)
            self._way = f"{provider.title}, which {provider.switch} chooses"
        else:
            self._variables |= keys | _set(environ, _ADDRESS)
            self._way = " and ".join(keys)
        if provider is None and not keys:
            self._file, login = _login(environ)
            left = login.seconds_left
            self._way = f"the login in {self._file}" + (f", good for {left / 60:.0f} minutes" if left else "")

    @property
    def notes(self) -> tuple[str, ...]:
        """Which way is used, by name, never by value."""
        return (f"the Claude CLI reaches a live model by {self._way}",)

    @contextlib.contextmanager
    def admit(self, request: AgentRequest, config: Path) -> Iterator[Access]:
        """Hand credentials on for one task run; a login is read anew, because others may have renewed it.

        Raises:
            HostError: the login cannot be read any more, or has expired.
        """
        if self._file is None:
            yield Access(self._variables, _secrets(self._variables))
            return
        try:
            login = read_login(self._file)
        except LoginError as error:
            raise HostError(str(error)) from None
        with login.lent_to(config):
            yield Access(self._variables, (*_secrets(self._variables), *login.secrets))

    def close(self) -> None:
        """There is nothing to let go of."""


def _set(environ: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: environ[name] for name in names if environ.get(name)}


def _login(environ: Mapping[str, str]) -> tuple[Path, Login]:
    home, directory = environ.get("HOME"), environ.get("CLAUDE_CONFIG_DIR")
    place = Path(directory) if directory else Path(home, ".claude") if home else None
    if place is None or not (place / NAME).exists():
        raise SettingsError(_NO_LOGIN)
    try:
        return place / NAME, read_login(place / NAME)
    except LoginError as error:
        raise SettingsError(str(error)) from None


def _secrets(variables: Mapping[str, str]) -> tuple[str, ...]:
    """What must not be written down of these variables: keys, values of headers, passwords in addresses."""
    found = {value for name, value in variables.items() if looks_secret(name)}
    for line in variables.get("ANTHROPIC_CUSTOM_HEADERS", "").splitlines():
        value = line.partition(":")[2].strip()
        found |= {value, value.rpartition(" ")[2]}  # the token of "Bearer token" by itself, too
    for value in variables.values():
        with contextlib.suppress(ValueError):  # not everything with a colon is an address
            password = urlsplit(value).password or ""
            found |= {password, unquote(password)}
    return tuple(sorted(found - {""}))
