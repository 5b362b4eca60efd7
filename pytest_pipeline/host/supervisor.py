"""The caller's side of the supervisor: one process that starts, watches and ends the children of this one.

A supervisor is started at the first order and used again: a Python for every child would be too dear. It serves one
order at a time; a thread that finds none idle starts another. It ends with this process, however that ends: its socket
says so.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_pipeline.errors import HostError
from pytest_pipeline.host import wire
from pytest_pipeline.host.descent import carriers, send_signal
from pytest_pipeline.host.reaper import GRACE_WHEN_ABANDONED, KILL_LIMIT

Sink = Callable[[bytes], object]

_PROGRAM = """
import sys, types
package = types.ModuleType("pytest_pipeline")  # without its __init__.py, which may import what is not to be had here
package.__path__ = [sys.argv[1]]
sys.modules["pytest_pipeline"] = package
from pytest_pipeline.host.reaper import main
main()
"""
_PACKAGE = str(Path(__file__).resolve().parents[1])
_CHUNK = 64 * 1024
_DRAIN = 16 * 1024**2
"""Most bytes that are read from a pipe when all have ended: no pipe holds more, and an outsider may go on writing."""
_ANSWER_TIME = 10.0
_SLACK = 10.0


class Supervisor:
    """A running supervisor process.

    Args:
        portable: use the means of systems without subreapers, also where there are better ones.
    """

    def __init__(self, *, portable: bool = False) -> None:
        ours, theirs = socket.socketpair()
        keep = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
        flags = ["-I", "-S", *(["-B"] if sys.dont_write_bytecode else [])]
        try:
            self.process = subprocess.Popen(
                [sys.executable, *flags, "-c", _PROGRAM, _PACKAGE, *(["--portable"] if portable else [])],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={"PATH": os.defpath, **keep},
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise HostError(
                f"The supervisor of child processes could not be started: {error}. Look whether {sys.executable!r} "
                "runs and whether this machine has processes and memory left."
            ) from error
        finally:
            theirs.close()
        ours.settimeout(_ANSWER_TIME)
        self.channel = ours

    def usable(self) -> bool:
        """Whether it runs."""
        return self.channel.fileno() != -1 and self.process.poll() is None

    def hang_up(self) -> None:
        """Nobody waits any more: it ends what runs within about two seconds, and then itself. It may still answer."""
        with contextlib.suppress(OSError):
            self.channel.shutdown(socket.SHUT_WR)

    def wait(self) -> None:
        """After :meth:`hang_up`: until it has ended; it is killed when that takes too long."""
        try:
            self.process.wait(GRACE_WHEN_ABANDONED + 1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def end(self) -> None:
        """Hang up, wait for its end and let go of it."""
        self.hang_up()
        self.wait()
        self.channel.close()

    def forget(self) -> None:
        """In a forked child: it is the parent's, whose end it must notice, so let go of the socket."""
        self.channel.close()
        self.process.returncode = 0


class Pool:
    """The supervisors of this process."""

    def __init__(self, *, portable: bool = False) -> None:
        self._portable = portable
        self._lock = threading.Lock()
        self._idle: list[Supervisor] = []
        self._all: weakref.WeakSet[Supervisor] = weakref.WeakSet()
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.shutdown)

    def run(
        self, order: wire.Order, stdin: bytes, sinks: Sequence[Sink], stop: Callable[[], bool] | None = None
    ) -> wire.Refused | wire.Ended:
        """Give an order and wait until it is done.

        Args:
            order: what to run.
            stdin: what the child reads.
            sinks: takers of its output: one for all, or one for stdout and one for stderr.
            stop: is asked after each piece of output and at least once a second; True ends the child.

        Raises:
            HostError: the supervisor could not be started, or was killed; what could be found of the child is dead.
        """
        supervisor = self._take()
        answer = None
        try:
            with contextlib.closing(Attendance(supervisor, order, stdin, sinks, stop)) as attendance:
                answer = attendance.wait()
            return answer
        finally:
            if answer is None or (isinstance(answer, wire.Ended) and answer.left):
                supervisor.end()
            else:
                self._give_back(supervisor)

    def shutdown(self) -> None:
        """End all supervisors and with them what they run. The next order starts a new one."""
        with self._lock:
            idle, self._idle = self._idle, []
            busy = [supervisor for supervisor in self._all if supervisor.usable() and supervisor not in idle]
        for supervisor in (*idle, *busy):
            supervisor.hang_up()
        for supervisor in idle:
            supervisor.end()
        for supervisor in busy:
            supervisor.wait()  # its socket is closed by the thread that uses it

    def supervisors(self) -> list[int]:
        """The process ids of those that run."""
        return [supervisor.process.pid for supervisor in list(self._all) if supervisor.usable()]

    def _take(self) -> Supervisor:
        with self._lock:
            while self._idle:
                supervisor = self._idle.pop()
                if supervisor.usable():
                    return supervisor
                supervisor.end()
        supervisor = Supervisor(portable=self._portable)
        self._all.add(supervisor)
        return supervisor

    def _give_back(self, supervisor: Supervisor) -> None:
        with self._lock:
            self._idle.append(supervisor)

    def _forget(self) -> None:
        self._lock = threading.Lock()  # another thread may have held it
        for supervisor in list(self._all):
            supervisor.forget()
        self._idle, self._all = [], weakref.WeakSet()


class Attendance:
    """One order under way: feeds the child, takes its output, and waits for the word that all has ended."""

    def __init__(
        self,
        supervisor: Supervisor,
        order: wire.Order,
        stdin: bytes,
        sinks: Sequence[Sink],
        stop: Callable[[], bool] | None = None,
    ) -> None:
        self._supervisor = supervisor
        self._order = order
        self._stdin = memoryview(stdin)
        self._sinks = list(sinks)
        self._stop = stop
        self._leader = -1
        self._answer: wire.Refused | wire.Ended | None = None
        self._gone = False
        self._selector = selectors.DefaultSelector()
        self._open: set[int] = set()

    def close(self) -> None:
        """Close what is still open."""
        self._selector.close()
        for descriptor in self._open:
            os.close(descriptor)

    def wait(self) -> wire.Refused | wire.Ended:
        """Until the child and all that it started have ended, also when an exception comes in between."""
        try:
            self._begin()
            self._attend(self._order.timeout + self._order.grace + KILL_LIMIT + _SLACK)
        finally:
            if self._answer is None:
                self._abandon()
        if self._answer is None:
            raise HostError(
                f"The supervisor of {self._order.argv[0]!r} was killed or stopped while that ran (exit code "
                f"{self._supervisor.process.wait()}), probably by it; what was found of its processes has been killed. "
                "Look at its transcript, and at ps for what else it left."
            )
        return self._answer

    def _begin(self) -> None:
        theirs: list[int] = []
        try:
            theirs.append(self._stdin_end())
            for number in range(len(self._sinks)):
                theirs.append(self._output_end(number))
            self._selector.register(self._supervisor.channel, selectors.EVENT_READ, self._hear)
            wire.send(self._supervisor.channel, self._order, [theirs[0], theirs[1], theirs[-1]])
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self._gone = True
        except OSError as error:
            raise HostError(f"No pipe to a child could be opened: {error}. Look at the limit `ulimit -n`.") from error
        finally:
            for descriptor in theirs:
                os.close(descriptor)

    def _stdin_end(self) -> int:
        """The child's end of its input."""
        if not self._stdin:
            return os.open(os.devnull, os.O_RDONLY)
        reading, writing = os.pipe()
        self._watch(writing, selectors.EVENT_WRITE, lambda: self._feed(writing))
        return reading

    def _output_end(self, number: int) -> int:
        """The child's end of an output."""
        reading, writing = os.pipe()
        self._watch(reading, selectors.EVENT_READ, lambda: self._take(reading, number))
        return writing

    def _watch(self, descriptor: int, events: int, act: Callable[[], object]) -> None:
        self._open.add(descriptor)
        os.set_blocking(descriptor, False)
        self._selector.register(descriptor, events, act)

    def _close(self, descriptor: int) -> None:
        self._selector.unregister(descriptor)
        self._open.discard(descriptor)
        os.close(descriptor)

    def _attend(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._answer is None and not self._gone:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return
            for key, _ in self._selector.select(min(remaining, 1.0 if self._stop else 60.0)):
                key.data()
            if self._stop and self._answer is None and self._stop():
                self._stop = None
                self._say_stop()
        self._drain()

    def _say_stop(self) -> None:
        try:
            wire.send(self._supervisor.channel, wire.Stop())
        except OSError:
            self._gone = True

    def _hear(self) -> None:
        try:
            received = wire.receive(self._supervisor.channel)
        except OSError:
            received = None
        if received is None:
            self._gone = True
        elif isinstance(received[0], wire.Started):
            self._leader = received[0].pid
        elif isinstance(received[0], (wire.Refused, wire.Ended)):
            self._answer = received[0]

    def _feed(self, descriptor: int) -> None:
        try:
            self._stdin = self._stdin[os.write(descriptor, self._stdin[:_CHUNK]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._stdin = self._stdin[:0]  # it does not want to read the rest
        if not self._stdin:
            self._close(descriptor)

    def _take(self, descriptor: int, number: int) -> int:
        """Hand the next chunk on; its size, 0 where there is none now."""
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return 0
        if data:
            self._sinks[number](data)
        else:
            self._close(descriptor)
        return len(data)

    def _drain(self) -> None:
        """Read what is left in the pipes; whoever still holds them is none of ours."""
        for key in list(self._selector.get_map().values()):
            if key.events == selectors.EVENT_READ and key.data != self._hear:
                room = _DRAIN
                while room > 0 and (size := key.data()):
                    room -= size

    def _abandon(self) -> None:
        """End everything, at most in the time that a second Ctrl-C leaves; output is no longer of interest."""
        self._supervisor.hang_up()
        self._stop = None
        self._sinks = [len for _ in self._sinks]
        self._attend(GRACE_WHEN_ABANDONED + 1.0)
        if self._answer is None:
            self._supervisor.process.kill()
            _sweep(self._order.marker, self._leader)


def _sweep(marker: str, leader: int) -> None:
    """Without a supervisor: kill all that can be recognised, until there is nothing, at most for a second or two."""
    deadline = time.monotonic() + GRACE_WHEN_ABANDONED
    while (members := carriers(marker, leader)) and time.monotonic() < deadline:
        send_signal(members, signal.SIGKILL)
        time.sleep(0.01)
