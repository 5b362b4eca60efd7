"""What becomes of a child's output: masked, appended to its transcript up to a limit, its last lines kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_pipeline.errors import HostError
from pytest_pipeline.host.redaction import Redactor

TAIL_LINES = 40
TAIL_BYTES = 8 * 1024
LINE_CHARACTERS = 2_000


class Output:
    """A sink for bytes, as they come; memory is bounded whatever comes.

    Args:
        transcript: the file that is appended to, or None.
        limit: most bytes that are written to it.
        redactor: masks secrets.
        on_line: is called with each complete line.
        longest: characters at which a line is cut for it; None: never.

    Raises:
        HostError: the transcript cannot be opened, or later: written.
    """

    def __init__(
        self,
        transcript: Path | None,
        limit: int,
        redactor: Redactor,
        on_line: Callable[[str], None] | None,
        longest: int | None = LINE_CHARACTERS,
    ) -> None:
        self._path = transcript
        self._room = limit
        self._limit = limit
        self._stream = redactor.stream()
        self._lines = Lines(on_line, longest) if on_line else None
        self._tail = bytearray()
        self._cut = False
        self.truncated = False
        try:
            self._file = open(transcript, "ab", buffering=0) if transcript else None  # noqa: SIM115 - see close
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """Close the transcript."""
        if self._file:
            self._file.close()

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._take(self._stream.feed(data))

    def finish(self) -> None:
        """There is no more."""
        self._take(self._stream.close())
        if self._lines:
            self._lines.finish()

    def tail(self) -> str:
        """The last lines, decoded."""
        data = bytes(self._tail)
        if self._cut:
            data = data.lstrip(bytes(range(0x80, 0xC0)))  # the rest of a character that was cut
        return "\n".join(data.decode("utf-8", "replace").splitlines()[-TAIL_LINES:])

    def _take(self, data: bytes) -> None:
        if not data:
            return
        self._write(data)
        self._tail += data[-TAIL_BYTES:]
        self._cut = self._cut or len(self._tail) > TAIL_BYTES or len(data) > TAIL_BYTES
        del self._tail[:-TAIL_BYTES]
        if self._lines:
            self._lines.feed(data)

    def _write(self, data: bytes) -> None:
        if self._file is None or self.truncated:
            return
        self.truncated = len(data) > self._room
        data = data[: self._room]
        self._room -= len(data)
        if self.truncated:
            data += f"\n[pytest-pipeline: what follows is left out, {self._limit} bytes are the limit]\n".encode()
        try:
            while data:
                data = data[self._file.write(data) or 0 :]
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> HostError:
        return HostError(
            f"The transcript {self._path} cannot be written: {error.strerror}. Make room or mend its rights, "
            "and run again."
        )


class Lines:
    """Cuts a stream into lines.

    Args:
        on_line: is called with each, decoded, without its end.
        longest: characters at which one is cut; None: never.
    """

    def __init__(self, on_line: Callable[[str], None], longest: int | None = LINE_CHARACTERS) -> None:
        self._on_line = on_line
        self._longest = longest
        self._line = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        *complete, rest = data.split(b"\n")
        for part in complete:
            self._add(part)
            self.finish(empty=True)
        self._add(rest)

    def finish(self, *, empty: bool = False) -> None:
        """End the line that was begun; nothing where none was, unless ``empty`` lines count."""
        if self._line or empty:
            text = self._line.decode("utf-8", "replace").removesuffix("\r")
            self._line.clear()
            self._on_line(text[: self._longest])

    def _add(self, part: bytes) -> None:
        room = len(part) if self._longest is None else max(0, 4 * self._longest - len(self._line))
        self._line += part[:room]
