"""A process says what it waits for, to whoever draws the live status, which may be another process."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline.events import ForgeWaiting

_WORTH = 1.0  # seconds; what is over at once is gone before anybody reads it


@dataclass(frozen=True)
class WaitNote:
    """A plugin that writes down the last wait for the forge.

    Args:
        file: where; each wait replaces the one before.
    """

    file: Path

    def pytest_pipeline_forge_waiting(self, event: ForgeWaiting) -> None:
        """Write until when, in seconds since the epoch, and for what."""
        if event.seconds >= _WORTH:
            with contextlib.suppress(OSError):
                self.file.write_text(f"{time.time() + event.seconds:.3f} {event.message}", "utf-8")
