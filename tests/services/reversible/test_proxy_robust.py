"""Cancelling, dying, waiting and crowds."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors
from tests.services.reversible.conftest import in_background, proxied
from tests.services.reversible.raw import COPY_DONE, Q, Raw, rows
from tests.services.reversible.recording import Recorded
from tests.services.reversible.servers import SOURCES
from tests.waiting import until

from backout.children import Children
from backout.databases.postgres.reversible.proxy.server import Proxy
from backout.embedded.binaries import account
from backout.embedded.server import EmbeddedPostgres

pytestmark = pytest.mark.slow

Connect = Callable[..., psycopg.Connection[Any]]


def sessions(url: str, where: str = "true") -> int:
    """How many other sessions of clients the server has."""
    with psycopg.connect(url) as connection:
        count = f"SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND {where}"
        row = connection.execute(count).fetchone()
        assert row
        return int(row[0])


@pytest.mark.parametrize("settings", [{}, {"sslmode": "require"}])
def test_a_cancel_takes_effect(url: str, connect: Connect, told: Recorded, settings: dict[str, str]) -> None:
    connection = connect(**settings)
    connection.execute("CREATE TABLE t (id int)")
    began = time.monotonic()
    with in_background(lambda: connection.execute("INSERT INTO t SELECT 1 FROM pg_sleep(60)")) as raised:
        until(lambda: sessions(url, "wait_event = 'PgSleep'"))
        connection.cancel_safe(timeout=10)
    assert [type(error) for error in raised] == [errors.QueryCanceled]
    assert time.monotonic() - began < 30
    assert told.calls[-1] == "ended committed=False"
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_cancel_with_another_key_does_nothing(url: str, proxy: Proxy, connect: Connect) -> None:
    with closing(Raw(proxy.environment()["DATABASE_URL"])) as raw:
        raw.say(Q("SELECT pg_sleep(1) IS NULL, 'slept'"))
        from backout.databases.postgres.reversible.proxy.upstream import Upstream

        up = Upstream.of(proxy.environment()["DATABASE_URL"])
        up.cancel(raw.key[:4] + bytes(4))
        assert b"".join(one.kind for one in raw.hear(b"Z")) == b"TDCZ"


def test_a_client_that_dies_ends_its_session_and_its_work(url: str, proxy: Proxy, told: Recorded) -> None:
    script = (
        "import psycopg, sys\n"
        "with psycopg.connect(sys.argv[1]) as c:\n"
        "    c.execute('CREATE TABLE t (id int)')\n"
        "    c.execute('SELECT pg_sleep(600)')\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, proxy.environment()["DATABASE_URL"]])
    until(lambda: sessions(url, "wait_event = 'PgSleep'"))
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    until(lambda: sessions(url) == 0, 10)
    until(lambda: "ended committed=False" in told.calls, 10)
    with psycopg.connect(url) as direct:
        assert direct.execute("SELECT to_regclass('t')").fetchone() == (None,)


def test_a_client_that_leaves_a_copy_in_the_middle_copies_nothing(url: str, proxy: Proxy) -> None:
    with psycopg.connect(url, autocommit=True) as direct:
        direct.execute("CREATE TABLE t (id int)")
    raw = Raw(proxy.environment()["DATABASE_URL"])
    raw.say(Q("COPY t FROM STDIN"))
    raw.hear(b"G")
    raw.say(rows("1", "2"))
    raw.close()
    until(lambda: sessions(url) == 0, 10)
    with psycopg.connect(url) as direct:
        assert direct.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_session_that_the_server_ends_ends_with_the_servers_words(
    url: str, connect: Connect, told: Recorded
) -> None:
    connection = connect()
    connection.execute("CREATE TABLE t (id int)")
    with psycopg.connect(url, autocommit=True) as direct:
        direct.execute("SELECT pg_terminate_backend(%s)", (connection.pgconn.backend_pid,))
    with pytest.raises(errors.AdminShutdown):
        connection.execute("SELECT 1")
    assert connection.closed
    busy = connect()
    busy.execute("BEGIN; INSERT INTO t VALUES (1)")
    with in_background(lambda: busy.execute("SELECT pg_sleep(60)")) as raised:
        until(lambda: sessions(url, "wait_event = 'PgSleep'"))
        with psycopg.connect(url, autocommit=True) as direct:
            direct.execute("SELECT pg_terminate_backend(%s)", (busy.pgconn.backend_pid,))
    assert [type(error) for error in raised] == [errors.AdminShutdown]
    assert told.calls[-1] == "ended committed=False"


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_a_server_that_crashes_is_a_fatal_error(tmp_path: Path, told: Recorded, source: str) -> None:
    with closing(Children(tmp_path / "run")) as children:
        server = EmbeddedPostgres(tmp_path, children, binaries=SOURCES[source](account()), fsync=False)
        server.start()
        try:
            with proxied(server.url, told) as proxy:
                connection = psycopg.connect(proxy.environment()["DATABASE_URL"], autocommit=True)
                connection.execute("BEGIN; CREATE TABLE t (id int)")
                server.crash()
                with pytest.raises(
                    psycopg.OperationalError, match=r"terminating connection|ended the connection"
                ):
                    connection.execute("SELECT 1")
                assert connection.closed
                with pytest.raises(
                    psycopg.OperationalError, match="backout cannot reach the PostgreSQL server"
                ):
                    psycopg.connect(proxy.environment()["DATABASE_URL"])
                assert proxy.failures == [] and told.calls[-1] == "ended committed=False"
        finally:
            server.close()


@pytest.mark.parametrize("crowd", [2, 10])
def test_several_at_once_do_not_mix(url: str, proxy: Proxy, told: Recorded, crowd: int) -> None:
    with psycopg.connect(url, autocommit=True) as direct:
        direct.execute("CREATE TABLE t (worker int, n int)")

    def work(worker: int) -> list[Any]:
        with psycopg.connect(proxy.environment()["DATABASE_URL"], autocommit=True) as connection:
            for n in range(20):
                connection.execute("INSERT INTO t VALUES (%s, %s)", (worker, n))
            return connection.execute("SELECT n FROM t WHERE worker = %s ORDER BY n", (worker,)).fetchall()

    with ThreadPoolExecutor(crowd) as pool:
        for found in pool.map(work, range(crowd)):
            assert found == [(n,) for n in range(20)]
    assert proxy.connections == crowd
    assert told.calls.count("ended committed=True") == crowd * 20


def test_one_waits_for_a_lock_while_another_works(url: str, connect: Connect) -> None:
    first, second = connect(), connect()
    first.execute("CREATE TABLE t (id int)")
    first.execute("BEGIN; LOCK TABLE t")
    with in_background(lambda: second.execute("INSERT INTO t VALUES (2)")) as raised:
        until(lambda: sessions(url, "wait_event_type = 'Lock'"))
        assert first.execute("SELECT count(*) FROM t").fetchone() == (0,)
        first.execute("COMMIT")
    assert raised == []
    assert first.execute("SELECT pg_try_advisory_lock(7)").fetchone() == (True,)
    assert second.execute("SELECT pg_try_advisory_lock(7)").fetchone() == (False,)
    first.close()
    until(lambda: second.execute("SELECT pg_try_advisory_lock(7)").fetchone() == (True,), 10)


def test_notifications_come_while_the_client_only_listens(connect: Connect) -> None:
    listener, speaker = connect(), connect()
    listener.execute("LISTEN c")
    speaker.execute("NOTIFY c, 'heard'")
    heard = [told.payload for told in listener.notifies(timeout=10, stop_after=1)]
    assert heard == ["heard"]


def test_a_flood_of_notices_does_not_stop_a_copy(url: str, proxy: Proxy) -> None:
    """Both sides write: who waits until it may write must go on reading."""
    with psycopg.connect(url, autocommit=True) as direct:
        direct.execute("CREATE TABLE t (x text)")
        direct.execute(
            "CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE NOTICE '%', repeat('n', 3000); RETURN NEW; END $$;"
            " CREATE TRIGGER loud BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION loud()"
        )
    with closing(Raw(proxy.environment()["DATABASE_URL"])) as raw:
        raw.say(Q("COPY t FROM STDIN"))
        raw.hear(b"G")
        raw.say(rows(*["x" * 3000] * 5000) + COPY_DONE)
        heard = raw.hear(b"Z")
    assert sum(one.kind == b"N" for one in heard) == 5000
    assert [one.kind for one in heard[-2:]] == [b"C", b"Z"]


def test_much_sent_ahead_is_answered_in_order(proxy: Proxy, url: str) -> None:
    """A client that sends all before it reads anything, as a plain server would let it block on."""
    with closing(Raw(proxy.environment()["DATABASE_URL"])) as raw:
        raw.say(b"".join(Q(f"SELECT {n}, repeat('x', 10000)") for n in range(500)))
        for n in range(500):
            row = next(one for one in raw.hear(b"Z") if one.kind == b"D")
            assert row.body[6 : 6 + len(str(n))] == str(n).encode()


def test_the_end_of_the_proxy_ends_what_runs(url: str, told: Recorded) -> None:
    with proxied(url, told) as proxy:
        connection = psycopg.connect(proxy.environment()["DATABASE_URL"], autocommit=True)
        connection.execute("BEGIN; CREATE TABLE t (id int)")
        idle = psycopg.connect(proxy.environment()["DATABASE_URL"], autocommit=True)
        port = proxy.port
        with in_background(lambda: connection.execute("SELECT pg_sleep(600)")) as raised:
            until(lambda: sessions(url, "wait_event = 'PgSleep'"))
            proxy.__exit__(None, None, None)
    assert len(raised) == 1 and connection.closed
    with pytest.raises(psycopg.OperationalError):
        idle.execute("SELECT 1")
    idle.close()
    until(lambda: sessions(url) == 0, 10)
    assert told.calls[-1] == "ended committed=False"
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(host="127.0.0.1", port=port)
