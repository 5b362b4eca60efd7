"""What a git that talks to GitHub is given: the token for one repository, and nothing that could carry it elsewhere."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from pytest_pipeline.errors import PipelineError
from pytest_pipeline.forges.github.address import Address
from pytest_pipeline.forges.github.token import Token
from pytest_pipeline.host.git_command import configured
from pytest_pipeline.host.redaction import Redactor

_SILENCE = 120
"""Seconds without a byte after which git gives up."""

_OF_THE_MACHINE = ("NO_PROXY", "no_proxy", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""How this machine reaches the network and whom it trusts; git takes them from its environment."""

_PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


@contextlib.contextmanager
def push_environment(
    address: Address, token: Token, environ: Mapping[str, str] = os.environ
) -> Iterator[Mapping[str, str]]:
    """Environment variables for one git push or fetch of that repository, on top of what every git of ours has.

    The token is in no argument, no file and no URL. It goes to ``address.push_url`` alone: not to another repository
    of the host, nor where a redirect leads. Errors that leave the context have it masked, whatever the server wrote.
    It is in the environment of git and of the programs that git starts, where processes of the same user can read it
    while they run.

    Args:
        address: the repository.
        token: may push to it.
        environ: names this machine's proxy and certificates.
    """
    try:
        yield _variables(address, token, environ)
    except PipelineError as error:
        redactor = Redactor(token.secrets)
        error.args = tuple(redactor.text(each) if isinstance(each, str) else each for each in error.args)
        raise


def _variables(address: Address, token: Token, environ: Mapping[str, str]) -> dict[str, str]:
    scheme = address.push_url.partition(":")[0]
    encrypted = scheme == "https"
    machine = {name: environ[name] for name in _OF_THE_MACHINE if encrypted and name in environ}
    proxy = next((environ[name] for name in _PROXIES if encrypted and environ.get(name)), "")
    return {
        **machine,
        **configured(_settings(address.push_url, token, proxy)),
        "GIT_ALLOW_PROTOCOL": scheme,
    }


def _settings(url: str, token: Token, proxy: str) -> list[tuple[str, str]]:
    """Configuration for exactly that URL: whatever else is configured for it is less specific, or came before."""
    here = f"http.{url}"
    return [
        (f"{here}.extraHeader", ""),
        (f"{here}.extraHeader", f"Authorization: Basic {token.basic}"),
        (f"{here}.followRedirects", "false"),
        (f"{here}.proxy", proxy),
        (f"{here}.sslVerify", "true"),
        (f"{here}.lowSpeedLimit", "1"),
        (f"{here}.lowSpeedTime", str(_SILENCE)),
    ]
