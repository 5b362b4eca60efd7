"""What lets a person's browser in, which cannot send a header: the token, given once, becomes a cookie.

The cookie opens pages and nothing else: no request that changes anything, which another page might have a browser do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from pytest_pipeline.server.tokens import ApiToken

COOKIE = "pytest_pipeline"
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

_PAGES = re.compile(r"/|/sessions/.*")
_VALUE = re.compile(rf"(?:^|;) *{COOKIE}=([0-9a-f]{{64}}) *(?:;|$)")
_MOST = 600  # bytes of a form that holds a token


def is_page(path: str) -> bool:
    """Whether an address is one that people look at."""
    return _PAGES.fullmatch(path) is not None


def opens(token: ApiToken, cookies: bytes | None) -> bool:
    """Whether a ``Cookie`` header holds the cookie of this token."""
    found = _VALUE.search((cookies or b"").decode("latin-1"))
    return token.opens_as_cookie(found[1] if found else "")


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
    return f"{COOKIE}={token.cookie()}; Path=/; HttpOnly; SameSite=Strict"


def given_token(form: bytes) -> bytes | None:
    """What a form gives as the token, as the header would bring it."""
    if len(form) > _MOST:
        return None
    found = parse_qs(form.decode("latin-1"), max_num_fields=5).get("token", [])
    return b"Bearer " + found[0].strip().encode("utf-8") if len(found) == 1 else None
