"""The processes of executions: started as a person would start pytest, told alive by a lock, ended by Ctrl-C.

The process inherits the lock of its plan, and the kernel frees it when that process is gone, however it ended. So
one look tells whether an execution lives, to any server, also to one that was started later; and no plan is executed
twice at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_pipeline.errors import HostError, PipelineError
from pytest_pipeline.host.locking import Lock
from pytest_pipeline.server.books import Book, Execution

Command = Callable[[Sequence[str], str], Sequence[str]]
"""Makes the whole command line from an execution's own options and its plan."""

_PATIENCE = 0.5  # seconds; another server may look at the lock at that moment


class BusyError(PipelineError):
    """The plan is being executed already.

    Args:
        message: the sentence for the user.
        execution: which execution does it.
    """

    def __init__(self, message: str, execution: str) -> None:
        super().__init__(message)
        self.execution = execution


class Processes:
    """Starts and ends them.

    Args:
        book: what was asked for.
        command: makes command lines.
        directory: where a person would type them.
    """

    def __init__(self, book: Book, command: Command, directory: Path) -> None:
        self._book = book
        self._command = command
        self._directory = directory
        self._looking = threading.Lock()  # a look takes the lock for a moment, and must not be in a start's way

    def start(self, execution: Execution, *, is_new: bool, arguments: Sequence[str]) -> None:
        """Start the process of an execution; it is written down before.

        Args:
            execution: what was asked for.
            is_new: whether the execution itself must be written down first.
            arguments: options for pytest.

        Raises:
            BusyError: the plan is being executed.
            HostError: nothing can be written, or no process started.
        """
        with self._looking:
            lock = self._take(execution)
            try:
                if is_new:
                    self._book.add(execution)
                log = self._book.begin_launch(execution).log
                process = self._spawn(self._command(arguments, execution.plan), log, lock)
                os.pwrite(lock.descriptor, f" {process.pid}".encode(), len(execution.id))
            finally:
                lock.close()
        threading.Thread(target=process.wait, daemon=True, name=f"wait for {execution.id}").start()

    def alive(self, execution: Execution) -> bool:
        """Whether the process of an execution lives."""
        path = self._book.lock_of(execution.plan)
        with self._looking:
            if not path.exists() or _holder(path)[0] != execution.id:
                return False
            lock = Lock.take(path, shared=True)
            if lock is not None:
                lock.close()
        return lock is None

    def interrupt(self, execution: Execution) -> bool:
        """End an execution as Ctrl-C in its terminal would; whether there was a process."""
        if not self.alive(execution):
            return False
        pid = _holder(self._book.lock_of(execution.plan))[1]
        if pid is None:
            return False
        try:
            os.killpg(pid, signal.SIGINT)
        except ProcessLookupError:
            return False
        return True

    def _take(self, execution: Execution) -> Lock:
        path, until = self._book.lock_of(execution.plan), time.monotonic() + _PATIENCE
        while (lock := Lock.take(path, execution.id)) is None:
            if time.monotonic() > until:
                by = _holder(path)[0]
                raise BusyError(
                    f"The plan {execution.shown} is being executed by {by}. Wait until that has ended, or cancel it.",
                    by,
                )
            time.sleep(0.02)
        return lock

    def _spawn(self, command: Sequence[str], log: Path, lock: Lock) -> subprocess.Popen[bytes]:
        try:
            with log.open("xb") as output:
                return subprocess.Popen(
                    command,
                    cwd=self._directory,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(lock.descriptor,),
                    start_new_session=True,
                )
        except OSError as error:
            raise HostError(f"pytest cannot be started: {error.strerror}. Mend that and start again.") from error


def _holder(path: Path) -> tuple[str, int | None]:
    """Execution and process that have taken the lock last."""
    words = path.read_text("utf-8", "replace").split()
    return (words[0] if words else ""), (int(words[1]) if len(words) > 1 and words[1].isdecimal() else None)
