"""The one way to ask GitHub's REST interface: PyGithub's connection, one call at a time, each through the gate.

Only the connection of PyGithub is used (authentication, TLS, servers of one's own). Its objects are not: they repeat
what must not be repeated, hide answers, and cost calls that nobody asked for.
"""

from __future__ import annotations

import json
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import quote

from github import Auth, Github

from pytest_pipeline.errors import ForgeError
from pytest_pipeline.forges.gate_limits import CallKind
from pytest_pipeline.forges.github.answers import LOST, Answer, read_errors
from pytest_pipeline.host.redaction import Redactor

TIMEOUT = 30  # seconds to connect, and between two bytes; GitHub itself gives up a request after ten
MOST_REFUSALS = 8  # limits in a row for one call; the gate has waited longer before each
_REMEMBERED = 256  # answers that the next question for the same may refer to
_PAGES = 20  # of a hundred entries each
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')


Transport = Callable[[str, str, dict[str, Any], dict[str, Any], dict[str, Any] | None], tuple[int, dict[str, Any], str]]
"""Sends one call (verb, URL, query, headers, body); returns status, headers and text of the answer."""


class Gate(Protocol):
    """What keeps all processes that share a token within GitHub's limits."""

    def call(self, kind: CallKind) -> AbstractContextManager[object]:
        """Wait for one's turn, and hold it while the call runs.

        Raises:
            ForgeError: waiting is hopeless.
        """

    @property
    def waited(self) -> Mapping[str, float]:
        """Seconds waited so far, by reason."""

    def heard(self, status: int, headers: Mapping[str, str], message: str) -> object:
        """Be told of an answer, within the turn; status 0: none came."""


class Client:
    """Calls for one repository; one per process and thread.

    Args:
        repository: ``owner/name``.
        token: a token for it; never shown by anything in here.
        base_url: where the API is, for example ``https://api.github.com`` or ``https://HOST/api/v3``.
        gate: what every call goes through.
        timeout: seconds to connect, and between two bytes.
    """

    def __init__(self, repository: str, token: str, *, base_url: str, gate: Gate, timeout: int = TIMEOUT) -> None:
        _silence()
        self.repository = repository
        self.base_url = base_url.rstrip("/")
        self.gate = gate
        self._redactor = Redactor((token, f"x-access-token:{token}"))
        self._github = Github(
            auth=Auth.Token(token),
            base_url=self.base_url,
            timeout=timeout,
            retry=None,  # it would repeat a POST whose answer was lost
            seconds_between_requests=None,
            seconds_between_writes=None,
            user_agent="pytest-pipeline",
        )
        self.transport: Transport = self._github.requester.requestJson
        self._known: OrderedDict[str, Answer] = OrderedDict()

    def __repr__(self) -> str:
        return f"Client({self.repository!r}, base_url={self.base_url!r})"

    def __reduce__(self) -> str:
        raise TypeError("A client holds a token and is never copied to another process. Make one there.")

    @property
    def owner(self) -> str:
        """Who the repository belongs to."""
        return self.repository.partition("/")[0]

    @staticmethod
    def quoted(branch: str) -> str:
        """A branch as part of a path."""
        return quote(branch, safe="/")

    def close(self) -> None:
        """Let go of the connections."""
        self._github.close()

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Answer:
        """Read something of the repository; what is known and has not changed costs nothing of the primary limit.

        Args:
            path: below the repository, for example ``pulls/7``.
            parameters: of the query.
        """
        return self._get(self._url(path), parameters or {})

    def pages(
        self, path: str, key: str | None = None, parameters: Mapping[str, str] | None = None, *, most: int = _PAGES
    ) -> Answer:
        """Read a list to its end; ``body`` is all of it.

        Args:
            path: below the repository.
            key: where the list is in the body; None: the body is the list.
            parameters: of the query.
            most: so many pages of a hundred entries are read; a longer list is an error.
        """
        found: list[Any] = []
        answer = self._get(self._url(path), {"per_page": "100", **(parameters or {})})
        for _ in range(most):
            if not answer.ok:
                return answer
            page = answer.body if key is None else (answer.body or {}).get(key)
            found.extend(page if isinstance(page, list) else [])
            following = _NEXT.search(answer.headers.get("link", ""))
            if following is None:
                return replace(answer, body=found)
            answer = self._get(following[1], {})
        raise ForgeError(f"GitHub lists more than {most * 100} entries for {path}. Clean up the repository.")

    def change(self, verb: str, path: str, kind: CallKind, body: Mapping[str, object] | None = None) -> Answer:
        """Change something of the repository, once: an answer that was lost is never asked for again here."""
        return self._patiently(verb, self._url(path), kind, {}, {}, body)

    def _url(self, path: str) -> str:
        return f"/repos/{self.repository}/{path}".rstrip("/")

    def _get(self, url: str, parameters: Mapping[str, str]) -> Answer:
        key = "&".join((url, *(f"{name}={value}" for name, value in sorted(parameters.items()))))
        known = self._known.get(key)
        headers = {"If-None-Match": known.headers["etag"]} if known is not None else {}
        answer = self._patiently("GET", url, CallKind.READ, parameters, headers, None)
        if answer.status == 304 and known is not None:
            self._known.move_to_end(key)
            return known
        self._known.pop(key, None)
        if answer.ok and "etag" in answer.headers:
            self._known[key] = answer
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return answer

    def _patiently(
        self,
        verb: str,
        url: str,
        kind: CallKind,
        parameters: Mapping[str, str],
        headers: Mapping[str, str],
        body: Mapping[str, object] | None,
    ) -> Answer:
        """Ask again while a limit speaks: nothing was done then, and the gate waits before each."""
        for _ in range(MOST_REFUSALS):
            with self.gate.call(kind):
                answer = self._once(verb, url, dict(parameters), dict(headers), body)
                self.gate.heard(answer.status, answer.headers, "" if answer.ok else answer.text)
            if not answer.limited:
                break
        return answer

    def _once(
        self,
        verb: str,
        url: str,
        parameters: dict[str, Any],
        headers: dict[str, Any],
        body: Mapping[str, object] | None,
    ) -> Answer:
        content = None if body is None else dict(body)
        try:
            status, found, text = self.transport(verb, url, parameters, headers, content)
        except (OSError, AssertionError, RuntimeError) as error:  # OSError: also all of the library `requests`
            if not isinstance(error, OSError):
                raise ForgeError(f"GitHub points elsewhere. Look at the API's address, {self.base_url}.") from None
            return Answer(LOST, message=f"{type(error).__name__}: the connection broke or was too slow")
        clean = self._redactor.text  # a server may repeat the token, also as git sends it
        return _parsed(status, {name: clean(str(value)) for name, value in found.items()}, clean(text))


def _parsed(status: int, headers: Mapping[str, str], text: str) -> Answer:
    named = {name.lower(): value for name, value in headers.items()}
    try:
        body = json.loads(text) if text.strip() else None
    except ValueError:
        # A page of some proxy in between. With a status of success nobody knows what was done.
        return Answer(502 if 200 <= status < 300 else status, named, None, "The answer is not JSON")
    message, errors = read_errors(body) if status >= 300 else ("", ())
    return Answer(status, named, body, message, errors)


def _silence() -> None:
    """Take away the handler that PyGithub gives its logger on import: it would print into the tests' output."""
    logger = logging.getLogger("github")
    for handler in [each for each in logger.handlers if type(each) is logging.StreamHandler]:
        logger.removeHandler(handler)


def each_dict(body: object) -> Iterator[dict[str, Any]]:
    """The objects of a list, whatever else GitHub or a proxy put there."""
    yield from (each for each in body if isinstance(each, dict)) if isinstance(body, list) else ()
