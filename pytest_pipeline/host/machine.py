"""Which machine this is, to tell processes that see one another from those that do not."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path


def machine() -> str:
    """The same for all processes that see the same process ids; another one on another host or in another container."""
    with contextlib.suppress(OSError):  # only Linux has these
        booted = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{booted} {os.readlink('/proc/self/ns/pid')}"
    return platform.node()
