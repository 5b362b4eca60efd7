"""What stands before every route: host, size, rate, token; and the headers of every answer.

A request that is turned away has reached nothing: no route, no file, no store.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pytest_pipeline.record.report.pages import login_page, message_page
from pytest_pipeline.server import browsers
from pytest_pipeline.server.browsers import Headers
from pytest_pipeline.server.limits import Buckets, Rate
from pytest_pipeline.server.tokens import ApiToken

OPEN_PATHS = frozenset({"/health"}) | browsers.OPEN_FILES
"""What can be asked without a token."""

HEADERS: Mapping[bytes, bytes] = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
"""Headers of every answer that does not set them itself."""

_PORT = re.compile(r":[0-9]{1,5}$")


@dataclass(frozen=True)
class Bounds:
    """How much is taken.

    Args:
        body: bytes of a request.
        seconds: how long they may take to come.
        requests: how often an address may ask; those without the token are counted apart.
        changes: how often it may start, cancel or resume.
        failures: how often it may come without the right token.
    """

    body: int = 64 * 1024
    seconds: float = 30.0
    requests: Rate = field(default_factory=lambda: Rate(1000, 2000))
    changes: Rate = field(default_factory=lambda: Rate(2, 20))
    failures: Rate = field(default_factory=lambda: Rate(0.5, 10))


class Guard:
    """The middleware.

    Args:
        app: what is guarded.
        token: what requests must bring.
        hosts: names that requests may ask for in their Host header, without ports; another one is DNS rebinding.
        bounds: how much is taken.
    """

    def __init__(self, app: ASGIApp, token: ApiToken, hosts: frozenset[str], bounds: Bounds) -> None:
        self._app = app
        self._token = token
        self._hosts = hosts
        self._body = bounds.body
        self._seconds = bounds.seconds
        self._requests = Buckets(bounds.requests)
        self._strangers = Buckets(bounds.requests)
        self._changes = Buckets(bounds.changes)
        self._failures = Buckets(bounds.failures)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or turn it away."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        send = self._counting(scope, _with_headers(send))
        refusal = self._refusal(scope)
        if refusal is None:
            body = await self._read(receive)
            if isinstance(body, bytes):
                await self._app(scope, _replayed(body, receive), send)
                return
            refusal = body
        await _answer(send, refusal)

    async def _read(self, receive: Receive) -> bytes | _Refusal:
        """The whole body, or why it is not taken."""
        try:
            body = await asyncio.wait_for(_read(receive, self._body), self._seconds)
        except asyncio.TimeoutError:
            return _Refusal(408, f"The request did not come within {self._seconds:g} s. Send it faster.")
        return self._too_large() if body is None else body

    def _counting(self, scope: Scope, send: Send) -> Send:
        """Counts wrong tokens that came by the form, and answers that there were too many; a right one never waits."""
        if scope["path"] != browsers.LOGIN:
            return send
        address, replaced = _address(scope), False

        async def counting(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] == 401:
                wait = self._failures.wait(address)
                if wait:
                    replaced = True
                    await _answer(send, _too_many_wrong(wait))
                    return
                self._failures.spend(address)
            if not replaced:
                await send(message)

        return counting

    def _refusal(self, scope: Scope) -> _Refusal | None:
        """Why a request is turned away. Who has no token spends nothing of what those spend who have it."""
        headers = [(bytes(name), bytes(value)) for name, value in scope["headers"]]
        hosts = _values(headers, b"host")
        if len(hosts) != 1 or _name(hosts[0]) not in self._hosts:
            return _Refusal(400, "This server does not have that name. Ask for it by the address that it printed.")
        if scope["method"] == "POST" and browsers.is_foreign(headers, hosts[0]):
            return _Refusal(
                403, "A page of another origin has asked for this. Ask from a program, or from a page of ours."
            )
        length = next(iter(_values(headers, b"content-length")), b"0")
        if not length.isdigit() or int(length[:20]) > self._body:
            return self._too_large()
        if not self._is_known(scope, headers):
            return self._stranger(scope, headers)
        return _spent(_address(scope), self._requests, *([] if _looks(scope) else [self._changes]))

    def _is_known(self, scope: Scope, headers: Headers) -> bool:
        """Whether a request brings the token, or the cookie where that is enough."""
        if self._token.opens(_only(_values(headers, b"authorization"))):
            return True
        by_cookie = _looks(scope) and browsers.is_page(str(scope["path"]))
        return by_cookie and browsers.opens(self._token, b"; ".join(_values(headers, b"cookie")))

    def _stranger(self, scope: Scope, headers: Headers) -> _Refusal | None:
        path, address = str(scope["path"]), _address(scope)
        if (refusal := _spent(address, self._strangers)) is not None or path in OPEN_PATHS:
            return refusal
        if path == browsers.LOGIN and scope["method"] in ("GET", "HEAD", "POST"):
            return None  # the form brings the token; a wrong one is counted when it is answered
        if _looks(scope) and browsers.is_page(path) and not _values(headers, b"authorization"):
            return _Refusal(401, "", page=login_page(wrong=False, to=_asked(scope)))
        if (refusal := _spent(address, self._failures)) is not None:
            return refusal
        detail = "The token is missing or wrong. Send the header `Authorization: Bearer TOKEN`."
        return _Refusal(401, detail, {b"www-authenticate": b"Bearer"})

    def _too_large(self) -> _Refusal:
        return _Refusal(413, f"The request is larger than {self._body} bytes. Send less.")


@dataclass(frozen=True)
class _Refusal:
    status: int
    detail: str
    headers: Mapping[bytes, bytes] | None = None
    page: str = ""  # for people, instead of the detail


def _slower(seconds: float) -> _Refusal:
    wait = math.ceil(seconds)
    return _Refusal(429, f"That is too often. Ask again in {wait} s.", {b"retry-after": str(wait).encode()})


def _too_many_wrong(seconds: float) -> _Refusal:
    wait = math.ceil(seconds)
    text = f"Too many wrong tokens have come from your address. Wait {wait} s, or give the right one."
    return _Refusal(429, "", {b"retry-after": str(wait).encode()}, message_page("That is too often", text))


def _spent(address: str, *buckets: Buckets) -> _Refusal | None:
    """Count a request, or say that there were too many."""
    wait = max(each.wait(address) for each in buckets)
    if wait:
        return _slower(wait)
    for each in buckets:
        each.spend(address)
    return None


def _address(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else ""


def _looks(scope: Scope) -> bool:
    return scope["method"] in ("GET", "HEAD")


def _asked(scope: Scope) -> str:
    """The address as the browser wrote it."""
    query = bytes(scope["query_string"])
    return browsers.local((bytes(scope["raw_path"]) + (b"?" + query if query else b"")).decode("latin-1"))


def _values(headers: Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]


def _only(values: list[bytes]) -> bytes | None:
    return values[0] if len(values) == 1 else None


def _name(host: bytes) -> str:
    return _PORT.sub("", host.decode("latin-1")).strip("[]").lower()


async def _read(receive: Receive, most: int) -> bytes | None:
    """The whole body; None: it is too large, or its sender is gone."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += bytes(message.get("body", b""))
        if len(body) > most:
            return None
        if not message.get("more_body", False):
            return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Receives what was read already, and then what comes: that the client is gone."""
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", [])]
            missing = HEADERS.keys() - {name for name, _ in own}
            message = {**message, "headers": [*own, *((name, HEADERS[name]) for name in sorted(missing))]}
        await send(message)

    return sending


async def refused(send: Send, status: int, detail: str) -> None:
    """Answer as the guard does.

    Args:
        send: sends.
        status: of the answer.
        detail: why, as sentences.
    """
    await _answer(_with_headers(send), _Refusal(status, detail))


async def _answer(send: Send, refusal: _Refusal) -> None:
    body = refusal.page.encode() or json.dumps({"detail": refusal.detail, "messages": []}).encode()
    headers = {
        b"content-type": b"text/html; charset=utf-8" if refusal.page else b"application/json",
        b"content-length": str(len(body)).encode(),
        b"connection": b"close",
    }
    if refusal.page:
        headers |= {name.lower().encode(): value.encode() for name, value in browsers.HEADERS.items()}
    started = [*headers.items(), *(refusal.headers or {}).items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": started})
    await send({"type": "http.response.body", "body": body})
