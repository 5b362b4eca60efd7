"""Whether a secret is somewhere: in files, in git's objects, in what other processes show."""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from tests.host.git_world import git


def forms(token: str) -> tuple[bytes, ...]:
    """The token as it is, percent-encoded, in hexadecimal, and what of it is in base64 of whatever stands before it."""
    plain = token.encode()
    inside = [base64.b64encode(b"\0" * before + plain)[4 if before else 0 : -4] for before in range(3)]
    whole = base64.b64encode(f"x-access-token:{token}".encode())
    return (plain, quote(token, safe="").encode(), plain.hex().encode(), whole, whole[-16:], *inside)


def holders(places: Iterable[Path], token: str) -> list[str]:
    """The files below some places, and the objects of the repositories there, that hold a form of the token."""
    wanted, found = forms(token), []
    for path in (path for place in places for path in place.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and any(form in path.read_bytes() for form in wanted):
                found.append(str(path))
        if path.name == "objects" and (path.parent / "HEAD").is_file():
            held = git(path.parent, "cat-file", "--batch-all-objects", "--batch").encode("utf-8", "surrogateescape")
            found += [f"an object of {path.parent}"] if any(form in held for form in wanted) else []
    return found


@dataclass(frozen=True)
class Sighting:
    """A process that showed the secret: in its ``cmdline`` or ``environ``.

    Args:
        where: which of both.
        pid: its id.
        name: its name.
        words: its command line.
        while_agents_ran: whether the condition held.
    """

    where: str
    pid: int
    name: str
    words: tuple[str, ...]
    while_agents_ran: bool


@dataclass
class Sampler:
    """Looks at all processes again and again, in a thread, while the context lasts.

    Args:
        token: the secret.
        agents_ran: whether an agent has begun.
        also: files that are looked into as well while they are there.
    """

    token: str
    agents_ran: Callable[[], bool]
    also: tuple[Path, ...] = ()
    seen: set[Sighting] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    looks: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Sampler:  # noqa: PYI034 - typing.Self needs Python 3.11
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        wanted = forms(self.token)
        while not self._ended.wait(0.002):
            self.looks += 1
            agents_ran = self.agents_ran()
            for place in Path("/proc").glob("[0-9]*"):
                self._look(place, wanted, agents_ran)
            for path in self.also:
                with contextlib.suppress(OSError):
                    if any(form in path.read_bytes() for form in wanted):
                        self.files.add(path.name)

    def _look(self, place: Path, wanted: tuple[bytes, ...], agents_ran: bool) -> None:
        with contextlib.suppress(OSError):
            words = (place / "cmdline").read_bytes()
            shown = {"cmdline": words, "environ": (place / "environ").read_bytes()}
            for where, data in shown.items():
                if any(form in data for form in wanted):
                    name = (place / "comm").read_text("utf-8", "replace").strip()
                    said = tuple(words.decode("utf-8", "replace").split("\0"))
                    self.seen.add(Sighting(where, int(place.name), name, said, agents_ran))
