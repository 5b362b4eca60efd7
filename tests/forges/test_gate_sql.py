"""The gate of several machines on a real PostgreSQL: what lies there, and what happens when a connection breaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from pytest_pipeline.errors import ForgeError
from pytest_pipeline.forges.gate import Gate
from pytest_pipeline.forges.gate_files import FileTurnstile
from pytest_pipeline.forges.gate_limits import CallKind, GateLimits
from pytest_pipeline.forges.gate_opening import open_gate
from pytest_pipeline.forges.gate_sql import SqlTurnstile
from pytest_pipeline.forges.gate_state import State
from tests.forges.gate_desk import ID, TOKEN
from tests.postgres import PASSWORD, PostgresServer

READ, WRITE = CallKind.READ, CallKind.WRITE
FAR = GateLimits(spacing=1000, patience=0)  # whoever comes too early is refused, and nobody waits in here
LOST = "cannot be used: .*terminat.* Look at that database, or name another store with --pipeline-store URL"


class Machines:
    """Gates of machines that share one database and nothing else, and the hand of its administrator."""

    def __init__(self, server: PostgresServer, url: str, stack: ExitStack) -> None:
        self.url = url
        self._server = server
        self._stack = stack
        self.database = sa.make_url(url).database or ""

    def gate(self, limits: GateLimits = FAR) -> Gate:
        found = open_gate(self.url, Path("/nonexistent"), ID, limits, None, repository="owner/name")
        return self._stack.enter_context(closing(found))

    def turnstile(self) -> SqlTurnstile:
        return self._stack.enter_context(closing(SqlTurnstile(self.url, ID)))

    def ask(self, statement: str) -> list[object]:
        """The first column of what the database answers."""
        return [row[0] for row in self._server.ask(statement, self.database)]

    def cut(self) -> None:
        """End every connection to the database but the one that asks."""
        self._server.ask(
            f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{self.database}'"
        )

    def shut(self) -> None:
        """Let nobody in any more, and everybody out."""
        self._server.ask(f"ALTER DATABASE {self.database} ALLOW_CONNECTIONS false")
        self.cut()

    def known(self) -> dict[str, object]:
        """What is kept of the token."""
        ((text,),) = self._server.ask("SELECT state FROM pipeline_gates", self.database)
        found = json.loads(str(text))
        assert isinstance(found, dict)
        return found


@pytest.fixture
def machines(postgres_server: PostgresServer, postgres_url: str) -> Iterator[Machines]:
    with ExitStack() as stack:
        yield Machines(postgres_server, postgres_url, stack)


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """The connection of a turnstile."""
    with closing(SqlTurnstile(url, ID)) as turnstile:
        turnstile.take()
        inner = turnstile._connection
        assert inner is not None
        found = inner.connection.dbapi_connection
        assert isinstance(found, psycopg.Connection)
        yield found


def call(gate: Gate, kind: CallKind) -> None:
    with gate.call(kind):
        pass


# --- what lies there --------------------------------------------------------------------------------------------------


def test_the_database_knows_one_row_for_the_token_and_not_the_token(machines: Machines) -> None:
    gate = machines.gate(GateLimits(spacing=0))
    for _ in range(3):
        call(gate, WRITE)
    assert machines.ask("SELECT token_id FROM pipeline_gates") == [ID]
    assert TOKEN not in str(machines.known())
    assert machines.ask("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'") == [1]


def test_many_who_come_first_at_once_make_one_table(machines: Machines) -> None:
    turnstiles = [machines.turnstile() for _ in range(8)]
    found: list[State] = []
    start = threading.Barrier(len(turnstiles))

    def come(turnstile: SqlTurnstile) -> None:
        start.wait()
        found.append(turnstile.read(0.0))

    threads = [threading.Thread(target=come, args=(each,)) for each in turnstiles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [State()] * len(turnstiles)


def test_a_user_who_may_not_make_tables_uses_the_one_that_is_there(machines: Machines) -> None:
    machines.ask("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    url = sa.make_url(machines.url).set(username="guest", password="guest").render_as_string(hide_password=False)
    try:
        with (
            closing(SqlTurnstile(url, ID)) as turnstile,
            pytest.raises(ForgeError, match="cannot be used: permission denied for schema public"),
        ):
            turnstile.take()
        call(machines.gate(), READ)
        machines.ask("GRANT SELECT, INSERT, UPDATE ON pipeline_gates TO guest")
        with closing(SqlTurnstile(url, ID)) as turnstile:
            assert turnstile.take()
            turnstile.write(State(strikes=1), 0.0)
        assert machines.known()["strikes"] == 1
    finally:
        machines.ask("DROP OWNED BY guest")
        machines.ask("DROP ROLE guest")


def test_a_text_that_is_not_ours_counts_as_a_change_just_made(machines: Machines) -> None:
    call(machines.gate(), WRITE)
    machines.ask("UPDATE pipeline_gates SET state = 'torn'")
    call(machines.gate(), READ)
    with pytest.raises(ForgeError, match=r"waits (1000|9\d\d) s, to keep their distance"):
        call(machines.gate(), WRITE)


def test_the_time_is_the_databases(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 5.0)
    before = machines.ask("SELECT extract(epoch FROM clock_timestamp())::float8")[0]
    now = machines.turnstile().now()
    after = machines.ask("SELECT extract(epoch FROM clock_timestamp())::float8")[0]
    assert isinstance(before, float)
    assert isinstance(after, float)
    assert before < now < after


def test_both_sides_look_after_each_other_and_a_url_may_say_otherwise(machines: Machines) -> None:
    with connected(machines.url) as connection:
        asked = connection.info.get_parameters()
        rows = connection.execute("SELECT name FROM pg_settings WHERE source = 'session'").fetchall()
        assert connection.execute("SHOW statement_timeout").fetchall() == [("30s",)]
        assert connection.autocommit
    both = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3"}
    assert asked.items() >= {"connect_timeout": "10", **both}.items()
    assert {name for (name,) in rows} >= {f"tcp_{name}" for name in both}
    with connected(f"{machines.url}&connect_timeout=3") as connection:
        assert connection.info.get_parameters()["connect_timeout"] == "3"


def test_no_child_inherits_the_connection_and_closing_closes_it(machines: Machines) -> None:
    with connected(machines.url) as connection:
        assert not os.get_inheritable(connection.fileno())
    assert connection.closed


# --- a connection that does not last ----------------------------------------------------------------------------------


def test_a_turn_whose_connection_broke_is_over_and_its_change_counts(machines: Machines) -> None:
    gate, other = machines.gate(), machines.gate()

    def call_and_be_cut_off() -> None:
        with gate.call(WRITE):
            machines.cut()
            call(other, READ)
            gate.heard(200, {}, "")

    with pytest.raises(ForgeError, match=LOST) as raised:
        call_and_be_cut_off()
    assert PASSWORD not in str(raised.value)
    with pytest.raises(ForgeError, match=r"waits (1000|9\d\d) s, to keep their distance"):
        call(other, WRITE)
    call(gate, READ)
    with pytest.raises(ForgeError, match="to keep their distance"):
        call(gate, WRITE)


def test_who_has_lost_the_turn_writes_nothing_any_more(machines: Machines) -> None:
    gate = machines.gate(GateLimits(spacing=0))
    with gate.call(WRITE):
        machines.cut()
        other = machines.turnstile()
        assert other.take()
        other.write(State(strikes=5), other.now())
    known = machines.known()
    assert (known["strikes"], known["last_write"]) == (5, None)
    with pytest.raises(ForgeError, match="has been calling"):
        gate.call(READ, patience=0).__enter__()
    other.leave()
    call(gate, READ)


def test_every_answer_of_a_lost_turn_is_refused(machines: Machines) -> None:
    gate = machines.gate()
    with gate.call(READ):
        machines.cut()
        for _ in range(2):
            with pytest.raises(ForgeError, match=LOST):
                gate.heard(429, {}, "")
    assert machines.ask("SELECT count(*) FROM pipeline_gates") == [0]


def test_an_interrupted_statement_ends_the_turn(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = machines.turnstile(), machines.turnstile()
    assert first.take()
    monkeypatch.setattr(sa.Connection, "execute", _interrupted)
    with pytest.raises(KeyboardInterrupt):
        first.now()
    monkeypatch.undo()
    with pytest.raises(ForgeError, match=r"interrupted \(KeyboardInterrupt\)\. Start the session again"):
        first.write(State(), 0.0)
    first.leave()
    comes_through(second)
    assert not first.take()


def comes_through(turnstile: SqlTurnstile) -> None:
    """Wait until the server has heard that the connection of who had the turn has ended."""
    deadline = time.monotonic() + 60
    while not turnstile.take():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _interrupted(*arguments: object, **more: object) -> str:
    raise KeyboardInterrupt


def test_a_connection_that_broke_between_two_calls_is_made_again(machines: Machines) -> None:
    gate = machines.gate()
    call(gate, READ)
    machines.cut()
    call(gate, READ)
    machines.cut()
    assert gate.budget(0).fits


def test_who_was_next_and_lost_the_connection_stands_in_line_again(machines: Machines) -> None:
    first, second, third = (machines.turnstile() for _ in range(3))
    assert first.take()
    assert not second.take()
    machines.cut()
    first.leave()
    assert third.take()
    assert not second.take()
    third.leave()
    assert not first.take()
    assert second.take()


def test_a_call_that_could_not_be_noted_is_not_made(machines: Machines) -> None:
    gate, other = machines.gate(), machines.turnstile()
    call(gate, READ)
    machines.ask("ALTER TABLE pipeline_gates ADD CHECK (state = 'nothing')")
    with pytest.raises(ForgeError, match="violates check constraint"):
        call(gate, WRITE)
    comes_through(other)
    other.leave()
    call(gate, READ)


# --- a database that cannot be reached --------------------------------------------------------------------------------


def told_by(url: str) -> str:
    """What a gate at that URL says of itself."""
    with (
        pytest.raises(ForgeError) as raised,
        closing(open_gate(url, Path("/nonexistent"), ID, FAR, None, repository="owner/name")) as gate,
    ):
        call(gate, READ)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    return str(raised.value)


def test_a_wrong_password_is_told_and_not_shown(machines: Machines) -> None:
    url = sa.make_url(machines.url).set(password="wr0ng-one")
    said = told_by(url.render_as_string(hide_password=False))
    assert 'password authentication failed for user "pipeline"' in said
    assert f"postgresql+psycopg://pipeline:***@/{machines.database}, by which all machines share" in said
    assert said.endswith("Look at that database, or name another store with --pipeline-store URL.")
    asked = url.set(password=None).update_query_dict({"password": "wr0ng-one"})
    assert "password authentication failed" in told_by(asked.render_as_string())
    assert "wr0ng-one" not in said + told_by(asked.render_as_string())


def test_a_server_that_is_gone_is_told_and_not_asked_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(engine: sa.Engine) -> sa.Connection:
        asked.append(engine)
        return real(engine)

    asked: list[sa.Engine] = []
    real = sa.Engine.connect
    monkeypatch.setattr(sa.Engine, "connect", connect)
    said = told_by(f"postgresql+psycopg://me:s3cret@/state?host={tmp_path}")
    assert len(asked) == 1
    assert "postgresql+psycopg://me:***@/state, by which" in said
    assert "No such file or directory" in said
    assert "s3cret" not in said
    assert "No such file or directory" in told_by(f"postgresql+psycopg://me:@/state?host={tmp_path}")


def test_a_password_that_the_driver_repeats_is_not_shown(tmp_path: Path) -> None:
    for given in ("me:s3cret@/state?", "me@/state?password=s3cret&"):
        said = told_by(f"postgresql+psycopg://{given}host={tmp_path}/s3cret")
        assert "/***/" in said
        assert "s3cret" not in said


def test_a_server_that_goes_while_one_calls_is_told(machines: Machines) -> None:
    gate = machines.gate()
    call(gate, READ)
    machines.shut()
    with pytest.raises(ForgeError, match=r"cannot be used: .*not currently accepting connections"):
        call(gate, READ)


@pytest.mark.parametrize(
    "url",
    ["postgresql", "postgresql+psycopg://me:s3cret@host:s3cret/state", "postgresql://me:s3cret@host:5/x?y=%%\0["],
)
def test_an_url_that_cannot_be_read_is_told_and_not_shown(url: str) -> None:
    said = told_by(url)
    assert "s3cret" not in said
    assert said.endswith(".")
    assert "--pipeline-store" in said


def test_a_driver_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == "psycopg"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    said = told_by("postgresql+psycopg://me:s3cret@host/state")
    assert said.startswith("There is no driver for postgresql+psycopg://me:***@host/state: ")
    assert "Install pytest-pipeline-hardening[postgres]" in said
    assert "There is no driver" in told_by("postgresql+nothing://me:s3cret@host/state")


# --- which one --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [None, "", "sqlite:///state.db", "mysql+pymysql://host/x", "postgres://host/x"])
def test_any_other_store_leaves_the_gate_in_files(url: str | None, tmp_path: Path) -> None:
    gate = open_gate(url, tmp_path / "gates", ID, FAR, None, repository="owner/name")
    call(gate, READ)
    assert (tmp_path / "gates" / f"{ID}.lock").exists()
    with closing(FileTurnstile(tmp_path / "gates", ID)) as turnstile:
        assert turnstile.take()


def test_a_gate_in_files_brings_no_sqlalchemy() -> None:
    code = (
        "import sys; from pathlib import Path; from pytest_pipeline.forges.gate_opening import open_gate, GateLimits; "
        f"open_gate('sqlite://', Path('/nonexistent'), {ID!r}, GateLimits(), None, repository='o/n'); "
        "sys.exit('sqlalchemy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_waits_are_told_and_pushes_counted_for_the_repository(machines: Machines) -> None:
    def stop(reason: str, seconds: float) -> None:
        raise InterruptedError(reason)

    limits = GateLimits(spacing=0)
    with closing(open_gate(machines.url, Path("/nonexistent"), ID, limits, stop, repository="Owner/Name")) as gate:
        call(gate, CallKind.PUSH)
        pushes = machines.known()["pushes"]
        assert isinstance(pushes, dict)
        assert pushes.keys() == {"owner/name"}
        with closing(machines.turnstile()) as turnstile:
            assert turnstile.take()
            now = turnstile.now()
            turnstile.write(State(blocked_until=now + 500), now)
        with pytest.raises(InterruptedError, match="blocked"):
            call(gate, READ)
