"""Choose where those who share a token meet: by the store that they share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_pipeline.forges.gate import Gate
from pytest_pipeline.forges.gate_files import FileTurnstile
from pytest_pipeline.forges.gate_limits import GateLimits
from pytest_pipeline.forges.gate_turnstile import Turnstile


def open_gate(
    store_url: str | None,
    directory: Path,
    token_id: str,
    limits: GateLimits,
    on_wait: Callable[[str, float], None] | None,
    *,
    repository: str,
) -> Gate:
    """The gate of one token: for all machines that share a store on PostgreSQL, else for this machine alone.

    Args:
        store_url: SQLAlchemy URL of the store. One that begins with ``postgresql`` names the database where the gate is
            kept too; with none, SQLite or any other database the gate lies in files.
        directory: where those are, see :func:`~pytest_pipeline.forges.gate.gate_directory`.
        token_id: as :func:`~pytest_pipeline.forges.gate.token_id` gives it.
        limits: what is allowed.
        on_wait: see :class:`~pytest_pipeline.forges.gate.Gate`.
        repository: ``owner/name``, for the limits of one repository.

    Returns:
        A gate for one process and thread; to be closed. It connects with its first call.

    Raises:
        ForgeError: the URL cannot be used, or its driver is not installed.
    """
    return Gate(_turnstile(store_url, directory, token_id), limits, on_wait, repository=repository)


def _turnstile(store_url: str | None, directory: Path, token_id: str) -> Turnstile:
    backend = (store_url or "").partition(":")[0].partition("+")[0]
    if backend.lower() != "postgresql":
        return FileTurnstile(directory, token_id)
    from pytest_pipeline.forges.gate_sql import SqlTurnstile  # it brings SQLAlchemy, which files do without

    return SqlTurnstile(store_url or "", token_id)
