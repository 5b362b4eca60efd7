"""A terminal that pytest writes to, with lines below the cursor that are ours.

The cursor always stays where pytest has left it, also in the middle of a line. So whatever is written next comes out
where it would without us, and all that has to be done before is to clear what is below.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from pytest_pipeline.record.columns import width

if TYPE_CHECKING:
    from typing import Any

_CLEAR_BELOW = "\x1b[J"
_CLEAR_REST = "\x1b[K"
_SAVE, _RESTORE = "\x1b7", "\x1b8"  # the cursor; right as long as nothing scrolls in between
_STILL = re.compile(r"\x1b\[[0-9;]*m|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
"""Colours, and what is said to the terminal's window: they do not move the cursor."""


class Screen:
    """Stands in for the file that pytest's terminal writer writes to.

    Args:
        file: that file; it leads to a terminal.
        touched: is set whenever our lines were cleared, so that they can be drawn again.

    Raises:
        OSError: the file has no descriptor.
    """

    def __init__(self, file: TextIO, touched: threading.Event) -> None:
        self._file = file
        self._touched = touched
        self._terminal = os.dup(file.fileno())  # pytest's capture leads the other one elsewhere from time to time
        self._lock = threading.RLock()
        self._line = ""  # what stands before the cursor
        self._drawn = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the file has
        return getattr(self._file, name)

    # What pytest does

    def write(self, text: str) -> int:
        """Write, with nothing of ours below."""
        with self._lock:
            if not self._file.isatty():  # captured
                return self._file.write(text)
            self._clear()
            written = self._file.write(text)
            self._file.flush()
            self._line = re.split(r"[\r\n]", self._line + text)[-1]
        self._touched.set()
        return written

    # What we do

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines that our lines may take: half of the terminal's; none when it is gone."""
        try:
            columns, lines = os.get_terminal_size(self._terminal)
        except OSError:
            return 0, 0
        return columns - 1, lines // 2

    def draw(self, lines: Sequence[str]) -> bool:
        """Show these lines in place of those before.

        Args:
            lines: each of no more columns than the terminal has; nothing in them moves the cursor.

        Returns:
            False: the cursor is where nobody can find it again, so nothing was drawn.
        """
        with self._lock:
            column = self._column()
            if column is None or not lines:
                return False
            below = "".join(f"\r\n{line}{_CLEAR_REST}" for line in lines)
            self._send(f"{below}{_CLEAR_BELOW}\x1b[{len(lines)}A\x1b[{column + 1}G")
            self._drawn = True
        return True

    def close(self) -> None:
        """Clear our lines for good; what is written afterwards goes through as it is."""
        with self._lock:
            self._clear()
            if self._terminal >= 0:
                os.close(self._terminal)
            self._terminal = -1

    def _clear(self) -> None:
        if self._drawn:
            self._send(f"{_SAVE}\x1b[1B\r{_CLEAR_BELOW}{_RESTORE}")  # what stands behind the cursor is pytest's
            self._drawn = False

    def _column(self) -> int | None:
        """The cursor's column, from 0; None where it is not known for sure."""
        columns = self.size[0] + 1
        line = _STILL.sub("", self._line)
        used = width(line)
        if not line.isprintable() or columns < 2:
            return None
        if used < columns:
            return used
        return used % columns or None if line.isascii() else None  # at the very end some terminals have wrapped already

    def _send(self, text: str) -> None:
        data = text.encode(self._file.encoding or "utf-8", "replace")
        with contextlib.suppress(OSError):  # the terminal was closed, which is told by whatever pytest writes next
            while data:
                data = data[os.write(self._terminal, data) :]
