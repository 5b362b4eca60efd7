"""Secrets are masked before anything is written down: as they are, in base64 and percent-encoded."""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 8
"""Shorter secrets are ignored: masking them would make every text unreadable and say what they are."""

_GUARDED: list[str] = []

_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|_KEY|CREDENTIAL|AUTH(?!OR)", re.IGNORECASE)


class Redactor:
    """Masks secrets in texts and streams.

    Args:
        secrets: the values; those shorter than :data:`SHORTEST` characters are ignored.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
        # the longest first: where one is the beginning of another, the whole is masked
        texts = sorted(forms, key=lambda form: (-len(form), form))
        self._forms = sorted((_encoded(form) for form in forms), key=lambda form: (-len(form), form))
        self._text_pattern = re.compile("|".join(map(re.escape, texts))) if forms else None
        self._pattern = re.compile(b"|".join(map(re.escape, self._forms))) if forms else None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Redactor:
        """For the values of those variables whose names look like a secret's."""
        return cls(value for name, value in environ.items() if looks_secret(name))

    @classmethod
    def for_child(cls, environment: Mapping[str, str], more: Iterable[str] = ()) -> Redactor:
        """For what a child prints: the secrets that it is given, and ours: guarded ones, and those of our environment.

        Args:
            environment: the whole environment of the child.
            more: further secrets that it may come to know.
        """
        both = (*environment.items(), *os.environ.items())
        return cls({value for name, value in both if looks_secret(name)}.union(more, _GUARDED))

    def text(self, text: str) -> str:
        """The text with every secret masked."""
        return self._text_pattern.sub(MASK, text) if self._text_pattern else text

    def stream(self) -> RedactedStream:
        """A new stream of bytes to be masked."""
        return RedactedStream(self._pattern, self._forms)


@contextlib.contextmanager
def guarded(secrets: Iterable[str]) -> Iterator[None]:
    """While the context lasts, mask these in what any child prints: this process knows them, and children may find out.

    Args:
        secrets: the values.
    """
    known = list(secrets)
    _GUARDED.extend(known)
    try:
        yield
    finally:
        for each in known:
            _GUARDED.remove(each)


class RedactedStream:
    """Masks secrets in a stream, also those that two chunks share. Made by :meth:`Redactor.stream`."""

    def __init__(self, pattern: re.Pattern[bytes] | None, forms: list[bytes]) -> None:
        self._pattern = pattern
        self._forms = forms
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take a chunk; what is certain by now comes back. Only what may be the beginning of a secret is held."""
        if self._pattern is None:
            return data
        return self._masked(self._held + data, final=False)

    def close(self) -> bytes:
        """The rest, at the end of the stream."""
        return self._masked(self._held, final=True)

    def _masked(self, data: bytes, *, final: bool) -> bytes:
        certain = len(data) if final else self._first_open_start(data)
        parts, position = [], 0
        for match in self._pattern.finditer(data) if self._pattern else ():
            if match.start() >= certain:
                break
            parts += [data[position : match.start()], MASK.encode()]
            position = match.end()
        parts.append(data[position:certain])
        self._held = data[max(position, certain) :]
        return b"".join(parts)

    def _first_open_start(self, data: bytes) -> int:
        """Where the first form begins that the data ends in the middle of."""
        first = len(data)
        for form in self._forms:
            start = data.find(form[:1], max(0, len(data) - len(form) + 1), first)
            while start != -1 and not form.startswith(data[start:]):
                start = data.find(form[:1], start + 1, first)
            first = first if start == -1 else start
        return first


def looks_secret(name: str) -> bool:
    """Whether a variable of that name is likely to hold a secret."""
    return _SECRET_NAME.search(name) is not None


def _forms(secret: str) -> Iterator[str]:
    """The ways in which a secret is written."""
    if len(secret) < SHORTEST:
        return
    yield from (secret, secret.strip())
    for plain in {_encoded(secret), _encoded(secret.strip())}:
        for quoted in (quote(plain, safe=""), quote(plain), quote_plus(plain)):
            yield from (quoted, re.sub(r"%..", lambda match: match[0].lower(), quoted))
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
            padded = encode(plain).decode("ascii")
            yield from (padded, padded.rstrip("="))
            yield from _inside_base64(plain, encode)


def _inside_base64(plain: bytes, encode: Callable[[bytes], bytes]) -> Iterator[str]:
    """What is always there of a secret in the base64 of a longer text, as in ``user:secret`` of an HTTP header."""
    for before in (0, 1, 2):
        text = encode(b"\0" * before + plain).decode("ascii").rstrip("=")
        first = (before * 8 + 5) // 6
        last = (before + len(plain)) * 8 // 6
        yield text[first:last]


def _encoded(text: str) -> bytes:
    """UTF-8; what an environment holds besides UTF-8 comes as lone surrogates and becomes its bytes again."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
