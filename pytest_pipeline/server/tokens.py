"""The token that every request must bring, and where the server may listen."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline.errors import SettingsError

SHORTEST = 32
"""Characters of a token from a file."""

_HEADER = re.compile(rb"bearer +([A-Za-z0-9._~+/=-]{1,512})", re.IGNORECASE)


@dataclass(frozen=True)
class ApiToken:
    """A bearer token. Its text is in no representation."""

    _digest: bytes
    _text: str

    def __repr__(self) -> str:
        return "ApiToken(***)"

    @classmethod
    def new(cls) -> ApiToken:
        """One that nobody can guess."""
        return cls.of(secrets.token_urlsafe(32))

    @classmethod
    def of(cls, text: str) -> ApiToken:
        """One with this text."""
        return cls(hashlib.sha256(text.encode()).digest(), text)

    @classmethod
    def from_file(cls, path: Path) -> ApiToken:
        """The content of a file that nobody else may read.

        Raises:
            SettingsError: there is no such file, others may read it, or it holds no token.
        """
        try:
            mode, text = path.stat().st_mode, path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"The token file {path} cannot be read ({error}). Write one, with mode 600.") from None
        if mode & 0o077:
            raise SettingsError(f"Others may read the token file {path}. Run chmod 600 on it, and make a new token.")
        if len(text) < SHORTEST or not _HEADER.fullmatch(b"Bearer " + text.encode()):
            raise SettingsError(
                f"The token file {path} must hold a token and nothing else: {SHORTEST} to 512 characters, letters, "
                "digits and ._~+/=-. `openssl rand -hex 32` makes one."
            )
        return cls.of(text)

    def reveal(self) -> str:
        """The text, to be printed once."""
        return self._text

    def opens(self, authorization: bytes | None) -> bool:
        """Whether a header brings this token; takes as long whatever it brings."""
        found = _HEADER.fullmatch(authorization or b"")
        brought = hashlib.sha256(found[1] if found else b"").digest()
        return hmac.compare_digest(brought, self._digest)

    def cookie(self) -> str:
        """What a browser keeps in its place; the token cannot be told from it."""
        return hmac.new(self._text.encode(), b"pytest-pipeline page", hashlib.sha256).hexdigest()

    def opens_as_cookie(self, value: str) -> bool:
        """Whether a browser brings that; takes as long whatever it brings."""
        return hmac.compare_digest(value.encode("latin-1", "replace"), self.cookie().encode())


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach such an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_open_door(host: str, *, has_file: bool) -> None:
    """Do not listen where others can come without a token that was made for it.

    Raises:
        SettingsError: others can.
    """
    if not has_file and not is_loopback(host):
        raise SettingsError(
            f"--host {host} can be reached from other machines. Write a token into a file of mode 600 and name it with "
            "--api-token-file, or leave --host out."
        )
