"""Git over smart HTTP: real git behind CGI, and the refusals of GitHub's rules in its own words."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.github_world.answers import Answer, Request
from tests.github_world.hosted import ENVIRONMENT, HEADS, Hosted

RECEIVE = "git-receive-pack"
_RESULT = "application/x-git-receive-pack-result"


def plain(status: int, text: str, headers: dict[str, str] | None = None) -> Answer:
    """An answer that git shows after ``remote:``."""
    return Answer(status, headers=headers or {}, raw=text.encode(), media="text/plain; charset=utf-8")


@dataclass
class Backend:
    """Runs ``git http-backend``; none of them outlives :meth:`close`."""

    _running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    def answer(self, request: Request, hosted: Hosted, service: str, login: str) -> Answer:
        """Let git answer; ``service`` is the path behind the repository's."""
        if request.method == "POST" and service == RECEIVE:
            said = _refused(hosted, request.body)
            if said is not None:
                return said
        return _parsed(self._run(_environment(request, hosted, service, login), request.body))

    def _run(self, environment: dict[str, str], body: bytes) -> bytes:
        with self._lock:
            if self._closed:
                return b"Status: 503 Service Unavailable\r\n\r\n"
            child = subprocess.Popen(
                ("git", "http-backend"),
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self._running.add(child)
        output, _ = child.communicate(body)
        with self._lock:
            self._running.discard(child)
        return output

    def close(self) -> None:
        """End what still runs."""
        with self._lock:
            self._closed = True
            for child in self._running:
                child.kill()


def _environment(request: Request, hosted: Hosted, service: str, login: str) -> dict[str, str]:
    return ENVIRONMENT | {
        "GIT_PROJECT_ROOT": str(hosted.git_dir),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{service}",
        "QUERY_STRING": request.raw_query,
        "REQUEST_METHOD": request.method,
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
        "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        "REMOTE_USER": login,
        "REMOTE_ADDR": "127.0.0.1",
    }


def _parsed(output: bytes) -> Answer:
    head, _, body = output.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
    status = int(headers.pop("Status", "200").split()[0]) if head else 500
    media = headers.pop("Content-Type", "text/plain")
    return Answer(status, headers=headers, raw=body, media=media)


def _lines(body: bytes) -> Iterator[bytes]:
    """The pkt-lines up to the first flush."""
    while len(body) >= 4 and body[:4] != b"0000":
        size = int(body[:4], 16)
        yield body[4:size]
        body = body[size:]


def _pkt(data: bytes) -> bytes:
    return b"%04x%s" % (len(data) + 4, data)


def refusal(hosted: Hosted, branch: str) -> tuple[str, str] | None:
    """Why a branch may not be pushed to: the reason behind its name, and what the remote says."""
    rule = hosted.rule(branch)
    if rule.pushes:
        return None
    if rule.ruleset:
        said = f"error: GH013: Repository rule violations found for refs/heads/{branch}.\n\n"
        return (
            "push declined due to repository rule violations",
            said + "- Changes must be made through a pull request.",
        )
    said = f"error: GH006: Protected branch update failed for refs/heads/{branch}.\n\n"
    return "protected branch hook declined", said + "- Changes must be made through a pull request."


def _refused(hosted: Hosted, body: bytes) -> Answer | None:
    """The report of a push that rules forbid: all of its refs are refused then. None when it is allowed."""
    commands = [line.split(b"\0")[0].decode().rstrip("\n") for line in _lines(body)]
    names = [command.split(" ")[2] for command in commands if command.count(" ") >= 2]
    refusals = [refusal(hosted, name.removeprefix(HEADS)) for name in names]
    if not any(refusals):
        return None
    report = _pkt(b"unpack ok\n")
    for name, why in zip(names, refusals, strict=True):
        report += _pkt(f"ng {name} {why[0] if why else 'pre-receive hook declined'}\n".encode())
    said = "".join(why[1] + "\n" for why in refusals if why).encode()
    data = _pkt(b"\x02" + said) + _pkt(b"\x01" + report + b"0000") + b"0000"
    return Answer(200, headers={"Cache-Control": "no-cache"}, raw=data, media=_RESULT)
