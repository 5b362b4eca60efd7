"""A real PostgreSQL server for the tests that need one: its own, on a socket in a directory of its own."""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

USER = "pipeline"
PASSWORD = "s3cret-of-the-database"
_TEMPORARY = Path(tempfile.gettempdir())  # before a test gets one of its own, which other users cannot enter
_ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}
_SECONDS = 60  # that a server may take to come up or go down on a busy machine
_OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
}
# The server ends with us, however we end: the shell reads from a pipe that only this process holds.
_UNTIL_WE_END = '"$@" & read -r _; kill -s INT $!; wait $!'


@dataclass
class PostgresServer:
    """A server that runs.

    Args:
        directory: where its socket is.
    """

    directory: Path
    _made: int = field(default=0, init=False)

    def url(self, database: str) -> sa.URL:
        """The address of a database."""
        return sa.URL.create(
            "postgresql+psycopg", USER, PASSWORD, database=database, query={"host": str(self.directory)}
        )

    def ask(self, statement: str, database: str = "postgres") -> list[Sequence[object]]:
        """Run one statement with all rights, outside of a transaction."""
        engine = sa.create_engine(self.url(database), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a database that is new; it is gone afterwards, with whoever is still connected."""
        self._made += 1
        name = f"test_{self._made}"
        self.ask(f"CREATE DATABASE {name}")
        try:
            yield self.url(name).render_as_string(hide_password=False)
        finally:
            self.ask(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True)
class _Owner:
    """Whom the server runs as; None: as whom we run."""

    user: int | None = None
    group: int | None = None
    groups: tuple[int, ...] | None = None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for all tests of this process."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("the server of PostgreSQL is not installed on this machine")
    with running_server(binaries) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL of a new, empty database, with its password."""
    with postgres_server.database() as url:
        yield url


@contextlib.contextmanager
def running_server(binaries: Path) -> Iterator[PostgresServer]:
    """A server until the context ends.

    Args:
        binaries: where ``initdb`` and ``postgres`` are.
    """
    owner = _owner()
    place = Path(tempfile.mkdtemp(prefix="pg-", dir=_room()))
    try:
        try:
            _initialise(binaries, place, owner)
        except PermissionError as error:
            pytest.skip(f"PostgreSQL refuses to run as root, and nobody else may be asked to run it here: {error}")
        with _started(binaries, place, owner) as process:
            server = PostgresServer(place)
            _wait_until_up(server, process, place / "log")
            yield server
    finally:
        shutil.rmtree(place)


def _initialise(binaries: Path, place: Path, owner: _Owner) -> None:
    password = place / "password"
    password.write_text(PASSWORD)
    for path in (place, password):
        os.chown(path, -1 if owner.user is None else owner.user, -1 if owner.group is None else owner.group)
    command = [str(binaries / "initdb"), "-D", str(place / "data"), "-U", USER, f"--pwfile={password}"]
    done = subprocess.run(
        [*command, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"],
        cwd=place,
        env=_ENVIRONMENT,
        user=owner.user,
        group=owner.group,
        extra_groups=owner.groups,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def _started(binaries: Path, place: Path, owner: _Owner) -> Iterator[subprocess.Popen[bytes]]:
    options = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
    command = [str(binaries / "postgres"), "-D", str(place / "data"), "-k", str(place), *options]
    with (
        open(place / "log", "wb") as log,
        subprocess.Popen(
            ["sh", "-c", _UNTIL_WE_END, "sh", *command],
            cwd=place,
            env=_ENVIRONMENT,
            user=owner.user,
            group=owner.group,
            extra_groups=owner.groups,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=_SECONDS)


def _wait_until_up(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            server.ask("SELECT 1")
        except exc.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start: {log.read_text()}") from error
            time.sleep(0.05)
        else:
            return


def _owner() -> _Owner:
    """Whom the server runs as: it refuses to run as root."""
    if os.geteuid() != 0:
        return _Owner()
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return _Owner(found.pw_uid, found.pw_gid, ())
    pytest.skip("PostgreSQL refuses to run as root, and this machine has no user nobody")


def _room() -> Path:
    """Where a directory of the server can be: others can enter, and a socket's path (108 bytes at most) fits."""
    for place in (_TEMPORARY, Path("/tmp")):
        if len(str(place)) < 60 and all(each.stat().st_mode & 0o001 for each in (place, *place.parents)):
            return place
    pytest.skip("no temporary directory of this machine can be entered by the user of PostgreSQL")


@functools.cache
def _binaries() -> Path | None:
    """Where the server's programs are: on the path, or where Debian puts them; there the newest."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(versions, key=lambda path: float(path.parts[4]), default=None)
    return newest and newest.parent
