"""Whether a store can be used, found out without making one."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_pipeline.errors import StoreError
from pytest_pipeline.findings import Finding
from pytest_pipeline.record.database import Database, sqlite_file


def examine_store(url: str) -> Finding:
    """Look at a store; where there is none yet, whether one can be made.

    Args:
        url: an SQLAlchemy URL.
    """
    try:
        file = sqlite_file(url)
        if file is not None and not file.exists():
            return _absent(file)
        with_tables = Database.is_made(url)
    except StoreError as error:
        return Finding.failed("store", str(error))
    return Finding.good("store", "It is there and whole." if with_tables else "Its database is empty; it will be made.")


def _absent(file: Path) -> Finding:
    """The next directory above that exists must let us make the others."""
    place = next(parent for parent in file.absolute().parents if parent.exists())
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return Finding.good("store", f"There is none yet; it will be {file.name} below {place.name or place}.")
    return Finding.failed(
        "store",
        f"There is none yet, and {place} is no directory that can be written.",
        "Make it writable, or name another place with --pipeline-store URL.",
    )
