"""Servers of SQL databases: what of their URL and words may be shown, and how to notice that one has vanished."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy import exc

VANISHED = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""libpq's settings by which a server that is gone without a word is found out, after 10 + 3 * 5 s."""

_LIBPQ = ("psycopg", "psycopg2")


def shown(url: sa.URL) -> str:
    """The URL without its password and without its query, which may hold another one."""
    return url.set(query={}).render_as_string(hide_password=True)


def said(error: exc.SQLAlchemyError, url: sa.URL) -> str:
    """The first line of what a driver says, without the secrets of the URL, which it may repeat."""
    lines = str(error.orig if isinstance(error, exc.DBAPIError) else error).strip().splitlines()
    told = next(iter(lines), type(error).__name__).rstrip(".")
    for secret in (url.password, url.query.get("password")):
        if secret and isinstance(secret, str):
            told = told.replace(secret, "***")
    return told


def connecting(url: sa.URL) -> Mapping[str, object]:
    """What a driver of PostgreSQL is told besides the URL, where the URL does not say it.

    Raises:
        ImportError, ArgumentError: there is no such driver.
    """
    if url.get_dialect().driver not in _LIBPQ:
        return {}
    asked = {"connect_timeout": 10, **VANISHED}
    return {name: value for name, value in asked.items() if name not in url.query}
