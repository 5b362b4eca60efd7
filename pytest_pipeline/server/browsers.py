"""What lets a person's browser in, which cannot send a header: the token, given once, becomes a cookie.

The cookie opens pages and nothing else: no request that changes anything, which another page might have a browser do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from urllib.parse import parse_qs

from pytest_pipeline.server.tokens import ApiToken

LOGIN = "/login"

OPEN_FILES = frozenset({"/static/page.css", "/static/page.js"})
"""What the page needs on which the token is asked for."""

Headers = Sequence[tuple[bytes, bytes]]
"""Of a request: names, in small letters, with values."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
}
"""Headers of every page: only files of ours, and no script in the page itself.

Were a page to send no referrer at all, its form would be of no origin (Fetch, "append a request Origin header").
"""

_PAGES = re.compile(r"/|/sessions/.*|/docs|/openapi\.json")
_COOKIE = re.compile(r"(pytest_pipeline_[0-9a-f]{8})=([0-9a-f]{64})")
_LOCAL = re.compile(r"/(?!/)[!-\[\]-~]{0,2000}")  # no backslash: browsers take it for a slash
_MOST_TOKEN = 600  # bytes
_MOST = 8 * 1024  # bytes of the form


def is_page(path: str) -> bool:
    """Whether an address is one that people look at."""
    return _PAGES.fullmatch(path) is not None


def opens(token: ApiToken, cookies: bytes) -> bool:
    """Whether one of the cookies in these ``Cookie`` headers is that of this token."""
    pairs = [_COOKIE.fullmatch(each.strip()) for each in cookies.decode("latin-1").split(";")]
    brought = [found[2] for found in pairs if found is not None and found[1] == _name(token)]
    return any(token.opens_as_cookie(each) for each in brought)


def is_foreign(headers: Headers, host: bytes) -> bool:
    """Whether a page of another origin has a browser ask; programs say nothing of that kind.

    Args:
        headers: of the request.
        host: what it asks for.
    """
    told = dict(headers)
    site, origin = told.get(b"sec-fetch-site"), told.get(b"origin")
    if site is not None:  # no page can forge it
        return site not in (b"same-origin", b"none")
    return origin is not None and origin.partition(b"://")[2].lower() != host.lower()


def set_cookie(token: ApiToken) -> str:
    """The header that gives a browser its cookie, for as long as the browser runs."""
    return f"{_name(token)}={token.cookie()}; Path=/; HttpOnly; SameSite=Strict"


def given(form: bytes) -> tuple[bytes | None, str]:
    """What a form gives as the token, as the header would bring it; and the page that was asked for."""
    fields = parse_qs(form.decode("latin-1"), max_num_fields=5) if len(form) <= _MOST else {}
    token, to = fields.get("token", []), fields.get("to", [])
    brought = token[0].strip().encode("utf-8") if len(token) == 1 else b""
    return (b"Bearer " + brought if 0 < len(brought) <= _MOST_TOKEN else None), local(to[0] if len(to) == 1 else "")


def local(place: str) -> str:
    """The address where it is one of this server, else the first page."""
    return place if _LOCAL.fullmatch(place) else "/"


def _name(token: ApiToken) -> str:
    """A cookie's name: browsers keep those of all ports together, and two servers must not replace each other's."""
    return f"pytest_pipeline_{sha256(token.cookie().encode()).hexdigest()[:8]}"
