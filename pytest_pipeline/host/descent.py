"""Who descends from whom: how the processes that a child started are found again, whatever they did to hide.

On Linux the supervisor is the reaper of all its descendants (``PR_SET_CHILD_SUBREAPER``): an orphan becomes its child,
so the tree under it is the whole truth. Elsewhere ``ps`` is asked for parents, process groups and the marker variable.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

_PR_SET_CHILD_SUBREAPER = 36


class Row(NamedTuple):
    """One living process (a zombie is none)."""

    pid: int
    parent: int
    group: int
    session: int


class Family(Protocol):
    """Finds what the current job started."""

    complete: bool
    """Whether every descendant is, or becomes, a child of the supervisor, so that "no child" means "nobody"."""

    def begin(self, leader: int, marker: str) -> None:
        """A new job: the process group that it began with, and its marker ``NAME=value``."""

    def find(self) -> dict[int, int]:
        """The living members: process group by process id."""


class Tree:
    """The processes under this one, on Linux."""

    complete = True

    def begin(self, leader: int, marker: str) -> None:
        """Nothing to remember: the tree says it all."""

    def find(self) -> dict[int, int]:
        """The living members: process group by process id."""
        return _closure(list(proc_rows()), {os.getpid()})


class Listing:
    """What ``ps`` shows of a job: children of known ones, members of known groups, carriers of the marker."""

    complete = False

    def __init__(self, root: int | None) -> None:
        self._root = root
        self._groups: set[int] = set()
        self._marker = ""

    def begin(self, leader: int, marker: str) -> None:
        """Start from that process group and marker."""
        self._groups, self._marker = {leader}, marker

    def find(self) -> dict[int, int]:
        """The living members: process group by process id. A group without members is forgotten: numbers come again."""
        rows = list(ps_rows())
        known = {
            row.pid for row, command in rows if row.group in self._groups or (self._marker and self._marker in command)
        }
        found = _closure([row for row, _ in rows], known | ({self._root} if self._root else set()))
        found.update((row.pid, row.group) for row, _ in rows if row.pid in known)
        self._groups = set(found.values())
        return found


def _closure(rows: Iterable[Row], roots: set[int]) -> dict[int, int]:
    """All that descend from the roots, without these."""
    children: dict[int, list[Row]] = {}
    for row in rows:
        children.setdefault(row.parent, []).append(row)
    found: dict[int, int] = {}
    pending = list(roots)
    while pending:
        for row in children.get(pending.pop(), ()):
            if row.pid not in found and row.pid not in roots:
                found[row.pid] = row.group
                pending.append(row.pid)
    return found


def proc_rows() -> Iterator[Row]:
    """The processes as ``/proc`` shows them, the newest first: they are the ones that may fork away meanwhile."""
    for pid in sorted((int(name) for name in os.listdir("/proc") if name.isdecimal()), reverse=True):
        text = _read(f"/proc/{pid}/stat")
        fields = text[text.rfind(b")") + 2 :].split(None, 4)
        if len(fields) == 5 and fields[0] not in (b"Z", b"X"):
            yield Row(pid, int(fields[1]), int(fields[2]), int(fields[3]))


def ps_rows() -> Iterator[tuple[Row, str]]:
    """The processes as ``ps`` shows them, each with its command line and, where visible, its environment."""
    flags = "-axEww" if sys.platform == "darwin" else "axeww"
    with subprocess.Popen(
        ["ps", flags, "-o", "pid=,ppid=,pgid=,stat=,command="],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as ps:
        listing = ps.communicate()[0].decode("utf-8", "replace")
    for line in listing.splitlines():
        fields = line.split(None, 4)
        if len(fields) >= 4 and all(field.isdecimal() for field in fields[:3]) and fields[3][0] != "Z":
            pid, parent, group = (int(field) for field in fields[:3])
            if pid != ps.pid:
                yield Row(pid, parent, group, 0), "".join(fields[4:])


def carriers(marker: str, leader: int) -> dict[int, int]:
    """Who carries the marker or belongs to the session or group of that leader; for when no supervisor is left.

    Args:
        marker: ``NAME=value``, as it stands in an environment.
        leader: process id of the session's leader; -1: not known.
    """
    if not os.path.exists("/proc/self/environ"):
        listing = Listing(None)
        listing.begin(leader, marker)
        return listing.find()
    entry = marker.encode("latin-1")
    return {
        row.pid: row.group
        for row in proc_rows()
        if row.session == leader or entry in _read(f"/proc/{row.pid}/environ").split(b"\0")
    }


def _read(path: str) -> bytes:
    """A file of ``/proc``; nothing where its process has ended or is not ours."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return b""


def become_reaper() -> bool:
    """Make the orphans among this process' descendants its children; False where the system cannot."""
    if sys.platform != "linux" or not os.path.exists("/proc/self/stat"):
        return False
    try:
        import ctypes  # not there in every Python
    except ImportError:
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def send_signal(members: dict[int, int], number: int) -> None:
    """Signal processes by their groups: a group is reached as a whole, also what one of it forks at this moment."""
    own = os.getpgid(0)
    for group in {group for group in members.values() if group > 1 and group != own}:
        _quietly(os.killpg, group, number)
    for pid in [pid for pid, group in members.items() if group <= 1 or group == own]:
        _quietly(os.kill, pid, number)


def _quietly(kill: _Kill, target: int, number: int) -> None:
    # it has ended; or it belongs to somebody else, and the sweep reports it
    with contextlib.suppress(ProcessLookupError, PermissionError):
        kill(target, number)


class _Kill(Protocol):
    def __call__(self, target: int, number: int, /) -> None: ...
