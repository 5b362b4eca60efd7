"""The loopback GitHub as tests see it."""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.github_world import bodies, faults, pull_routes, ref_routes  # noqa: F401 - modules register their routes
from tests.github_world.answers import Answer, Refusal, Request, conditional, error
from tests.github_world.hosted import Hosted, Settings
from tests.github_world.limits import Limits
from tests.github_world.routes import Call, dispatch
from tests.github_world.serving import Sending, Server
from tests.github_world.smart_git import RECEIVE, Backend, plain
from tests.github_world.state import Lag, Logged, Token

API = "/api/v3"
LOGIN = "pipeline-bot"
_NO_AGENT = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header."


class GitHubWorld:
    """A GitHub (Enterprise, by its addresses) on the loopback interface, for as long as the context lasts.

    Args:
        directory: its bare repositories are made there.

    Attributes:
        token: a token that may write.
        faults: what is to go wrong.
        lag: how far reading is behind writing.
        limits: the primary and the content limit.
        requests: all that was asked, in the order of its answers.
        clock: seconds since the epoch; a test may set its own.
        tick: how many REST requests there have been.
        lock: held while a REST request is answered.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "github"
        self.lock = threading.RLock()
        self._backend = Backend()
        self._server = Server(self._respond, self.now)
        self._ended = threading.Event()
        self._tokens: dict[str, Token] = {}
        self._repositories: dict[str, Hosted] = {}
        self._renamed: dict[str, Hosted] = {}
        self._coming: list[tuple[int, Callable[[], object]]] = []
        self.faults = faults.Faults()
        self.lag = Lag()
        self.clock: Callable[[], float] = time.time
        self.limits = Limits(self.now)
        self.requests: list[Logged] = []
        self.tick = 0
        self.token = self.add_token()

    def __enter__(self) -> GitHubWorld:  # noqa: PYI034 - typing.Self needs Python 3.11
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._backend.close()
        self._server.stop()
        if self._server.crashes:
            raise RuntimeError("The loopback GitHub itself failed:\n" + "\n".join(self._server.crashes))

    @property
    def root(self) -> str:
        """The server's address, without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """The API's base."""
        return self.root + API

    def git_url(self, full_name: str) -> str:
        """Where git clones from and pushes to."""
        return f"{self.root}/{full_name}.git"

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.clock()

    def add_token(self, login: str = LOGIN, permission: str = "write", *, fine_grained: bool = False) -> str:
        """A new token; ``permission`` is write, contents (no pull requests), read or none."""
        text = f"{'github_pat' if fine_grained else 'ghp'}_{secrets.token_hex(18)}"
        self._tokens[text] = Token(text, login, permission, fine_grained)
        return text

    def revoke(self, token: str) -> None:
        """From now on it is a bad credential."""
        del self._tokens[token]

    def add_repository(
        self,
        full_name: str,
        files: Mapping[str, str] | None = None,
        **settings: Any,  # noqa: ANN401
    ) -> Hosted:
        """A repository with one commit on its default branch; ``files={}`` leaves it empty.

        ``settings`` are those of :class:`Settings`.
        """
        with self.lock:
            number = 1000 + len(self._repositories)
            hosted = Hosted(number, full_name, self._directory / f"{full_name}.git", Settings(**settings), self)
            self._repositories[full_name.lower()] = hosted
            first = {"README.md": "# Example\n"} if files is None else files
            if first:
                hosted.commit(hosted.settings.default_branch, first, "First")
            return hosted

    def repository(self, full_name: str) -> Hosted:
        """One that was added."""
        return self._repositories[full_name.lower()]

    def rename(self, old: str, new: str) -> None:
        """Rename a repository: REST redirects from its old name, git serves both."""
        with self.lock:
            hosted = self._repositories.pop(old.lower())
            hosted.full_name = new
            self._repositories[new.lower()] = self._renamed[old.lower()] = hosted

    def later(self, requests: int, action: Callable[[], object]) -> None:
        """Act after so many REST requests: 0 is at once."""
        if requests == 0:
            action()
        else:
            self._coming.append((self.tick + requests, action))

    def _respond(self, request: Request) -> Sending:
        began = time.monotonic()
        is_api = request.path == API or request.path.startswith(f"{API}/")
        request = _below(request, API) if is_api else request
        token = self._who(request)
        fault = self.faults.take(request.method, request.path)
        work = self._rest if is_api else self._git
        sending, arrived = self._through(fault, lambda: work(request, token))
        answer = sending.answer
        status = 0 if answer is None else answer.status
        counted = is_api and arrived and status != 304 and request.path != "/rate_limit"
        with self.lock:
            if answer is not None and is_api:
                self._finish(answer, token, counted=counted)
            elif counted and token is not None:
                self.limits.budget(token.login).used += 1
            login = None if token is None else token.login
            entry = (request.method, request.path, request.raw_query, status, "authorization" in request.headers)
            kind = "api" if is_api else "git"
            self.requests.append(Logged(*entry, login, began, time.monotonic(), counted, kind))
        return sending

    def _through(self, fault: faults.Fault | None, work: Callable[[], Answer]) -> tuple[Sending, bool]:
        """What is sent, and whether GitHub counts it."""
        if fault is None:
            return Sending(work()), True
        if fault.seconds:
            self._ended.wait(fault.seconds)
        if fault.before is not None:
            fault.before()
        wrong = None if fault.answer is None else replace(fault.answer)
        if not (fault.works or fault.passes):
            return Sending(wrong), wrong is not None
        answer = work()
        if fault.after is not None:
            fault.after()
        if fault.passes or fault.cut:
            return Sending(answer, fault.cut), True
        return Sending(wrong), True

    def _who(self, request: Request) -> Token | None:
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                credential = base64.b64decode(credential, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return None
        return self._tokens.get(credential.strip())

    def _finish(self, answer: Answer, token: Token | None, *, counted: bool) -> None:
        login = "unknown" if token is None else token.login
        budget = self.limits.budget(login)
        budget.used += counted and budget.remaining > 0
        identity = {"X-GitHub-Request-Id": f"{len(self.requests):08X}", "X-GitHub-Media-Type": "github.v3; format=json"}
        answer.headers = {**self.limits.headers(login), **identity, **answer.headers}
        if token is not None and not token.fine_grained:
            answer.headers.setdefault("X-OAuth-Scopes", "repo")

    def _rest(self, request: Request, token: Token | None) -> Answer:
        with self.lock:
            self._pass_time()
            try:
                return conditional(self._allowed(request, token), request)
            except Refusal as refusal:
                return refusal.answer

    def _pass_time(self) -> None:
        due = [action for tick, action in self._coming if tick <= self.tick]
        self._coming = [each for each in self._coming if each[0] > self.tick]
        for action in due:
            action()
        self.tick += 1

    def _allowed(self, request: Request, token: Token | None) -> Answer:
        if "user-agent" not in request.headers:
            return Answer(403, raw=_NO_AGENT.encode(), media="text/plain")
        if token is None:
            return error(401, "Bad credentials" if "authorization" in request.headers else "Requires authentication")
        if request.path == "/rate_limit":
            return Answer(200, self.limits.body(token.login))
        refusal = self.limits.refusal(token.login, request.method)
        if refusal is not None:
            return refusal
        if request.path == "/user":
            return Answer(200, bodies.private_user(self.url, token.login))
        return self._repository_call(request, token)

    def _repository_call(self, request: Request, token: Token) -> Answer:
        top, *names = request.path.strip("/").split("/", 3)
        if top == "repositories" and names:
            hosted = next((each for each in self._repositories.values() if str(each.id) == names[0]), None)
            rest = request.path.removeprefix(f"/repositories/{names[0]}")
        else:
            name = "/".join(names[:2])
            hosted, rest = self._repositories.get(name.lower()), request.path.removeprefix(f"/repos/{name}")
            if top != "repos" or (hosted is None and name.lower() not in self._renamed):
                return error(404, "Not Found")
            if hosted is None:
                return self._redirected(self._renamed[name.lower()], request, rest)
        if hosted is None or (hosted.settings.private and token.permission == "none"):
            return error(404, "Not Found")
        return dispatch(Call(self, request, token, hosted), rest)

    def _redirected(self, hosted: Hosted, request: Request, rest: str) -> Answer:
        query = f"?{request.raw_query}" if request.raw_query else ""
        place = f"{self.url}/repositories/{hosted.id}{rest}{query}"
        status, words = (301, "Moved Permanently") if request.method == "GET" else (307, "Temporary Redirect")
        return Answer(status, {"message": words, "url": place, "documentation_url": ""}, {"Location": place})

    def _git(self, request: Request, token: Token | None) -> Answer:
        owner, _, behind = request.path.strip("/").partition("/")
        name, _, service = behind.partition("/")
        full_name = f"{owner}/{name.removesuffix('.git')}".lower()
        hosted = self._repositories.get(full_name) or self._renamed.get(full_name)
        if token is None:
            said = "Invalid username or token. Password authentication is not supported for Git operations.\n"
            return plain(401, said, {"WWW-Authenticate": 'Basic realm="GitHub"'})
        if hosted is None or (hosted.settings.private and token.permission == "none"):
            return plain(404, "Repository not found.\n")
        pushes = RECEIVE in (service, request.query.get("service"))
        if pushes and not token.may("contents"):
            return plain(403, f"Permission to {hosted.full_name}.git denied to {token.login}.\n")
        if pushes and hosted.settings.archived:
            return plain(403, "This repository was archived so it is read-only.\n")
        answer = self._backend.answer(request, hosted, service, token.login)
        if pushes and request.method == "POST":
            with self.lock:
                hosted.refresh()
        return answer


def _below(request: Request, prefix: str) -> Request:
    path = request.path.removeprefix(prefix)
    return Request(request.method, path, request.query, request.raw_query, request.headers, request.body)
