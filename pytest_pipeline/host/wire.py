"""What pytest's process and its supervisor say to one another: length, then JSON, file descriptors beside it.

Both ends import this module, the supervisor while it starts, so it imports little.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import NamedTuple

_LENGTH = struct.Struct("!I")


class Order(NamedTuple):
    """Run this child. Bytes travel as latin-1 text, so that every name and value arrives as it was.

    Args:
        argv: program and arguments.
        cwd: working directory.
        environment: the whole environment.
        marker: the entry ``NAME=value`` of that environment by which descendants are known.
        timeout: wall-clock limit in seconds.
        grace: seconds between SIGTERM and SIGKILL.
        private: directories to be removed when the caller has gone, who would have removed them otherwise.
    """

    argv: list[str]
    cwd: str
    environment: dict[str, str]
    marker: str
    timeout: float
    grace: float
    private: list[str]


class Started(NamedTuple):
    """The child runs, as leader of a session and process group of this number."""

    pid: int


class Stop(NamedTuple):
    """End the child that runs as if its time were up."""


class Refused(NamedTuple):
    """The child could not be started: the system's error number, and the path that it is about."""

    errno: int
    path: str


class Ended(NamedTuple):
    """The child has ended, and with it all that it started, except the processes in ``left``."""

    exit_code: int
    timed_out: bool
    survivors: int
    left: list[int]


Message = Order | Started | Stop | Refused | Ended
_KINDS: dict[str, type[Order | Started | Stop | Refused | Ended]] = {
    kind.__name__: kind for kind in (Order, Started, Stop, Refused, Ended)
}


def send(channel: socket.socket, message: Message, descriptors: list[int] | None = None) -> None:
    """Send one message, with open file descriptors.

    Raises:
        OSError: the other end is gone.
    """
    body = json.dumps([type(message).__name__, message._asdict()]).encode("ascii")
    header = _LENGTH.pack(len(body))
    if descriptors:
        socket.send_fds(channel, [header], descriptors)
        channel.sendall(body)
    else:
        channel.sendall(header + body)


def receive(channel: socket.socket) -> tuple[Message, list[int]] | None:
    """The next message and its file descriptors (close-on-exec); None when the other end is gone."""
    try:
        header, descriptors, _, _ = socket.recv_fds(channel, _LENGTH.size, 3)
        body = _exactly(channel, _LENGTH.unpack(header)[0]) if len(header) == _LENGTH.size else b""
    except ConnectionResetError:
        return None
    if not body:
        return None
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    kind, fields = json.loads(body)
    return _KINDS[kind](**fields), descriptors


def _exactly(channel: socket.socket, size: int) -> bytes:
    body = bytearray()
    while len(body) < size:
        part = channel.recv(min(size - len(body), 1 << 20))
        if not part:
            return b""
        body += part
    return bytes(body)
