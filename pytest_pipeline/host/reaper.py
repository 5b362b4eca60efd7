"""The supervisor's own program: it stands between pytest and its children, and outlives pytest to end them.

Started by :mod:`pytest_pipeline.host.supervisor` as ``python -I -S``; it takes one order at a time from the socket on
its standard input, and ends when that socket does. It imports the standard library only.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time

from pytest_pipeline.host.descent import Family, Listing, Tree, become_reaper, send_signal
from pytest_pipeline.host.wire import Ended, Message, Order, Refused, Started, Stop, receive, send

GRACE_WHEN_ABANDONED = 2.0
"""Most seconds between SIGTERM and SIGKILL when the caller has gone or was interrupted; xdist leaves five in all."""
KILL_LIMIT = 20.0
"""Seconds after which a process that SIGKILL does not end (stuck in the kernel, or another user's) is given up."""
_HEARTBEAT = 1.0


class Job:
    """One child, from its start until nothing is left of what it started."""

    def __init__(self, order: Order, channel: socket.socket, wake: int, family: Family) -> None:
        self._order = order
        self._channel = channel
        self._wake = wake
        self._family = family
        self._parent = os.getppid()
        self._pid = 0
        self._exit_code: int | None = None
        self._abandoned = False
        self._stopped = False

    def run(self, descriptors: list[int]) -> Message:
        """Start the child on these three descriptors, which are closed here, and see it to its end."""
        try:
            self._pid = self._start(descriptors)
        except OSError as error:
            return Refused(error.errno or 0, os.fsdecode(error.filename or ""))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        _tell(self._channel, Started(self._pid))
        self._family.begin(self._pid, self._order.marker)
        timed_out = self._await_child()
        if self._exit_code is None:
            self._terminate()
        survivors, left = self._sweep()
        if self._caller_is_gone():
            self._remove_private()
        return Ended(self._exit_code if self._exit_code is not None else -signal.SIGKILL, timed_out, survivors, left)

    def _start(self, descriptors: list[int]) -> int:
        stdin, stdout, stderr = descriptors
        child = subprocess.Popen(
            [_bytes(argument) for argument in self._order.argv],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=_bytes(self._order.cwd),
            env={_bytes(name): _bytes(value) for name, value in self._order.environment.items()},
            start_new_session=True,
        )
        child.returncode = 0  # whoever ends is reaped below, with waitpid(-1)
        return child.pid

    def _await_child(self) -> bool:
        """Wait for the child's own end; True when its time is up before."""
        deadline = time.monotonic() + self._order.timeout
        while self._reap() and self._exit_code is None and not (self._abandoned or self._stopped):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return True
            self._pause(remaining)
            if not self._family.complete:
                self._family.find()  # so that groups are known before their parents are gone
        return False

    def _terminate(self) -> None:
        """Ask everything to end, and give it time."""
        members = self._family.find()
        send_signal(members, signal.SIGTERM)
        send_signal(members, signal.SIGCONT)  # a stopped process does not hear SIGTERM
        since = time.monotonic()
        while self._anybody():
            grace = min(self._order.grace, GRACE_WHEN_ABANDONED) if self._abandoned else self._order.grace
            remaining = since + grace - time.monotonic()
            if remaining <= 0:
                return
            self._pause(remaining if self._family.complete else min(remaining, 0.2))

    def _sweep(self) -> tuple[int, list[int]]:
        """Kill until nothing is left; returns how many had outlived the child, and who could not be killed."""
        killed: set[int] = set()
        deadline = time.monotonic() + KILL_LIMIT
        while self._anybody():
            members = self._family.find()
            killed |= members.keys() - {self._pid}
            send_signal(members, signal.SIGKILL)
            if time.monotonic() > deadline:
                return len(killed), sorted(members)
            if self._reap():
                self._pause(0.02)
        return len(killed), []

    def _remove_private(self) -> None:
        """What must not stay when nobody comes back for it, for example a login that was lent to the child."""
        import shutil  # dear, and seldom needed

        for directory in self._order.private:
            shutil.rmtree(_bytes(directory), ignore_errors=True)  # a symlink in its place is an error, too

    def _anybody(self) -> bool:
        return self._reap() or (not self._family.complete and bool(self._family.find()))

    def _reap(self) -> bool:
        """Take in whoever has ended; whether a child is left."""
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return True
                if pid == self._pid:
                    self._exit_code = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            return False

    def _pause(self, seconds: float) -> None:
        """Wait until a child ends or the caller hangs up or wants it stopped, at most so long."""
        watched: list[int | socket.socket] = [self._wake] if self._abandoned else [self._wake, self._channel]
        ready, _, _ = select.select(watched, [], [], max(0.0, min(seconds, _HEARTBEAT)))
        if self._wake in ready:
            os.read(self._wake, 4096)
        if self._channel in ready:
            received = receive(self._channel)
            self._stopped = True
            self._abandoned = received is None or not isinstance(received[0], Stop)
        if self._caller_is_gone():
            self._abandoned = True

    def _caller_is_gone(self) -> bool:
        return os.getppid() != self._parent


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")


def _tell(channel: socket.socket, message: Message) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more; the next read says so
        send(channel, message)


def _wake_on_signals() -> int:
    """Survive what a terminal or a child may send, and be woken by a child's end.

    Handlers instead of SIG_IGN: a handler is not handed down to the children.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return reading


def _take_channel() -> socket.socket:
    """The socket on standard input, moved to where no child inherits it."""
    channel = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    return channel


def main() -> None:
    """Serve orders until the caller hangs up. ``--portable``: use the means of systems without subreapers."""
    wake = _wake_on_signals()
    channel = _take_channel()
    portable = "--portable" in sys.argv or not become_reaper()
    family: Family = Listing(os.getpid()) if portable else Tree()
    while (received := receive(channel)) is not None:
        order, descriptors = received
        if isinstance(order, Order):  # a Stop that came after its child's end is for nobody
            _tell(channel, Job(order, channel, wake, family).run(descriptors))
