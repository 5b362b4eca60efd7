"""Files that are there as a whole or not at all, whatever happens to who writes them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pytest_pipeline.errors import HostError


def write_whole(path: Path, text: str) -> None:
    """Write all of it or nothing: whoever reads the file never finds half of it.

    Args:
        path: the file; its directory is made.
        text: its content.

    Raises:
        HostError: it cannot be written; what was there before is still there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as place:
            draft = Path(place, path.name)
            with draft.open("w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}. Free space or mend its permissions.") from error
